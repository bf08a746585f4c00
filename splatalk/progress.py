"""Progress of long work, written to stderr: a bar on a terminal, a plain line every few seconds elsewhere.

Call ``configure(quiet=True)`` once (the command line does under ``--json`` and ``--quiet``) to write nothing at all.
"""

from __future__ import annotations

import collections
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

PLAIN_INTERVAL_S = 5.0
RATE_WINDOW_S = 30.0

_quiet = False
_live: Any = None  # the rich Progress shared by bars that are open at the same time
_open_bars = 0


class Step(Protocol):
    """Advances a bar by ``n`` and shows ``fields`` (``loss=0.021``) behind it."""

    def __call__(self, n: int = 1, **fields: object) -> None: ...


def configure(*, quiet: bool) -> None:
    """Choose whether anything is written at all."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    return _quiet


def note(text: str) -> None:
    """One line to stderr, above any bar that is open."""
    if _quiet:
        return
    if _live is not None:
        _live.console.print(text, markup=False, highlight=False)
    else:
        print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def bar(description: str, total: int, unit: str = "frame") -> Iterator[Step]:
    """Show how far a loop of ``total`` steps has come.

    Args:
        description: what is being done, in two or three words.
        total: number of steps; 0 when it is not known.
        unit: what one step is, singular; the rate is given as ``unit``/s.

    Yields:
        ``step(n=1, **fields)``, to be called after every ``n`` steps.
    """
    if _quiet:
        yield lambda n=1, **fields: None
    elif sys.stderr.isatty():
        with _terminal_bar(description, total, unit) as step:
            yield step
    else:
        plain = _PlainBar(description, total, unit)
        yield plain.step
        plain.finish()


def format_seconds(seconds: float) -> str:
    """``75`` → ``1:15``; ``3675`` → ``1:01:15``."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _status(done: int, total: int, unit: str, speed: float) -> str:
    """``120/200 steps, 19.8 step/s, 0:04 left`` as far as it is known."""
    parts = [f"{done}/{total} {unit}s" if total else f"{done} {unit}{'' if done == 1 else 's'}"]
    parts += [_format_rate(speed, unit)] if speed else []
    parts += [f"{format_seconds((total - done) / speed)} left"] if total and speed else []
    return ", ".join(parts)


def _format_rate(rate: float, unit: str) -> str:
    return f"{rate:.1f} {unit}/s" if rate >= 1 else f"{1 / rate:.1f} s/{unit}"


def _format_fields(fields: dict[str, object]) -> str:
    return "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in fields.items())


class _Rate:
    """Steps per second over the last half minute. The first report only sets the mark, so that steps which a resumed
    run did earlier do not count as speed."""

    def __init__(self) -> None:
        self.marks: collections.deque[tuple[float, int]] = collections.deque()

    def __call__(self, now: float, done: int) -> float:
        self.marks.append((now, done))
        while len(self.marks) > 2 and now - self.marks[0][0] > RATE_WINDOW_S:
            self.marks.popleft()
        then, before = self.marks[0]
        return (done - before) / (now - then) if now > then else 0.0


class _PlainBar:
    """Lines for logs and pipes: the first after ``PLAIN_INTERVAL_S``, the last when the work is done."""

    def __init__(self, description: str, total: int, unit: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.description, self.total, self.unit, self.clock = description, total, unit, clock
        self.done = 0
        self.fields: dict[str, object] = {}
        self.rate, self.speed = _Rate(), 0.0
        self.start = self.last = clock()

    def step(self, n: int = 1, **fields: object) -> None:
        self.done += n
        self.fields.update(fields)
        now = self.clock()
        self.speed = self.rate(now, self.done)
        if now - self.last >= PLAIN_INTERVAL_S:
            self.last = now
            self._write(now)

    def finish(self) -> None:
        self._write(self.clock(), finished=True)

    def _write(self, now: float, finished: bool = False) -> None:
        parts = [_status(self.done, 0 if finished else self.total, self.unit, self.speed)]
        parts += [f"took {format_seconds(now - self.start)}"] if finished else []
        parts += [_format_fields(self.fields)] if self.fields else []
        print(f"{self.description}: {', '.join(parts)}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _terminal_bar(description: str, total: int, unit: str) -> Iterator[Step]:
    global _live, _open_bars
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    if _live is None:
        _live = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[status]}"),
            # Whatever room is left: a narrow terminal cuts these figures, never the ones before.
            TextColumn(
                "{task.fields[extra]}", style="dim", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
            ),
            console=Console(stderr=True),
            refresh_per_second=4,
            expand=True,
        )
        _live.start()
    live = _live
    task = live.add_task(description, total=total or None, status="", extra="")
    shown: dict[str, object] = {}
    rate = _Rate()
    done = 0

    def step(n: int = 1, **fields: object) -> None:
        nonlocal done
        done += n
        shown.update(fields)
        status = _status(done, total, unit, rate(time.monotonic(), done))
        live.update(task, advance=n, status=status, extra=_format_fields(shown))

    _open_bars += 1
    try:
        yield step
    finally:
        _open_bars -= 1
        if _open_bars == 0:
            live.stop()
            _live = None
