"""What a compact avatar costs and what it shows: bytes, PSNR against the full avatar, seconds.

python -m benchmarks.compact AVATAR SOUND [--seconds 30] [-o benchmarks/results/compact.md]
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import told
from splatalk import avatar as avatars
from splatalk import progress
from splatalk.avatar.controls import Performance
from splatalk.avatar.model import Avatar
from splatalk.drive.from_audio import from_audio
from splatalk.drive.play import background_image
from splatalk.evaluate.machine import machine_facts
from splatalk.export import compact as compacts
from splatalk.export.compact import Compact, EncodedSound, Track
from splatalk.export.compact.judge import psnr
from splatalk.export.compact.plate import decode_plate
from splatalk.export.sound import Sound, read_sound
from splatalk.export.views import view
from splatalk.files import atomic_path
from splatalk.render.rasterize import rasterize
from splatalk.speech.audio import SAMPLE_RATE, read_audio

TARGETS = (35.0, 40.0, 45.0, 50.0)
"""dB inside the face's box."""
YAWS = (0.0, 20.0)
FRAMES = 24
"""Frames that are drawn with both."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("avatar", type=Path)
    parser.add_argument("sound", type=Path)
    parser.add_argument("--seconds", type=float, help="how much of it")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file")
    options = parser.parse_args()

    person = avatars.load(options.avatar)
    samples = read_audio(options.sound)
    heard = read_sound(options.sound)
    if options.seconds:
        samples = samples[: round(options.seconds * SAMPLE_RATE)]
        heard = Sound(heard.samples[:, : round(options.seconds * heard.rate)], heard.rate)
    performance = from_audio(person, samples)
    sound = compacts.encode_sound(heard)
    rows, kept = [], {}
    settings = [(f"performance, {db:g} dB", performance, db) for db in TARGETS] + [("whole avatar, 45 dB", None, 45.0)]
    with progress.bar("Distilling", len(settings), unit="setting") as step:
        for name, shown, target in settings:
            row, kept[name] = measure(person, performance, shown, target, sound)
            rows.append((name, row))
            step(1)
    lines = [*conditions(person, performance, sound), "", *table(rows), "", *live(person, performance, kept)]
    print("\n".join(lines))
    if options.output:
        with atomic_path(options.output) as path:
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def measure(
    person: Avatar, performance: Performance, shown: Performance | None, target: float, sound: EncodedSound
) -> tuple[dict[str, str], Compact]:
    """Figures of one setting.

    Args:
        shown: what the bases are made from; None for all that the avatar can do.
        target: dB inside the face's box.
    """
    began, busy = time.perf_counter(), time.process_time()
    compact = compacts.distil(person, shown, error_db=target)
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    track = compacts.track_of(person, compact, performance)
    packed, bare = len(compacts.to_bytes(compact, track, sound)), len(compacts.to_bytes(compact))
    motion = len(compacts.to_bytes(compact, track)) - bare
    minutes = len(performance) / performance.fps / 60.0
    still = {name: basis[:0] for name, basis in compact.bases.items()}
    at_rest = len(compacts.to_bytes(dataclasses.replace(compact, bases=still)))
    contents = compacts.read(compacts.to_bytes(compact, track))
    assert contents.track is not None
    row = {
        "ranks": " ".join(str(rank) for rank in compact.ranks.values()),
        "file, MB": f"{packed / 1e6:.2f}",
        "at rest, MB": f"{at_rest / 1e6:.2f}",
        "bases, MB": f"{(bare - at_rest) / 1e6:.2f}",
        "a minute more, MB": f"{(motion + len(sound.data)) / minutes / 1e6:.2f}",
        "held out: picture / face / worst, dB": "{psnr_db} / {face_db} / {worst_frame_db}".format(**compact.error),
    }
    for yaw in YAWS:
        errors = pictures_error(person, performance, contents.compact, contents.track, yaw)
        row[f"{yaw:g}°: mean / worst, dB"] = f"{psnr(float(np.mean(errors)))} / {psnr(max(errors))}"
    row["seconds (processor)"] = f"{seconds:.0f} ({busy:.0f})"
    return row, compact


def pictures_error(person: Avatar, performance: Performance, compact: Compact, track: Track, yaw: float) -> list[float]:
    """Mean squared error of frames over the whole performance, each with its own plate."""
    camera = view(person, yaw, 0.0)
    plate = background_image(person, "plate", camera)
    packed = torch.from_numpy(decode_plate(compact.plate)).float() / 255.0
    errors = []
    for i in np.linspace(0, len(performance) - 1, FRAMES).astype(int):
        truth = rasterize(person.pose(performance.frame(i)), camera, plate).image.clamp(0, 1)
        splats = compacts.posed(compact, track.coefficients[i], track.head[i], track.torso[i])
        errors.append(float((rasterize(splats, camera, packed).image.clamp(0, 1) - truth).square().mean()))
    return errors


def conditions(person: Avatar, performance: Performance, sound: EncodedSound) -> list[str]:
    facts = machine_facts(person.n_gaussians, "auto")
    return [
        "# Compact avatars",
        "",
        f"`python -m benchmarks.compact {' '.join(Path(a).name for a in sys.argv[1:])}`",
        "",
        *(f"* {name}: {value}" for name, value in facts.items()),
        f"* Performance: {len(performance)} frames; sound {len(sound.data) / 1e3:.0f} kB ({sound.mime})",
        "",
        "Ranks: means, rotation, log-scales, opacity, colour. Sizes are packed; the file holds track and sound too.",
        "PSNR is against the full avatar: on frames held out, as the file's header says, and on",
        f"{FRAMES} frames over the whole performance made from the file's bytes. Seconds include everything but the",
        "track; in brackets, of processor time, which other programs on the machine lengthen less.",
    ]


def table(rows: list[tuple[str, dict[str, str]]]) -> list[str]:
    columns = list(rows[0][1])
    lines = [f"| made from, asked for | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    return lines + [f"| {name} | {' | '.join(row.values())} |" for name, row in rows]


def live(person: Avatar, performance: Performance, kept: dict[str, Compact]) -> list[str]:
    """Time of one frame's coefficients on one thread: least of many."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    g, compact = person.gaussians, list(kept.values())[-1]
    with torch.no_grad():
        features = person.deformation.features(g.means[g.dynamic])
        offsets = person.offsets(person.tokens(performance.frame(0)), features)
    projector = compacts.LiveProjector(person, compact)
    ways = {
        "coefficients of given offsets": lambda: compacts.coefficients(compact, offsets),
        "network on the Gaussians looked at, and coefficients": lambda: projector(performance.frame(1)),
        "network on all": lambda: person.offsets(person.tokens(performance.frame(1)), features),
    }
    lines = ["| one frame, one thread | ms |", "|---|---|"]
    with torch.no_grad():
        lines += [f"| {name} | {least(way):.1f} |" for name, way in ways.items()]
    torch.set_num_threads(threads)
    return lines


def least(way, repeats: int = 60) -> float:
    """Milliseconds."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        way()
        times.append(time.perf_counter() - began)
    return 1e3 * min(times)


if __name__ == "__main__":
    told(main)
