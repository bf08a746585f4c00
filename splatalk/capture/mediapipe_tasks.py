"""Opening MediaPipe's networks quietly: its C++ parts write to the process's stderr when they start."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
_one_at_a_time = threading.Lock()


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send file descriptor 2 to nowhere for the duration of the block; Python's own ``sys.stderr`` included."""
    with _one_at_a_time:
        sys.stderr.flush()
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def open_quietly(make: Callable[[], T], warm_up: Callable[[T], object]) -> T:
    """``make()`` and use it once, so that everything it has to say at the start goes nowhere."""
    with quiet_stderr():
        task = make()
        warm_up(task)
        return task


def to_image(rgb: np.ndarray) -> Any:
    """(H, W, 3) uint8 RGB as MediaPipe's Image."""
    import mediapipe

    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
