"""HuBERT and wav2vec 2.0 features, by tiny models with random weights that transformers itself writes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from splatalk.errors import AssetError
from splatalk.speech import features, pretrained, read_audio, windowed
from splatalk.speech.features import exact_name, feature_groups, speech_windows
from splatalk.speech.pretrained import MODELS, VARIABLES, PretrainedEncoder
from tests.conftest import SAMPLE_SPEECH

needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None,
    reason="NOT TESTED: the package transformers is not installed (pip install 'splatalk[hubert]')",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds ``hubert`` and ``wav2vec2``, each of 16 numbers, with the strides of the real ones."""
    import torch
    import transformers

    root = tmp_path_factory.mktemp("models")
    small = {
        "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
        "conv_dim": (16,) * 7, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2,
    }  # fmt: skip
    torch.manual_seed(0)
    transformers.HubertModel(transformers.HubertConfig(**small)).save_pretrained(root / "hubert")
    transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**small)).save_pretrained(root / "wav2vec2")
    return root


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """No model of this machine, and none kept from another test."""
    features.load.cache_clear()
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pretrained.assets, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(pretrained.assets, "own_folder", lambda: None)
    yield
    features.load.cache_clear()


@pytest.fixture(scope="module")
def words() -> np.ndarray:
    return read_audio(SAMPLE_SPEECH)[: 4 * 16000]


@needs_transformers
@pytest.mark.parametrize("name", MODELS)
def test_features_stand_at_their_time_and_silence_is_zero(folder: Path, name: str, words: np.ndarray) -> None:
    encoder = PretrainedEncoder(name, folder / name)
    found = encoder.extract(words)
    assert found.shape == (200, 16) and found.dtype == np.float32 and encoder.rate == 50.0
    later = encoder.extract(np.pad(words, (10 * 320, 0)))
    np.testing.assert_allclose(later[20:200], found[10:190], atol=0.1 * found.std())
    silent = encoder.extract(np.zeros(16000, np.float32))
    assert np.abs(silent[10:]).max() < 0.05 * found.std()
    assert encoder.extract(np.zeros(0, np.float32)).shape == (0, 16)


def test_long_sounds_are_put_together_from_windows(tmp_path: Path, monkeypatch) -> None:
    """With a stand-in for the network that tells the mean of each step, every step comes from its own sound."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "hubert", "hidden_size": 1}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    monkeypatch.setattr(windowed, "normalise_level", lambda samples: samples)
    monkeypatch.setattr(PretrainedEncoder, "_encode", lambda _, window: window.reshape(-1, 320).mean(1, keepdims=True))
    sound = np.repeat(np.arange(3000, dtype=np.float32), 320)[:-100]  # a minute
    np.testing.assert_allclose(PretrainedEncoder("hubert", tmp_path).extract(sound)[:-1, 0], np.arange(2999))


@needs_transformers
def test_loudness_hardly_matters(folder: Path, words: np.ndarray) -> None:
    encoder = PretrainedEncoder("wav2vec2", folder / "wav2vec2")
    np.testing.assert_allclose(encoder.extract(0.2 * words), encoder.extract(words), atol=1e-3)


@needs_transformers
@pytest.mark.parametrize("name", MODELS)
def test_windows_have_prosody_and_mouth_shapes_beside(folder: Path, name: str, words, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLES[name], str(folder / name))
    exact = exact_name(name)
    assert exact.startswith(f"{name}:") and len(exact) == len(name) + 17
    windows = speech_windows(exact, words, 25.0, 100)
    groups = feature_groups(windows.shape[-1])
    assert groups["words"] == slice(0, 16)
    mel = speech_windows("mel", words, 25.0, 100)
    same = feature_groups(mel.shape[-1])
    for group in ("prosody", "articulation"):
        np.testing.assert_allclose(windows[..., groups[group]], mel[..., same[group]], atol=1e-5)


@needs_transformers
def test_other_weights_are_refused(folder: Path, words: np.ndarray, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLES["hubert"], str(folder / "hubert"))
    with pytest.raises(AssetError, match="another hubert model"):
        speech_windows("hubert:0123456789abcdef", words, 25.0, 50)


@needs_transformers
def test_damaged_weights_are_told(folder: Path, tmp_path: Path, words: np.ndarray) -> None:
    (tmp_path / "config.json").write_bytes((folder / "hubert" / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(AssetError, match="cannot be loaded"):
        PretrainedEncoder("hubert", tmp_path).extract(words)


@pytest.mark.parametrize("name", MODELS)
def test_a_missing_model_is_told(name: str, tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(AssetError, match=f"no {name} model") as told:
        features.load(name)
    assert VARIABLES[name] in told.value.hint and "save_pretrained" in told.value.hint
    monkeypatch.setenv(VARIABLES[name], str(tmp_path / "nowhere"))
    with pytest.raises(AssetError, match="nowhere"):
        features.load(name)


@pytest.mark.parametrize(
    "config",
    [b"", b"[]", b"{}", b'{"model_type": "bert", "hidden_size": 16}', b'{"model_type": "hubert", "hidden_size": 1e9}',
     b'{"model_type": "hubert", "hidden_size": true}', b"[" * 100_000],
)  # fmt: skip
def test_other_folders_are_refused(config: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(config)
    with pytest.raises(AssetError, match="is no hubert model"):
        PretrainedEncoder("hubert", tmp_path)


def test_weights_that_could_execute_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "hubert", "hidden_size": 16}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(AssetError, match=r"no model\.safetensors"):
        PretrainedEncoder("hubert", tmp_path)


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch) -> None:
    import sys

    from splatalk.errors import UserError

    (tmp_path / "config.json").write_text(json.dumps({"model_type": "wav2vec2", "hidden_size": 16}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match="not installed") as told:
        _ = PretrainedEncoder("wav2vec2", tmp_path).model
    assert "splatalk[hubert]" in told.value.hint
