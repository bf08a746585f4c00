"""More lessons of what lips do, beside those of ``benchmarks/voices.py``: other throats, people's voices, no speech.

* ``es``: eSpeak NG as there, pitch and formants moved apart in six of ten clips;
* ``fl``: flite, whose voices were cut or learned from recordings of people, faster or slower, moved likewise;
* ``non``: sounds that are no speech (``benchmarks/other_sounds.py``).

With ``h`` before: held out, other sentences and, of eSpeak NG, other voices. Every eighth clip has music beside it.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.random import Generator

from benchmarks import other_sounds
from benchmarks.disturb import disturbed, faster
from benchmarks.flite_voices import IPA
from benchmarks.texts import sentences
from benchmarks.voices import LONGEST_S, Lesson, anybody_says, read, write
from splatalk import progress
from splatalk.speech import SAMPLE_RATE, load, read_audio
from splatalk.speech.audio import speech_level
from splatalk.speech.psola import moved_voice
from splatalk.speech.synthesis import Mark

FLITE = ("kal16", "awb", "rms", "slt")
_SEED = 77
_MOVED, _PITCH, _FORMANTS = 0.6, (0.6, 1.7), (0.84, 1.2)
_SLOWEST, _FASTEST = 0.8, 1.25
_MUSIC, _MUSIC_DB = 0.12, (8.0, 25.0)


def lessons(work: Path, kind: str, count: int) -> list[Lesson]:
    """Make ``count`` clips of a ``kind``, or read those that a run before left in ``work``."""
    work.mkdir(parents=True, exist_ok=True)
    found = []
    with progress.bar(f"Lessons {kind}", count) as step:
        for k in range(count):
            path = work / f"{kind}_{k:03}.npz"
            if not path.exists():
                write(path, _make(kind, k))
            found.append(read(path))
            step()
    return found


def _make(kind: str, k: int) -> Lesson:
    rng = np.random.default_rng([_SEED, k, sum(map(ord, kind))])
    held = kind.startswith("h")
    lines = [line for i, line in enumerate(sentences()) if (i % 7 == 0) == held]
    clean = bool(rng.random() < 0.25)
    if kind.endswith("non"):
        sound = other_sounds.somewhere(rng, round(LONGEST_S * SAMPLE_RATE))
        return Lesson(load("whisper").extract(sound), sound, [], clean)
    if kind.endswith("fl"):
        sound, marks = _flite(FLITE[k % 4], lines, rng)
    else:
        spoken = anybody_says(lines, held, rng)
        sound, marks = spoken.samples, spoken.phonemes
    factor = float(np.exp(rng.uniform(np.log(_SLOWEST), np.log(_FASTEST)))) if rng.random() < 0.7 else 1.0
    sound = faster(sound, factor)[: round(LONGEST_S * SAMPLE_RATE)]
    marks = [Mark(m.text, m.start / factor, m.end / factor) for m in marks]
    if rng.random() < _MOVED:
        pitch, formants = (float(np.exp(rng.uniform(*np.log(span)))) for span in (_PITCH, _FORMANTS))
        sound = moved_voice(sound, pitch, formants)
    if not clean:
        if rng.random() < _MUSIC:
            music = other_sounds.sound(rng, len(sound))
            gain = 10 ** ((speech_level(sound) - rng.uniform(*_MUSIC_DB)) / 20)
            sound = sound + music / (music.std() + 1e-6) * gain
        sound = disturbed(sound.astype(np.float32), rng)
    marks = [Mark(m.text, m.start, min(m.end, LONGEST_S)) for m in marks if m.start < LONGEST_S]
    sound = sound.astype(np.float32)
    return Lesson(load("whisper").extract(sound), sound, marks, clean)


def _flite(voice: str, lines: list[str], rng: Generator) -> tuple[np.ndarray, list[Mark]]:
    """Seven sentences with pauses between them."""
    sounds, marks, at = [], [], 0.0
    for line in rng.choice(lines, 7):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "said.wav"
            stretch = f"duration_stretch={rng.uniform(0.75, 1.3):.2f}"
            command = ["flite", "-voice", voice, "--setf", stretch, "-psdur", "-t", str(line), "-o", str(path)]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            sound = read_audio(path)
        part, last = 0.0, 0.0
        for name, end in re.findall(r"(\S+):([\d.]+)", told):
            if float(end) < last:  # the times of each part of a sentence count from zero
                part, last = part + last, 0.0
            marks.append(Mark(IPA[name], at + part + last, at + part + float(end)))
            last = float(end)
        pause = np.zeros(int(rng.uniform(0, 0.4) * SAMPLE_RATE), np.float32)
        sounds += [sound, pause]
        at += (len(sound) + len(pause)) / SAMPLE_RATE
    return np.concatenate(sounds), marks
