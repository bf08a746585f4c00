"""Features of HuBERT (Hsu et al., arXiv 2106.07447) and wav2vec 2.0 (Baevski et al., arXiv 2006.11477), by the package
``transformers`` (the extra ``hubert``), from a model folder of one's own.

No such model is shipped or fetched. The folder is what ``save_pretrained`` writes: ``config.json`` and
``model.safetensors``. An avatar remembers the SHA-256 of the weights that it was made with and takes no others.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from splatalk import assets
from splatalk.errors import AssetError, UserError
from splatalk.speech.audio import TARGET_DB
from splatalk.speech.windowed import STEP, WindowedEncoder

MODELS = ("hubert", "wav2vec2")
"""Names of the encoders: also the ``model_type`` in ``config.json``, and the folder's name among the assets."""
EXAMPLES = {"hubert": "facebook/hubert-base-ls960", "wav2vec2": "facebook/wav2vec2-base"}
VARIABLES = {"hubert": "SPLATALK_HUBERT", "wav2vec2": "SPLATALK_WAV2VEC2"}
"""Environment variables that name a model's folder."""

WINDOW_S = 20
_REACH = 400  # samples that a feature is made from
_BEFORE = _REACH // 2  # silence put before the sound, so that feature t is about sample 320 t
_UNIT = 10.0 ** (-TARGET_DB / 20.0)
"""Gain that gives speech about unit variance, as these models expect: fixed, so that a pause changes nothing."""
_MAX_CONFIG = 1 << 20
_MAX_DIM = 4096


class PretrainedEncoder(WindowedEncoder):
    """Last hidden states of a network that takes any length, and is always given 20 s.

    Args:
        name: one of ``MODELS``.
        folder: of the model; None takes the one that the environment names, or that lies among the assets.

    Raises:
        UserError: transformers is not installed. AssetError: no usable model.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        super().__init__(WINDOW_S)
        self.name = name
        self.folder = folder or find(name)
        self.dim = _checked_width(name, self.folder)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights, its first 16 digits."""
        with (self.folder / "model.safetensors").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]

    @functools.cached_property
    def model(self) -> Any:
        try:
            import transformers
        except ImportError as error:
            raise UserError(
                f"The package transformers, which {self.name} features need, is not installed.",
                "pip install 'splatalk[hubert]'",
            ) from error
        kind = transformers.HubertModel if self.name == "hubert" else transformers.Wav2Vec2Model
        try:  # safetensors only, nothing from a hub, no code from the folder
            model = kind.from_pretrained(str(self.folder), local_files_only=True, use_safetensors=True)
        except Exception as error:  # whatever a damaged folder raises inside transformers
            reason = str(error).partition("\n")[0][:200]
            raise AssetError(f"The model in {self.folder} cannot be loaded: {reason}.", _advice(self.name)) from error
        return model.eval().requires_grad_(False)

    def _encode(self, window: np.ndarray) -> np.ndarray:
        """20 s of samples -> (1000, dim)."""
        padded = np.pad(window * _UNIT, (_BEFORE, _REACH - _BEFORE)).astype(np.float32)
        with torch.no_grad():
            states = self.model(torch.from_numpy(padded)[None]).last_hidden_state[0]
        return states[: self.window // STEP].float().numpy()


def find(name: str) -> Path:
    """The folder of a model: the one that the environment names, or ``name`` in $SPLATALK_ASSETS or the cache.

    Raises:
        AssetError: there is none.
    """
    named = os.environ.get(VARIABLES[name], "")
    if named:
        return Path(named).expanduser()
    for root in (assets.own_folder(), assets.cache_folder()):
        if root is not None and (root / name).is_dir():
            return root / name
    raise AssetError(f"There is no {name} model here.", _advice(name))


def _checked_width(name: str, folder: Path) -> int:
    """Width of the features by ``config.json``, read before anything is loaded."""
    try:
        with (folder / "config.json").open("rb") as file:
            config = json.loads(file.read(_MAX_CONFIG).decode("utf-8"))
        width, kind = config["hidden_size"], config["model_type"]
        if kind != name or type(width) is not int or not 1 <= width <= _MAX_DIM:
            raise ValueError(f"a {kind} model with features of {width} numbers")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise AssetError(f"{folder} is no {name} model ({type(error).__name__}: {error}).", _advice(name)) from error
    if not (folder / "model.safetensors").is_file():
        raise AssetError(f"{folder} has no model.safetensors.", _advice(name))
    return width


def _advice(name: str) -> str:
    kind = "HubertModel" if name == "hubert" else "Wav2Vec2Model"
    return (
        f"Where there is a network: python -c \"import transformers as t; t.{kind}.from_pretrained('{EXAMPLES[name]}')"
        f".save_pretrained('{name}')\"; then name the folder with ${VARIABLES[name]}, or put it at "
        f"{assets.cache_folder() / name}. Its licence is its maker's."
    )
