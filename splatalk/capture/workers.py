"""Work on all cores: threads that take stretches of frames, for calls that let go of Python's lock."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

import cv2

T = TypeVar("T")
_STRETCH = 32  # frames that a thread takes at once: neighbours in a film are decoded together


def count() -> int:
    """Threads worth starting."""
    return os.cpu_count() or 1


@contextlib.contextmanager
def one_thread_a_call() -> Iterator[None]:
    """Without OpenCV's own threads: several threads that make small calls only wait for them."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def each(work: Callable[[int], T], n: int, step: Callable[[], object]) -> list[T]:
    """``[work(0), …, work(n - 1)]``, on all cores.

    Args:
        work: must not depend on what the other calls did.
        step: called after each one, in this thread.
    """

    def stretch(begin: int) -> list[T]:
        return [work(i) for i in range(begin, min(begin + _STRETCH, n))]

    results: list[T] = []
    with one_thread_a_call(), concurrent.futures.ThreadPoolExecutor(count()) as pool:
        try:
            for part in pool.map(stretch, range(0, n, _STRETCH)):
                results += part
                for _ in part:
                    step()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return results
