"""How well sound alone tells the mouth of a person: features, prior, delay of the sound.

    python benchmarks/speech_study.py NAME.capture [SPEECH.wav TRUTH_gt.npz]...

Fits the audio encoder on the first 10/11 of a Capture and compares with what was tracked in the last 1/11, and over
eight held-out blocks of the whole. With recordings of unseen speech and their truth, also with that.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from splatalk.avatar.audio_encoder import AudioEncoder, fit_audio_encoder, smiles
from splatalk.avatar.mouth_basis import MouthBasis, mouth_opening_and_width
from splatalk.capture import Capture
from splatalk.speech import PROSODY, SAMPLE_RATE, read_audio, speech_windows
from splatalk.speech.features import by_visemes, feature_groups, n_visemes
from splatalk.speech.sync import estimate_offset, moved

BLOCKS, GAP = 8, 8


@dataclass
class Variant:
    """What is compared: encoder name, feature groups left out, whether the sound is moved into place."""

    title: str
    encoder: str
    without: tuple[str, ...] = ()
    aligned: bool = True


VARIANTS = (
    Variant("mel + prosody", "mel", ("articulation",)),
    Variant("mel + prosody + prior", "mel"),
    Variant("whisper", "whisper", ("articulation", "prosody")),
    Variant("whisper + prosody", "whisper", ("articulation",)),
    Variant("prior alone (whisper)", "whisper", ("words", "prosody")),
    Variant("whisper + prosody + prior", "whisper"),
    Variant("the same, sound as recorded", "whisper", (), aligned=False),
    Variant("lips close where it is heard (visemes)", "visemes"),
    Variant("closures unaveraged, nobody's lips (lips)", "lips"),
)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def predict(encoder: AudioEncoder | None, basis: MouthBasis, features: np.ndarray, points: int) -> np.ndarray:
    """(M, 2) opening and width by sound alone."""
    assert encoder is not None, "no speech to learn from"
    with torch.no_grad():
        codes = encoder(torch.from_numpy(features))[0].numpy()
    landmarks = np.zeros((len(features), points, 3), np.float32)
    landmarks[:, basis.indices] = basis.decode(codes)
    return mouth_opening_and_width(landmarks)


def features_of(variant: Variant, samples: np.ndarray, fps: float, n: int) -> np.ndarray:
    features = speech_windows(variant.encoder, samples, fps, n)
    groups = feature_groups(features.shape[-1], n_visemes(variant.encoder))
    activity = groups["prosody"].start + PROSODY.index("activity")
    kept = features[..., activity].copy()  # the gate between speech and silence stays in all variants
    for group in variant.without:
        features[..., groups[group]] = 0.0
    features[..., activity] = kept
    return features


def study(capture: Capture, drives: list[tuple[Path, Path]]) -> None:
    landmarks, n = capture.tracks.landmarks_head, capture.n_frames
    seen = mouth_opening_and_width(landmarks)
    train, test = capture.train_frames(), capture.test_frames()
    until = int(train.max()) + 1
    offset = estimate_offset(
        capture.audio[: int(until / capture.fps * SAMPLE_RATE)], seen[:until, 0], seen[:until, 1], capture.fps
    )
    if offset.seconds > 0:  # the last frames have no sound once it is moved
        test = test[test < n - round(offset.seconds * capture.fps)]
    print(
        f"{n} frames; sound late by {offset.seconds:+.2f} s, score {offset.score:.2f}, {offset.score_at_zero:.2f} at 0"
    )
    basis = MouthBasis.fit(landmarks[train], capture.tracks.neutral)
    mouth, unheard = basis.encode(landmarks), smiles(capture.tracks.blendshapes, capture.fps)
    header = "".join(f" | {wav.stem} opening" for wav, _ in drives)
    print(f"| features | tail opening | tail width | blocks opening | blocks width{header} |")
    print("|---" * (5 + len(drives)) + "|")
    for variant in VARIANTS:
        audio = moved(capture.audio, offset.seconds if variant.aligned else 0.0)
        features = features_of(variant, audio, capture.fps, n)
        shapes, words = n_visemes(variant.encoder), not by_visemes(variant.encoder)
        encoder = fit_audio_encoder(
            features[train], mouth[train], basis, unheard=unheard[train], visemes=shapes, words=words
        )
        said = predict(encoder, basis, features[test], landmarks.shape[1])
        row = [correlation(said[:, k], seen[test, k]) for k in (0, 1)]
        row += blocks(features, mouth, unheard, basis, seen, shapes, words)
        for wav, truth in drives:
            opening = np.load(truth)["lip_opening_cm"]
            unseen = features_of(variant, read_audio(wav), capture.fps, len(opening))
            row.append(correlation(predict(encoder, basis, unseen, landmarks.shape[1])[:, 0], opening))
        print(f"| {variant.title} | " + " | ".join(f"{value:.2f}" for value in row) + " |", flush=True)


def blocks(
    features: np.ndarray,
    mouth: np.ndarray,
    unheard: np.ndarray,
    basis: MouthBasis,
    seen: np.ndarray,
    visemes: int = 0,
    words: bool = True,
) -> list[float]:
    """Correlation over the whole clip, each block said by an encoder that never saw it or its neighbours."""
    place = np.arange(len(mouth)) * BLOCKS // len(mouth)
    said = np.zeros((len(mouth), 2))
    for block in range(BLOCKS):
        held = place == block
        near = np.convolve(held, np.ones(2 * GAP + 1), "same") > 0
        encoder = fit_audio_encoder(features, mouth, basis, unheard=unheard, valid=~near, visemes=visemes, words=words)
        said[held] = predict(encoder, basis, features[held], 478)
    return [correlation(said[:, k], seen[:, k]) for k in (0, 1)]


if __name__ == "__main__":
    torch.set_num_threads(2)
    files = [Path(name) for name in sys.argv[2:]]
    study(Capture.load(Path(sys.argv[1])), list(zip(files[::2], files[1::2])))
