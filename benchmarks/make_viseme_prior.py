"""Make ``splatalk/speech/lip_reading.safetensors``: teach a linear classifier which viseme speech is at.

    python -m benchmarks.make_viseme_prior [--clips 80] [--seed 0]

The sounds are synthesised, so the time of every phoneme is known: sentences of Python's own documentation read by
eSpeak NG in many voices and languages, at several speeds, levels and with noise. No recording and no face is used.
Prints how well voices are read that were left out of the fit.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from benchmarks.make_listener import LANGUAGES, VARIANTS, sentences
from splatalk import progress
from splatalk.errors import UserError
from splatalk.files import atomic_path
from splatalk.speech import SAMPLE_RATE, lip_reading, load
from splatalk.speech.synthesis import Mark, say
from splatalk.speech.visemes import VISEMES

AXES = 96
STEPS, BATCH, RATE, PENALTY = 900, 4096, 3e-3, 2e-4
HELD_OUT = 6
"""Every sixth clip is not learned from."""
LONGEST_S = 28.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    clips = lessons(options.clips, np.random.default_rng(options.seed))
    held = np.concatenate([np.full(len(y), k % HELD_OUT == 0) for k, (_, y) in enumerate(clips)])
    mean, axes = principal(np.concatenate([x for x, _ in clips])[~held])
    x = np.concatenate([lip_reading.inputs(x, mean, axes) for x, _ in clips]).astype(np.float32)
    y = np.concatenate([y for _, y in clips])
    weight, bias = classifier(x[~held], y[~held])
    judge(x[held] @ weight + bias, y[held])
    tensors = {"mean": mean, "axes": axes, "weight": weight, "bias": bias}
    with atomic_path(lip_reading.FILE) as path:
        save_file({name: np.ascontiguousarray(t, dtype=np.float16) for name, t in tensors.items()}, str(path))


def lessons(count: int, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """``count`` pairs of Whisper features (T, 512) and visemes (T,) at 50 Hz."""
    lines, whisper, pairs = sentences(), load(lip_reading.ENCODER), []
    languages, variants = LANGUAGES.split(), VARIANTS.split()
    with progress.bar("Speaking", count) as step:
        while len(pairs) < count:
            voice = str(rng.choice(languages if rng.random() < 0.35 else languages[:5]))
            if rng.random() < 0.85:
                voice += "+" + str(rng.choice(variants))
            try:
                spoken = say(" ".join(rng.choice(lines, 3)), voice, int(rng.integers(110, 220)))
            except UserError:  # not every voice is there in every edition of eSpeak NG
                continue
            samples = spoken.samples[: round(LONGEST_S * SAMPLE_RATE)]
            noise = rng.normal(size=len(samples)) * 10 ** rng.uniform(-5.0, -1.8)
            heard = whisper.extract(((samples + noise) * 10 ** rng.uniform(-1.0, 0.0)).astype(np.float32))
            pairs.append((heard, labels(spoken.visemes, len(heard), whisper.rate)))
            step()
    return pairs


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
