"""Enrol recordings with one preset and write down time, memory and held-out quality.

    python -m benchmarks.enroll ada.mp4 clip.mp4 --preset fast --save

Each recording is enrolled by the command that a user types, in a process of its own, then evaluated on its held-out
tail. ``--save`` writes ``benchmarks/results/enroll_PRESET.md`` and the figures as JSON beside it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from splatalk.evaluate.machine import machine_facts

RESULTS = Path(__file__).parent / "results"
COLUMNS = {
    "psnr_full": "PSNR full", "psnr_person": "PSNR person", "psnr_face": "PSNR face", "ssim_full": "SSIM full",
    "lpips_full": "LPIPS full", "lpips_face": "LPIPS face", "lmd_px": "LMD px", "lmd_eyes": "LMD % of eye distance",
    "opening_correlation": "mouth corr.", "shapes_mouth": "mouth shapes error", "silence_moving": "silence moving %",
    "wobble": "wobble px", "fps": "frames/s",
}  # fmt: skip


def splatalk(*words: str) -> tuple[dict, float, float]:
    """Run one command; its JSON, wall seconds, and the largest memory any command took so far, MB."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "splatalk", *words, "--json"], capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"splatalk {' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return json.loads(done.stdout), seconds, peak


def measure(video: Path, preset: str, folder: Path) -> dict:
    """Enrol and evaluate one recording."""
    avatar, work = folder / f"{video.stem}.avatar", folder / f"{video.stem}.work"
    words = ("enroll", str(video), "-o", str(avatar), "--preset", preset, "--work", str(work), "--keep-work", "--force")
    enrolled, seconds, peak = splatalk(*words)
    page = folder / f"{video.stem}_eval"
    found, _, _ = splatalk("eval", str(avatar), "--capture", str(work / "recording.capture"), "-o", str(page))
    row = {"recording": video.name, "minutes": round(seconds / 60, 1), "peak_mb": round(peak)}
    row |= {"gaussians": enrolled.get("gaussians"), "megabytes": round(avatar.stat().st_size / 1e6, 1)}
    report = found["report"]
    return {**row, "avatar": report["avatar"], "itself": report["recording"], "notes": report["notes"]}


def table(rows: list[dict], preset: str) -> str:
    """Markdown: one column a recording, the recording's own figures in brackets."""
    facts = machine_facts(0, "auto")
    lines = [
        f"# Enrolment with the preset `{preset}`",
        "",
        f"{datetime.date.today()}; {facts.get('processor', 'unknown processor')}, {os.cpu_count()} cores.",
        f"Command: `python -m benchmarks.enroll {' '.join(r['recording'] for r in rows)} --preset {preset} --save`.",
        "In brackets: the recording's own figure (re-encoded and tracked again), the floor of the measurement.",
        "",
        "| | " + " | ".join(r["recording"] for r in rows) + " |",
        "|---" * (len(rows) + 1) + "|",
    ]
    for key in ("minutes", "peak_mb", "megabytes"):
        lines.append(f"| {key} | " + " | ".join(str(r[key]) for r in rows) + " |")
    for key, name in COLUMNS.items():
        cells = [f"{_cell(r['avatar'].get(key))} ({_cell(r['itself'].get(key))})" for r in rows]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", *(f"{r['recording']}: {note}" for r in rows for note in r["notes"])]
    return "\n".join(lines) + "\n"


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--save", action="store_true", help="write into benchmarks/results")
    parser.add_argument("--keep", type=Path, help="folder that keeps avatars, captures and reports")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [measure(video, args.preset, folder) for video in args.videos]
    text = table(rows, args.preset)
    print(text)
    if args.save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"enroll_{args.preset}.md").write_text(text, encoding="utf-8")
        (RESULTS / f"enroll_{args.preset}.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
