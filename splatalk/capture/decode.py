"""Reading recordings: any container, frame rate, size and rotation, as RGB frames at the avatar's rate and 16 kHz
sound.

Time zero is the first picture. Frame ``i`` is the source frame nearest to ``i / fps``; sound is placed against the
same zero.
"""

from __future__ import annotations

import dataclasses
import math
import stat
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from splatalk.capture.tone import to_standard_range
from splatalk.errors import CaptureError

_VIDEO_HINT = "Give a video file that other players open, such as an MP4, MOV, MKV or WebM."
# Resizing tools write a pixel aspect a little off 1 to undo their own rounding of sizes; truly oblong pixels start at
# 8:9.
_ASPECT_NOISE = 0.07
_TRANSFER_PQ, _TRANSFER_HLG = 16, 18  # ITU-T H.273 table 3


@dataclasses.dataclass(frozen=True)
class VideoFacts:
    """What a recording is, before anything is decoded at length.

    Args:
        width, height: upright size in pixels: rotation flag and pixel aspect applied.
        stored_width, stored_height: size of the decoded pictures.
        rotation: degrees counter-clockwise by which decoded pictures must be turned: 0, 90, 180 or 270.
        fps: average frame rate of the source.
        duration: seconds as the container tells it, 0 when it does not.
        codec: name of the video codec.
        has_audio: whether there is a sound track.
        high_dynamic_range: whether the brightness curve is PQ or HLG.
    """

    path: Path
    width: int
    height: int
    stored_width: int
    stored_height: int
    rotation: int
    fps: float
    duration: float
    codec: str
    has_audio: bool
    high_dynamic_range: bool


