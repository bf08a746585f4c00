"""What the live listener is taught with: speech and other sounds as mel power, and what is to be known of each step.

Disturbance is added in mel power: it is cheap there, and no two passes over the lessons hear the same.
"""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
from scipy.ndimage import binary_closing
from scipy.signal import sosfilt

from benchmarks import dominance, flite_voices, lip_lessons, other_sounds, voices
from benchmarks.disturb import babble, noise
from benchmarks.make_viseme_prior import labels, visemes
from splatalk import progress
from splatalk.files import atomic_path
from splatalk.speech import SAMPLE_RATE, listener, prosody
from splatalk.speech.audio import TARGET_DB, normalise_level
from splatalk.speech.lip_reading import CURVES
from splatalk.speech.mel import FLOOR_DB, HOP, N_BANDS, N_FFT, filterbank
from splatalk.speech.prior import articulation
from splatalk.speech.visemes import VISEMES

LENGTH = 400
"""Steps of 20 ms in a piece."""
NO_SPEECH = 0.12
OTHER_SOUNDS = 0.18
"""Shares of pieces of noise, hum or breath, and of music, knocks and the like."""
CUT, EARLIEST = 0.4, 20
"""Share of the pieces with speech in which it follows or precedes one of these, and steps that each has at least."""
BESIDE = 0.12, (8.0, 25.0)
"""How likely speech has music or knocks beside it, and how far below it (dB)."""
PAUSE_S = 0.3
"""Pauses this short belong to speaking."""
SHAPED = 0.6, 5.0
NOISY = 0.6, (5.0, 45.0)
STRETCHED = 0.7, 0.10
LEVEL_DB = (-24.0, 6.0)
"""How likely a piece is heard through another microphone (dB), beside noise (dB below), from another throat (share by
which formants move), and at what level."""
_N_NOISES = 32
_N_SOUNDS, _N_SOUNDS_HELD, _SOUND_SEED = 128, 24, 1907
MOVED = {"es": 24, "fl": 16}
"""Clips of ``benchmarks/lip_lessons.py``; of flite, less the voices held out."""
_NOISE_S = LENGTH / listener.STEP_RATE + 1.0


def write(path: Path, work: Path, clips: int, real_clips: int) -> None:
    """Make the lessons: ``clips`` by eSpeak NG, ``real_clips`` by flite; an eighth as many of each are held back."""
    taught = voices.lessons(work / "voices", clips) + flite_voices.lessons(real_clips) + _moved(work / "voices")
    held = voices.lessons(work / "voices", voices_held(clips), held=True)
    held += flite_voices.lessons(voices_held(real_clips), held=True)
    kept: dict[str, list[np.ndarray]] = {"power": [], "mel": [], "wanted": [], "viseme": []}
    with progress.bar("Lessons", len(taught) + len(held)) as step:
        for lesson in taught + held:
            for name, value in _lesson(lesson).items():
                kept[name].append(value)
            step()
    lengths = np.array([len(power) for power in kept["power"]])
    arrays = {name: np.concatenate(values) for name, values in kept.items()}
    with atomic_path(path) as part, part.open("wb") as file:
        np.savez(file, lengths=lengths, n_taught=len(taught), **arrays, **_other_sounds())


def _moved(work: Path) -> list[voices.Lesson]:
    """Voices whose pitch and formants were moved apart."""
    spoken = lip_lessons.lessons(work, "es", MOVED["es"])
    read = enumerate(lip_lessons.lessons(work, "fl", MOVED["fl"]))
    names = lip_lessons.FLITE
    return spoken + [lesson for k, lesson in read if names[k % len(names)] not in flite_voices.HELD]


