"""The capture stage: video in, Capture folder out.

The work is done in a hidden folder beside the result; it appears under its final name only when complete. A run that
was interrupted goes on from that folder when the video and the options are the same.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from splatalk.capture import fitness, pictures, plate, quality, reasons, report_page, torso
from splatalk.capture.dataset import VERSION, Capture, checksums, write_wave
from splatalk.capture.decode import VideoFacts, probe
from splatalk.capture.extract import extract
from splatalk.capture.faces import FaceFinder
from splatalk.capture.footage import Films, Footage
from splatalk.capture.framing import Framing, look
from splatalk.capture.measurements import Measurements
from splatalk.capture.parts import BATCH
from splatalk.capture.preview import write_preview
from splatalk.capture.sound import in_time, listen, read_sound, require_sound
from splatalk.capture.tracks import Solved, assemble
from splatalk.errors import CaptureError, UserError
from splatalk.files import explained
from splatalk.progress import bar, note
from splatalk.render.camera import Camera

FPS = 25.0
SHORTEST_S = 2.0
_PLATE_FRAMES = 48
_FEWEST_VALID = 0.5
WORK_VERSION = 4
"""Changes when unfinished work of an earlier program must not be continued."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How a capture is made.

    Args:
        size: longer side of the normalised frames, pixels.
        person: which face when there are several, from the left, from 1.
        focal: focal length in normalised pixels when known.
        consent: statement of consent to keep with the capture: any JSON object, or None.
    """

    size: int = 512
    person: int | None = None
    focal: float | None = None
    consent: dict[str, Any] | None = None


def record(
    video: Path | str,
    out: Path | str,
    *,
    size: int = 512,
    person: int | None = None,
    focal: float | None = None,
    consent: dict[str, Any] | None = None,
    preview: Path | str | None = None,
) -> Capture:
    """Enrol a recording.

    Args:
        video: any file that FFmpeg reads.
        out: folder to make, usually NAME.capture. An earlier capture there is replaced.
        size, person, focal, consent: see ``Options``.
        preview: file for a video with mesh, head axes and matte drawn in, or None.

    Raises:
        CaptureError: the clip cannot be enrolled; found out before anything takes long where that is possible.
        AssetError: a network's file is missing.
        UserError: the disk is full or not writable.
    """
    video, out = Path(video), Path(out)
    options = Options(size=size, person=person, focal=focal, consent=consent)
    _check_place(out)
    facts = probe(video)
    require_sound(facts)
    if 0 < facts.duration < SHORTEST_S:
        raise _too_short(facts, facts.duration)
    with FaceFinder() as finder:
        framing = look(facts, options.size, finder, options.person)
    folder = _open_work(out, facts, options)
    rows = _measure(facts, framing, folder)
    if len(rows) < SHORTEST_S * FPS:
        shutil.rmtree(folder)
        raise _too_short(facts, len(rows) / FPS)
    left_out = fitness.unfit(rows)
    _check_rows(rows, left_out, facts, folder)
    samples = read_sound(facts, round(len(rows) / FPS * 16000))
    with explained(folder):
        _finish(folder, facts, framing, rows, left_out, samples, options)
        _publish(folder, out)
    capture = Capture.load(out)
    if preview is not None:
        write_preview(capture, Path(preview))
    return capture


def _measure(facts: VideoFacts, framing: Framing, folder: Path) -> Measurements:
    with bar("Looking at every frame", total=round(facts.duration * FPS)) as step:
        return extract(facts, framing, FPS, folder, step)


def _finish(
    folder: Path,
    facts: VideoFacts,
    framing: Framing,
    rows: Measurements,
    left_out: dict[int, str],
    samples: np.ndarray,
    options: Options,
) -> None:
    """Everything after the long pass."""
    width, height = framing.crop.out_width, framing.crop.out_height
    rows = dataclasses.replace(rows, found=~np.isin(np.arange(len(rows)), list(left_out)))
    note("Solving head pose, face and camera together")
    footage = Films(folder, len(rows), (height, width), FPS)
    with concurrent.futures.ThreadPoolExecutor(1) as beside:  # solving keeps one core busy
        background_made, features_made = beside.submit(_build_plate, footage, len(rows)), beside.submit(listen, samples)
        solved = assemble(rows, width, height, FPS, options.focal, footage.gray)
    tracks, background = solved.tracks, background_made.result()
    _leave_out(solved, left_out)
    heard = in_time(samples, features_made.result(), solved, FPS)
    torso_track = _follow_torso(footage, solved)
    reference, focal = tracks.reference_frame, solved.solution.focal
    tracks.torso_pose = torso.to_poses(torso_track, tracks.head_pose[reference], reference, focal, (width, height), FPS)
    pictures.write(folder / "plate.png", background.image)
    write_wave(folder / "audio.wav", heard.samples)
    tracks.reason = reasons.encode(solved.reasons, tracks.valid)
    tracks.valid = tracks.reason == reasons.USED
    tracks.save(folder / "tracks.npz")
    seen = quality.Evidence(
        rows, solved, torso_track, background, heard, facts, framing, FPS, footage.frame, footage.matte
    )
    summary = quality.judge(seen)
    camera = Camera(width, height, solved.solution.focal, solved.solution.focal, width / 2, height / 2)
    meta = _describe(facts, framing, camera, len(rows), tracks.reference_frame, summary, options)
    meta["checksums"] = checksums(folder)
    (folder / "report.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    (folder / "capture.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
    (folder / "report.html").write_text(report_page.build(seen, summary), encoding="utf-8")
    shutil.rmtree(folder / "parts")
    (folder / "work.json").unlink()


def _follow_torso(footage: Footage, solved: Solved) -> torso.TorsoTrack:
    tracks, reference = solved.tracks, solved.tracks.reference_frame
    tracker = torso.TorsoTracker(footage.gray(reference), footage.matte(reference), tracks.landmarks[reference])
    with bar("Following the shoulders", total=len(tracks.valid)) as step:
        return torso.track(tracker, footage.gray, len(tracks.valid), reference, step)


def _build_plate(footage: Footage, n_frames: int) -> plate.Plate:
    chosen = np.unique(np.linspace(0, n_frames - 1, _PLATE_FRAMES).round().astype(int))
    return plate.build([footage.frame(i) for i in chosen], [footage.matte(i) for i in chosen])


def _describe(
    facts: VideoFacts,
    framing: Framing,
    camera: Camera,
    n_frames: int,
    reference: int,
    summary: dict[str, Any],
    options: Options,
) -> dict[str, Any]:
    source = {key: value for key, value in dataclasses.asdict(facts).items() if key != "path"}
    return {
        "format": "splatalk capture",
        "version": VERSION,
        "fps": FPS,
        "n_frames": n_frames,
        "width": camera.width,
        "height": camera.height,
        "camera": camera.to_json(),
        "reference_frame": reference,
        "source": {"name": facts.path.name, **source, "crop": dataclasses.asdict(framing.crop)},
        "consent": options.consent,
        "quality": quality.brief(summary),
    }


def _check_place(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; a capture is a folder.", "Choose another name, such as me.capture.")
    if out.is_dir() and any(out.iterdir()) and not (out / "capture.json").is_file():
        raise UserError(f"The folder {out} holds something else than a capture.", "Choose another name.")


def _check_rows(rows: Measurements, left_out: dict[int, str], facts: VideoFacts, folder: Path) -> None:
    seconds = len(rows) / FPS
    if seconds < 0.8 * facts.duration - 1.0:
        shutil.rmtree(folder)
        raise CaptureError(
            f"{facts.path} is damaged: {seconds:.1f} of {facts.duration:.1f} s can be decoded.",
            "Copy or download the file again, or cut it to the part that plays.",
        )
    used = len(rows) - len(left_out)
    if used < _FEWEST_VALID * len(rows):
        shutil.rmtree(folder)
        share = float(rows.found.mean())
        seen = f"; a face is found in only {share:.0%} of the frames" if share < 0.9 else ""
        raise CaptureError(
            f"Only {used / FPS:.1f} of {seconds:.1f} s of {facts.path} can be used{seen}. "
            f"Left out: {fitness.stretches(left_out, FPS)}.",
            "Cut the clip to one shot in which the person faces the camera, nothing before the face.",
        )


def _leave_out(solved: Solved, left_out: dict[int, str]) -> None:
    """Mark frames that were left out of solving, and those in which the solved head looks away."""
    away = np.flatnonzero(fitness.looking_away(solved.tracks.head_pose))
    solved.reasons.update({int(i): "looking away" for i in away if solved.tracks.valid[i]})
    solved.reasons.update(left_out)
    solved.tracks.valid[list(solved.reasons)] = False


def _too_short(facts: VideoFacts, seconds: float) -> CaptureError:
    return CaptureError(
        f"{facts.path} is too short: {seconds:.1f} s of at least {SHORTEST_S:.0f} s.",
        "Record half a minute or more; one to three minutes give the best avatar.",
    )


def _open_work(out: Path, facts: VideoFacts, options: Options) -> Path:
    """The folder of unfinished work: the earlier one when it belongs to the same video and options, else empty."""
    folder = out.absolute().with_name(f".{out.name}.unfinished")
    state = facts.path.stat()
    key = [
        WORK_VERSION,
        BATCH,
        str(facts.path.absolute()),
        state.st_size,
        state.st_mtime_ns,
        options.size,
        options.person,
    ]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    with explained(folder):
        try:
            same = json.loads((folder / "work.json").read_text(encoding="utf-8")) == {"key": name}
        except (OSError, ValueError):
            same = False
        if not same:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "work.json").write_text(json.dumps({"key": name}), encoding="utf-8")
    return folder


def _publish(folder: Path, out: Path) -> None:
    """Put the finished folder under its final name; what was there goes."""
    earlier = out.absolute().with_name(f".{out.name}.earlier")
    shutil.rmtree(earlier, ignore_errors=True)
    if out.exists():
        out.replace(earlier)
    folder.replace(out)
    shutil.rmtree(earlier, ignore_errors=True)
