"""Make ``splatalk/speech/listener.safetensors``: teach a causal network what the encoder for recorded sound says.

    python -m benchmarks.make_listener WORK [ada_long.mp4] [--clips 135] [--steps 1500]

WORK keeps the sounds and what is to be learned of them, so that a second run only trains. The sounds are synthesised:
sentences of Python's own documentation read by eSpeak NG in many voices and languages, stretched in pitch and formants,
and the recordings that are named. The teacher is Whisper with the shipped prior, and ``prosody``; no face, no truth.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import subprocess
import time
from pathlib import Path

import librosa
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from splatalk.files import atomic_path
from splatalk.speech import PROSODY, SAMPLE_RATE, listener, load, prosody, read_audio
from splatalk.speech.audio import normalise_level
from splatalk.speech.mel import FLOOR_DB, HOP, N_FFT, filterbank
from splatalk.speech.prior import articulation

W = listener.WIDTH
CLIP = 18 * SAMPLE_RATE
BATCH, LENGTH = 14, 400  # sequences, steps of 20 ms
OPENING = len(PROSODY)
"""Column of the estimates."""

RATE = 2e-3
NO_SPEECH = 0.12
"""Share of sequences without speech."""
ESPEAK_RATE = 22_050
MODULES = (
    "argparse asyncio datetime decimal difflib email fractions heapq json logging pickle random re shutil statistics "
    "string subprocess tempfile textwrap threading typing unittest zipfile collections functools itertools pathlib "
    "contextlib calendar cmd codecs configparser copy csv ctypes dataclasses doctest enum fileinput gettext glob "
    "hashlib inspect ipaddress locale mailbox mimetypes optparse os pdb pprint profile queue sched selectors shelve "
    "shlex signal socket sqlite3 tarfile timeit trace types uuid warnings weakref"
)
LANGUAGES = (
    "en en-us en-gb-scotland en-gb-x-rp en-029 de fr-fr es es-419 it pt-br nl sv pl ru tr hi el ro hu cs da fi id"
)
VARIANTS = (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 klatt klatt2 klatt3 klatt4 croak whisper Andrea Annie Belinda Linda Marco "
    "Max Michael adam anika edward2 grandma grandpa iven2 john norbert pablo quincy rob robert shelby steph travis zac"
)


# --- sounds


def sentences() -> list[str]:
    """English of 30 to 180 letters without code in it."""
    found = set()
    for name in MODULES.split():
        module = importlib.import_module(name)
        parts = [m for _, m in sorted(vars(module).items()) if inspect.isfunction(m) or inspect.isclass(m)]
        for part in [module, *parts]:
            for text in re.split(r"(?<=[.!?])\s+", (inspect.getdoc(part) or "").replace("\n", " ")):
                line = re.sub(r"\s+", " ", text)
                letters = sum(c.isalpha() or c == " " for c in line)
                if 30 < len(line) < 180 and letters > 0.93 * len(line) and "_" not in line:
                    found.add(line)
    return sorted(found)


def synthesised(count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Clips (S,) of up to 18 s at 16 kHz: half of them English, most with a voice of their own."""
    lines, clips = sentences(), []
    languages, variants = LANGUAGES.split(), VARIANTS.split()
    while len(clips) < count:
        voice = str(rng.choice(languages if rng.random() < 0.5 else languages[:5]))
        if rng.random() < 0.85:
            voice += "+" + str(rng.choice(variants))
        numbers = [str(rng.integers(110, 230)), str(rng.integers(15, 85)), str(rng.integers(0, 6))]
        options = [part for pair in zip(("-s", "-p", "-g"), numbers) for part in pair]
        text = " ".join(rng.choice(lines, 3))
        spoken = subprocess.run(["espeak-ng", "-v", voice, *options, "--stdout", text], capture_output=True, check=True)
        sound = np.frombuffer(spoken.stdout[44:], "<i2").astype(np.float32) / 32768.0
        stretch = float(np.exp(rng.uniform(np.log(0.82), np.log(1.22)))) if rng.random() < 0.6 else 1.0
        sound = librosa.resample(sound, orig_sr=ESPEAK_RATE * stretch, target_sr=SAMPLE_RATE)
        before, after = (np.zeros(int(rng.uniform(0.2, 1.0) * SAMPLE_RATE), np.float32) for _ in range(2))
        clips.append(np.concatenate((before, sound, after))[:CLIP])
    return clips


