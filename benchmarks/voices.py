"""Synthesised speech in many voices, with the times of its phonemes and Whisper's features, kept on disk.

Sentences of Python's own documentation are read by eSpeak NG, played faster or slower as a tape is (pitch and formants
move along), and disturbed by rooms, noise and microphones (``benchmarks/disturb.py``). No recording of anybody is used.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from benchmarks.disturb import disturbed, faster
from benchmarks.texts import LANGUAGES, VARIANTS, sentences
from splatalk import progress
from splatalk.errors import UserError
from splatalk.files import atomic_path
from splatalk.speech import SAMPLE_RATE, load
from splatalk.speech.synthesis import Mark, Spoken, say

HELD_VOICES = ["m3", "f2", "klatt3", "Belinda", "rob", "adam", "grandma", "travis"]
"""Variants that nothing is learned from, and every seventh sentence with them."""

LONGEST_S = 28.0
_SLOWEST, _FASTEST = 0.8, 1.25


@dataclasses.dataclass(frozen=True)
class Lesson:
    """One clip.

    Args:
        words: (T, 512) float32 Whisper features at 50 Hz.
        sound: (S,) float32, 16 kHz.
        phonemes: in order.
        clean: whether it was left undisturbed.
    """

    words: np.ndarray
    sound: np.ndarray
    phonemes: list[Mark]
    clean: bool


def lessons(work: Path, count: int, *, held: bool = False, seed: int = 0) -> list[Lesson]:
    """Make ``count`` clips, or read those that a run before left in ``work``."""
    work.mkdir(parents=True, exist_ok=True)
    found = []
    with progress.bar("Voices left out" if held else "Voices", count) as step:
        for k in range(count):
            path = work / f"{'held' if held else 'taught'}_{seed}_{k:03}.npz"
            if not path.exists():
                write(path, _make(np.random.default_rng([seed, k, held]), held))
            found.append(read(path))
            step()
    return found


def anybody_says(lines: list[str], held: bool, rng: np.random.Generator) -> Spoken:
    """Six of the lines in some voice of eSpeak NG, one of those that are ``held`` out or one of the others."""
    variants = [name for name in VARIANTS.split() if (name in HELD_VOICES) == held]
    languages = LANGUAGES.split()
    while True:
        voice = str(rng.choice(languages if rng.random() < 0.35 else languages[:5]))
        if held or rng.random() < 0.9:
            voice += "+" + str(rng.choice(variants))
        try:
            return say(" ".join(rng.choice(lines, 6)), voice, int(rng.integers(110, 200)))
        except UserError:  # not every voice is there in every edition of eSpeak NG
            continue


def _make(rng: np.random.Generator, held: bool) -> Lesson:
    lines = [line for k, line in enumerate(sentences()) if (k % 7 == 0) == held]
    spoken = anybody_says(lines, held, rng)
    factor = float(np.exp(rng.uniform(np.log(_SLOWEST), np.log(_FASTEST)))) if rng.random() < 0.7 else 1.0
    sound = faster(spoken.samples, factor)[: round(LONGEST_S * SAMPLE_RATE)]
    marks = [Mark(p.text, p.start / factor, p.end / factor) for p in spoken.phonemes]
    clean = bool(rng.random() < 0.25)
    heard = sound if clean else disturbed(sound, rng)
    return Lesson(load("whisper").extract(heard), heard, [m for m in marks if m.start < LONGEST_S], clean)


def write(path: Path, lesson: Lesson) -> None:
    marks = json.dumps([dataclasses.astuple(mark) for mark in lesson.phonemes])
    peak = max(float(np.abs(lesson.sound).max()), 1e-6)
    sound = np.round(lesson.sound / peak * 32000).astype(np.int16)
    with atomic_path(path) as part, part.open("wb") as file:
        np.savez(file, words=lesson.words.astype(np.float16), sound=sound, marks=marks, clean=lesson.clean)


def read(path: Path) -> Lesson:
    with np.load(path) as data:
        marks = [Mark(*mark) for mark in json.loads(str(data["marks"]))]
        sound = data["sound"].astype(np.float32) / 32000
        return Lesson(data["words"].astype(np.float32), sound, marks, bool(data["clean"]))
