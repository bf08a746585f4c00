"""``splatalk speak --live``: an avatar that speaks what is said this moment."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from splatalk.cli.common import report
from splatalk.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from splatalk.cli.driving import Driving
    from splatalk.export.sound import Sound


@dataclasses.dataclass(frozen=True)
class Live:
    """The options, as they were typed.

    Args:
        on: whether to listen at all.
        microphone: listen to the microphone instead of standard input.
        lookahead: milliseconds of sound that each frame waits for.
        rate: of raw PCM, Hz.
    """

    on: bool = False
    microphone: bool = False
    lookahead: int = 160
    rate: int = 16_000


@dataclasses.dataclass(frozen=True)
class Picture:
    """How frames are drawn: as in ``speak``."""

    yaw: float
    pitch: float
    background: str
    size: tuple[int, int] | None
    backend: str


def live_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets one ``live``."""

    @click.option("--live", "on", is_flag=True, help="Listen to standard input (WAV or raw 16-bit PCM) as it comes.")
    @click.option("--microphone", is_flag=True, help="With --live: listen to the microphone, until Ctrl-C.")
    @click.option("--lookahead", type=click.Choice(["0", "80", "160", "320"]), default="160", show_default=True,
                  help="With --live: milliseconds of sound that a frame waits for.")  # fmt: skip
    @click.option("--rate", default=16_000, show_default=True, help="With --live: of raw PCM, Hz.")
    @functools.wraps(function)
    def wrapped(*args: Any, on: bool, microphone: bool, lookahead: str, rate: int, **kwargs: Any) -> Any:
        return function(*args, live=Live(on or microphone, microphone, int(lookahead), rate), **kwargs)

    return wrapped


def speak_live(
    avatar: Path, output: Path | None, driving: Driving, live: Live, picture: Picture, as_json: bool
) -> None:
    """Listen until the sound ends, draw every frame, write a film if ``output`` is given, and tell the delays."""
    if driving.given:
        raise UserError("--live listens; it cannot also read words or motion.", "Leave out the other sources.")
    if driving.head not in ("natural", "still"):
        raise UserError("--live cannot copy a recorded head.", "Use --head natural or --head still.")

    from splatalk import avatar as avatars
    from splatalk import progress
    from splatalk.drive.live_show import Delays, HeardSound, show
    from splatalk.drive.stream import Stream
    from splatalk.export import video
    from splatalk.export.views import view

    person = avatars.load(avatar)
    stream = Stream(
        person, seed=driving.seed, head="still" if driving.head == "still" else "natural", style=driving.style,
        adjust=driving.adjust(), lookahead_s=live.lookahead / 1000,
    )  # fmt: skip
    if stream.stand_in:
        progress.note("This avatar was made before live driving: its mouth will be less exact. Train it again.")
    delays, heard = Delays(), HeardSound(kept=output is not None)
    with _until_stopped() as stopped:
        sound = _sound(live, stopped)
        pictures = show(
            stream, sound, delays, heard=heard, camera=view(person, picture.yaw, picture.pitch),
            background=picture.background, size=picture.size, backend=picture.backend,
        )  # fmt: skip
        began = time.perf_counter()
        if output is None:
            collections.deque(_shown(pictures), maxlen=0)
        else:
            video.write_video(output, _shown(pictures), person.fps, cast("Sound", heard))
    if stream.frame == 0:
        raise UserError("No sound came.", "Pipe a WAV or raw 16-bit PCM into it, or use --microphone.")
    facts = {
        "command": "speak", "live": True, "output": output, "frames": stream.frame, "fps": person.fps,
        "sound_s": round(heard.seconds, 2), "seconds": round(time.perf_counter() - began, 2),
        "lookahead_ms": live.lookahead, **delays.summary(stream.lookahead_s),
    }  # fmt: skip
    report(as_json, facts, _told(facts))


def _sound(live: Live, stopped: threading.Event) -> Iterator[np.ndarray]:
    from splatalk.speech import incoming

    if live.microphone:
        yield from incoming.from_microphone(stopped.is_set)
        return
    if sys.stdin.isatty():
        raise UserError("Standard input is a terminal.", "Pipe sound into it, or use --microphone.")
    for samples in incoming.from_pipe(sys.stdin.buffer, live.rate):
        yield samples
        if stopped.is_set():
            return


def _shown(pictures: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    from splatalk import progress

    with progress.bar("Speaking", 0) as step:
        for picture in pictures:
            step()
            yield picture


@contextlib.contextmanager
def _until_stopped() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, so that a film is finished; the second one interrupts."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


def _told(facts: dict[str, Any]) -> str:
    lines = [f"{facts['output']}: {facts['sound_s']:.1f} s" if facts["output"] else f"{facts['sound_s']:.1f} s heard"]
    if "drive_p50_ms" in facts:
        lines += [
            f"a frame is driven in {facts['drive_p50_ms']:.1f} ms (99 % within {facts['drive_p99_ms']:.1f} ms), "
            f"driven and drawn in {facts['drive_and_draw_p50_ms']:.1f} ms "
            f"(99 % within {facts['drive_and_draw_p99_ms']:.1f} ms)",
            f"the first one stood {facts['first_frame_ms']:.0f} ms after its sound, "
            f"of which {facts['lookahead_ms']} ms is lookahead",
        ]
    return "\n".join(lines)
