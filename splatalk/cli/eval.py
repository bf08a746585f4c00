"""splatalk eval: measure an avatar on what it never saw."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from splatalk.cli.common import PATH, existing_avatar, existing_capture, existing_file, report, shared_options
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
@click.option("--phonemes", multiple=True, type=PATH, help="Times of phonemes, JSON; else p, b and m are heard.")
@click.option("--drive", multiple=True, type=PATH, help="Speech that it never heard: a sound, or a film of the person.")
@click.option("--truth", multiple=True, type=PATH, help="How the person says that: a film or an .npz; one a --drive.")
@click.option("--text", multiple=True, help="What is said in a --drive: synthetic voices then say it too.")
@click.option("--language", default="en-us", show_default=True, help="Of --text: en-gb, de, fr …")
@click.option("--quick", is_flag=True, help="No LPIPS, no refined poses, no other voice; nothing drawn of --drive.")
@click.option("--no-lpips", is_flag=True, help="Leave out LPIPS, the slowest figure.")
@click.option("--tracked-poses", is_flag=True, help="Keep the tracker's head poses; do not refine them on the frames.")
@click.option("--backend", default="auto", show_default=True, help="See `splatalk doctor`.")
@shared_options
def command(
    avatar: Path, capture: Path, output: Path | None, mouth: str | None, phonemes: tuple[Path, ...],
    drive: tuple[Path, ...], truth: tuple[Path, ...], text: tuple[str, ...], language: str, quick: bool, no_lpips: bool,
    tracked_poses: bool, backend: str, as_json: bool,
) -> None:  # fmt: skip
    """Compare an avatar with the last eleventh of its recording, which training leaves out.

    Image quality (full frame, person, face), lip movement and speed, each beside the recording's own figure. With
    --drive also on speech from elsewhere: a second film of the person, or a sound with its truth. --phonemes are then
    those of each --drive, otherwise those of the recording.

    \b
    splatalk eval me.avatar --capture me.capture -o me_report
    splatalk eval me.avatar --capture me.capture --drive second_film.mp4 -o me_report
    splatalk eval me.avatar --capture me.capture --drive talk.wav --truth talk.mp4 --phonemes talk.json --quick
    """
    existing_avatar(avatar)
    existing_capture(capture)
    _check(drive, truth, phonemes, text)
    if output is not None and output.is_file():
        raise UserError(f"The output {output} is a file.", "Give the name of a folder.")

    from splatalk import avatar as avatars
    from splatalk.capture.dataset import Capture
    from splatalk.evaluate.protocol import evaluate
    from splatalk.evaluate.spoken import Drive

    person, recording = avatars.load(avatar), Capture.load(capture)
    measured = evaluate(
        person,
        recording,
        output,
        mouth=cast("Mouth | None", mouth),
        backend=backend,
        perceptual=not (no_lpips or quick),
        fit=not (tracked_poses or quick),
        voices=not quick,
        phonemes=phonemes[0] if phonemes and not drive else None,
        drives=[
            Drive(*given, language=language)
            for given in itertools.zip_longest(drive, truth, phonemes if drive else (), text)
        ],
        draw_drives=not quick,
    )
    if as_json:
        report(True, {"command": "eval", "output": output, "report": json.loads(measured.to_json())}, "")
        return
    from rich.console import Console

    from splatalk.evaluate.report import spoken_table, table

    Console().print(table(measured))
    for spoken in measured.spoken:
        Console().print(spoken_table(measured, spoken))
    if output is not None:
        click.echo(f"{output / 'index.html'}: the page with side-by-side frames")


def _check(drive: tuple[Path, ...], truth: tuple[Path, ...], phonemes: tuple[Path, ...], text: tuple[str, ...]) -> None:
    """Raises UserError: a file is missing, or files cannot be told apart."""
    for path in (*drive, *truth, *phonemes):
        existing_file(path, "a file", "Check the path.")
    if len(truth) not in (0, len(drive)):
        raise UserError(f"There are {len(drive)} --drive and {len(truth)} --truth.", "Give one a --drive.")
    if len(text) not in (0, len(drive)):
        raise UserError(f"There are {len(drive)} --drive and {len(text)} --text.", "Give one a --drive.")
    if len(phonemes) not in (0, max(len(drive), 1)):
        wanted = "one --phonemes for each --drive" if drive else "one --phonemes, for the recording"
        raise UserError(f"There are {len(phonemes)} --phonemes.", f"Give {wanted}.")
