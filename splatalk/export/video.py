"""Frames and sound → MP4: H.264 in BT.709, AAC. One frame is held at a time, so a film may have any length."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from splatalk import files
from splatalk.errors import UserError
from splatalk.export.sound import Sound

SUFFIXES = (".mp4", ".mov", ".mkv")
CRF = 16  # visually lossless at the sizes avatars have
SOUND_BITRATE = 128_000


def write_video(path: Path, frames: Iterable[np.ndarray], fps: float, sound: Sound | None = None) -> int:
    """Write a film; it appears under its name only when it is complete.

    Args:
        path: ``.mp4``, ``.mov`` or ``.mkv``.
        frames: (H, W, 3) uint8 sRGB each, all of one size; an odd size is padded by one pixel of its edge.
        fps: frames per second; frame i is shown at i / fps seconds.
        sound: starts with the first frame; what is longer than the picture is cut at its end.

    Returns:
        number of frames written.

    Raises:
        UserError: unknown suffix, no frame at all, or the file cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path} has no suffix of a film.", f"Use one of {', '.join(SUFFIXES)}.")
    with files.atomic_path(path) as temporary:
        count = 0
        # The muxer's default is to truncate on close; faststart puts the index first so that playback starts at once.
        options = {} if path.suffix.lower() == ".mkv" else {"movflags": "+faststart"}
        with av.open(str(temporary), "w", options=options) as container:
            film: _Film | None = None
            for frame in frames:
                if film is None:
                    film = _Film(container, frame.shape, fps, sound)
                film.add(frame)
                count += 1
            if film is None:
                raise UserError(f"There is no frame to write into {path}.", "Give a longer sound.")
            film.finish()
    return count


class _Film:
    """The streams of one open container, fed in step so that neither runs ahead."""

    def __init__(self, container: Any, shape: tuple[int, ...], fps: float, sound: Sound | None) -> None:
        self.container, self.fps, self.sound = container, fps, sound
        self.shape = shape
        rate = Fraction(fps).limit_denominator(1001)
        self.video = container.add_stream("libx264", rate=rate, options={"crf": str(CRF), "preset": "medium"})
        self.video.height, self.video.width = shape[0] + shape[0] % 2, shape[1] + shape[1] % 2
        self.video.pix_fmt = "yuv420p"
        context = self.video.codec_context
        context.time_base = 1 / rate
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        self.time_base = 1 / rate
        self.n_frames = self.n_samples = 0
        self.audio = None
        if sound is not None:
            layout = "mono" if sound.samples.shape[0] == 1 else "stereo"
            self.audio = container.add_stream("aac", rate=sound.rate, layout=layout, bit_rate=SOUND_BITRATE)

    def add(self, frame: np.ndarray) -> None:
        if frame.shape != self.shape or frame.dtype != np.uint8:
            raise ValueError(f"frame {self.n_frames} is {frame.dtype} {frame.shape}, expected uint8 {self.shape}")
        pad_y, pad_x = self.shape[0] % 2, self.shape[1] % 2
        if pad_y or pad_x:
            frame = np.pad(frame, ((0, pad_y), (0, pad_x), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
        picture.pts, picture.time_base = self.n_frames, self.time_base
        # Frames carry their own tags, and the encoder believes the frame.
        picture.colorspace, picture.color_range = Colorspace.ITU709, ColorRange.MPEG
        picture.color_primaries, picture.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        self.container.mux(self.video.encode(picture))
        self.n_frames += 1
        self._add_sound(self.n_frames / self.fps)

    def _add_sound(self, until: float) -> None:
        if self.audio is None or self.sound is None:
            return
        end = min(round(until * self.sound.rate), self.sound.samples.shape[1])
        if end <= self.n_samples:
            return
        block = np.ascontiguousarray(self.sound.samples[:, self.n_samples : end], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=self.audio.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = self.sound.rate, self.n_samples, Fraction(1, self.sound.rate)
        self.container.mux(self.audio.encode(frame))
        self.n_samples = end

    def finish(self) -> None:
        self.container.mux(self.video.encode(None))
        if self.audio is not None:
            self.container.mux(self.audio.encode(None))
