"""Frames and sound → a film. One frame is held at a time, so it may have any length.

MP4, MOV and MKV: H.264 in BT.709, AAC. WebM: VP9 in BT.709, with alpha when the frames have it, and Opus.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from splatalk import files
from splatalk.errors import UserError
from splatalk.export.sound import Sound

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")
CRF = 16  # visually lossless at the sizes avatars have
SOUND_BITRATE = 128_000


@dataclasses.dataclass(frozen=True)
class _Codecs:
    """What a container holds: encoders by libav's names and their options; ``rate`` is the only one of the sound."""

    video: str
    options: Mapping[str, str]
    sound: str
    rate: int | None = None


_H264 = _Codecs("libx264", {"crf": str(CRF), "preset": "medium"}, "aac")
# Alpha excludes alternate reference frames. Opus knows only 48 kHz and its divisors.
_VP9 = _Codecs(
    "libvpx-vp9",
    {"crf": "18", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1", "auto-alt-ref": "0"},
    "libopus",
    48_000,
)


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    fps: float,
    sound: Sound | None = None,
    facts: Mapping[str, str] | None = None,
) -> int:
    """Write a film; it appears under its name only when it is complete.

    Args:
        path: ``.mp4``, ``.mov``, ``.mkv`` or ``.webm``.
        frames: (H, W, 3) uint8 sRGB each, all of one size, or (H, W, 4) with straight alpha for ``.webm``; an odd size
            is padded by one pixel of its edge.
        fps: frames per second; frame i is shown at i / fps seconds.
        sound: starts with the first frame; what is longer than the picture is cut at its end.
        facts: provenance; goes into the file's comment.

    Returns:
        number of frames written.

    Raises:
        UserError: unknown suffix, no frame at all, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path} has no suffix of a film.", f"Use one of {', '.join(SUFFIXES)}.")
    codecs = _VP9 if suffix == ".webm" else _H264
    # The muxer's default is to truncate on close; faststart puts the index first so that playback starts at once.
    options = {"movflags": "+faststart"} if suffix in (".mp4", ".mov") else {}
    with files.atomic_path(path) as temporary:
        count = 0
        with av.open(str(temporary), "w", options=options) as container:
            if facts:
                container.metadata["comment"] = "; ".join(f"{key}: {text}" for key, text in facts.items())
            film: _Film | None = None
            for frame in frames:
                if film is None:
                    film = _Film(container, codecs, frame.shape, fps, sound)
                film.add(frame)
                count += 1
            if film is None:
                raise UserError(f"There is no frame to write into {path}.", "Give a longer sound.")
            film.finish()
    return count


class _Film:
    """The streams of one open container, fed in step so that neither runs ahead."""

    def __init__(
        self, container: Any, codecs: _Codecs, shape: tuple[int, ...], fps: float, sound: Sound | None
    ) -> None:
        self.container, self.fps, self.sound = container, fps, sound
        self.shape = shape
        self.alpha = shape[2] == 4
        if self.alpha and codecs is not _VP9:
            raise ValueError("only WebM takes frames with alpha")
        self.pixels = "yuva420p" if self.alpha else "yuv420p"
        rate = Fraction(fps).limit_denominator(1001)
        self.video = container.add_stream(codecs.video, rate=rate, options=dict(codecs.options))
        self.video.height, self.video.width = shape[0] + shape[0] % 2, shape[1] + shape[1] % 2
        self.video.pix_fmt = self.pixels
        if self.alpha:
            self.video.metadata["alpha_mode"] = "1"
        context = self.video.codec_context
        context.time_base = 1 / rate
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        self.time_base = 1 / rate
        self.n_frames = self.n_samples = 0
        self.audio: Any = None
        self.resampler: Any = None
        if sound is not None:
            layout = "mono" if sound.samples.shape[0] == 1 else "stereo"
            spoken_rate = codecs.rate or sound.rate
            self.audio = container.add_stream(codecs.sound, rate=spoken_rate, layout=layout, bit_rate=SOUND_BITRATE)
            self.resampler = av.AudioResampler(format=self.audio.format.name, layout=layout, rate=spoken_rate)

    def add(self, frame: np.ndarray) -> None:
        if frame.shape != self.shape or frame.dtype != np.uint8:
            raise ValueError(f"frame {self.n_frames} is {frame.dtype} {frame.shape}, expected uint8 {self.shape}")
        pad_y, pad_x = self.shape[0] % 2, self.shape[1] % 2
        if pad_y or pad_x:
            frame = np.pad(frame, ((0, pad_y), (0, pad_x), (0, 0)), mode="edge")
        packed = "rgba" if self.alpha else "rgb24"
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=packed).reformat(
            format=self.pixels,
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
        self._encode_sound(frame)
        self.n_samples = end

    def _encode_sound(self, frame: Any) -> None:
        """Encode a block; None for what the resampler still holds."""
        for block in self.resampler.resample(frame):
            self.container.mux(self.audio.encode(block))

    def finish(self) -> None:
        self.container.mux(self.video.encode(None))
        if self.audio is not None:
            self._encode_sound(None)
            self.container.mux(self.audio.encode(None))