def lessons(clips: list[np.ndarray]) -> dict[str, np.ndarray]:
    """What is to be learned of every step, one clip after another: sound, prosody and articulation."""
    whisper = load("whisper")
    sounds = [normalise_level(c)[: len(c) // listener.STEP * listener.STEP] for c in clips if len(c) > SAMPLE_RATE]
    lips = [articulation("whisper", whisper.extract(sound)) for sound in sounds]
    return {
        "lengths": np.array([len(s) for s in sounds]),
        "sound": (np.clip(np.concatenate(sounds), -2, 2) * 16000).astype(np.int16),
        "prosody": np.concatenate([prosody(s, listener.STEP_RATE, len(y)) for s, y in zip(sounds, lips)]),
        "articulation": np.concatenate(lips),
    }


# --- what the network hears


def spectra(sound: np.ndarray) -> np.ndarray:
    """(S,) -> (T, 160), the whole of what ``listener.spectrum`` gives step by step."""
    steps = len(sound) // listener.STEP
    sound = sound[: steps * listener.STEP].astype(np.float32)
    power = np.square(sound.reshape(steps, -1), dtype=np.float64).mean(1)
    level, levels = listener.START_LEVEL_DB, np.empty(steps)
    for k, heard in enumerate(10.0 * np.log10(power + 1e-12)):
        levels[k] = level = listener.follow(level, heard)
    padded = np.concatenate((np.zeros(N_FFT - HOP, np.float32), sound))
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP][: 2 * steps]
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    mel = np.square(np.abs(np.fft.rfft(frames * window, axis=1)).astype(np.float32)) @ filterbank().T
    decibel = 10.0 * np.log10(mel + 1e-10).reshape(steps, 2, -1) + (listener.TARGET_DB - levels)[:, None, None]
    return np.clip((decibel - FLOOR_DB) / -FLOOR_DB, 0.0, 1.5).astype(np.float32).reshape(steps, -1)


def noise(n: int, rng: np.random.Generator) -> np.ndarray:
    """White, pink or brown, of unit power."""
    spectrum = np.fft.rfft(rng.normal(size=n))
    spectrum /= np.maximum(np.arange(len(spectrum)), 8) ** (rng.integers(3) / 2)
    sound = np.fft.irfft(spectrum, n)
    return np.asarray(sound / sound.std())


def disturbed(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another room, microphone, distance."""
    if rng.random() < 0.6:
        spectrum = np.fft.rfft(sound)
        gains = np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, 7) ** 2, rng.normal(0, 4, 7))
        sound = np.fft.irfft(spectrum * 10 ** (gains / 20), len(sound))
    if rng.random() < 0.6:
        sound = sound + noise(len(sound), rng) * 10 ** ((-20 - rng.uniform(8, 45)) / 20)
    return sound * 10 ** (rng.uniform(-18, 6) / 20)


def no_speech(n: int, rng: np.random.Generator) -> np.ndarray:
    """Noise, even or swelling, or a hum."""
    time_s, kind = np.arange(n) / SAMPLE_RATE, rng.integers(3)
    sound = 0.1 * noise(n, rng)
    if kind == 1:
        pitch = rng.uniform(40, 400)
        sound = 0.02 * sound + 0.05 * sum(
            rng.uniform() / k * np.sin(2 * np.pi * pitch * k * time_s) for k in range(1, 6)
        )
    if kind == 2:
        sound *= 1.0 + 0.9 * np.sin(2 * np.pi * rng.uniform(0.1, 1.0) * time_s)
    return np.asarray(sound * 10 ** (rng.uniform(-40, 0) / 20))


# --- the network


class Network(nn.Module):
    """``listener.hear`` and ``listener.estimates`` for whole sounds, with gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Linear(2 * filterbank().shape[0], W)
        self.conv = nn.ModuleList(nn.Conv1d(W, W, 3, dilation=d) for d in listener.DILATIONS)
        self.mix = nn.ModuleList(nn.Conv1d(W, W, 1) for _ in listener.DILATIONS)
        self.head = nn.Linear(W, len(listener.OFFSETS) * listener.N_ESTIMATES)
        for layer in self.mix:
            nn.init.normal_(layer.weight, std=0.3 / W**0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, 160) -> (B, T, offsets, D)."""
        h = F.relu(self.input(x)).transpose(1, 2)
        for dilation, conv, mix in zip(listener.DILATIONS, self.conv, self.mix):
            h = h + mix(F.relu(conv(F.pad(h, (2 * dilation, 0)))))
        return self.head(h.transpose(1, 2)).unflatten(-1, (len(listener.OFFSETS), listener.N_ESTIMATES))

    def take(self, tensors: dict[str, np.ndarray], scale: np.ndarray) -> None:
        """Go on from what ``tensors`` gave."""
        found = {name: torch.from_numpy(array.astype(np.float32)) for name, array in tensors.items()}
        unit = torch.from_numpy(scale)
        state = {
            "input.weight": found["input.weight"].T,
            "input.bias": found["input.bias"],
            "head.weight": (found["head.weight"] / unit).flatten(1).T,
            "head.bias": (found["head.bias"] / unit).flatten(),
        }
        for k in range(len(listener.DILATIONS)):
            taps = found[f"conv{k}.weight"].unflatten(0, (3, W)).permute(2, 1, 0)
            state |= {f"conv.{k}.weight": taps, f"conv.{k}.bias": found[f"conv{k}.bias"]}
            state |= {f"mix.{k}.weight": found[f"mix{k}.weight"].T[..., None], f"mix.{k}.bias": found[f"mix{k}.bias"]}
        self.load_state_dict(state)

    def tensors(self, scale: np.ndarray) -> dict[str, np.ndarray]:
        """As ``listener`` reads them; the head in the features' own units."""
        unit = torch.from_numpy(scale)
        found = {
            "input.weight": self.input.weight.T,
            "input.bias": self.input.bias,
            "head.weight": self.head.weight.T.unflatten(1, (len(listener.OFFSETS), listener.N_ESTIMATES)) * unit,
            "head.bias": self.head.bias.unflatten(0, (len(listener.OFFSETS), listener.N_ESTIMATES)) * unit,
        }
        for k, (conv, mix) in enumerate(zip(self.conv, self.mix)):
            found |= {f"conv{k}.weight": conv.weight.permute(2, 1, 0).flatten(0, 1), f"conv{k}.bias": conv.bias}
            found |= {f"mix{k}.weight": mix.weight[..., 0].T, f"mix{k}.bias": mix.bias}
        return {n: np.ascontiguousarray(t.detach().numpy().astype(np.float16)) for n, t in found.items()}


class School:
    """The lessons as batches."""

    def __init__(self, data: dict[str, np.ndarray]) -> None:
        wanted = np.concatenate((data["prosody"], data["articulation"]), 1).astype(np.float32)
        self.scale = wanted.std(0)
        self.wanted = wanted / self.scale
        self.sound = data["sound"].astype(np.float32) / 16000
        self.lengths = data["lengths"]
        self.begin = np.concatenate(([0], np.cumsum(self.lengths)))
        self.held = range(12, len(self.lengths), 13)
        self.taught = [k for k in range(len(self.lengths)) if k not in self.held]

    def wanted_at(self, rows: np.ndarray) -> np.ndarray:
        """(T, D) at 50 Hz -> (T, offsets, D): what was to be known after each step."""
        steps = len(rows)
        out = np.zeros((steps, len(listener.OFFSETS), listener.N_ESTIMATES), np.float32)
        for j, offset in enumerate(listener.OFFSETS):
            index = np.arange(steps) + 1 + offset
            inside = (index >= 0) & (index < steps)
            out[inside, j] = rows[index[inside]]
        return out

    def piece(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A disturbed piece of a clip, or no speech at all: (LENGTH, 160), (LENGTH, offsets, D)."""
        samples = LENGTH * listener.STEP
        if rng.random() < NO_SPEECH:
            none = np.zeros((LENGTH, listener.N_ESTIMATES), np.float32)
            return spectra(no_speech(samples, rng)), self.wanted_at(none)
        clip = int(rng.choice(self.taught))
        steps = self.lengths[clip] // listener.STEP
        first = int(rng.integers(max(steps - LENGTH, 1)))
        last = min(first + LENGTH, steps)
        start = self.begin[clip]
        sound = self.sound[start + first * listener.STEP : start + last * listener.STEP]
        rows = self.wanted[start // listener.STEP + first : start // listener.STEP + last]
        sound, rows = np.pad(sound, (0, samples - len(sound))), np.pad(rows, ((0, LENGTH - len(rows)), (0, 0)))
        return spectra(disturbed(sound, rng)), self.wanted_at(rows)


def weights() -> Tensor:
    """(E,) what an error of each column counts: the lips' opening most, then activity and the rest of the lips."""
    counts = torch.full((listener.N_ESTIMATES,), 0.4)
    counts[PROSODY.index("activity")] = 2.0
    counts[OPENING:], counts[OPENING] = 1.5, 3.0
    return counts


def teach(school: School, steps: int, begun: dict[str, np.ndarray] | None) -> Network:
    torch.manual_seed(0)
    network, rng, counts = Network(), np.random.default_rng(1), weights()
    if begun is not None:
        network.take(begun, school.scale)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    began = time.perf_counter()
    for step in range(1, steps + 1):
        x, y = zip(*(school.piece(rng) for _ in range(BATCH)))
        error = (network(torch.from_numpy(np.stack(x))) - torch.from_numpy(np.stack(y)))[:, 10:]
        loss = (error**2 * counts).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == steps:
            took = time.perf_counter() - began
            print(f"{step} {took:.0f} s, loss {loss.item():.3f}, {judged(network, school)}", flush=True)
    return network


def judged(network: Network, school: School) -> str:
    """Correlation of the lips' opening with the teacher on clips that were held back, at each lookahead."""
    said, wanted = [], []
    for clip in school.held:
        sound = school.sound[school.begin[clip] : school.begin[clip + 1]]
        with torch.no_grad():
            said.append(network(torch.from_numpy(spectra(sound))[None])[0].numpy())
        first = school.begin[clip] // listener.STEP
        wanted.append(school.wanted_at(school.wanted[first : first + len(said[-1])]))
    a, b = (np.concatenate(x)[:, :, OPENING] for x in (said, wanted))
    columns = {-20 * offset: j for j, offset in enumerate(listener.OFFSETS) if -offset in (0, 4, 8, 16)}
    return "opening " + ", ".join(f"{ms} ms {np.corrcoef(a[:, j], b[:, j])[0, 1]:.3f}" for ms, j in columns.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("recordings", type=Path, nargs="*")
    parser.add_argument("--clips", type=int, default=135)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--go-on", action="store_true", help="begin with the shipped network instead of a new one")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    kept = options.work / "lessons.npz"
    if not kept.exists():
        clips = synthesised(options.clips, np.random.default_rng(0))
        for recording in options.recordings:
            sound = read_audio(recording)
            clips += [sound[a : a + CLIP] for a in range(0, len(sound), CLIP)]
        np.savez(kept, **lessons(clips))
    school = School(dict(np.load(kept)))
    network = teach(school, options.steps, load_file(listener.FILE) if options.go_on else None)
    with atomic_path(listener.FILE) as temporary:
        save_file(network.tensors(school.scale), str(temporary))
        temporary.chmod(0o644)


if __name__ == "__main__":
    main()
