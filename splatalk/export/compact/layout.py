"""The compact file: a safetensors container whose header carries JSON. See docs/formats.md."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from splatalk.export.compact.model import Compact, EncodedSound, Track

VERSION = 1


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a compact file holds."""

    compact: Compact
    track: Track | None
    sound: EncodedSound | None


def to_bytes(
    compact: Compact, track: Track | None = None, sound: EncodedSound | None = None, *, compress: bool = True
) -> bytes:
    """The file's bytes.

    Args:
        compress: wrap the whole in gzip.
    """
    raise NotImplementedError


def write(path: Path, compact: Compact, track: Track | None = None, sound: EncodedSound | None = None) -> int:
    """Write ``NAME.compact``, gzip-wrapped; it appears when it is complete. Returns its size in bytes.

    Raises:
        UserError: another suffix, or it cannot be written.
    """
    raise NotImplementedError


def read(source: Path | bytes) -> Contents:
    """Read a compact file, gzip-wrapped or not, from a path or from its bytes.

    Raises:
        FormatError: missing, damaged, truncated, of a newer version, or another kind of file.
    """
    raise NotImplementedError
