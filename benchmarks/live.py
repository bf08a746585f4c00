"""Live driving in real time: how long after its sound a frame is there, and whether that lasts.

    python -m benchmarks.live AVATAR [--minutes 10] [--lookahead 160] [--drive-only] [-o benchmarks/results/live.json]

Sound arrives in pieces of 20 ms at the pace of a clock. A frame's delay counts from the arrival of the last sound that
it waited for; its age, from the moment that it shows, is the lookahead more. Frames that would be more than 200 ms late
are driven but not drawn, and counted as dropped. Says at the end whether what is wanted was reached: the first frame
within 250 ms of its sound, 99 % of the frames driven and drawn within 40 ms, nothing dropped, neither delay nor memory
growing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT, told
from splatalk import avatar as avatars
from splatalk.drive.memory import give_back, settle
from splatalk.drive.play import background_image, drawing
from splatalk.drive.stream import Stream
from splatalk.evaluate.machine import machine_facts
from splatalk.files import atomic_path
from splatalk.speech import SAMPLE_RATE, live, read_audio

PIECE = 320
LATE_S = 0.2
MEMORY_EVERY = 50
"""Pieces between two looks at the memory: one second."""
WANTED = {
    "first_frame_ms": 250.0, "drive_and_draw_p99_ms": 40.0, "dropped": 0.0, "delay_growth_ms": 5.0,
    "memory_growth_mb_per_minute": 1.0,
}  # fmt: skip
"""The most that is allowed."""


@dataclasses.dataclass
class Run:
    """Seconds of each frame: driving, drawing (0 when dropped), delay when done; and every second the memory in MB."""

    drive: list[float] = dataclasses.field(default_factory=list)
    draw: list[float] = dataclasses.field(default_factory=list)
    delay: list[float] = dataclasses.field(default_factory=list)
    dropped: int = 0
    memory: list[float] = dataclasses.field(default_factory=list)
    cpu_s: float = 0.0


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def perform(stream: Stream, sound: np.ndarray, seconds: float, size: int | None) -> Run:
    """Let ``sound`` come again and again for ``seconds``. ``size``: edge of the pictures, None draws none."""
    person = stream.avatar
    camera = person.camera if size is None else person.camera.resized(size, size)
    drawn = drawing(person, camera, background_image(person, "plate", camera))
    run, pieces = Run(), len(sound) // PIECE
    began, cpu = time.perf_counter(), time.process_time()
    for k in range(round(seconds * SAMPLE_RATE / PIECE)):
        arrival = began + (k + 1) * PIECE / SAMPLE_RATE
        time.sleep(max(arrival - time.perf_counter(), 0.0))
        piece = sound[k % pieces * PIECE :][:PIECE]
        heard = time.perf_counter()
        frames = stream.feed(piece)
        driven = time.perf_counter()
        for controls in frames:
            late = time.perf_counter() - arrival > LATE_S
            if size is not None and not late:
                drawn(controls)
            run.dropped += late
            now = time.perf_counter()
            run.drive.append(driven - heard)
            run.draw.append(0.0 if late else now - driven)
            run.delay.append(now - arrival)
        if k % 500 == 0:
            give_back()
        if k % MEMORY_EVERY == 0:
            run.memory.append(resident_mb())
    run.cpu_s = time.process_time() - cpu
    return run


def summary(run: Run, lookahead_s: float, drawn: bool) -> dict[str, float]:
    """Milliseconds and megabytes."""
    drive, draw, delay = (1e3 * np.array(x) for x in (run.drive, run.draw, run.delay))
    shown = draw > 0
    facts = {"first_frame_ms": 1e3 * lookahead_s + delay[0]}
    for name, values in (("drive", drive), ("drive_and_draw", (drive + draw)[shown])):
        if name == "drive" or drawn:
            facts |= {f"{name}_p50_ms": np.percentile(values, 50), f"{name}_p99_ms": np.percentile(values, 99)}
    tenth = max(len(delay) // 10, 1)
    facts |= {
        "delay_p50_ms": np.percentile(delay, 50), "delay_p99_ms": np.percentile(delay, 99),
        "delay_first_tenth_ms": np.median(delay[:tenth]), "delay_last_tenth_ms": np.median(delay[-tenth:]),
        "delay_growth_ms": np.median(delay[-tenth:]) - np.median(delay[:tenth]),
        "memory_first_mb": run.memory[len(run.memory) // 10], "memory_last_mb": run.memory[-1],
        "memory_growth_mb_per_minute": growth(run.memory),
        "cpu_ms_per_frame": 1e3 * run.cpu_s / len(delay), "frames": len(delay), "dropped": run.dropped,
    }  # fmt: skip
    return {name: round(float(value), 2) for name, value in facts.items()}


def growth(memory: list[float]) -> float:
    """Slope over the second half of a run, MB a minute; what starts late has started by then."""
    half = np.array(memory[len(memory) // 2 :])
    if len(half) < 2:
        return 0.0
    minutes = np.arange(len(half)) * MEMORY_EVERY * PIECE / SAMPLE_RATE / 60
    return float(np.polyfit(minutes, half, 1)[0])


def verdict(facts: dict[str, float]) -> list[str]:
    """A line for each figure that is more than it may be."""
    return [
        f"NOT REACHED: {name} is {facts[name]:g}, {most:g} is the most" for name, most in WANTED.items()
        if name in facts and facts[name] > most
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--sound", type=Path, default=ROOT / "captures" / "ada_speech.wav")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--minutes", type=float, help="instead of --seconds")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--drive-only", action="store_true")
    parser.add_argument("--lookahead", type=int, default=round(1e3 * live.DEFAULT_LOOKAHEAD_S))
    parser.add_argument("-o", "--output", type=Path, help="JSON file")
    options = parser.parse_args()

    person = avatars.load(options.avatar)
    sound = read_audio(options.sound)
    lookahead, size = options.lookahead / 1e3, None if options.drive_only else options.size
    perform(Stream(person, lookahead_s=lookahead), sound, 1.0, size)  # fills caches, starts threads
    settle()
    seconds = options.seconds if options.minutes is None else 60.0 * options.minutes
    run = perform(Stream(person, lookahead_s=lookahead), sound, seconds, size)
    facts = {"lookahead_ms": options.lookahead, "size": size, **summary(run, lookahead, size is not None)}
    for name, value in facts.items():
        print(f"{name:<28} {value}")
    print("\n".join(verdict(facts)) or "All that is wanted was reached.")
    if options.output is not None:
        machine = machine_facts(person.n_gaussians, "auto")
        text = json.dumps({"avatar": options.avatar.name, "seconds": seconds, **facts, "machine": machine}, indent=1)
        with atomic_path(options.output) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    told(main)
