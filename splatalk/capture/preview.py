"""A video of a capture with mesh, head axes and matte drawn in, to judge the tracking by eye."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

from splatalk.capture.dataset import Capture
from splatalk.capture.report import overlay
from splatalk.files import atomic_path
from splatalk.progress import bar


def write_preview(capture: Capture, out: Path) -> None:
    """Draw every frame and write an MP4 with the capture's sound.

    Args:
        capture: what to show.
        out: file to make, ending in .mp4.

    Raises:
        FormatError: a frame or matte of the capture is damaged.
        UserError: the disk is full or not writable.
    """
    with atomic_path(out) as unfinished, av.open(str(unfinished), "w", format="mp4") as container:
        rate = Fraction(capture.fps).limit_denominator(1001)
        video = cast(av.VideoStream, container.add_stream(_encoder(), rate=rate))
        video.width, video.height = capture.width // 2 * 2, capture.height // 2 * 2
        video.pix_fmt = "yuv420p"
        video.bit_rate = 3_000_000
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for picture in _pictures(capture):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for block in _blocks(capture.audio):
            container.mux(sound.encode(block))
        container.mux(sound.encode(None))


def _encoder() -> str:
    return "libx264" if "libx264" in av.codecs_available else "mpeg4"


def _pictures(capture: Capture) -> Iterator[np.ndarray]:
    tracks = capture.tracks
    with bar("Drawing the preview", total=len(capture)) as step:
        for i in range(len(capture)):
            picture = overlay(
                capture.frame(i), capture.matte(i), tracks.landmarks[i], tracks.head_pose[i], capture.camera.fx
            )
            if not tracks.valid[i]:
                picture = picture // 2  # left out of training
            yield picture[: capture.height // 2 * 2, : capture.width // 2 * 2]
            step()


def _blocks(samples: np.ndarray, size: int = 1024) -> Iterator[av.AudioFrame]:
    for begin in range(0, len(samples), size):
        block = av.AudioFrame.from_ndarray(samples[None, begin : begin + size], format="fltp", layout="mono")
        block.sample_rate, block.pts = 16000, begin
        yield block
