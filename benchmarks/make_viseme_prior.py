"""Make ``splatalk/speech/lip_reading.safetensors``: what lips speech calls for, in any voice.

    python -m benchmarks.make_viseme_prior WORK [--clips 80] [--seed 0]

A linear classifier of visemes, and a ridge regression to the curves of ``benchmarks/dominance.py``, on speech whose
phoneme times are known because it is synthesised (``benchmarks/voices.py``; WORK keeps it). No recording and no face is
used. Prints how well voices are read that were left out of the fit.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from benchmarks import dominance
from benchmarks.voices import Lesson, lessons
from splatalk.files import atomic_path
from splatalk.speech import lip_reading
from splatalk.speech.synthesis import Mark
from splatalk.speech.visemes import VISEMES, viseme

AXES = 96
STEPS, BATCH, RATE, PENALTY = 900, 2048, 3e-3, 2e-4
CURVE_PENALTY = 1e3
HELD_CLIPS = 12
STEP_RATE = 50.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--clips", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    taught = lessons(options.work, options.clips, seed=options.seed)
    held = lessons(options.work, HELD_CLIPS, held=True, seed=options.seed)
    mean, axes = principal(np.concatenate([lesson.words[::3] for lesson in taught]))
    x, y, curves = gathered(taught, mean, axes)
    weight, bias = classifier(x, y)
    slopes, constant = regression(x, curves)
    x, y, curves = gathered(held, mean, axes)
    judge(x @ weight + bias, y)
    said = x @ slopes + constant
    r = [np.corrcoef(said[:, k], curves[:, k])[0, 1] for k in range(curves.shape[1])]
    print("curves:", " ".join(f"{name} {value:.3f}" for name, value in zip(lip_reading.CURVES, r)))
    tensors = {"mean": mean, "axes": axes, "weight": weight, "bias": bias, "curves": slopes, "curves_bias": constant}
    with atomic_path(lip_reading.FILE) as path:
        save_file({name: np.ascontiguousarray(t, dtype=np.float16) for name, t in tensors.items()}, str(path))


def gathered(clips: list[Lesson], mean: np.ndarray, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, 5 K) inputs, (N,) visemes and (N, 2) curves of all clips."""
    x = [lip_reading.inputs(clip.words, mean, axes) for clip in clips]
    y = [labels(visemes(clip.phonemes), len(clip.words), STEP_RATE) for clip in clips]
    curves = [dominance.lips(clip.phonemes, len(clip.words), STEP_RATE) for clip in clips]
    return np.concatenate(x).astype(np.float32), np.concatenate(y), np.concatenate(curves)


def visemes(phonemes: list[Mark]) -> list[Mark]:
    return [Mark(viseme(mark.text), mark.start, mark.end) for mark in phonemes]


def regression(x: np.ndarray, curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression: slopes (P, 2) and constant (2,) to the curves in units of their spread, mean 0."""
    centre = x.mean(0)
    wanted = (curves - curves.mean(0)) / curves.std(0)
    centred = x - centre
    slopes = np.linalg.solve(centred.T @ centred + CURVE_PENALTY * np.eye(x.shape[1]), centred.T @ wanted)
    return slopes, -centre @ slopes


def labels(marks: list[Mark], n: int, rate: float) -> np.ndarray:
    """(n,) index of the viseme at each step."""
    out = np.zeros(n, dtype=np.int64)
    for mark in marks:
        first, last = (int(np.ceil(t * rate)) for t in (mark.start, mark.end))
        out[first:last] = VISEMES.index(mark.text)
    return out


def principal(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (512,) and axes (512, K), scaled so that the first do not outweigh the rest."""
    mean = x.mean(0)
    centred = x - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    axes = vectors[:, : -AXES - 1 : -1] / values[: -AXES - 1 : -1] ** 0.25
    return mean, axes / (centred @ axes).std(0).mean()


def classifier(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Multinomial logistic regression: weight (P, 15) and bias (15,)."""
    inputs, wanted = torch.from_numpy(x), torch.from_numpy(y)
    weight = torch.zeros(x.shape[1], len(VISEMES), requires_grad=True)
    bias = torch.zeros(len(VISEMES), requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, STEPS)
    for _ in range(STEPS):
        rows = torch.randint(len(inputs), (BATCH,))
        loss = F.cross_entropy(inputs[rows] @ weight + bias, wanted[rows]) + PENALTY * weight.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return weight.detach().numpy(), bias.detach().numpy()


def judge(scores: np.ndarray, y: np.ndarray) -> None:
    probabilities = torch.from_numpy(scores).softmax(-1).numpy()
    closed, truly = probabilities[:, lip_reading.CLOSED], y == lip_reading.CLOSED
    rank = np.argsort(np.argsort(closed))
    area = (rank[truly].mean() - (truly.sum() - 1) / 2) / (~truly).sum()
    found, right = (closed > 0.5)[truly].mean(), truly[closed > 0.5].mean()
    print(f"voices left out, {len(y) / 50:.0f} s: right {(probabilities.argmax(1) == y).mean():.3f} of the time")
    print(f"closed lips: area under the curve {area:.4f}, found {found:.2f}, right {right:.2f}")


if __name__ == "__main__":
    main()