def _other_sounds() -> dict[str, np.ndarray]:
    """Sounds that are no speech: ``sound_power`` (N, T) and ``sound_mel`` (N, T, 2, 80) dB; the last are held back."""
    found = []
    with progress.bar("Other sounds", _N_SOUNDS + _N_SOUNDS_HELD) as step:
        for k in range(_N_SOUNDS + _N_SOUNDS_HELD):
            rng = np.random.default_rng([_SOUND_SEED, k])
            found.append(heard(other_sounds.somewhere(rng, round(_NOISE_S * SAMPLE_RATE))))
            step()
    power, mel = (np.stack(parts) for parts in zip(*found))
    return {"sound_power": power.astype(np.float32), "sound_mel": (10.0 * np.log10(mel + 1e-10)).astype(np.float16)}


def voices_held(clips: int) -> int:
    return max(clips // 8, 1)


def _lesson(lesson: voices.Lesson) -> dict[str, np.ndarray]:
    sound = normalise_level(lesson.sound)
    steps = min(len(sound) // listener.STEP, len(lesson.words))
    power, mel = heard(sound[: steps * listener.STEP])
    voice = prosody(sound, listener.STEP_RATE, steps)
    curves = dominance.lips(lesson.phonemes, steps, listener.STEP_RATE)
    lips = articulation("whisper", lesson.words)[:steps]
    return {
        "power": power.astype(np.float32),
        "mel": (10.0 * np.log10(mel + 1e-10)).astype(np.float16),
        "wanted": np.concatenate((curves, voice, lips), 1).astype(np.float16),
        "viseme": labels(visemes(lesson.phonemes), steps, listener.STEP_RATE).astype(np.int8),
    }


def heard(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What ``listener.spectrum`` measures: power (T,) of each step, and mel power (T, 2, 80)."""
    steps = len(sound) // listener.STEP
    clear = sosfilt(listener.RUMBLE, sound[: steps * listener.STEP].astype(np.float64)).astype(np.float32)
    power = np.square(clear.reshape(steps, -1), dtype=np.float64).mean(1)
    padded = np.concatenate((np.zeros(N_FFT - HOP, np.float32), clear))
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP][: 2 * steps]
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    mel = np.square(np.abs(np.fft.rfft(frames * window, axis=1)).astype(np.float32)) @ filterbank().T
    return power, mel.reshape(steps, 2, -1)


def inputs(power: np.ndarray, mel: np.ndarray, typical: np.ndarray) -> np.ndarray:
    """What the network sees, as ``listener.spectrum`` gives it step by step.

    Args:
        power: (B, T) of each step.
        mel: (B, T, 2, 80) power.
        typical: (80,) dB, the spectrum that every speaker's is brought to.

    Returns:
        (B, T, 160) float32.
    """
    loudness = 10.0 * np.log10(power + 1e-12)
    levels = np.empty_like(loudness)
    for k, row in enumerate(loudness):
        level = listener.START_LEVEL_DB
        for step, one in enumerate(row):
            levels[k, step] = level = listener.follow(level, float(one))
    bands = 10.0 * np.log10(mel + 1e-10) + (TARGET_DB - levels)[..., None, None]
    speaks = loudness > levels - listener.SPEECH_DB
    usual = listener.Usual(np.tile(typical, (len(power), 1)))
    for step in range(power.shape[1]):
        usual.follow(bands[:, step], speaks[:, step])
        bands[:, step] -= usual.change[:, None]
    return np.clip((bands - FLOOR_DB) / -FLOOR_DB, 0.0, 1.5).reshape(*power.shape, -1).astype(np.float32)


class School:
    """The lessons as pieces."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as data:
            self.power, self.mel = data["power"], data["mel"]
            self.wanted, self.viseme = data["wanted"].astype(np.float32), data["viseme"].astype(np.int64)
            lengths, self.n_taught = data["lengths"], int(data["n_taught"])
            sounds = [(p, linear(mel)) for p, mel in zip(data["sound_power"], data["sound_mel"])]
        self.begin = np.concatenate(([0], np.cumsum(lengths)))
        taught = slice(0, self.begin[self.n_taught])
        self.scale = self.wanted[taught].std(0)
        n = len(CURVES)
        self.wanted[:, :n] = (self.wanted[:, :n] - self.wanted[taught, :n].mean(0)) / self.scale[:n]
        self.scale[:n] = 1.0  # curves are said in units of their spread
        self.wanted[:, n:] /= self.scale[n:]
        loud = self.power[taught] > 10 ** ((TARGET_DB - listener.SPEECH_DB) / 10)
        self.typical = self.mel[taught][loud].astype(np.float64).mean((0, 1)).astype(np.float32)
        speaks = spoken(self.viseme).astype(np.float32)
        self.wanted = np.concatenate((self.wanted, speaks[:, None]), 1)
        self.scale = np.append(self.scale, np.float32(1.0))
        self._noises, self._silences = _bank(noises), _bank(no_speech)
        self._sounds, self.held_sounds = sounds[:_N_SOUNDS], sounds[_N_SOUNDS:]

    def clip(self, k: int) -> slice:
        return slice(self.begin[k], self.begin[k + 1])

    @property
    def held(self) -> range:
        return range(self.n_taught, len(self.begin) - 1)

    def batch(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(B, LENGTH, 160) what is heard, (B, LENGTH, offsets, D) what is to be known, (B, LENGTH, offsets) visemes."""
        power, mel, wanted, viseme = zip(*(self._piece(rng) for _ in range(size)))
        return inputs(np.stack(power), np.stack(mel), self.typical), np.stack(wanted), np.stack(viseme)

    def _piece(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        gain = 10 ** (rng.uniform(*LEVEL_DB) / 10)
        kind = rng.random()
        if kind < NO_SPEECH + OTHER_SOUNDS:
            power, mel = _some(self._silences if kind < NO_SPEECH else self._sounds, rng)
            none = np.zeros((LENGTH, self.wanted.shape[1]), np.float32)
            return power * gain, mel * gain, *at_offsets(none, np.zeros(LENGTH, np.int64))
        rows = self.clip(int(rng.integers(self.n_taught)))
        first = rows.start + int(rng.integers(max(rows.stop - rows.start - LENGTH, 1)))
        rows = slice(first, min(first + LENGTH, rows.stop))
        missing = LENGTH - (rows.stop - rows.start)
        decibel = _stretched(self.mel[rows].astype(np.float32), rng)
        power, mel = disturbed(self.power[rows], decibel, self._noises, rng)
        power, mel = self._with_music(power, mel, rng)
        power, mel = (np.pad(a, [(0, missing)] + [(0, 0)] * (a.ndim - 1)) * gain for a in (power, mel))
        wanted, viseme = np.pad(self.wanted[rows], ((0, missing), (0, 0))), np.pad(self.viseme[rows], (0, missing))
        if rng.random() < CUT:
            silent, (other_power, other_mel) = self._other_part(rng)
            power[silent], mel[silent] = other_power[silent], other_mel[silent]
            wanted[silent], viseme[silent] = 0.0, VISEMES.index("sil")
        return power, mel, *at_offsets(wanted, viseme)

    def _other_part(self, rng: np.random.Generator) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """(LENGTH,) which steps are no speech, and what is heard instead: more often before speech."""
        other = _some(self._sounds if rng.random() < 0.5 else self._silences, rng)
        first, steps = int(rng.integers(EARLIEST, LENGTH - EARLIEST)), np.arange(LENGTH)
        return (steps < first if rng.random() < 0.7 else steps >= first), other

    def _with_music(
        self, power: np.ndarray, mel: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sometimes music or knocks beside speech."""
        likely, range_db = BESIDE
        if rng.random() >= likely:
            return power, mel
        beside, bands = _some(self._sounds, rng)
        gain = 10 ** ((TARGET_DB - rng.uniform(*range_db)) / 10) / max(float(beside.mean()), 1e-10)
        return power + gain * beside[: len(power)], mel + gain * bands[: len(mel)]


def spoken(viseme: np.ndarray) -> np.ndarray:
    """(T,) visemes -> (T,) whether somebody speaks, short pauses included."""
    width = round(PAUSE_S * listener.STEP_RATE)
    sounding = np.pad(viseme != VISEMES.index("sil"), width)
    return np.asarray(binary_closing(sounding, np.ones(width))[width:-width])


def at_offsets(wanted: np.ndarray, viseme: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, D), (T,) at 50 Hz -> (T, offsets, D), (T, offsets): what was to be known after each step."""
    steps = len(wanted)
    index = np.arange(steps)[:, None] + 1 + np.array(listener.OFFSETS)
    outside = (index < 0) | (index >= steps)
    index = np.where(outside, 0, index)
    known = np.where(outside[..., None], 0.0, wanted[index]).astype(np.float32)
    return known, np.where(outside, VISEMES.index("sil"), viseme[index])


def disturbed(
    power: np.ndarray, decibel: np.ndarray, bank: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Another microphone and noise: power (T,) and mel (T, 2, 80) dB -> the same, the latter as power."""
    likely, spread = SHAPED
    if rng.random() < likely:
        gains = np.interp(np.linspace(0, 1, N_BANDS), np.linspace(0, 1, 7), rng.normal(0, spread, 7))
        decibel = decibel + gains.astype(np.float32)
    mel = 10 ** (decibel / 10)
    likely, range_db = NOISY
    if rng.random() < likely:
        gain = 10 ** ((TARGET_DB - rng.uniform(*range_db)) / 10)
        beside, bands = _some(bank, rng)
        power, mel = power + gain * beside[: len(power)], mel + gain * bands[: len(mel)]
    return power, mel


def _stretched(decibel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(T, 2, 80) with its formants moved up or down, as from a shorter or longer throat."""
    likely, most = STRETCHED
    if rng.random() > likely:
        return decibel
    hertz = librosa.mel_frequencies(N_BANDS + 2, fmin=0, fmax=SAMPLE_RATE / 2)[1:-1]
    place = np.interp(hertz / (1.0 + rng.uniform(-most, most)), hertz, np.arange(N_BANDS))
    low = np.minimum(place.astype(int), N_BANDS - 2)
    part = (place - low).astype(np.float32)
    return np.asarray(decibel[..., low] * (1.0 - part) + decibel[..., low + 1] * part)


def linear(decibel: np.ndarray) -> np.ndarray:
    return np.asarray(10.0 ** (decibel.astype(np.float32) / 10.0))


def _bank(make) -> list[tuple[np.ndarray, np.ndarray]]:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(7)
    return [heard(make(round(_NOISE_S * SAMPLE_RATE), rng)) for _ in range(_N_NOISES)]


def _some(bank: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    power, mel = bank[rng.integers(len(bank))]
    first = int(rng.integers(len(power) - LENGTH + 1))
    return power[first : first + LENGTH], mel[first : first + LENGTH]


def noises(n: int, rng: np.random.Generator) -> np.ndarray:
    """White, pink, brown or a crowd, of unit power."""
    kind = int(rng.integers(4))
    if kind < 3:
        return noise(n, kind, rng)
    crowd, _ = flite_voices.say("The other people in this room talk about something else all day long.", "awb")
    return babble(np.resize(crowd, n), rng, voices=8)


def no_speech(n: int, rng: np.random.Generator) -> np.ndarray:
    """Noise, even or swelling, a hum, or breath; -20 dB and less."""
    time_s, kind = np.arange(n) / SAMPLE_RATE, rng.integers(4)
    sound = 0.1 * noise(n, int(rng.integers(3)), rng)
    if kind == 1:
        pitch = rng.uniform(40, 400)
        tones = sum(rng.uniform() / k * np.sin(2 * np.pi * pitch * k * time_s) for k in range(1, 6))
        sound = 0.02 * sound + 0.05 * tones
    if kind == 2:
        sound = sound * (1.0 + 0.9 * np.sin(2 * np.pi * rng.uniform(0.1, 1.0) * time_s))
    if kind == 3:
        sound = sound * np.maximum(np.sin(2 * np.pi * rng.uniform(0.15, 0.5) * time_s), 0.02) ** 2
    return np.asarray(sound * 10 ** (rng.uniform(-40, 0) / 20), dtype=np.float32)
