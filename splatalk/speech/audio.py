"""Sound files in, samples at the one rate that splatalk computes with out."""

from __future__ import annotations

import math
from pathlib import Path

import av
import numpy as np

from splatalk.errors import FormatError, UserError

SAMPLE_RATE = 16_000
"""Hz; every sound inside splatalk has this rate and one channel."""

FRAME_S = 0.025
TARGET_DB = -20.0
MAX_GAIN_DB = 30.0
_SILENCE_DB = -120.0


def read_audio(path: Path, longest_s: float = math.inf) -> np.ndarray:
    """The sound of any audio or video file.

    Args:
        longest_s: seconds; a small file can hold days of silence.

    Returns:
        (S,) float32, 16 kHz mono, -1..1. Sound that starts late in the container is preceded by silence, so that
        sample s stands at s / 16000 s on the container's clock.

    Raises:
        FormatError: missing, a folder, damaged, not a media file, or without sound.
        UserError: longer than ``longest_s``.
    """
    path = Path(path)
    if path.is_dir():
        raise FormatError(f"{path} is a folder, not a sound file.", "Name a WAV, MP3, FLAC, OGG, M4A or video file.")
    if not path.is_file():
        raise FormatError(f"There is no file {path}.", "Check the path.")
    try:
        chunks = _decode(path, longest_s)
    except (av.error.FFmpegError, OSError, ValueError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FormatError(
            f"{path} cannot be read as sound: {reason}.", "Use a WAV, MP3, FLAC, OGG, M4A or video file."
        ) from error
    if not chunks:
        raise FormatError(f"{path} has no sound in it.", "Use a file in which somebody speaks.")
    return np.clip(np.concatenate(chunks), -1.0, 1.0)


def _decode(path: Path, longest_s: float) -> list[np.ndarray]:
    """Resampled pieces in order; empty when there is no sound. A damaged packet is skipped as players do."""
    # All channels, since a mono mix by FFmpeg adds 3 dB; interleaved, since it keeps only a few planes in their place.
    resampler = av.AudioResampler(format="flt", rate=SAMPLE_RATE)
    chunks: list[np.ndarray] = []
    length = 0
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return []
        failure: av.error.FFmpegError | None = None
        start: float | None = None
        for packet in container.demux(container.streams.audio[0]):
            try:
                for frame in packet.decode():
                    if start is None:
                        start = frame.time or 0.0
                    pieces = [_mono(piece) for piece in resampler.resample(frame)]
                    chunks += pieces
                    length += sum(map(len, pieces))
                    require_length(path, length / SAMPLE_RATE, longest_s)
            except av.error.InvalidDataError as error:
                failure = error
        if not chunks and failure is not None:
            raise failure
        if chunks:
            chunks += [_mono(piece) for piece in resampler.resample(None)]
    return _at_zero(chunks, start or 0.0)


def require_length(path: Path, seconds: float, longest_s: float) -> None:
    """Raise UserError when a sound is longer than it may be."""
    if seconds > longest_s:
        raise UserError(f"{path} is longer than {longest_s:g} s.", "Use a shorter piece of it.")


def _mono(piece: av.AudioFrame) -> np.ndarray:
    """(n,) float32: channels averaged; numbers that a damaged file may hold become ones that can be averaged."""
    interleaved = piece.to_ndarray().reshape(-1, piece.layout.nb_channels)
    channels = np.nan_to_num(interleaved, nan=0.0, posinf=1.0, neginf=-1.0)
    return np.asarray(np.clip(channels, -8.0, 8.0).mean(1), dtype=np.float32)


def _at_zero(chunks: list[np.ndarray], start_s: float) -> list[np.ndarray]:
    """Pad or cut the beginning so that sample 0 is time 0; a start beyond a minute is a broken clock, not silence."""
    shift = round(start_s * SAMPLE_RATE)
    if not chunks or shift == 0 or abs(start_s) > 60.0:
        return chunks
    if shift > 0:
        return [np.zeros(shift, np.float32), *chunks]
    return [np.concatenate(chunks)[-shift:]]


def frame_levels(samples: np.ndarray, hop: int) -> np.ndarray:
    """Level around every ``hop`` samples: (ceil(S / hop),) dB relative to full scale, floor -120."""
    n = -(-len(samples) // hop)
    width = round(FRAME_S * SAMPLE_RATE)
    padded = np.pad(samples.astype(np.float64), (width // 2, width + hop))
    power = np.concatenate(([0.0], np.cumsum(padded**2)))
    begin = np.arange(n) * hop
    mean = np.maximum(power[begin + width] - power[begin], 0.0) / width
    return np.asarray(10.0 * np.log10(mean + 10.0 ** (_SILENCE_DB / 10.0)))


def speech_level(samples: np.ndarray) -> float:
    """Level of the loud parts (90th percentile of frames above the noise), dB; -120 for silence.

    A percentile of frames within 40 dB of the loudest: neither pauses nor single clicks move it much.
    """
    if len(samples) == 0:
        return _SILENCE_DB
    levels = frame_levels(samples, SAMPLE_RATE // 100)
    loudest = float(np.percentile(levels, 98))
    return float(np.percentile(levels[levels > loudest - 40.0], 90)) if loudest > _SILENCE_DB else _SILENCE_DB


def normalise_level(samples: np.ndarray) -> np.ndarray:
    """Bring speech to one loudness, so that a quiet and a loud recording of it give the same features.

    Args:
        samples: (S,) float32.

    Returns:
        (S,) float32 scaled so that ``speech_level`` is -20 dB. The gain is at most 30 dB either way, so that faint
        noise stays faint; not clipped.
    """
    level = speech_level(samples)
    gain = np.clip(TARGET_DB - level, -MAX_GAIN_DB, MAX_GAIN_DB) if level > _SILENCE_DB + 1 else 0.0
    return (samples * 10.0 ** (gain / 20.0)).astype(np.float32)
