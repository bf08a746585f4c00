"""Make ``splatalk/speech/lip_reading.safetensors``: what lips speech calls for, in any voice.

    python -m benchmarks.make_viseme_prior WORK [--steps 5000] [--seed 0]

A small network from Whisper's features to visemes, to the curves of ``benchmarks/dominance.py`` and to whether it is
speech, and a ridge regression to the curves. Taught by synthesised speech whose phoneme times are known
(``benchmarks/voices.py``, ``lip_lessons.py``; WORK keeps it; needs flite) and by other sounds. No recording and no face
is used. Prints how well it reads what was left out. The clips take about half an hour of one core, once, teaching
takes a quarter.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import Tensor, nn

from benchmarks import dominance, lip_lessons, voices
from benchmarks.voices import Lesson
from splatalk.files import atomic_path
from splatalk.speech import lip_reading
from splatalk.speech.lip_reading import CURVES, HEARD, REACH
from splatalk.speech.prior import context
from splatalk.speech.synthesis import Mark
from splatalk.speech.visemes import VISEMES, viseme

TAUGHT = {"voices": 80, "es": 384, "fl": 80, "non": 14}
HELD = {"voices": 12, "hes": 8, "hfl": 8, "hnon": 4}
"""Clips of each kind."""
AXES, FIRST, SECOND = 320, 128, 256
LINEAR_AXES, LINEAR_PENALTY = 96, 1e3
BATCH, LENGTH, RATE, DECAY, DROPOUT = 16, 150, 3e-3, 1e-2, 0.25
NOISE, OFFSET = 0.15, 0.2
"""Added to the principal axes of the features, anew at each step and once a piece: another voice, another room."""
CURVE_WEIGHT, SPEECH_WEIGHT, SMOOTHING = 0.7, 0.5, 0.03
STEP_RATE = 50.0


@dataclasses.dataclass(frozen=True)
class Told:
    """One clip: (T, 512) features, (T,) visemes, (T, 2) curves, whether it is speech."""

    words: np.ndarray
    viseme: np.ndarray
    curves: np.ndarray
    speech: bool

    @classmethod
    def of(cls, lesson: Lesson) -> Told:
        n = len(lesson.words)
        curves = dominance.lips(lesson.phonemes, n, STEP_RATE)
        found = labels(visemes(lesson.phonemes), n, STEP_RATE)
        return cls(lesson.words, found, curves, bool(lesson.phonemes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    taught = [clip for kind, count in TAUGHT.items() for clip in clips(options.work, kind, count)]
    tensors = learned(taught, options.steps, np.random.default_rng(options.seed))
    tensors |= regression(taught[: TAUGHT["voices"]])
    with atomic_path(lip_reading.FILE) as path:
        save_file({name: np.ascontiguousarray(t, dtype=np.float16) for name, t in tensors.items()}, str(path))
    lip_reading._table.cache_clear()
    for kind, count in HELD.items():
        judge(kind, clips(options.work, kind, count))


def clips(work: Path, kind: str, count: int) -> list[Told]:
    if kind == "voices":
        return [Told.of(x) for x in voices.lessons(work, count, held=count == HELD["voices"])]
    return [Told.of(x) for x in lip_lessons.lessons(work, kind, count)]


def visemes(phonemes: list[Mark]) -> list[Mark]:
    return [Mark(viseme(mark.text), mark.start, mark.end) for mark in phonemes]


def labels(marks: list[Mark], n: int, rate: float) -> np.ndarray:
    """(n,) index of the viseme at each step."""
    out = np.zeros(n, dtype=np.int64)
    for mark in marks:
        first, last = (int(np.ceil(t * rate)) for t in (mark.start, mark.end))
        out[first:last] = VISEMES.index(mark.text)
    return out


def regression(taught: list[Told]) -> dict[str, np.ndarray]:
    """Ridge regression from principal axes of the features, 80 ms before to 80 ms after, to curves of mean 0, spread 1.

    Returns:
        ``linear`` (2560, 2) and ``linear_bias`` (2,) on ``prior.context`` of the features themselves.
    """
    mean, axes = principal(np.concatenate([clip.words[::3] for clip in taught]), LINEAR_AXES)
    x = np.concatenate([context((clip.words - mean) @ axes) for clip in taught])
    curves = np.concatenate([clip.curves for clip in taught])
    centred, wanted = x - x.mean(0), (curves - curves.mean(0)) / curves.std(0)
    slopes = np.linalg.solve(centred.T @ centred + LINEAR_PENALTY * np.eye(x.shape[1]), centred.T @ wanted)
    linear = np.concatenate([axes @ part for part in np.split(slopes, x.shape[1] // axes.shape[1])])
    return {"linear": linear, "linear_bias": -x.mean(0) @ slopes - np.tile(mean, len(linear) // len(mean)) @ linear}


def principal(x: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (512,) and axes (512, K), scaled so that the first do not outweigh the rest."""
    mean = x.mean(0)
    centred = x - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    axes = vectors[:, : -count - 1 : -1] / values[: -count - 1 : -1] ** 0.25
    return mean, axes / (centred @ axes).std(0).mean()


