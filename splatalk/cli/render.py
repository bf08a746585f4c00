"""splatalk render: a picture, a contact sheet of views, or a film from a moving camera; also of exported Gaussians."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splatalk.cli.common import PATH, existing_avatar, output_file, parse_size, report, shared_options
from splatalk.cli.driving import Driving, driving_options
from splatalk.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from splatalk.avatar.controls import Performance
    from splatalk.avatar.model import Avatar
    from splatalk.export.sound import Sound

VIEW_YAWS = (-30.0, -15.0, 0.0, 15.0, 30.0)
VIEW_PITCHES = (15.0, 0.0, -15.0)
GAUSSIANS = (".ply", ".spz", ".glb")
SEE_THROUGH = (".png", ".webp", ".webm")


@dataclasses.dataclass(frozen=True)
class _Look:
    """How it is drawn: everything but who and what."""

    yaw: float
    pitch: float
    background: str
    size: tuple[int, int] | None
    backend: str


@click.command("render", short_help="Draw an avatar from any angle, or let the camera move.")
@click.argument("subject", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="A picture (.png .jpg .webp), or a film (.mp4 .webm).")
@click.option("--yaw", default=0.0, show_default=True, help="Degrees; positive looks from the subject's left.")
@click.option("--pitch", default=0.0, show_default=True, help="Degrees; positive looks from above.")
@click.option("--views", is_flag=True, help="One picture with fifteen views.")
@click.option("--orbit", is_flag=True, help="A film in which the camera swings around the head.")
@click.option("--swing", default=35.0, show_default=True, help="How far --orbit goes to each side, degrees.")
@click.option("--camera", metavar="PATH", help="A film: front, orbit, or a JSON file of keyframes.")
@click.option("--seconds", default=6.0, show_default=True, help="Length of a film in which nothing is said.")
@driving_options
@click.option("--frame", default=0, show_default=True, help="Which frame of what is said a picture shows.")
@click.option("--background", default="plate", show_default=True, help="plate (as recorded), #e8e8e8, or transparent.")
@click.option("--size", help="Pixels: 512 or 640x480. Default: as recorded.")
@click.option("--backend", default="auto", show_default=True, help="See `splatalk doctor`.")
@shared_options
def command(
    subject: Path, output: Path, yaw: float, pitch: float, views: bool, orbit: bool, swing: float, camera: str | None,
    seconds: float, driving: Driving, frame: int, background: str, size: str | None, backend: str, as_json: bool,
) -> None:  # fmt: skip
    """Draw an avatar, or Gaussians exported as PLY, SPZ or GLB. An existing picture or film is replaced.

    Gaussians of a file are drawn as one picture, in front of a colour, from the camera that the file names.

    \b
    splatalk render me.avatar -o front.png
    splatalk render me.avatar -o side.png --yaw 30 --audio hello.wav --frame 40
    splatalk render me.avatar -o views.png --views
    splatalk render me.avatar -o orbit.mp4 --orbit
    splatalk render me.avatar -o path.webm --camera path.json --background transparent
    splatalk render me.ply -o again.png
    """
    film = orbit or camera is not None
    if film and views:
        raise UserError("--orbit and --camera make a film, --views a picture.", "Choose one of them.")
    if orbit and camera is not None:
        raise UserError("--orbit is a camera path already.", "Leave --camera out.")
    if not 0 < seconds <= 3600:
        raise UserError(f"--seconds {seconds:g} is no length of a film.", "Use more than 0 and at most 3600.")
    look = _Look(yaw, pitch, background, parse_size(size), backend)

    from splatalk.export import camera_path, images, video

    camera_file = None if camera in (None, "front", "orbit") else Path(camera)
    output_file(
        output, video.SUFFIXES if film else images.SUFFIXES, inputs=(subject, camera_file, *driving.inputs)
    )  # fmt: skip
    if background == "transparent" and output.suffix.lower() not in SEE_THROUGH:
        raise UserError(f"{output} cannot be transparent.", f"Use one of {', '.join(SEE_THROUGH)}.")
    if camera is not None:
        camera_path.check(camera)
    if subject.suffix.lower() in GAUSSIANS:
        if film or views or driving.given:
            raise UserError(f"{subject} is a still: it neither moves nor speaks.", "Use an .avatar for that.")
        picture = _of_file(subject, look)
        images.write_image(output, picture)
        _report_picture(as_json, output, picture)
        return
    existing_avatar(subject)
    driving.check()

    from splatalk import avatar as avatars

    person = avatars.load(subject)
    performance, sound = _performance(person, driving, seconds if film else 0.0)
    if film:
        path = camera_path.cameras(person, camera or "orbit", len(performance), yaw, pitch, swing)
        count = _film(person, performance, sound, output, path, look)
        facts = {"command": "render", "output": output, "frames": count, "fps": person.fps}
        report(as_json, facts, f"{output}: {count / person.fps:.1f} s")
        return
    if not 0 <= frame < len(performance):
        raise UserError(f"There is no frame {frame}.", f"Use 0 to {len(performance) - 1}.")
    angles = [(y, p) for p in VIEW_PITCHES for y in VIEW_YAWS] if views else [(yaw, pitch)]
    picture = _picture(person, performance, frame, angles, look)
    images.write_image(output, picture)
    _report_picture(as_json, output, picture)


def _report_picture(as_json: bool, output: Path, picture: np.ndarray) -> None:
    height, width = picture.shape[:2]
    facts = {"command": "render", "output": output, "width": width, "height": height}
    report(as_json, facts, f"{output}: {width}×{height}")


def _performance(person: Avatar, driving: Driving, seconds: float) -> tuple[Performance, Sound | None]:
    """What is driven, or ``seconds`` of rest."""
    from splatalk.cli.driving import driven
    from splatalk.export import views

    if driving.given:
        return driven(person, driving)
    return views.rest(person, max(1, round(seconds * person.fps))), None


def _film(
    person: Avatar, performance: Performance, sound: Sound | None, output: Path, path: list[Any], look: _Look
) -> int:
    from splatalk import progress
    from splatalk.export import video, views
    from splatalk.export.canonical import provenance

    with progress.bar("Drawing", len(performance)) as step:

        def frames() -> Iterator[np.ndarray]:
            for picture in views.play_from(person, performance, path, look.background, look.size, look.backend):
                step()
                yield picture

        return video.write_video(output, frames(), person.fps, sound, provenance(person))


def _picture(
    person: Avatar, performance: Performance, frame: int, angles: list[tuple[float, float]], look: _Look
) -> np.ndarray:
    import numpy as np

    from splatalk.export import views
    from splatalk.export.contact_sheet import contact_sheet

    moment = performance.select(np.full(len(angles), frame))
    cameras = [views.view(person, yaw, pitch) for yaw, pitch in angles]
    pictures = list(views.play_from(person, moment, cameras, look.background, look.size, look.backend))
    if len(pictures) == 1:
        return pictures[0]
    if look.background == views.TRANSPARENT:
        raise UserError("A page of views is not transparent.", "Use a colour such as #e8e8e8.")
    return contact_sheet(pictures, [f"yaw {y:+.0f}  pitch {p:+.0f}" for y, p in angles], len(VIEW_YAWS))


def _of_file(path: Path, look: _Look) -> np.ndarray:
    from splatalk.export.splat_file import draw, read_splats

    splats, camera = read_splats(path)
    return draw(splats, camera, look.yaw, look.pitch, look.background, look.size, look.backend)
