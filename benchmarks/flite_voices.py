"""Synthesised speech of voices that were cut or learned from real speakers (flite), with the times of its phonemes.

eSpeak NG computes its voices from rules; these are diphones (kal16) and statistical models (awb, rms, slt) of people
who gave their recordings away for such use.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.disturb import disturbed, faster
from benchmarks.texts import sentences
from benchmarks.voices import Lesson
from splatalk import progress
from splatalk.speech import SAMPLE_RATE, load, read_audio
from splatalk.speech.synthesis import Mark

TAUGHT, HELD = ("kal16", "awb", "slt"), ("rms",)
"""Voices to learn from, and those that nothing is learned from."""

SENTENCES = 6
_SLOWEST, _FASTEST = 0.82, 1.22
_PAUSE_S = (0.05, 0.6)
_CLEAN = 0.3
IPA = {
    "p": "p", "b": "b", "m": "m", "em": "m", "f": "f", "v": "v", "th": "θ", "dh": "ð", "t": "t", "d": "d", "dx": "ɾ",
    "k": "k", "g": "ɡ", "ng": "ŋ", "hh": "h", "hv": "ɦ", "ch": "tʃ", "jh": "dʒ", "sh": "ʃ", "zh": "ʒ", "s": "s",
    "z": "z", "n": "n", "en": "n", "l": "l", "el": "l", "r": "ɹ", "er": "ɝ", "axr": "ɚ", "aa": "ɑ", "ah": "ʌ",
    "ax": "ə", "ay": "aɪ", "aw": "aʊ", "ae": "æ", "eh": "ɛ", "ey": "eɪ", "ih": "ɪ", "iy": "i", "ix": "ɨ", "y": "j",
    "ao": "ɔ", "ow": "oʊ", "oy": "ɔɪ", "uh": "ʊ", "uw": "u", "w": "w", "pau": "", "sil": "",
}  # fmt: skip


def lessons(count: int, *, held: bool = False, seed: int = 0) -> list[Lesson]:
    """Make ``count`` clips of about half a minute."""
    found, voices = [], HELD if held else TAUGHT
    whole = [
        line for line in sentences() if not re.search(r"[.:;!?]\s", line)
    ]  # flite counts the time of each part anew
    lines = [line for k, line in enumerate(whole) if (k % 7 == 0) == held]
    with progress.bar("Voices of flite", count) as step:
        for k in range(count):
            found.append(_make(np.random.default_rng([seed, k, held]), voices[k % len(voices)], lines))
            step()
    return found


def _make(rng: np.random.Generator, voice: str, lines: list[str]) -> Lesson:
    sounds, marks, at = [], [], 0.0
    for text in rng.choice(lines, SENTENCES):
        sound, phonemes = say(str(text), voice)
        pause = np.zeros(round(rng.uniform(*_PAUSE_S) * SAMPLE_RATE), np.float32)
        marks += [Mark(p.text, at + p.start, at + p.end) for p in phonemes]
        sounds += [sound, pause]
        at += (len(sound) + len(pause)) / SAMPLE_RATE
    factor = float(np.exp(rng.uniform(np.log(_SLOWEST), np.log(_FASTEST))))
    heard = faster(np.concatenate(sounds), factor)
    clean = bool(rng.random() < _CLEAN)
    heard = heard if clean else disturbed(heard, rng)
    marks = [Mark(p.text, p.start / factor, p.end / factor) for p in marks]
    return Lesson(load("whisper").extract(heard), heard, marks, clean)


def say(text: str, voice: str) -> tuple[np.ndarray, list[Mark]]:
    """One sentence: (S,) float32 at 16 kHz and its phonemes in the International Phonetic Alphabet."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        command = ["flite", "-voice", voice, "-psdur", "-t", text, "-o", str(path)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        sound = read_audio(path)
    marks, start = [], 0.0
    for name, end in (entry.rsplit(":", 1) for entry in told.split()):
        marks.append(Mark(IPA[name], start, float(end)))
        start = float(end)
    return sound, marks
