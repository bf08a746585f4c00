"""Memory of processes that draw for hours."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


@functools.cache
def _trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # not the GNU C library
        return None


def give_back() -> None:
    """Return free memory to the system.

    The GNU allocator keeps what big arrays of changing sizes leave behind, and a process that makes dozens of them a
    frame grows by tens of megabytes a minute without losing any. Call it every few seconds; it takes milliseconds.
    """
    trim = _trim()
    if trim is not None:
        trim(0)
