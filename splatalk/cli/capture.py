"""splatalk capture: the first half of enrolment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splatalk.cli.common import PATH, VIDEO_ADVICE, existing_file, new_output, output_file, report, shared_options
from splatalk.cli.consent import consent_options, obtain
from splatalk.cli.guard import resumable
from splatalk.errors import UserError

if TYPE_CHECKING:
    from splatalk.capture.dataset import Capture
    from splatalk.consent import Consent


@click.command("capture", short_help="Track a recording: the first half of enroll.")
@click.argument("video", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="The capture, a folder: NAME.capture.")
@click.option("--size", default=512, show_default=True, help="Longer side of the normalised frames, pixels.")
@click.option("--person", type=click.IntRange(min=1), help="Which face when there are several, from the left.")
@consent_options
@click.option("--preview", type=PATH, help="Also write a film with mesh, head axes and matte drawn in: NAME.mp4.")
@click.option("--force", is_flag=True, help="Replace a capture of that name.")
@shared_options
def command(
    video: Path, output: Path, size: int, person: int | None, consent: Consent | None, preview: Path | None,
    force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Track a recording of one person: frames, face, pose, matte, sound, and a report on its quality.

    A recording that cannot be enrolled is refused within seconds, with the reason.

    \b
    splatalk capture me.mp4 -o me.capture --consent "I am the person in it."
    splatalk capture me.mp4 -o me.capture --preview tracked.mp4
    splatalk train me.capture -o me.avatar
    """
    existing_file(video, "a video", VIDEO_ADVICE)
    new_output(output, ".capture", force, inputs=(video,))
    if preview is not None:
        output_file(preview, (".mp4",), inputs=(video,))
    check_size(size)
    agreed = obtain(consent, video)
    from splatalk import capture as captures

    with resumable("What was tracked so far is kept: run the same command again to go on."):
        capture = captures.record(
            video, output, size=size, person=person, consent=agreed.to_json() if agreed else None, preview=preview
        )
    text = "\n".join([f"{output}: {describe(capture)}", *remarks(capture), f"The whole report: {report_of(capture)}"])
    facts = {"command": "capture", "output": output, **summary(capture), "report": report_of(capture)}
    report(as_json, facts, text)


def check_size(size: int) -> None:
    if not 128 <= size <= 2048 or size % 16:
        raise UserError(f"--size {size} cannot be used.", "Use a multiple of 16 from 128 to 2048, such as 512.")


def summary(capture: Capture) -> dict[str, Any]:
    """The facts of a capture that people ask for."""
    return {
        "frames": capture.n_frames,
        "fps": capture.fps,
        "seconds": round(capture.n_frames / capture.fps, 2),
        "width": capture.camera.width,
        "height": capture.camera.height,
        "usable": round(float(capture.tracks.valid.mean()), 4),
        "quality": capture.meta.get("quality", {}),
    }


def report_of(capture: Capture) -> Path | None:
    """The page that tells the quality of the recording; None in captures of earlier versions, which have a picture."""
    path = capture.path / "report.html"
    return path if path.is_file() else None


def remarks(capture: Capture) -> list[str]:
    """What is wrong with a recording and what would make it better, a line each."""
    quality = capture.meta.get("quality", {})
    grade = quality.get("grade")
    told = [f"Quality of the recording: {grade['word']}, {grade['points']} of 100 points"] if grade else []
    told += [f"Warning: {line}" for line in quality.get("warnings", [])]
    return told + [f"To do better: {line}" for line in quality.get("advice", [])]


def describe(capture: Capture) -> str:
    """One line for people."""
    facts = summary(capture)
    shape = f"{facts['width']}×{facts['height']}, {facts['frames']} frames, {facts['seconds']:.1f} s"
    return f"{shape}, {100 * facts['usable']:.0f} % of them usable"
