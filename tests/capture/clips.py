"""Small videos made on the fly, and where the shared recordings are."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

Picture = Callable[[float], np.ndarray]

SHARED = Path(os.environ.get("SPLATALK_SHARED", Path(__file__).parents[2].parent / "shared")) / "captures"


def shared(name: str) -> Path:
    """A shared recording; the test is skipped when it is not there."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is missing: set SPLATALK_SHARED to the folder that holds captures/")
    return path


def clock(width: int = 64, height: int = 48) -> Picture:
    """A picture whose grey level tells the time (t / 4 s of the range) and whose left top corner is red."""

    def draw(t: float) -> np.ndarray:
        picture = np.full((height, width, 3), round(16 + 224 * min(t / 4.0, 1.0)), dtype=np.uint8)
        picture[: height // 4, : width // 4] = (220, 30, 30)
        return picture

    return draw


def tone(seconds: float, rate: int = 16000, start: float = 0.5) -> np.ndarray:
    """Silence, then from ``start`` a 440 Hz tone."""
    t = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * 440 * t) * (t >= start)).astype(np.float32)


def write_clip(
    path: Path,
    picture: Picture,
    times: np.ndarray,
    *,
    sound: np.ndarray | None = None,
    rate: int = 16000,
    stereo: bool = False,
    sound_delay: float = 0.0,
    sound_codec: str = "aac",
) -> Path:
    """Write pictures at any time stamps, with or without sound."""
    first = picture(0.0)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=1000)
        video.width, video.height, video.pix_fmt = first.shape[1], first.shape[0], "yuv420p"
        video.bit_rate, video.codec_context.time_base = 4_000_000, Fraction(1, 1000)
        track = None
        if sound is not None:
            track = container.add_stream(sound_codec, rate=rate, layout="stereo" if stereo else "mono")
        for t in times:
            frame = av.VideoFrame.from_ndarray(picture(float(t)), format="rgb24")
            frame.pts, frame.time_base = round(t * 1000), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if track is not None and sound is not None:
            channels = np.stack([sound, sound] if stereo else [sound])
            for begin in range(0, channels.shape[1], 1024):
                block = np.ascontiguousarray(channels[:, begin : begin + 1024])
                frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo" if stereo else "mono")
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = begin + round(sound_delay * rate)
                container.mux(track.encode(frame))
            container.mux(track.encode(None))
    return path


def steady(seconds: float, fps: float) -> np.ndarray:
    return np.arange(round(seconds * fps)) / fps


def cut(source: Path, out: Path, seconds: float, edit: Callable[[np.ndarray], np.ndarray] | None = None) -> Path:
    """The first seconds of a recording with its sound, pictures changed by ``edit``."""
    with av.open(str(source)) as container:
        pictures = []
        for frame in container.decode(video=0):
            if frame.time >= seconds:
                break
            pictures.append(frame.to_ndarray(format="rgb24"))
    with av.open(str(source)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=16000)
        blocks = [r.to_ndarray() for f in container.decode(audio=0) for r in resampler.resample(f)]
    samples = np.concatenate(blocks, axis=1)[0, : round(seconds * 16000)]
    changed = [edit(p) if edit else p for p in pictures]
    times = steady(seconds, 25.0)[: len(changed)]
    return write_clip(out, lambda t: changed[min(round(t * 25), len(changed) - 1)], times, sound=samples)
