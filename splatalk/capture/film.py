"""Pictures as one film in which every one of them is reached quickly: H.264 with a key frame every fourth.

Coding differences between neighbours halves the size of separate pictures, and a short distance between key frames
bounds what must be decoded for one of them. Colours are stored as video stores them (BT.709, limited range, colour at
half resolution), which costs next to nothing for pictures that come from such a video; gray pictures keep every level.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from splatalk.errors import FormatError

KEY_EVERY = 4
_QUALITY, _GRAY_QUALITY = 12, 14
"""x264's rate factors, smaller is finer. Frames: 45.8 dB on the synthetic recording and 43.7 on a grainy real one,
far above what avatars reach; each step finer costs a tenth of the size and gains 0.4 dB. Mattes: off by 0.06 of 255
levels in the mean, by 4 in one pixel of a thousand.
"""
_CODECS = ("h264", "mpeg4")
_PIXELS = ("yuv420p", "yuvj420p")  # the same planes, the second marked as full range
_CHROMA = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
_EXACT = _CHROMA | Interpolation.ACCURATE_RND
_HINT = "Make the capture again with `splatalk capture`."
_FULL_FROM_LIMITED = np.clip((np.arange(256) - 16) * (255 / 219) + 0.5, 0, 255).astype(np.uint8)
_MOST_HELD = 4 * KEY_EVERY


class FilmWriter:
    """Writes pictures one after the other. Use as a context manager; the file is complete after it.

    Args:
        path: file to make, MP4; none is made when nothing is written.
        fps: frames per second.
        gray: whether pictures are (H, W) uint8 instead of (H, W, 3) uint8 RGB.

    Raises:
        OSError: the disk is full or not writable.
    """

    def __init__(self, path: Path, fps: float, *, gray: bool = False) -> None:
        self._path, self._gray = path, gray
        self._rate = Fraction(fps).limit_denominator(1001)
        self._reformatter = VideoReformatter()
        self._written = 0
        self._container: av.container.OutputContainer | None = None
        path.unlink(missing_ok=True)

    def __enter__(self) -> FilmWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._container is None:
            return
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()

    def _open(self, height: int, width: int) -> av.container.OutputContainer:
        container = av.open(str(self._path), "w", format="mp4")
        codec, options = _codec(_GRAY_QUALITY if self._gray else _QUALITY)
        stream = cast(av.VideoStream, container.add_stream(codec, rate=self._rate, options=options))
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.color_range = ColorRange.JPEG if self._gray else ColorRange.MPEG
        stream.codec_context.colorspace = Colorspace.ITU709
        self._stream = stream
        return container

    def write(self, picture: np.ndarray) -> None:
        """Append one picture."""
        height, width = picture.shape[:2]
        if height % 2 or width % 2:
            picture = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        frame = self._frame_of_gray(picture) if self._gray else self._frame_of_rgb(picture)
        if self._container is None:
            self._container = self._open(frame.height, frame.width)
        frame.pts, frame.time_base = self._written, 1 / self._rate
        self._container.mux(self._stream.encode(frame))
        self._written += 1

    def _frame_of_rgb(self, picture: np.ndarray) -> av.VideoFrame:
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24"),
            format="yuv420p",
            src_color_range=ColorRange.JPEG,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=_EXACT,
            threads=1,
        )

    def _frame_of_gray(self, picture: np.ndarray) -> av.VideoFrame:
        no_colour = np.full((picture.shape[0] // 2, picture.shape[1]), 128, np.uint8)
        return av.VideoFrame.from_ndarray(np.concatenate([picture, no_colour]), format="yuv420p")


class Film:
    """Reads any picture of a film. Every thread that asks has a decoder of its own.

    Args:
        path: written by ``FilmWriter``, or joined by ``join``.
        n_frames: how many pictures it must hold.
        size: (height, width) they must have.
        fps: frames per second.
        gray: whether it holds gray pictures, which are written at full range.

    Raises:
        FormatError: missing, damaged, or of another length, size or range.
    """

    def __init__(self, path: Path, n_frames: int, size: tuple[int, int], fps: float, *, gray: bool = False) -> None:
        self.path, self.n_frames, self.size, self._fps, self._gray = path, n_frames, size, fps, gray
        self._of_thread = threading.local()
        self._decoder()

    def rgb(self, i: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB.

        Raises:
            FormatError: the picture cannot be decoded.
        """
        decoder = self._decoder()
        # Planes come out several times faster than interleaved pixels of the same exactness.
        planes = decoder.reformatter.reformat(
            decoder.picture(i),
            format="gbrp",
            src_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=_EXACT,
            threads=1,
        ).to_ndarray()
        return np.ascontiguousarray(planes[: self.size[0], : self.size[1]])

    def luma(self, i: int) -> np.ndarray:
        """(H, W) uint8: a gray picture as written.

        Raises:
            FormatError: the picture cannot be decoded.
        """
        plane = self._decoder().picture(i).planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        return rows[: self.size[0], : self.size[1]].copy()

    def gray(self, i: int) -> np.ndarray:
        """(H, W) uint8 0..255: brightness of a coloured picture.

        Raises:
            FormatError: the picture cannot be decoded.
        """
        return np.asarray(cv2.LUT(self.luma(i), _FULL_FROM_LIMITED), dtype=np.uint8)

    def close(self) -> None:
        """Close the calling thread's decoder; those of other threads go with them."""
        self._decoder().close()
        del self._of_thread.decoder

    def _decoder(self) -> _Decoder:
        found: _Decoder | None = getattr(self._of_thread, "decoder", None)
        if found is None:
            found = self._of_thread.decoder = _Decoder(self.path, self.n_frames, self.size, self._fps, self._gray)
        return found