class Network(nn.Module):
    """Three linear layers; between the first two, the steps ``HEARD`` come together."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(AXES, FIRST)
        self.second = nn.Linear(FIRST * len(HEARD), SECOND)
        self.last = nn.Linear(SECOND, len(VISEMES) + len(CURVES) + 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T + 2 REACH, AXES) -> (B, T, 18)."""
        steps = x.shape[1] - 2 * REACH
        x = F.dropout(F.silu(self.first(x)), DROPOUT, self.training)
        x = torch.cat([x[:, REACH + k : REACH + k + steps] for k in HEARD], -1)
        return self.last(F.dropout(F.silu(self.second(x)), DROPOUT, self.training))


def learned(taught: list[Told], steps: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The tensors of ``lip_reading.FILE``."""
    mean, axes = principal(np.concatenate([clip.words[::4] for clip in taught]), AXES)
    heard = [np.pad(clip.words, ((REACH, REACH), (0, 0))) - mean for clip in taught]
    heard = [(x @ axes).astype(np.float32) for x in heard]
    curves = np.concatenate([clip.curves for clip in taught if clip.speech])
    centre, spread = curves.mean(0), curves.std(0)
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
    for _ in range(steps):
        x, wanted, curve, speech = [], [], [], []
        for k in rng.integers(len(taught), size=BATCH):
            first = int(rng.integers(len(taught[k].viseme) - LENGTH))
            rows = slice(first, first + LENGTH)
            x.append(heard[k][first : first + LENGTH + 2 * REACH] + OFFSET * rng.normal(size=AXES))
            wanted.append(taught[k].viseme[rows])
            curve.append((taught[k].curves[rows] - centre) / spread)
            speech.append(np.full(LENGTH, taught[k].speech))
        inputs = torch.from_numpy(np.stack(x).astype(np.float32))
        found = network(inputs + NOISE * torch.randn_like(inputs))
        loss = _loss(found, *(torch.from_numpy(np.stack(a)) for a in (wanted, curve, speech)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    state = {name: tensor.detach().numpy() for name, tensor in network.named_parameters()}
    into = axes @ state["first.weight"].T
    tensors = {"first": into, "first_bias": state["first.bias"] - mean @ into}
    for name in ("second", "last"):
        tensors |= {name: state[f"{name}.weight"].T, f"{name}_bias": state[f"{name}.bias"]}
    return tensors


def _loss(found: Tensor, wanted: Tensor, curves: Tensor, speech: Tensor) -> Tensor:
    """Of visemes everywhere, of curves in speech, and of speech, which a pause is none of."""
    n = len(VISEMES)
    entropy = F.cross_entropy(found[..., :n].flatten(0, 1), wanted.flatten(), label_smoothing=SMOOTHING)
    error = ((found[..., n:-1] - curves).square() * speech[..., None]).mean()
    spoken = (speech & (wanted > 0)).float()
    return entropy + CURVE_WEIGHT * error + SPEECH_WEIGHT * F.binary_cross_entropy_with_logits(found[..., -1], spoken)


def judge(kind: str, held: list[Told]) -> None:
    """Print how well clips that were left out are read."""
    speaking = np.concatenate([lip_reading.speaking(clip.words) for clip in held])
    if not any(clip.speech for clip in held):
        print(f"{kind}: taken for speech {100 * speaking.mean():.1f} % of the time")
        return
    shapes = np.concatenate([lip_reading.shapes(clip.words) for clip in held])
    truth = np.concatenate([clip.viseme for clip in held])
    curves = np.concatenate([clip.curves for clip in held])
    n = len(VISEMES)
    r = [np.corrcoef(shapes[:, n + k], curves[:, k])[0, 1] for k in range(len(CURVES))]
    sure, truly = shapes[:, lip_reading.CLOSED], truth == lip_reading.CLOSED
    limit = np.quantile(sure[~truly], 0.99)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], truly.astype(int), [0])))).reshape(-1, 2)
    closed = np.mean([sure[max(a - 1, 0) : b + 1].max() > limit for a, b in edges])
    print(
        f"{kind}, {len(truth) / STEP_RATE:.0f} s: visemes right {(shapes[:, :n].argmax(1) == truth).mean():.3f}, "
        f"curves {r[0]:.3f} {r[1]:.3f}, p/b/m found at 1 % false alarms {closed:.3f}, closed elsewhere "
        f"{(shapes[~truly, -1] > 0.5).mean():.3f}, speech heard as such {speaking[truth > 0].mean():.3f}"
    )


if __name__ == "__main__":
    main()