@dataclasses.dataclass(frozen=True)
class Crop:
    """A constant window of the upright picture and the size it is brought to.

    Args:
        x, y, width, height: the window in upright source pixels, inside the picture.
        out_width, out_height: size of the normalised frame.
    """

    x: float
    y: float
    width: float
    height: float
    out_width: int
    out_height: int

    @classmethod
    def whole(cls, facts: VideoFacts, size: int) -> Crop:
        """The whole picture, brought to a longer side of at most ``size``; smaller pictures keep their size.

        Sides come out even, as video needs them: a last row or column may be lost.
        """
        scale = min(1.0, size / max(facts.width, facts.height))
        width, height = (max(round(side * scale) // 2 * 2, 2) for side in (facts.width, facts.height))
        return cls(0.0, 0.0, min(width / scale, facts.width), min(height / scale, facts.height), width, height)

    @property
    def scale(self) -> float:
        """Normalised pixels per source pixel."""
        return self.out_width / self.width


def probe(path: Path) -> VideoFacts:
    """Look at a recording and refuse what is not one.

    Raises:
        CaptureError: no such file, not a regular file, not a video, no picture can be decoded.
    """
    _check_file(path)
    with opened(path) as container:
        stream = picture_stream(container)
        if stream is None:
            raise CaptureError(f"{path} has no picture that can be decoded.", _VIDEO_HINT)
        first = next(decoded(container, stream), None)
        if first is None:
            raise CaptureError(f"No picture can be decoded from {path}; it is damaged or cut off.", _VIDEO_HINT)
        rotation = round(first.rotation / 90) * 90 % 360
        aspect = float(stream.sample_aspect_ratio or 1) or 1.0
        if abs(aspect - 1.0) < _ASPECT_NOISE:
            aspect = 1.0
        width, height = max(round(first.width * aspect), 1), first.height
        if rotation in (90, 270):
            width, height = height, width
        duration = max(float(container.duration or 0) / 1e6, 0.0)
        if stream.duration and stream.time_base:
            duration = float(stream.duration * stream.time_base)
        _check_end(container, stream, path, duration)
        return VideoFacts(
            path=path,
            width=width,
            height=height,
            stored_width=first.width,
            stored_height=first.height,
            rotation=rotation,
            fps=float(stream.average_rate or 0),
            duration=duration,
            codec=stream.codec_context.name,
            has_audio=sound_stream(container) is not None,
            high_dynamic_range=int(first.color_trc or 0) in (_TRANSFER_PQ, _TRANSFER_HLG),
        )


def read_frames(facts: VideoFacts, crop: Crop, *, fps: float = 25.0, start: int = 0) -> Iterator[np.ndarray]:
    """Decode, resample in time, turn upright, crop and scale.

    Args:
        facts: from ``probe``.
        crop: from ``Crop.whole`` or ``framing.choose_crop``.
        fps: rate of the frames that come out.
        start: first output frame wanted; earlier ones are decoded but not converted.

    Yields:
        (crop.out_height, crop.out_width, 3) uint8 RGB, one for each ``i / fps`` from ``start`` while the picture lasts.

    Raises:
        CaptureError: the file cannot be opened. Damage further on ends the frames early.
    """
    converter = Converter(facts)
    with opened(facts.path) as container:
        stream = picture_stream(container)
        assert stream is not None  # probe found it
        stream.thread_type = "AUTO"
        index = 0
        for frame, shown_until in _spans(decoded(container, stream), 1.0 / (facts.fps or fps)):
            picture = None
            while index < math.floor(shown_until * fps + 1e-6) + 1 and index / fps < shown_until - 1e-6:
                if index >= start:
                    picture = converter(frame, crop) if picture is None else picture
                    yield picture
                index += 1


def sample_frames(facts: VideoFacts, crop: Crop, count: int) -> list[tuple[float, np.ndarray]]:
    """About ``count`` pictures spread over the recording, cheaply: key frames where there are enough of them.

    Returns:
        (time in seconds, (H, W, 3) uint8 RGB) in order of time; at least one.
    """
    converter = Converter(facts)
    found: dict[float, np.ndarray] = {}
    with opened(facts.path) as container:
        stream = picture_stream(container)
        assert stream is not None  # probe found it
        begin = float((stream.start_time or 0) * (stream.time_base or 0))
        for k in range(count):
            moment = begin + (k + 0.5) / count * facts.duration
            try:
                container.seek(int(moment * 1e6))
                frame = next(decoded(container, stream), None)
            except av.FFmpegError:
                break
            if frame is not None and frame.time is not None and frame.time not in found:
                found[frame.time] = converter(frame, crop)
    if len(found) >= min(count, 8):
        return sorted(found.items())
    step = facts.duration / count if facts.duration > 0 else 0.5
    kept: list[tuple[float, np.ndarray]] = []
    every = 1
    for k, frame in enumerate(read_frames(facts, crop, fps=1.0 / max(step, 0.04))):
        if k % every == 0:
            kept.append((k * max(step, 0.04), frame))
        if len(kept) > 2 * count:  # the container did not tell how long the clip is
            kept, every = kept[::2], every * 2
    return kept


class Converter:
    """Turns decoded pictures into upright, cropped RGB with the right matrix and range."""

    def __init__(self, facts: VideoFacts) -> None:
        self.facts = facts
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame, crop: Crop) -> np.ndarray:
        """(crop.out_height, crop.out_width, 3) uint8 sRGB."""
        turned = self.facts.rotation in (90, 270)
        # Rounding the scaled whole picture, not the window, keeps the scale the same for both axes.
        width, height = round(self.facts.width * crop.scale), round(self.facts.height * crop.scale)
        width, height = max(width, crop.out_width), max(height, crop.out_height)
        shrinking = crop.scale < 0.99
        deep = self.facts.high_dynamic_range  # its steps would show in 8 bits
        flags = Interpolation.AREA if shrinking else Interpolation.BICUBIC
        upright: np.ndarray = self._reformatter.reformat(
            frame,
            width=height if turned else width,
            height=width if turned else height,
            format="gbrp16le" if deep else "gbrp",  # planes come out faster than interleaved pixels
            src_colorspace=_matrix(frame),
            src_color_range=_range(frame),
            dst_color_range=ColorRange.JPEG,
            interpolation=flags | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND,
            threads=1,
        ).to_ndarray()
        upright = np.rot90(upright, self.facts.rotation // 90)
        left = min(round(crop.x * crop.scale), width - crop.out_width)
        top = min(round(crop.y * crop.scale), height - crop.out_height)
        picture = np.ascontiguousarray(upright[top : top + crop.out_height, left : left + crop.out_width])
        if deep:
            picture = to_standard_range(picture, hybrid_log_gamma=int(frame.color_trc or 0) == _TRANSFER_HLG)
        return picture


def _check_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise CaptureError(f"There is no video at {path}.", "Check the path and its spelling.") from error
    if stat.S_ISDIR(mode):
        raise CaptureError(f"{path} is a folder, not a video.", _VIDEO_HINT)
    if not stat.S_ISREG(mode):
        raise CaptureError(f"{path} is not a regular file.", _VIDEO_HINT)
    if path.stat().st_size == 0:
        raise CaptureError(f"{path} is empty.", _VIDEO_HINT)


def _check_end(container: av.container.InputContainer, stream: av.VideoStream, path: Path, duration: float) -> None:
    """Refuse a clip whose second half is announced and not there."""
    if duration < 2.0:
        return
    begin = float((stream.start_time or 0) * (stream.time_base or 0))
    try:
        container.seek(int((begin + 0.9 * duration) * 1e6))
    except av.FFmpegError:
        return  # cannot be sought in; the long pass will tell
    if next(decoded(container, stream), None) is None:
        raise CaptureError(f"{path} is cut off: its end cannot be decoded.", "Copy or download the file again.")


def opened(path: Path) -> av.container.InputContainer:
    """The container, or a CaptureError that says why not."""
    try:
        return av.open(str(path), mode="r", metadata_errors="replace")
    except PermissionError as error:
        raise CaptureError(f"{path} may not be read.", "Change its permissions.") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise CaptureError(f"{path} is not a video that can be read ({_reason(error)}).", _VIDEO_HINT) from error


def picture_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first video track that can be decoded and is no cover picture."""
    tracks = [s for s in container.streams.video if s.codec_context is not None]
    return next((s for s in tracks if not s.disposition & av.stream.Disposition.attached_pic), None)


def sound_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    """The first sound track that can be decoded: phones put spatial sound beside a plain track."""
    return next((s for s in container.streams.audio if s.codec_context is not None and s.codec_context.rate), None)


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error)).strip().rstrip(".").lower()


def decoded(container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator:
    """Decoded frames up to the first damage that decoding does not survive."""
    failures = 0
    for packet in _packets(container, stream):
        try:
            yield from packet.decode()
        except (av.FFmpegError, ValueError):
            failures += 1  # one bad packet costs a few frames; many mean that the rest is no video
            if failures > 50:
                return


def _packets(container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator[av.Packet]:
    try:
        yield from container.demux(stream)
    except av.FFmpegError:
        return


def _spans(frames: Iterator[av.VideoFrame], usual: float) -> Iterator[tuple[av.VideoFrame, float]]:
    """Each frame with the time until which it is the nearest one, counted from the first frame."""
    previous, previous_time, zero = None, 0.0, None
    last_step = usual
    for frame in frames:
        moment = frame.time if frame.time is not None else previous_time + usual + (zero or 0.0)
        zero = moment if zero is None else zero
        moment -= zero
        if previous is not None:
            if moment <= previous_time:
                continue
            yield previous, (previous_time + moment) / 2
            last_step = min(moment - previous_time, 2.0 * usual)
        previous, previous_time = frame, moment
    if previous is not None:
        length = float(previous.duration * previous.time_base) if previous.duration and previous.time_base else usual
        # Many files give no or a token length; time stamps may be rounded to milliseconds.
        yield previous, previous_time + min(max(length, last_step), 1.0) - 0.004


def _matrix(frame: av.VideoFrame) -> Colorspace:
    """The YUV matrix that the picture was made with; untagged pictures follow the broadcast habit by size."""
    tagged = {int(c): c for c in (Colorspace.ITU709, Colorspace.FCC, Colorspace.SMPTE240M, Colorspace.BT2020)}
    tagged |= {5: Colorspace.ITU601, 6: Colorspace.ITU601, 10: Colorspace.BT2020}
    return tagged.get(int(frame.colorspace), Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601)


def _range(frame: av.VideoFrame) -> ColorRange:
    full = int(frame.color_range) == int(ColorRange.JPEG) or frame.format.name.startswith("yuvj")
    return ColorRange.JPEG if full else ColorRange.MPEG
