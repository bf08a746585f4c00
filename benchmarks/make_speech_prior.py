"""Make ``splatalk/speech/prior.safetensors`` from a Capture of a long recording.

    python benchmarks/make_speech_prior.py ada_long.capture

Uses what the tracker saw and the sound, no ground truth. The shipped file comes from the synthetic recording
``ada_long`` (180 s, all 4500 frames), which no figure is measured on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from splatalk.avatar.audio_encoder import MouthBasis, mouth_opening_and_width
from splatalk.capture import Capture
from splatalk.speech import load, prior

PENALTY = {"whisper": 1e4, "mel": 1e1}  # of squared features summed over 4500 frames; chosen on recordings of others
N_SHAPES = len(prior.ARTICULATION) - 2


def reference_mouth(capture: Capture) -> np.ndarray:
    """(N, 8) what the prior should say: opening, width and principal shapes, standardised."""
    landmarks = capture.tracks.landmarks_head
    codes = MouthBasis.fit(landmarks, capture.tracks.neutral, n_components=N_SHAPES).encode(landmarks)
    columns = np.concatenate((mouth_opening_and_width(landmarks), codes), 1)
    return np.asarray((columns - columns.mean(0)) / columns.std(0))


def fit_linear(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Ridge regression: weight (D, K). The constant is left out, so that silence, which is zeros, gives zeros."""
    mean_x, mean_y = x.mean(0, dtype=np.float64), y.mean(0)
    centred = (x - mean_x).astype(np.float64)
    gram = centred.T @ centred
    gram[np.diag_indices(len(gram))] += penalty * len(x) / 4500
    return np.asarray(np.linalg.solve(gram, centred.T @ (y - mean_y)))


def main() -> None:
    capture = Capture.load(Path(sys.argv[1]))
    wanted = reference_mouth(capture)
    valid = np.flatnonzero(capture.tracks.valid)
    tensors: dict[str, np.ndarray] = {}
    for name, penalty in PENALTY.items():
        heard = prior.context(load(name).extract(capture.audio))
        rows = np.minimum(2 * valid, len(heard) - 1)
        weight = fit_linear(heard[rows], wanted[valid], penalty)
        tensors[name] = weight.astype(np.float16)
        said = heard[rows] @ weight
        r = [np.corrcoef(said[:, k], wanted[valid, k])[0, 1] for k in range(wanted.shape[1])]
        print(name, "correlation with its own recording:", " ".join(f"{value:.2f}" for value in r))
    save_file(tensors, str(Path(prior.__file__).with_name("prior.safetensors")))


if __name__ == "__main__":
    main()
