"""The sound of a recording against the zero of its picture."""

from __future__ import annotations

import math

import av
import numpy as np

from splatalk.avatar.mouth_basis import mouth_opening_and_width
from splatalk.capture.decode import VideoFacts, decoded, opened, picture_stream, sound_stream
from splatalk.capture.hearing import FEATURE_RATE, Heard
from splatalk.capture.tracks import Solved
from splatalk.errors import AssetError, CaptureError
from splatalk.progress import note
from splatalk.speech.features import load
from splatalk.speech.sync import moved, offset_of

SAMPLE_RATE = 16000


def require_sound(facts: VideoFacts) -> None:
    """Refuse a recording without a sound track.

    Raises:
        CaptureError: there is none.
    """
    if not facts.has_audio:
        raise CaptureError(f"{facts.path} has no sound track.", "Record with sound: speech is what the avatar learns.")


def listen(samples: np.ndarray) -> np.ndarray | None:
    """(T, 512) Whisper features at 50 Hz of (S,) samples; None, and a note, without the model."""
    try:
        return np.asarray(load("whisper").extract(samples))
    except AssetError as error:
        note(f"Whether sound and picture fit was not checked: {error.message}")
        return None


def in_time(samples: np.ndarray, features: np.ndarray | None, solved: Solved, fps: float) -> Heard:
    """Sound moved to where the lips say it belongs, when the evidence is clear.

    Frames that have no sound afterwards are marked as not valid.

    Args:
        samples: (S,) float32, 16 kHz.
        features: of them, from ``listen``.
        solved: tracks with the lips.
        fps: of the tracks.
    """
    if features is None:
        return Heard(samples)
    tracks = solved.tracks
    lips = mouth_opening_and_width(tracks.landmarks_head)
    offset = offset_of(features, lips[:, 0], lips[:, 1], fps)
    if not offset.clear:
        return Heard(samples, features, offset)
    count = math.ceil(abs(offset.seconds) * fps)
    frames = range(len(tracks.valid))[-count:] if offset.seconds > 0 else range(count)
    for i in frames:
        tracks.valid[i] = False
        solved.reasons.setdefault(i, "no sound")
    rows = np.arange(len(features)) + round(offset.seconds * FEATURE_RATE)
    features = features[np.clip(rows, 0, len(features) - 1)]
    return Heard(moved(samples, offset.seconds), features, offset, offset.seconds)


def read_sound(facts: VideoFacts, n_samples: int) -> np.ndarray:
    """The first sound track against the picture's zero.

    Args:
        facts: from ``probe``.
        n_samples: wanted length; shorter sound is padded with silence, longer is cut.

    Returns:
        (n_samples,) float32 in -1..1, 16 kHz mono.

    Raises:
        CaptureError: there is no sound track.
    """
    require_sound(facts)
    out = np.zeros(n_samples, dtype=np.float32)
    with opened(facts.path) as container:
        zero = _first_picture_time(container)
    with opened(facts.path) as container:
        # Channels are averaged below: the resampler's own way to mono adds 3 dB and may overdrive.
        stream = sound_stream(container)
        assert stream is not None  # require_sound
        resampler = av.AudioResampler(format="fltp", rate=SAMPLE_RATE)
        position: int | None = None
        for frame in decoded(container, stream):
            due = None if frame.time is None else round((frame.time - zero) * SAMPLE_RATE)
            if position is None:
                position = due or 0
            elif due is not None and due - position > SAMPLE_RATE // 10:
                position = due  # a hole in the track stays a hole, so that what follows is in sync
            frame.pts = None
            for piece in resampler.resample(frame):
                position = _place(out, piece.to_ndarray().mean(axis=0), position)
            if position >= n_samples:
                break
        for piece in resampler.resample(None) if position is not None else ():
            position = _place(out, piece.to_ndarray().mean(axis=0), position or 0)
    return np.clip(np.nan_to_num(out), -1.0, 1.0)


def _first_picture_time(container: av.container.InputContainer) -> float:
    stream = picture_stream(container)
    for frame in decoded(container, stream) if stream is not None else ():
        if frame.time is not None:
            return float(frame.time)
    return 0.0


def _place(out: np.ndarray, piece: np.ndarray, position: int) -> int:
    """Copy ``piece`` to ``position``, as far as it falls inside; the position after it."""
    begin, end = max(position, 0), min(position + len(piece), len(out))
    if end > begin:
        out[begin:end] = piece[begin - position : end - position]
    return position + len(piece)
