"""splatalk train: the second half of enrolment."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splatalk import progress
from splatalk.cli.common import PATH, existing_capture, new_output, parse_settings, report, shared_options
from splatalk.cli.guard import resumable
from splatalk.config import DEFAULT_PRESET, Preset, load_preset

if TYPE_CHECKING:
    from splatalk.capture.dataset import Capture
    from splatalk.train.trainer import StepReport, Trainer

    Watch = Callable[[Trainer, StepReport], None]

view_option = click.option("--view", is_flag=True, help="Watch the training in the browser: pictures and curves.")


device_option = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
    help="Where to train; auto takes an NVIDIA GPU when one can be used.",
)  # fmt: skip


@click.command("train", short_help="Train on a capture: the second half of enroll.")
@click.argument("capture", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="The avatar: NAME.avatar.")
@click.option("--preset", default=DEFAULT_PRESET, show_default=True, help="demo, fast, quality, gpu or a .toml file.")
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change one field of the preset.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same avatar on one machine.")
@click.option("--resume/--fresh", default=True, show_default=True, help="Go on from an interrupted run, or start over.")
@click.option("--work", type=PATH, help="Folder for checkpoints, log and preview. Default: OUTPUT.work")
@click.option("--keep-work", is_flag=True, help="Keep that folder when done.")
@device_option
@click.option("--force", is_flag=True, help="Replace an avatar of that name.")
@view_option
@shared_options
def command(
    capture: Path, output: Path, preset: str, settings: tuple[str, ...], seed: int, resume: bool,
    work: Path | None, keep_work: bool, device: str, force: bool, view: bool, as_json: bool,
) -> None:  # fmt: skip
    """Train an avatar on a capture. An interrupted run goes on where it stopped.

    \b
    splatalk train me.capture -o me.avatar --preset fast
    splatalk train me.capture -o me.avatar --view
    splatalk train me.capture -o me.avatar --fresh --force --set speech=mel
    """
    existing_capture(capture)
    new_output(output, ".avatar", force)
    chosen = load_preset(preset, parse_settings(settings))
    from splatalk.capture.dataset import Capture

    work = work or default_work(output)
    recording = Capture.load(capture)
    with watched(output, view) as watch:
        facts = train_into(recording, output, chosen, seed, resume, work / "train", device, watch)
    if not keep_work:
        clear_work(work)
    report(as_json, {"command": "train", **facts}, describe(facts))


def default_work(output: Path) -> Path:
    return output.with_name(output.name + ".work")


@contextlib.contextmanager
def watched(output: Path, view: bool) -> Iterator[Watch | None]:
    """While the block runs, a page shows the training to whoever opens it. What happens to the page changes nothing.

    Yields:
        what ``train_into`` is to be watched by; None without ``view``.

    Raises:
        UserError: the player is not built.
    """
    if not view:
        yield None
        return
    from splatalk.export.player import bundle
    from splatalk.serve.guard import Guard
    from splatalk.serve.run import Server
    from splatalk.serve.site import page
    from splatalk.serve.training import TrainingView, training_application

    guard, watch = Guard("127.0.0.1"), TrainingView(output.stem)
    server = Server(guard, training_application(guard, page(bundle(), "training"), watch))
    with server.beside(open_browser=True):
        progress.note(f"The training is shown at {server.url}")
        yield watch
        watch.finish()


def train_into(
    recording: Capture,
    output: Path,
    preset: Preset,
    seed: int,
    resume: bool,
    work: Path,
    device: str,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Train and return the facts of the new avatar."""
    from splatalk.train.run import train

    began = time.perf_counter()
    with resumable(f"The training so far is kept in {work}: run the same command again to go on."):
        avatar = train(recording, output, preset, seed=seed, resume=resume, work=work, device=device, watch=watch)
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
