"""Sounds from and for a page."""

from __future__ import annotations

import collections
import tempfile
import threading
from pathlib import Path

import numpy as np

from splatalk.errors import FormatError, UserError
from splatalk.export.sound import Sound, read_sound
from splatalk.serve.messages import MAX_SOUND_S
from splatalk.speech import SAMPLE_RATE, read_audio

_TAGS = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"ID3", b"\x1aE\xdf\xa3", b"FORM", b"caff", b"#!AMR")
_MPEG = tuple(bytes((0xFF, second)) for second in (0xFB, 0xF3, 0xF2, 0xFA, 0xF1, 0xF9))  # MP3 and AAC without a tag
_BEGINNINGS = (*((0, magic) for magic in (*_TAGS, *_MPEG)), (4, b"ftyp"))
"""Offset and bytes by which sound and film files are told. Playlists, which name other files, are not among them."""

BACKLOG_S = 1.0
"""Microphone sound that waits; older sound is left out."""


class Intake:
    """Microphone sound between the thread that receives it and the one that computes."""

    def __init__(self) -> None:
        self._pieces: collections.deque[tuple[np.ndarray, float]] = collections.deque()
        self._waiting = 0
        self._lock = threading.Lock()
        self.dropped = 0
        """Samples left out since ``clear``."""

    def put(self, samples: np.ndarray, arrived: float) -> None:
        """Samples (S,) that arrived at ``arrived`` seconds."""
        with self._lock:
            self._pieces.append((samples, arrived))
            self._waiting += len(samples)
            while self._waiting > BACKLOG_S * SAMPLE_RATE and len(self._pieces) > 1:
                lost = len(self._pieces.popleft()[0])
                self._waiting -= lost
                self.dropped += lost

    def take(self) -> tuple[np.ndarray, float]:
        """All that waits, (S,), and when the last of it arrived."""
        with self._lock:
            pieces, self._waiting = list(self._pieces), 0
            self._pieces.clear()
        samples = [piece for piece, _ in pieces]
        return (np.concatenate(samples), pieces[-1][1]) if pieces else (np.zeros(0, np.float32), 0.0)

    def clear(self) -> None:
        self.take()
        self.dropped = 0


def decode(data: bytes, name: str) -> tuple[np.ndarray, Sound]:
    """A file that somebody dropped onto the page.

    Returns:
        samples (S,) float32 at 16 kHz for the mouth, and the sound at its own rate for the ear.

    Raises:
        FormatError: it is no sound; UserError: it is too long.
    """
    if not any(data[at : at + len(magic)] == magic for at, magic in _BEGINNINGS):
        raise FormatError(f"{Path(name).name} is no sound file.", "Use a WAV, MP3, M4A, FLAC, OGG or video file.")
    with tempfile.TemporaryDirectory(prefix="splatalk-") as folder:
        path = Path(folder) / "sound"
        path.write_bytes(data)
        try:
            return read_audio(path, longest_s=MAX_SOUND_S), read_sound(path, longest_s=MAX_SOUND_S)
        except UserError as error:  # the person knows the file by its own name
            raise type(error)(error.message.replace(str(path), Path(name).name), error.hint) from error
