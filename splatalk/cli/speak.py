"""splatalk speak: sound in, film out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splatalk.cli.common import PATH, existing_avatar, output_file, parse_size, report, shared_options
from splatalk.cli.driving import Driving, driving_options
from splatalk.cli.live import Live, Picture, live_options, speak_live
from splatalk.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from splatalk.avatar.controls import Performance


@click.command("speak", short_help="Let an avatar speak any sound; makes a film.")
@click.argument("avatar", type=PATH)
@click.option("-o", "--output", type=PATH, help="The film: .mp4, .mov or .mkv.")
@driving_options
@live_options
@click.option("--yaw", default=0.0, show_default=True, help="Degrees; positive looks from the subject's left.")
@click.option("--pitch", default=0.0, show_default=True, help="Degrees; positive looks from above.")
@click.option("--background", default="plate", show_default=True, help="plate (as recorded) or a colour: #e8e8e8.")
@click.option("--size", help="Pixels: 512 or 640x480. Default: as recorded.")
@click.option("--sheet", type=PATH, help="Also write a page of frames: .png, .jpg or .webp.")
@click.option("--backend", default="auto", show_default=True, help="See `splatalk doctor`.")
@click.option("--dry-run", is_flag=True, help="Only print what would drive it, second by second.")
@shared_options
def command(
    avatar: Path, output: Path | None, driving: Driving, live: Live, yaw: float, pitch: float, background: str,
    size: str | None, sheet: Path | None, backend: str, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Let an avatar speak a sound or a text of any length; the film has its sound. An existing film is replaced.

    \b
    splatalk speak me.avatar --audio hello.wav -o hello.mp4
    splatalk speak me.avatar --text "Nice to meet you." --emotion happy:0.6 -o meet.mp4
    splatalk speak me.avatar --audio mine.wav --listen-to theirs.wav -o talk.mp4
    splatalk speak me.avatar --audio talk.m4a --curves brows.csv -o talk.mp4
    splatalk speak me.avatar --video actor.mp4 -o copy.mp4
    splatalk speak me.avatar --audio talk.m4a -o talk.mp4 --yaw 20 --background "#e8e8e8"
    splatalk speak me.avatar --live -o talk.mp4 < talk.wav
    """
    existing_avatar(avatar)
    driving.check()
    pixels = parse_size(size)
    if live.on:
        if output is not None:
            from splatalk.export.video import SUFFIXES

            output_file(output, SUFFIXES, inputs=(avatar,))
        speak_live(avatar, output, driving, live, Picture(yaw, pitch, background, pixels, backend), as_json)
        return
    driving.require()

    from splatalk import avatar as avatars
    from splatalk.cli.driving import driven

    if dry_run:
        performance, _ = driven(avatars.load(avatar), driving)
        facts = _described(performance)
        report(as_json, {"command": "speak", "dry_run": True, **facts}, _table(facts))
        return

    from splatalk.export import contact_sheet, images, video

    if output is None:
        raise UserError("There is no name for the film.", "Add -o NAME.mp4, or --dry-run to make none.")
    output_file(output, video.SUFFIXES, inputs=(avatar, *driving.inputs))
    if sheet is not None:
        output_file(sheet, images.SUFFIXES, inputs=(avatar, *driving.inputs, output))

    import time

    from splatalk import progress
    from splatalk.drive.play import play
    from splatalk.export.views import view

    person = avatars.load(avatar)
    performance, sound = driven(person, driving)
    sampler = contact_sheet.Sampler(len(performance))
    began = time.perf_counter()
    with progress.bar("Speaking", len(performance)) as step:

        def frames() -> Iterator[np.ndarray]:
            pictures = play(person, performance, view(person, yaw, pitch), background, pixels, backend)
            for i, picture in enumerate(pictures):
                sampler.see(i, picture)
                step()
                yield picture

        count = video.write_video(output, frames(), person.fps, sound)
    seconds = time.perf_counter() - began
    if sheet is not None:
        images.write_image(sheet, sampler.sheet(person.fps))
    facts = {"command": "speak", "output": output, "sheet": sheet, "frames": count, "fps": person.fps}
    report(
        as_json,
        {**facts, "duration_s": count / person.fps, "render_fps": round(count / seconds, 2)},
        f"{output}: {count / person.fps:.1f} s, drawn at {count / seconds:.1f} frames/s"
        + (f"\n{sheet}: its frames" if sheet else ""),
    )


def _described(performance: Performance) -> dict[str, Any]:
    """What drives each second: head in degrees from its mean, blinks, and the curves that stand out."""
    import numpy as np

    from splatalk.avatar.controls import BLENDSHAPES
    from splatalk.drive.motion_columns import pose_columns

    turns = pose_columns(performance.head_pose, performance.head_pose[0])[:, :3]
    per_second = max(round(performance.fps), 1)
    seconds = []
    for start in range(0, len(performance), per_second):
        rows = slice(start, start + per_second)
        mean = performance.expression[rows].mean(0)
        strongest = [i for i in np.argsort(-mean)[:3] if mean[i] > 0.05]
        seconds.append({
            "second": start // per_second,
            "yaw_pitch_roll": [round(float(v), 1) for v in turns[rows].mean(0)],
            "curves": {BLENDSHAPES[i]: round(float(mean[i]), 2) for i in strongest},
        })  # fmt: skip
    mouth = "codes" if performance.mouth is not None else "sound" if performance.speech is not None else "rest"
    return {"frames": len(performance), "fps": performance.fps, "mouth": mouth, "seconds": seconds}


def _table(facts: dict[str, Any]) -> str:
    lines = [f"{facts['frames']} frames at {facts['fps']:g} a second; the mouth follows: {facts['mouth']}",
             "second   yaw  pitch   roll  curves"]  # fmt: skip
    for row in facts["seconds"]:
        yaw, pitch, roll = row["yaw_pitch_roll"]
        curves = ", ".join(f"{name} {value}" for name, value in row["curves"].items())
        lines.append(f"{row['second']:6d} {yaw:+5.1f}  {pitch:+5.1f}  {roll:+5.1f}  {curves}")
    return "\n".join(lines)