class _Decoder:
    """One open film; arguments as of ``Film``."""

    def __init__(self, path: Path, n_frames: int, size: tuple[int, int], fps: float, gray: bool) -> None:
        self.path, self.n_frames = path, n_frames
        self.reformatter = VideoReformatter()
        self._container, self._stream = self._opened(size, gray)
        base = cast(Fraction, self._stream.time_base)
        self._ticks = max(round(1 / (fps * base)), 1)
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._last = -KEY_EVERY - 1  # number of the picture decoded last
        self._held: dict[int, av.VideoFrame] = {}  # those decoded since the key frame

    def close(self) -> None:
        self._container.close()

    def picture(self, i: int) -> av.VideoFrame:
        """Picture ``i`` as it was coded."""
        if not 0 <= i < self.n_frames:
            raise IndexError(f"picture {i} of {self.n_frames}")
        if i in self._held:
            return self._held[i]
        try:
            if not self._last < i <= self._last + KEY_EVERY:
                self._held.clear()
                self._container.seek(int(i) * self._ticks, stream=self._stream)
                self._frames = self._container.decode(self._stream)
            for frame in self._frames:
                self._hold(frame)
                if self._last >= i:
                    break
        except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
            raise self._damaged(i, _brief(error)) from error
        if i not in self._held:
            raise self._damaged(i, "it is not there")
        return self._held[i]

    def _opened(self, size: tuple[int, int], gray: bool) -> tuple[av.container.InputContainer, av.VideoStream]:
        try:
            container = av.open(str(self.path), format="mp4")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise FormatError(f"{self.path} cannot be read ({_brief(error)}).", _HINT) from error
        streams = container.streams.video
        even = tuple(side + side % 2 for side in size)
        if len(streams) != 1 or streams[0].codec_context is None or streams[0].codec_context.name not in _CODECS:
            raise self._not_as_told("holds no film of a capture")
        stream = streams[0]
        if (stream.height, stream.width) != even:
            raise self._not_as_told(f"is {stream.width}×{stream.height}, not {even[1]}×{even[0]}")
        if stream.frames != self.n_frames or not stream.time_base:
            raise self._not_as_told(f"holds {stream.frames} pictures, not {self.n_frames}")
        if gray and int(stream.codec_context.color_range) == int(ColorRange.MPEG):
            raise self._not_as_told("keeps brightness in the limited range of video")
        stream.codec_context.thread_count = 1
        return container, stream

    def _hold(self, frame: av.VideoFrame) -> None:
        if frame.key_frame or len(self._held) >= _MOST_HELD:
            self._held.clear()
        same = (frame.height, frame.width) == (self._stream.height, self._stream.width)
        if not same or frame.format.name not in _PIXELS:
            raise self._not_as_told(f"changes to {frame.width}×{frame.height}, {frame.format.name}")
        self._last = (frame.pts or 0) // self._ticks
        self._held[self._last] = frame

    def _damaged(self, i: int, why: str) -> FormatError:
        self._last = -KEY_EVERY - 1
        return FormatError(f"Picture {i} of {self.path} cannot be decoded ({why}).", _HINT)

    def _not_as_told(self, what: str) -> FormatError:
        return FormatError(f"{self.path} {what}.", _HINT)


def join(parts: Sequence[Path], out: Path, fps: float) -> None:
    """Put films of the same kind behind one another without coding them again."""
    with av.open(str(out), "w", format="mp4") as target:
        stream: Any = None
        done = 0
        for part in parts:
            with av.open(str(part), format="mp4") as source:
                video = source.streams.video[0]
                stream = target.add_stream_from_template(video) if stream is None else stream
                ticks = round(1 / (fps * cast(Fraction, video.time_base)))
                for packet in source.demux(video):
                    if packet.dts is None:
                        continue  # the mark of the end
                    packet.pts = packet.dts = done * ticks
                    packet.stream = stream
                    target.mux(packet)
                    done += 1


def _codec(quality: int) -> tuple[str, dict[str, str]]:
    """Name and options of the encoder: no pictures that need later ones, and codes that decode fast."""
    always = {"g": str(KEY_EVERY), "bf": "0"}
    if "libx264" not in av.codecs_available:
        return "mpeg4", always | {"qmin": "1", "qmax": "2"}
    fast = {"preset": "veryfast", "tune": "psnr", "coder": "0", "sc_threshold": "0"}
    return "libx264", always | fast | {"crf": str(quality), "x264-params": "stitchable=1"}


def _brief(error: BaseException) -> str:
    told = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
    return str(told).splitlines()[0][:120]
