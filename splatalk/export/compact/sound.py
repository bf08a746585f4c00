"""Sound for browsers."""

from __future__ import annotations

from splatalk.export.compact.model import EncodedSound
from splatalk.export.sound import Sound

BITRATE = 48_000


def encode_sound(sound: Sound, bitrate: int = BITRATE) -> EncodedSound:
    """Compress for a page.

    Args:
        sound: one or two channels at any rate.
        bitrate: bits per second.
    """
    raise NotImplementedError
