"""splatalk train: the second half of enrolment."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splatalk.cli.common import PATH, existing_capture, new_output, parse_settings, report, shared_options
from splatalk.cli.guard import resumable
from splatalk.config import DEFAULT_PRESET, Preset, load_preset

if TYPE_CHECKING:
    from splatalk.capture.dataset import Capture


@click.command("train", short_help="Train on a capture: the second half of enroll.")
@click.argument("capture", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="The avatar: NAME.avatar.")
@click.option("--preset", default=DEFAULT_PRESET, show_default=True, help="demo, fast, quality, gpu or a .toml file.")
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change one field of the preset.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same avatar on one machine.")
@click.option("--resume/--fresh", default=True, show_default=True, help="Go on from an interrupted run, or start over.")
@click.option("--work", type=PATH, help="Folder for checkpoints, log and preview. Default: OUTPUT.work")
@click.option("--keep-work", is_flag=True, help="Keep that folder when done.")
@click.option("--force", is_flag=True, help="Replace an avatar of that name.")
@shared_options
def command(
    capture: Path, output: Path, preset: str, settings: tuple[str, ...], seed: int, resume: bool,
    work: Path | None, keep_work: bool, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Train an avatar on a capture. An interrupted run goes on where it stopped.

    \b
    splatalk train me.capture -o me.avatar --preset fast
    splatalk train me.capture -o me.avatar --fresh --force --set speech=mel
    """
    existing_capture(capture)
    new_output(output, ".avatar", force)
    chosen = load_preset(preset, parse_settings(settings))
    from splatalk.capture.dataset import Capture

    work = work or default_work(output)
    recording = Capture.load(capture)
    facts = train_into(recording, output, chosen, seed, resume, work / "train")
    if not keep_work:
        clear_work(work)
    report(as_json, {"command": "train", **facts}, describe(facts))


def default_work(output: Path) -> Path:
    return output.with_name(output.name + ".work")


def train_into(recording: Capture, output: Path, preset: Preset, seed: int, resume: bool, work: Path) -> dict[str, Any]:
    """Train and return the facts of the new avatar."""
    from splatalk.train.run import train

    began = time.perf_counter()
    with resumable(f"The training so far is kept in {work}: run the same command again to go on."):
        avatar = train(recording, output, preset, seed=seed, resume=resume, work=work)
    return {
        "output": output,
        "preset": preset.name,
        "gaussians": avatar.n_gaussians,
        "bytes": output.stat().st_size,
        "seconds": round(time.perf_counter() - began, 1),
    }


def clear_work(work: Path) -> None:
    """Remove what enrolment made in its work folder, and the folder if nothing else is in it."""
    from splatalk import files

    for name in ("train", "recording.capture", ".recording.capture.unfinished", "enroll.json"):
        files.remove(work / name)
    if work.is_dir() and not any(work.iterdir()):
        work.rmdir()


def describe(facts: dict[str, Any]) -> str:
    from splatalk.progress import format_seconds

    lines = [
        f"{facts['output']}: {facts['gaussians']} Gaussians, {facts['bytes'] / 1e6:.1f} MB, "
        f"made in {format_seconds(facts['seconds'])} with the preset {facts['preset']}",
        f"Let it speak: splatalk speak {facts['output']} --audio WORDS.wav -o film.mp4",
    ]
    return "\n".join(lines)
