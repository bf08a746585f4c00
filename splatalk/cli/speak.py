"""splatalk speak: sound in, film out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from splatalk.cli.common import PATH, existing_avatar, existing_file, output_file, parse_size, report, shared_options

if TYPE_CHECKING:
    import numpy as np

SOUND_ADVICE = "Give a sound file such as WAV, MP3, M4A or FLAC."


@click.command("speak", short_help="Let an avatar speak any sound; makes a film.")
@click.argument("avatar", type=PATH)
@click.option("--audio", required=True, type=PATH, help="What it says: WAV, MP3, M4A, FLAC, or a video's sound.")
@click.option("-o", "--output", required=True, type=PATH, help="The film: .mp4, .mov or .mkv.")
@click.option("--yaw", default=0.0, show_default=True, help="Degrees; positive looks from the subject's left.")
@click.option("--pitch", default=0.0, show_default=True, help="Degrees; positive looks from above.")
@click.option("--background", default="plate", show_default=True, help="plate (as recorded) or a colour: #e8e8e8.")
@click.option("--size", help="Pixels: 512 or 640x480. Default: as recorded.")
@click.option("--head", type=click.Choice(["natural", "still"]), default="natural", show_default=True)
@click.option("--seed", default=0, show_default=True, help="Another seed, other head motion.")
@click.option("--sheet", type=PATH, help="Also write a page of frames: .png, .jpg or .webp.")
@click.option("--backend", default="auto", show_default=True, help="See `splatalk doctor`.")
@shared_options
def command(
    avatar: Path, audio: Path, output: Path, yaw: float, pitch: float, background: str, size: str | None,
    head: str, seed: int, sheet: Path | None, backend: str, as_json: bool,
) -> None:  # fmt: skip
    """Let an avatar speak a recording, of any length; the film has its sound. An existing film is replaced.

    \b
    splatalk speak me.avatar --audio hello.wav -o hello.mp4
    splatalk speak me.avatar --audio talk.m4a -o talk.mp4 --yaw 20 --background "#e8e8e8"
    """
    existing_avatar(avatar)
    existing_file(audio, "a sound file", SOUND_ADVICE)
    pixels = parse_size(size)

    from splatalk.export import contact_sheet, images, video

    output_file(output, video.SUFFIXES, inputs=(avatar, audio))
    if sheet is not None:
        output_file(sheet, images.SUFFIXES, inputs=(avatar, audio, output))

    import time

    from splatalk import avatar as avatars
    from splatalk import progress
    from splatalk.drive.from_audio import from_audio
    from splatalk.drive.play import play
    from splatalk.export.sound import read_sound
    from splatalk.export.views import view
    from splatalk.speech.audio import read_audio

    person = avatars.load(avatar)
    sound = read_sound(audio)
    performance = from_audio(person, read_audio(audio), seed=seed, head="still" if head == "still" else "natural")
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
