"""splatalk export: files that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splatalk.cli.common import PATH, existing_avatar, output_file, output_folder, parse_size, report, shared_options
from splatalk.cli.driving import Driving, driving_options
from splatalk.errors import UserError
from splatalk.export.formats import FORMATS, NAMES, Format, named

if TYPE_CHECKING:
    from splatalk.export.writers import Job

_TABLE = "\n".join(f"    {f.name:<12} {f.what}" for f in FORMATS)
_HELP = f"""Write an avatar for other programs. An earlier export of the same name is replaced.

    \b
{_TABLE}

    Stills are the person at rest, or --frame of what drives it; films and everything that plays need --audio, --text,
    --performance, --curves or --video. docs/exports.md says what opens each.

    \b
    splatalk export me.avatar --to ply -o me.ply
    splatalk export me.avatar --to usd --audio hello.wav -o hello.usdc
    splatalk export me.avatar --to spz --audio hello.wav --frame 40 -o oh.spz
    splatalk export me.avatar --to webm --text "Hello." --background transparent --camera orbit -o hello.webm
    """


@click.command("export", short_help="Write files for other programs.", help=_HELP)
@click.argument("avatar", type=PATH)
@click.option("--to", "kind", required=True, type=click.Choice(NAMES), metavar="KIND", help="The format, see above.")
@click.option("-o", "--output", required=True, type=PATH, help="A file, or a folder for ply-seq and png.")
@driving_options
@click.option("--frame", type=int, help="Which frame of the performance a still shows.")
@click.option("--camera", metavar="PATH", help="Of a film: front, orbit, or a JSON file of keyframes.")
@click.option("--yaw", type=float, help="Of a film: degrees; positive looks from the subject's left.")
@click.option("--pitch", type=float, help="Of a film: degrees; positive looks from above.")
@click.option("--size", help="Of a film: 512 or 640x480 pixels. Default: as recorded.")
@click.option("--background", help="Of a film: plate (as recorded), a colour (#e8e8e8), or transparent.")
@click.option("--backend", default="auto", show_default=True, help="See `splatalk doctor`.")
@shared_options
def command(
    avatar: Path, kind: str, output: Path, driving: Driving, frame: int | None, camera: str | None, yaw: float | None,
    pitch: float | None, size: str | None, background: str | None, backend: str, as_json: bool,
) -> None:  # fmt: skip
    form = named(kind)
    existing_avatar(avatar)
    drawing = {"--camera": camera, "--yaw": yaw, "--pitch": pitch, "--size": size, "--background": background}
    _check_options(form, driving, frame, drawing)
    driving.check()
    pixels = parse_size(size)
    _check_output(form, output, (avatar, *driving.inputs, None if camera in (None, "front", "orbit") else Path(camera)))
    write = form.writer()

    from splatalk import avatar as avatars
    from splatalk.export import camera_path
    from splatalk.export.writers import Job

    camera_path.check(camera or "front")
    person = avatars.load(avatar)
    job = Job(
        output, person, frame=frame, camera=camera or "front", yaw=yaw or 0.0, pitch=pitch or 0.0,
        background=background or "plate", size=pixels, backend=backend,
    )  # fmt: skip
    if driving.given:
        _drive(job, driving)
    facts = {**write(job), "bytes": _size(form, output)}
    report(as_json, {"command": "export", "format": kind, "output": output, **facts}, _line(output, facts))


def _check_options(form: Format, driving: Driving, frame: int | None, drawing: dict[str, Any]) -> None:
    """Options that mean nothing for a format are mistakes, told at once."""
    if form.plays == "never" and driving.given and frame is None:
        raise UserError(f"A still cannot speak, and {form.name} is one.", "Add --frame N, or use ply-seq or usd.")
    if form.plays == "never" and frame is not None and not driving.given:
        raise UserError("--frame is a frame of something.", "Add --audio X.wav or another source.")
    if form.plays != "never" and frame is not None:
        raise UserError(f"--frame is for stills, and {form.name} plays.", "Leave it out, or use ply, spz or glb.")
    if form.plays == "always":
        driving.require()
    given = [name for name, value in drawing.items() if value is not None]
    if given and not form.drawn:
        raise UserError(f"{given[0]} is for films and pictures, not {form.name}.", "Leave it out.")
    if drawing["--camera"] not in (None, "front") and (drawing["--yaw"] or drawing["--pitch"]):
        raise UserError("--yaw and --pitch are for a camera that stays.", "Leave them out, or use --camera front.")
    if drawing["--background"] == "transparent" and not form.alpha:
        raise UserError(f"{form.name} cannot be transparent.", "Use --to webm or --to png.")


def _check_output(form: Format, output: Path, inputs: tuple[Path | None, ...]) -> None:
    if form.suffixes:
        output_file(output, form.suffixes, inputs=inputs)
    else:
        output_folder(output, inputs=inputs)
    for path in form.companions(output):
        output_file(path, (path.suffix.lower(),), inputs=inputs)


def _drive(job: Job, driving: Driving) -> None:
    from splatalk.cli.driving import driven

    job.performance, job.sound = driven(job.avatar, driving)
    if job.frame is not None and not 0 <= job.frame < len(job.performance):
        raise UserError(f"There is no frame {job.frame}.", f"Use 0 to {len(job.performance) - 1}.")


def _size(form: Format, output: Path) -> int:
    """Bytes of everything that was written."""
    if output.is_dir():
        return sum(p.stat().st_size for p in output.iterdir())
    return sum(p.stat().st_size for p in [output, *form.companions(output)] if p.exists())


def _line(output: Path, facts: dict[str, Any]) -> str:
    what = f"{facts['frames']} frames" if facts.get("frames") else f"{facts.get('gaussians', 'all')} Gaussians"
    return f"{output}: {what}, {facts['bytes'] / 1e6:.1f} MB"
