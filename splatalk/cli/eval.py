"""splatalk eval: measure an avatar on what it never saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from splatalk.cli.common import PATH, existing_avatar, existing_capture, report, shared_options
from splatalk.errors import UserError

if TYPE_CHECKING:
    from splatalk.evaluate.protocol import Mouth


@click.command("eval", short_help="Measure an avatar on what it never saw.")
@click.argument("avatar", type=PATH)
@click.option("--capture", required=True, type=PATH, help="The recording that the avatar was trained on.")
@click.option("-o", "--output", type=PATH, help="Folder for the page, the JSON and side-by-side frames.")
@click.option(
    "--mouth", type=click.Choice(["audio", "expression", "both"]), help="What drives it. Default: audio if it has any."
)
@click.option("--no-lpips", is_flag=True, help="Leave out LPIPS, the slowest figure.")
@click.option("--tracked-poses", is_flag=True, help="Keep the tracker's head poses; do not refine them on the frames.")
@click.option("--backend", default="auto", show_default=True, help="See `splatalk doctor`.")
@shared_options
def command(
    avatar: Path, capture: Path, output: Path | None, mouth: str | None, no_lpips: bool, tracked_poses: bool,
    backend: str, as_json: bool,
) -> None:  # fmt: skip
    """Compare an avatar with the last eleventh of its recording, which training leaves out.

    Image quality (full frame, person, face), lip movement and speed, each beside the recording's own figure.

    \b
    splatalk eval me.avatar --capture me.capture -o me_report
    """
    existing_avatar(avatar)
    existing_capture(capture)
    if output is not None and output.is_file():
        raise UserError(f"The output {output} is a file.", "Give the name of a folder.")

    from splatalk import avatar as avatars
    from splatalk.capture.dataset import Capture
    from splatalk.evaluate.protocol import evaluate

    person, recording = avatars.load(avatar), Capture.load(capture)
    measured = evaluate(
        person,
        recording,
        output,
        mouth=cast("Mouth | None", mouth),
        backend=backend,
        perceptual=not no_lpips,
        fit=not tracked_poses,
    )
    if as_json:
        report(True, {"command": "eval", "output": output, "report": json.loads(measured.to_json())}, "")
        return
    from rich.console import Console

    from splatalk.evaluate.report import table

    Console().print(table(measured))
    if output is not None:
        click.echo(f"{output / 'index.html'}: the page with side-by-side frames")
