"""A live avatar from sound to pictures, with the time that each step takes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator

import numpy as np

from splatalk.avatar.controls import Controls
from splatalk.drive.from_audio import still
from splatalk.drive.memory import give_back, settle
from splatalk.drive.play import background_image, drawing
from splatalk.drive.stream import Stream
from splatalk.render.camera import Camera
from splatalk.speech import SAMPLE_RATE

GIVE_BACK_EVERY = 250
"""Frames after which unused memory goes back to the system."""


@dataclasses.dataclass
class Delays:
    """Milliseconds of each frame.

    Args:
        drive: from the arrival of the last sound that a frame waited for to its Controls.
        draw: from there to its picture.
    """

    drive: list[float] = dataclasses.field(default_factory=list)
    draw: list[float] = dataclasses.field(default_factory=list)

    def summary(self, lookahead_s: float) -> dict[str, float]:
        """Percentiles; ``first_frame_ms`` is from the moment that the first frame shows to its picture."""
        if not self.drive:
            return {}
        both = np.array(self.drive) + np.array(self.draw)
        facts = {"first_frame_ms": 1000.0 * lookahead_s + both[0]}
        for name, values in (("drive", np.array(self.drive)), ("drive_and_draw", both)):
            for share in (50, 99):
                facts[f"{name}_p{share}_ms"] = float(np.percentile(values, share))
        return {name: round(value, 2) for name, value in facts.items()}


class HeardSound:
    """What was heard so far, as the sound of a film: grows while the film is written.

    Args:
        kept: whether the sound is, or only its length: nothing grows then.
    """

    rate = SAMPLE_RATE

    def __init__(self, kept: bool = True) -> None:
        self._buffer, self._n, self._kept = np.zeros(SAMPLE_RATE * 60 if kept else 0, np.float32), 0, kept

    def add(self, samples: np.ndarray) -> None:
        if not self._kept:
            self._n += len(samples)
            return
        while self._n + len(samples) > len(self._buffer):
            self._buffer = np.concatenate((self._buffer, np.zeros_like(self._buffer)))
        self._buffer[self._n : self._n + len(samples)] = samples
        self._n += len(samples)

    @property
    def samples(self) -> np.ndarray:
        """(1, S) float32."""
        return self._buffer[None, : self._n]

    @property
    def seconds(self) -> float:
        return self._n / SAMPLE_RATE


def show(
    stream: Stream,
    sound: Iterable[np.ndarray],
    delays: Delays,
    *,
    heard: HeardSound | None = None,
    camera: Camera | None = None,
    background: str | None = "plate",
    size: tuple[int, int] | None = None,
    backend: str = "auto",
) -> Iterator[np.ndarray]:
    """Draw an avatar that listens to ``sound`` until it ends.

    Args:
        sound: pieces (S,) float32, 16 kHz, as they come.
        delays: gets the time of every frame.
        heard: gets the sound, before the frames that it drives are drawn.
        camera, background, size, backend: as in ``drive.play``.

    Yields:
        (H, W, 3) uint8 sRGB pictures.
    """
    camera = camera or stream.avatar.camera
    if size is not None:
        camera = camera.resized(*size)
    drawn = drawing(stream.avatar, camera, background_image(stream.avatar, background, camera), backend)
    drawn(Controls(**{name: rows[0] for name, rows in still(stream.avatar, 1).items()}))  # the first is then no slower
    settle()
    for samples in _with_end(sound):
        began = time.perf_counter()
        if samples is not None and heard is not None:
            heard.add(samples)
        frames = stream.finish() if samples is None else stream.feed(samples)
        for k, controls in enumerate(frames):
            driven = time.perf_counter()
            image = drawn(controls)
            if k == 0 and samples is not None:  # frames after the first of a piece wait for those before them
                delays.drive.append(1e3 * (driven - began))
                delays.draw.append(1e3 * (time.perf_counter() - driven))
            yield image
        if frames and stream.frame % GIVE_BACK_EVERY < len(frames):
            give_back()


def _with_end(sound: Iterable[np.ndarray]) -> Iterator[np.ndarray | None]:
    yield from sound
    yield None
