"""Enrol recordings with one preset and write down time, memory and held-out quality.

    python -m benchmarks.enroll ../shared/captures/ada.mp4 ../shared/captures/wda_aoc.mp4 --preset fast --save

Each recording is enrolled by the command that a user types, in a process of its own, then evaluated on its held-out
tail. ``--save`` appends a row a recording to ``benchmarks/results/enroll.md`` and keeps the JSON beside it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
COLUMNS = (
    ("PSNR", "psnr.full"), ("LPIPS", "lpips.full"), ("SSIM", "ssim.full"), ("PSNR person", "psnr.person"),
    ("PSNR face", "psnr.face"), ("LMD px", "lmd.pixels"), ("mouth corr.", "mouth.correlation"),
)  # fmt: skip


def splatalk(*words: str) -> tuple[dict, float, float]:
    """Run one command; its JSON, wall seconds, and the largest memory any command took so far in MB."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "splatalk", *words, "--json"], capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"splatalk {' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return json.loads(done.stdout), seconds, peak


def measure(video: Path, preset: str, folder: Path) -> dict:
    """Enrol and evaluate one recording."""
    avatar = folder / f"{video.stem}.avatar"
    enrolled, seconds, peak = splatalk("enroll", str(video), "-o", str(avatar), "--preset", preset, "--keep-work")
    report, _, _ = splatalk("eval", str(avatar), "-o", str(folder / f"{video.stem}_eval"))
    return {"video": video.name, "preset": preset, "minutes": seconds / 60, "peak_mb": peak, "enroll": enrolled,
            "eval": report}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--save", action="store_true", help="write into benchmarks/results")
    parser.add_argument("--keep", type=Path, help="folder that keeps avatars and reports")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [measure(video, args.preset, folder) for video in args.videos]
    print(json.dumps(rows, indent=1))
    if args.save:
        RESULTS.mkdir(exist_ok=True)
        stamp = f"{datetime.date.today()}, {platform.machine()}"
        (RESULTS / f"enroll_{args.preset}.json").write_text(json.dumps({"when": stamp, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
