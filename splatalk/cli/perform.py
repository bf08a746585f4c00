"""splatalk perform: what an avatar does over time, as a file to read, cut, join and edit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splatalk.cli.common import PATH, existing_avatar, existing_file, output_file, report, shared_options
from splatalk.cli.driving import Driving, driving_options
from splatalk.errors import UserError

if TYPE_CHECKING:
    from splatalk.avatar.controls import Performance
    from splatalk.avatar.model import Avatar


@click.command("perform", short_help="Write what an avatar does as a file that can be edited.")
@click.argument("avatar", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="NAME.performance, or NAME.csv for curves alone.")
@driving_options
@click.option("--cut", "span", metavar="FROM-TO", help="Keep this part, seconds: 1.2-3.5, or 2- to the end.")
@click.option("--speed", default=1.0, show_default=True, help="Faster or slower, the pitch of the voice kept.")
@click.option("--join", "others", multiple=True, type=PATH, help="Go on with another performance. May be repeated.")
@shared_options
def command(
    avatar: Path, output: Path, driving: Driving, span: str | None, speed: float, others: tuple[Path, ...],
    as_json: bool,
) -> None:  # fmt: skip
    """Write head, eyes, face and mouth over time as text, one line a frame, with its sound beside it.

    The file is JSON with named columns in degrees, centimetres and 0..1: change what you like and play it with
    `splatalk speak --performance`. Cutting comes first, then the speed, then joining.

    \b
    splatalk perform me.avatar --audio hello.wav -o hello.performance
    splatalk perform me.avatar --text "Good morning." --emotion happy:0.6 -o morning.performance
    splatalk perform me.avatar --performance hello.performance --cut 0-2 --join morning.performance -o both.performance
    splatalk speak me.avatar --performance both.performance -o both.mp4
    """
    existing_avatar(avatar)
    driving.check().require()
    for path in others:
        existing_file(path, "a performance", "Make one with: splatalk perform")
    output_file(output, (".performance", ".csv"), inputs=(avatar, *driving.inputs, *others))
    if output.suffix.lower() == ".performance":  # its sound lies beside it
        output_file(output.with_suffix(".wav"), (".wav",), inputs=(*driving.inputs, *others))
    start, end = _span(span)

    from splatalk import avatar as avatars
    from splatalk.cli.driving import driven
    from splatalk.drive.performance_file import write_performance

    person = avatars.load(avatar)
    performance = _edited(person, driven(person, driving)[0], start, end, speed, others)
    if output.suffix.lower() == ".csv":
        from splatalk.drive.curves import write_curves

        write_curves(output, person, performance)
    else:
        write_performance(output, person, performance)
    facts: dict[str, Any] = {"command": "perform", "output": output, "frames": len(performance), "fps": performance.fps}
    text = f"{output}: {len(performance)} frames, {len(performance) / performance.fps:.1f} s"
    report(as_json, {**facts, "sound": performance.audio is not None}, text)


def _edited(
    person: Avatar, performance: Performance, start: float, end: float | None, speed: float, others: tuple[Path, ...]
) -> Performance:
    from splatalk.drive import edit
    from splatalk.drive.performance_file import read_performance

    if start > 0 or end is not None:
        performance = edit.cut(performance, start, end)
    if speed != 1.0:
        performance = edit.retime(performance, speed)
    return edit.join([performance, *(read_performance(path, person) for path in others)])


def _span(text: str | None) -> tuple[float, float | None]:
    """``1.2-3.5`` → (1.2, 3.5); ``2-`` → (2.0, None)."""
    if text is None:
        return 0.0, None
    first, dash, last = text.partition("-")
    try:
        start, end = float(first or 0.0), float(last) if last.strip() else None
    except ValueError:
        start, end, dash = 0.0, None, ""
    if not dash or not start >= 0.0 or (end is not None and not start < end):
        raise UserError(f"--cut {text!r} is no part of a performance.", "Write it like 1.2-3.5, in seconds.")
    return start, end
