"""Memory of processes that draw for hours, and whose frames must not be late."""

from __future__ import annotations

import ctypes
import functools
import gc
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


def settle() -> None:
    """Never again search for garbage what exists now: modules and avatars stay.

    They are some 200,000 objects, and a full collection of them takes 50 to 100 ms, more than two frames.
    """
    gc.collect()
    gc.freeze()
