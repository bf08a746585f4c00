"""How well the mouth follows sound that was never enrolled, against the truth of how the person says it.

python -m benchmarks.lips AVATAR [--recordings ../shared/captures] [--names ada_drive1 ada_drive2]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.common import shared_recordings, told
from splatalk import avatar as avatars
from splatalk import progress
from splatalk.avatar.model import Avatar
from splatalk.drive.from_audio import from_audio
from splatalk.drive.play import play
from splatalk.evaluate import motion
from splatalk.evaluate.machine import machine_facts
from splatalk.evaluate.tracking import track_faces
from splatalk.files import atomic_path
from splatalk.speech.audio import read_audio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--recordings", type=Path, help="folder with NAME.wav and NAME_gt.npz")
    parser.add_argument("--names", nargs="+", default=["ada_drive1", "ada_drive2"])
    parser.add_argument("-o", "--output", type=Path, help="JSON file")
    options = parser.parse_args()

    folder = options.recordings or shared_recordings()
    person = avatars.load(options.avatar)
    rows = {name: measure(person, folder, name) for name in options.names}
    print(f"{'recording':<14} {'frames':>6} {'correlation':>12} {'best':>7} {'delay':>6} {'closure':>8} {'range':>8}")
    for name, row in rows.items():
        line = "{frames:>6} {correlation:>12.3f} {best:>7.3f} {delay:>6} {closure:>8.2f} {range_cm:>6.2f}cm"
        print(f"{name:<14} {line.format(**row)}")
    if options.output:
        with atomic_path(options.output) as path:
            path.write_text(json.dumps({"rows": rows, "machine": machine_facts(person.n_gaussians, "auto")}, indent=1))


def measure(person: Avatar, folder: Path, name: str) -> dict[str, float]:
    """Figures of one recording: correlation of tracked opening with true opening, its best value and delay (frames).

    ``closure``: 1 when lips that truly are sealed are as closed in the picture as the avatar's mouth ever is (5th
    percentile), 0 when they are as open as it ever is (95th). ``range_cm``: true range of opening, for scale.
    """
    with np.load(folder / f"{name}_gt.npz", allow_pickle=False) as truth:
        true_opening = truth["lip_opening_cm"].astype(np.float64)
        sealed = truth["bilabial_close"] > 0.9
    performance = from_audio(person, read_audio(folder / f"{name}.wav"), seed=0, head="still")
    with progress.bar(f"Speaking {name}", len(performance)) as step:
        opening = track_faces(play(person, performance), step).opening()
    n = min(len(opening), len(true_opening))
    opening, true_opening, sealed = opening[:n], true_opening[:n], sealed[:n]
    delay, best = motion.best_lag(opening, true_opening, np.arange(n))
    low, high = motion.spread(opening)
    true_low, true_high = motion.spread(true_opening)
    return {
        "frames": n,
        "correlation": motion.correlation(opening, true_opening),
        "best": best,
        "delay": delay,
        "closure": 1 - (motion.mean(opening[sealed]) - low) / (high - low),
        "range_cm": true_high - true_low,
    }


if __name__ == "__main__":
    told(main)
