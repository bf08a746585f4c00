"""What lookahead buys: how well the lips follow, live and from the whole recording.

    python -m benchmarks.live_study NAME.capture [--recordings ../shared/captures] [--names ada_drive1 ada_drive2]

Fits every encoder on the first 10/11 of a capture and says the lips' opening of its last 1/11, of eight held-out blocks
of the whole, and of recordings never enrolled, the latter against their truth. *Closed*: share of p, b and m of those
during which the predicted lips close, counted as ``splatalk eval`` does. Nothing is drawn or trained.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import shared_recordings, told
from benchmarks.speech_study import blocks, correlation
from splatalk.avatar.audio_encoder import AudioEncoder, fit_audio_encoder, smiles
from splatalk.avatar.mouth_basis import MouthBasis, mouth_opening_and_width
from splatalk.capture import Capture
from splatalk.evaluate.mouth import Range, closed_share
from splatalk.evaluate.phonemes import read_closures
from splatalk.speech import listener, live, read_audio, speech_windows

Windows = Callable[[np.ndarray, float, int], np.ndarray]
"""(samples, fps, frames) -> (N, W, D)."""
WHOLE = "lips"


@dataclasses.dataclass(frozen=True)
class Spoken:
    """A recording that was never enrolled.

    Args:
        sound: (S,) float32, 16 kHz.
        opening: (N,) true opening of the lips.
        closures: (K, 2) seconds, when p, b and m are said.
    """

    sound: np.ndarray
    opening: np.ndarray
    closures: np.ndarray


def live_at(lookahead_s: float) -> Windows:
    return lambda samples, fps, n: live.live_windows(live.heard(samples, fps, n), fps, n, lookahead_s)


def stood_in_at(lookahead_s: float) -> Windows:
    """What an avatar without live encoder hears: the ordinary window, its words at their mean."""

    def windows(samples: np.ndarray, fps: float, n: int) -> np.ndarray:
        found = live_at(lookahead_s)(samples, fps, n)[..., listener.WIDTH :]
        return np.pad(found, ((0, 0), (3, 3), (512, 0)))

    return windows


def whole(samples: np.ndarray, fps: float, n: int) -> np.ndarray:
    return speech_windows(WHOLE, samples, fps, n)


def codes(encoder: AudioEncoder, windows: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(encoder(torch.from_numpy(windows))[0].numpy())


def lips(basis: MouthBasis, mouth: np.ndarray) -> np.ndarray:
    """(N, C) codes -> (N, 2) opening and width, metres."""
    landmarks = np.zeros((len(mouth), 478, 3), np.float32)
    landmarks[:, basis.indices] = basis.decode(mouth)
    return mouth_opening_and_width(landmarks)


class Study:
    """One person's capture, and recordings with truth."""

    def __init__(self, capture: Capture, drives: list[Spoken]) -> None:
        self.capture, self.drives = capture, drives
        landmarks = capture.tracks.landmarks_head
        self.train, self.test = capture.train_frames(), capture.test_frames()
        self.basis = MouthBasis.fit(landmarks[self.train], capture.tracks.neutral)
        self.mouth = self.basis.encode(landmarks)
        self.unheard = smiles(capture.tracks.blendshapes, capture.fps)
        self.seen = mouth_opening_and_width(landmarks)
        self.usual = Range.of(self.seen[capture.tracks.valid, 0])

    def windows(self, kind: Windows) -> np.ndarray:
        return kind(self.capture.audio, self.capture.fps, self.capture.n_frames)

    def fit(self, windows: np.ndarray) -> AudioEncoder:
        encoder = fit_audio_encoder(
            windows[self.train],
            self.mouth[self.train],
            self.basis,
            unheard=self.unheard[self.train],
            visemes=live.VISEMES,
            words=False,
        )
        assert encoder is not None, "no speech to learn from"
        return encoder

    def row(self, title: str, kind: Windows, encoder: AudioEncoder | None = None) -> None:
        """Fit (unless ``encoder`` is to be used) and print a row of the table."""
        windows = self.windows(kind)
        used = encoder or self.fit(windows)
        said = lips(self.basis, codes(used, windows[self.test]))
        figures = [correlation(said[:, k], self.seen[self.test, k]) for k in (0, 1)]
        figures += (
            [np.nan, np.nan]
            if encoder
            else blocks(windows, self.mouth, self.unheard, self.basis, self.seen, live.VISEMES, words=False)
        )
        fps, restless, closed = self.capture.fps, [], []
        for drive in self.drives:
            n = len(drive.opening)
            gap = lips(self.basis, codes(used, kind(drive.sound, fps, n)))[:, 0]
            figures.append(correlation(gap, drive.opening))
            restless.append(1e3 * float(np.abs(np.diff(gap, 2)).mean()))
            closed.append(closed_share(gap, drive.closures, np.arange(n), fps, self.usual.closed_below))
        cells = [f"{value:.2f}" for value in figures] + [f"{share:.0f} %" for share in closed]
        print(
            f"| {title} | " + " | ".join([*cells, f"{np.mean(restless):.2f}" if restless else "-"]) + " |", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", type=Path)
    parser.add_argument("--recordings", type=Path, help="folder with NAME.wav, NAME_gt.npz and NAME_phonemes.json")
    parser.add_argument("--names", nargs="*", default=["ada_drive1", "ada_drive2"])
    parser.add_argument("--live-only", action="store_true", help="leave out what hears whole recordings")
    options = parser.parse_args()

    drives = []
    for name in options.names:
        folder = options.recordings or shared_recordings()
        opening = np.load(folder / f"{name}_gt.npz")["lip_opening_cm"]
        closures = read_closures(folder / f"{name}_phonemes.json").times
        drives.append(Spoken(read_audio(folder / f"{name}.wav"), opening, closures))
    study = Study(Capture.load(options.capture), drives)
    titles = ["heard", "tail opening", "tail width", "blocks opening", "blocks width", *options.names]
    titles += [*(f"{name} closed" for name in options.names), "2nd difference, mm"]
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    for seconds in live.LOOKAHEADS_S:
        study.row(f"live, {1000 * seconds:.0f} ms", live_at(seconds))
    if not options.live_only:
        study.row("whole recording (Whisper)", whole)
        study.row("without a live encoder, 160 ms", stood_in_at(0.16), study.fit(study.windows(whole)))


if __name__ == "__main__":
    told(main)
