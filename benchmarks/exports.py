"""What exports lose, how large they are, and pictures of them: every format read back by another program.

python -m benchmarks.exports AVATAR --audio hello.wav -o FOLDER [--seconds 1]

Needs the development packages. Writes ``exports.jpg`` (the same moment out of every format), ``cutout.jpg`` (a
transparent film over two backgrounds), ``camera_path.jpg`` (a film along keyframes), and the table as ``exports.json``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import fourdgs
import numpy as np
from pxr import Usd

from splatalk import avatar as avatars
from splatalk.drive.from_audio import from_audio
from splatalk.evaluate.machine import machine_facts
from splatalk.export.axes import camera_of, half_turn
from splatalk.export.camera_path import Keyframe, along
from splatalk.export.contact_sheet import contact_sheet
from splatalk.export.formats import named
from splatalk.export.sound import Sound
from splatalk.export.views import TRANSPARENT, play_from
from splatalk.export.writers import Job
from splatalk.files import atomic_path
from splatalk.render import Camera, Splats
from splatalk.speech.audio import read_audio
from tests.export.people import picture, psnr
from tests.export.readers import (
    four_dgs_at,
    glb_by_fourdgs,
    ply_by_gsply,
    splat4d_frame,
    spz_by_gsply,
    usd_at,
)

STILLS: dict[str, tuple[str, Callable[[Path], Splats]]] = {
    "ply": ("gsply", ply_by_gsply),
    "spz": ("gsply", lambda path: half_turn(spz_by_gsply(path))),
    "glb": ("fourdgs", lambda path: half_turn(glb_by_fourdgs(path))),
}
MOVING: dict[str, tuple[str, Callable[[Path, int, float], Splats]]] = {
    "usd": ("usd-core", lambda path, i, fps: half_turn(_usd(path, i))),
    "4dgs": ("fourdgs", lambda path, i, fps: half_turn(four_dgs_at(fourdgs.read(str(path)), (i + 0.01) / fps))),
    "splat4d": ("splats4d", lambda path, i, fps: splat4d_frame(path, i)),
}
CELL = 220


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder")
    options = parser.parse_args()

    person = avatars.load(options.avatar)
    samples = read_audio(options.audio)[: round(options.seconds * 16000)]
    performance = from_audio(person, samples)
    job = Job(Path(), person, performance, Sound.mono(samples))
    moment = len(performance) // 2
    job.frame = moment
    splats, facts = job.still()
    camera = camera_of(facts)
    assert camera is not None
    with tempfile.TemporaryDirectory() as folder:
        rows, pictures = measure(job, moment, camera, splats, Path(folder))
    for name, row in rows.items():
        print(f"{name:<8} {row['psnr_db']:6.1f} dB   {row['megabytes']:7.2f} MB   read by {row['reader']}")
    captions = ["the avatar", *(f"{name}  {decibels(row)}" for name, row in rows.items())]
    seen = [picture(splats, camera), *pictures]
    sheet = contact_sheet([to_bytes(p) for p in seen], captions, columns=4, cell_width=CELL)
    write_jpeg(options.output / "exports.jpg", sheet)
    write_jpeg(options.output / "cutout.jpg", cut_outs(job))
    write_jpeg(options.output / "camera_path.jpg", camera_moves(job))
    found = {"frames": len(performance), "machine": machine_facts(len(splats), "auto"), "formats": rows}
    with atomic_path(options.output / "exports.json") as temporary:
        temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def measure(
    job: Job, moment: int, camera: Camera, splats: Splats, folder: Path
) -> tuple[dict[str, dict[str, object]], list[np.ndarray]]:
    """Export, let another program read it, draw what it read; against what the avatar itself shows."""
    truth = picture(splats, camera)
    rows, pictures = {}, []
    for name, (reader, read_still) in STILLS.items():
        job.path = folder / f"a.{name}"
        named(name).writer()(job)
        pictures.append(picture(read_still(job.path), camera))
        rows[name] = _row(reader, pictures[-1], truth, job.path)
    for name, (reader, read_moving) in MOVING.items():
        job.path = folder / f"a{named(name).suffixes[0]}"
        named(name).writer()(job)
        pictures.append(picture(read_moving(job.path, moment, job.avatar.fps), camera))
        rows[name] = _row(reader, pictures[-1], truth, job.path)
    return rows, pictures


def decibels(row: dict[str, object]) -> str:
    """``63 dB``; beyond what a picture of bytes can show it is exact."""
    return "exact" if float(str(row["psnr_db"])) > 100 else f"{row['psnr_db']:.0f} dB"


def _row(reader: str, seen: np.ndarray, truth: np.ndarray, path: Path) -> dict[str, object]:
    return {"reader": reader, "psnr_db": psnr(seen, truth), "megabytes": path.stat().st_size / 1e6}


def _usd(path: Path, frame: int) -> Splats:
    stage = Usd.Stage.Open(str(path))
    return usd_at(stage.GetPrimAtPath("/Avatar/Gaussians"), frame)


def cut_outs(job: Job) -> np.ndarray:
    """One transparent frame over squares, over a gradient, and its alpha."""
    assert job.performance is not None and job.frame is not None
    moment = job.performance.select(np.array([job.frame]))
    rgba = next(play_from(job.avatar, moment, [job.avatar.camera], TRANSPARENT)).astype(np.float32) / 255
    height, width = rgba.shape[:2]
    y, x = np.mgrid[:height, :width]
    squares = np.where(((x // 32 + y // 32) % 2)[..., None], 0.92, 0.72) * np.ones(3)
    sky = (y / height)[..., None] * np.array([0.9, 0.55, 0.3]) + (1 - y / height)[..., None] * np.array(
        [0.25, 0.35, 0.7]
    )
    over = [rgba[..., :3] * rgba[..., 3:] + behind * (1 - rgba[..., 3:]) for behind in (squares, sky)]
    pictures = [to_bytes(p) for p in (*over, np.repeat(rgba[..., 3:], 3, 2))]
    return contact_sheet(pictures, ["transparent", "over a sky", "alpha"], columns=3, cell_width=CELL)


def camera_moves(job: Job) -> np.ndarray:
    """Six frames along keyframes: to one side, close, to the other side and back."""
    assert job.performance is not None
    keyframes = [
        Keyframe(0.0),
        Keyframe(1.0, 25.0, 8.0, 0.7),
        Keyframe(2.0, -25.0, -4.0, 0.85),
        Keyframe(3.0),
    ]
    path = along(job.avatar, keyframes, 6, 5 / 3)
    rows = np.linspace(0, len(job.performance) - 1, 6).astype(int)
    pictures = list(play_from(job.avatar, job.performance.select(rows), path, "#d8dde3"))
    return contact_sheet(pictures, [f"{i * 0.6:.1f} s" for i in range(6)], columns=6, cell_width=CELL * 2 // 3)


def to_bytes(image: np.ndarray) -> np.ndarray:
    return (image.clip(0, 1) * 255).round().astype(np.uint8)


def write_jpeg(path: Path, image: np.ndarray) -> None:
    """At a quality that keeps a page of pictures small."""
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert ok
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())


if __name__ == "__main__":
    main()
