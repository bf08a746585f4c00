"""splatalk render: a picture, a contact sheet of views, or a film from a moving camera."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from splatalk.cli.common import PATH, existing_avatar, existing_file, output_file, parse_size, report, shared_options
from splatalk.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from splatalk.avatar.controls import Performance
    from splatalk.avatar.model import Avatar
    from splatalk.export.sound import Sound

VIEW_YAWS = (-30.0, -15.0, 0.0, 15.0, 30.0)
VIEW_PITCHES = (15.0, 0.0, -15.0)


@click.command("render", short_help="Draw an avatar from any angle, or orbit it.")
@click.argument("avatar", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="A picture (.png .jpg .webp), or a film with --orbit.")
@click.option("--yaw", default=0.0, show_default=True, help="Degrees; positive looks from the subject's left.")
@click.option("--pitch", default=0.0, show_default=True, help="Degrees; positive looks from above.")
@click.option("--orbit", is_flag=True, help="A film in which the camera swings around the head.")
@click.option("--views", is_flag=True, help="One picture with fifteen views.")
@click.option("--swing", default=35.0, show_default=True, help="How far --orbit goes to each side, degrees.")
@click.option("--seconds", default=6.0, show_default=True, help="Length of --orbit when there is no --audio.")
@click.option("--audio", type=PATH, help="What is being said; without it the person rests.")
@click.option("--frame", default=0, show_default=True, help="Which frame of --audio a picture shows.")
@click.option("--background", default="plate", show_default=True, help="plate (as recorded) or a colour: #e8e8e8.")
@click.option("--size", help="Pixels: 512 or 640x480. Default: as recorded.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other head motion.")
@click.option("--backend", default="auto", show_default=True, help="See `splatalk doctor`.")
@shared_options
def command(
    avatar: Path, output: Path, yaw: float, pitch: float, orbit: bool, views: bool, swing: float, seconds: float,
    audio: Path | None, frame: int, background: str, size: str | None, seed: int, backend: str, as_json: bool,
) -> None:  # fmt: skip
    """Draw an avatar from a chosen angle. An existing picture or film is replaced.

    \b
    splatalk render me.avatar -o front.png
    splatalk render me.avatar -o side.png --yaw 30 --audio hello.wav --frame 40
    splatalk render me.avatar -o views.png --views
    splatalk render me.avatar -o orbit.mp4 --orbit
    """
    existing_avatar(avatar)
    if audio is not None:
        existing_file(audio, "a sound file", "Give a sound file such as WAV, MP3, M4A or FLAC.")
    if orbit and views:
        raise UserError("--orbit makes a film and --views a picture.", "Choose one of them.")
    if not 0 < seconds <= 3600:
        raise UserError(f"--seconds {seconds:g} is no length of a film.", "Use more than 0 and at most 3600.")
    pixels = parse_size(size)

    from splatalk.export import images, video

    output_file(output, video.SUFFIXES if orbit else images.SUFFIXES, inputs=(avatar, audio))

    from splatalk import avatar as avatars

    person = avatars.load(avatar)
    performance, sound = _performance(person, audio, seed, seconds if orbit else 0.0)
    if orbit:
        count = _orbit(person, performance, sound, output, swing, background, pixels, backend)
        facts = {"frames": count, "fps": person.fps}
        text = f"{output}: {count / person.fps:.1f} s"
    else:
        if not 0 <= frame < len(performance):
            raise UserError(f"There is no frame {frame}.", f"Use 0 to {len(performance) - 1}.")
        angles = [(y, p) for p in VIEW_PITCHES for y in VIEW_YAWS] if views else [(yaw, pitch)]
        picture = _picture(person, performance, frame, angles, background, pixels, backend)
        images.write_image(output, picture)
        facts = {"width": picture.shape[1], "height": picture.shape[0]}
        text = f"{output}: {picture.shape[1]}×{picture.shape[0]}"
    report(as_json, {"command": "render", "output": output, **facts}, text)


def _performance(person: Avatar, audio: Path | None, seed: int, seconds: float) -> tuple[Performance, Sound | None]:
    """The words of ``audio``, or ``seconds`` of rest."""
    from splatalk.drive.from_audio import from_audio
    from splatalk.export import views
    from splatalk.export.sound import read_sound
    from splatalk.speech.audio import read_audio

    if audio is None:
        return views.rest(person, max(1, round(seconds * person.fps))), None
    return from_audio(person, read_audio(audio), seed=seed), read_sound(audio)


def _orbit(
    person: Avatar, performance: Performance, sound: Sound | None, output: Path, swing: float,
    background: str, pixels: tuple[int, int] | None, backend: str,
) -> int:  # fmt: skip
    from splatalk import progress
    from splatalk.export import video, views

    cameras = views.orbit(person, len(performance), swing, tilt=swing / 5)
    with progress.bar("Orbiting", len(performance)) as step:

        def frames() -> Iterator[np.ndarray]:
            for picture in views.play_from(person, performance, cameras, background, pixels, backend):
                step()
                yield picture

        return video.write_video(output, frames(), person.fps, sound)


def _picture(
    person: Avatar, performance: Performance, frame: int, angles: list[tuple[float, float]],
    background: str, pixels: tuple[int, int] | None, backend: str,
) -> np.ndarray:  # fmt: skip
    import numpy as np

    from splatalk.export import views
    from splatalk.export.contact_sheet import contact_sheet

    moment = performance.select(np.full(len(angles), frame))
    cameras = [views.view(person, yaw, pitch) for yaw, pitch in angles]
    pictures = list(views.play_from(person, moment, cameras, background, pixels, backend))
    if len(pictures) == 1:
        return pictures[0]
    return contact_sheet(pictures, [f"yaw {y:+.0f}  pitch {p:+.0f}" for y, p in angles], len(VIEW_YAWS))
