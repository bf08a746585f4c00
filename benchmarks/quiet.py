"""In how many frames the mouth moves though nobody speaks.

    python -m benchmarks.quiet NAME.capture

Fits the audio encoder on a capture's training frames and gives it silence, noise, hum, breath and music of 10 s each. A
mouth moves in a frame when its opening or width is more than 0.5 mm from where it rests in digital silence.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.common import told
from benchmarks.disturb import noise
from benchmarks.live_study import codes, lips
from splatalk.capture import Capture
from splatalk.speech import SAMPLE_RATE, speech_windows
from splatalk.train.run import listen

SECONDS, FPS = 10.0, 25.0
MOVED_M = 5e-4
FEATURES = "lips"


def sounds(seed: int = 0) -> dict[str, np.ndarray]:
    """Everything that is no speech, (S,) at 16 kHz each."""
    rng, n = np.random.default_rng(seed), round(SECONDS * SAMPLE_RATE)
    time = np.arange(n) / SAMPLE_RATE
    made = {"digital silence": np.zeros(n)}
    for level in (-70, -50, -35, -20):
        for kind, exponent in (("white", 0), ("room", 2)):
            made[f"{kind} noise {level} dB"] = noise(n, exponent, rng) * 10 ** (level / 20)
    made["swelling noise"] = noise(n, 1, rng) * 0.05 * (1.0 + 0.9 * np.sin(2 * np.pi * 0.4 * time))
    made["mains hum"] = sum(0.03 / k * np.sin(2 * np.pi * 50 * k * time) for k in range(1, 6)) + 1e-4 * noise(n, 0, rng)
    made["breath"] = _breath(time, rng)
    made["organ, four chords"] = _chords(time, struck=False)
    made["piano, two chords a second"] = _chords(time, struck=True)
    made["claps, two a second"] = noise(n, 0, rng) * 0.2 * np.exp(-(time % 0.5) / 0.02)
    return {name: np.asarray(sound, dtype=np.float32) for name, sound in made.items()}


def _breath(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise between 300 Hz and 3 kHz that comes and goes every 4 s."""
    spectrum = np.fft.rfft(noise(len(time), 0, rng))
    hertz = np.linspace(0, SAMPLE_RATE / 2, len(spectrum))
    air = np.fft.irfft(spectrum * ((hertz > 300) & (hertz < 3000)), len(time))
    return 0.02 * air * np.maximum(np.sin(2 * np.pi * time / 4.0), 0.0) ** 2


def _chords(time: np.ndarray, struck: bool) -> np.ndarray:
    roots = (220.0, 175.0, 262.0, 196.0)
    each = 0.5 if struck else 2.5
    turn = (time / each).astype(int) % len(roots)
    pitch = np.array(roots)[turn]
    tones = sum(np.sin(2 * np.pi * pitch * step * k * time) / k for step in (1.0, 1.25, 1.5) for k in range(1, 5))
    return np.asarray(0.03 * tones * (np.exp(-(time % each) / 0.3) if struck else 1.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", type=Path)
    capture = Capture.load(parser.parse_args().capture)
    hearing = listen(capture, FEATURES, seed=0)
    basis, encoder = hearing.basis, hearing.encoder
    assert encoder is not None, "no speech to learn from"
    rest = lips(basis, encoder.rest[None].numpy())
    print("| sound | frames in which the mouth moves |\n|---|---|")
    for name, sound in sounds().items():
        said = lips(basis, codes(encoder, speech_windows(FEATURES, sound, FPS, round(SECONDS * FPS))))
        print(f"| {name} | {100 * (np.abs(said - rest) > MOVED_M).any(1).mean():.1f} % |", flush=True)


if __name__ == "__main__":
    told(main)
