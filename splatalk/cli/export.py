"""splatalk export: files that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from splatalk.cli.common import PATH, existing_avatar, existing_file, output_file, report, shared_options
from splatalk.errors import UserError


@click.command("export", short_help="Write PLY files for other programs.")
@click.argument("avatar", type=PATH)
@click.option("--to", "kind", required=True, type=click.Choice(["ply", "ply-seq"]), help="The format.")
@click.option("-o", "--output", required=True, type=PATH, help="A .ply file, or a folder for ply-seq.")
@click.option("--audio", type=PATH, help="What a ply-seq says.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other head motion.")
@shared_options
def command(avatar: Path, kind: str, output: Path, audio: Path | None, seed: int, as_json: bool) -> None:
    """Write an avatar's Gaussians for other programs. An earlier export of the same name is replaced.

    \b
    ply      the Gaussians at rest, in one file that Gaussian-splatting viewers open
    ply-seq  a folder with one file a frame, the sound, and a manifest.json

    \b
    splatalk export me.avatar --to ply -o me.ply
    splatalk export me.avatar --to ply-seq --audio hello.wav -o hello_frames
    """
    existing_avatar(avatar)
    if kind == "ply":
        if audio is not None:
            raise UserError("A single PLY does not speak.", "Use --to ply-seq, or leave --audio out.")
        output_file(output, (".ply",), inputs=(avatar,))
        facts, text = _ply(avatar, output)
    else:
        if audio is None:
            raise UserError("A sequence needs something to say.", "Give --audio X.wav.")
        existing_file(audio, "a sound file", "Give a sound file such as WAV, MP3, M4A or FLAC.")
        facts, text = _sequence(avatar, audio, output, seed)
    report(as_json, {"command": "export", "format": kind, "output": output, **facts}, text)


def _ply(avatar: Path, output: Path) -> tuple[dict[str, Any], str]:
    from splatalk import avatar as avatars
    from splatalk.export.canonical import canonical_splats, provenance
    from splatalk.export.ply import write_ply

    person = avatars.load(avatar)
    splats = canonical_splats(person)
    write_ply(output, splats, provenance(person))
    size = output.stat().st_size
    return {"gaussians": len(splats), "bytes": size}, f"{output}: {len(splats)} Gaussians, {size / 1e6:.1f} MB"


def _sequence(avatar: Path, audio: Path, output: Path, seed: int) -> tuple[dict[str, Any], str]:
    from splatalk import avatar as avatars
    from splatalk import progress
    from splatalk.drive.from_audio import from_audio
    from splatalk.export.canonical import scene_facts
    from splatalk.export.clip import Clip
    from splatalk.export.ply_sequence import write_ply_sequence
    from splatalk.export.sound import read_sound
    from splatalk.speech.audio import read_audio

    person = avatars.load(avatar)
    performance = from_audio(person, read_audio(audio), seed=seed)
    n = len(performance)
    posed = (person.pose(performance.frame(i)) for i in range(n))
    with progress.bar("Exporting", n) as step:
        write_ply_sequence(
            output, Clip(posed, n, person.fps, scene_facts(person, posed=True), read_sound(audio), step)
        )
    size = sum(p.stat().st_size for p in output.iterdir())
    return {"frames": n, "fps": person.fps, "bytes": size}, f"{output}: {n} frames, {size / 1e6:.0f} MB"
