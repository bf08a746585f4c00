"""Features of the Whisper base encoder (Radford et al., arXiv 2212.04356), run by CTranslate2 on the CPU."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from splatalk import assets
from splatalk.errors import AssetError
from splatalk.speech.mel import power_mel
from splatalk.speech.windowed import WindowedEncoder

WINDOW_S = 30
"""What the network takes: always 30 s."""


class WhisperEncoder(WindowedEncoder):
    """512 features at 50 Hz; one depends on sound up to 28 s later."""

    name = "whisper"
    dim = 512

    def __init__(self, folder: Path | None = None) -> None:
        """Args: folder: CTranslate2 model; None takes the asset ``whisper_base``."""
        super().__init__(WINDOW_S)
        self.folder = folder or assets.fetch("whisper_base")

    @functools.cached_property
    def model(self) -> Any:
        import ctranslate2

        try:
            return ctranslate2.models.Whisper(str(self.folder), device="cpu", compute_type="float32")
        except (RuntimeError, ValueError) as error:
            raise AssetError(
                f"The Whisper model in {self.folder} cannot be loaded: {error}.", "Delete the folder and run again."
            ) from error

    def _encode(self, window: np.ndarray) -> np.ndarray:
        """30 s of samples -> (1500, 512)."""
        import ctranslate2

        level = np.log10(np.maximum(power_mel(window), 1e-10))
        level = (np.maximum(level, level.max() - 8.0) + 4.0) / 4.0
        features = np.ascontiguousarray(level.T[None], dtype=np.float32)
        encoded = self.model.encode(ctranslate2.StorageView.from_array(features), to_cpu=True)
        return np.array(encoded, dtype=np.float32)[0]
