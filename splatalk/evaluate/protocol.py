"""The measurement: render the held-out frames of a capture with an avatar and compare them with the recording.

What is rendered is compared as it is, never as re-encoded video. First 10/11 of a capture train, the last 1/11 tests.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from splatalk import progress
from splatalk.avatar.controls import MOUTH_SHAPES, UPPER_SHAPES, Performance
from splatalk.avatar.model import Avatar
from splatalk.capture.dataset import Capture
from splatalk.drive.fit_poses import with_fitted_poses
from splatalk.drive.from_capture import from_capture
from splatalk.drive.play import play
from splatalk.errors import UserError
from splatalk.evaluate import gallery, leakage, metrics, motion, page, pictures, spoken
from splatalk.evaluate.machine import machine_facts
from splatalk.evaluate.mouth import Lips, closed_share, figures
from splatalk.evaluate.phonemes import Closures, closures_of
from splatalk.evaluate.report import Report, plain, plain_list
from splatalk.evaluate.spoken import Drive, Usual
from splatalk.evaluate.tracking import LIPS, Faces, track_faces
from splatalk.evaluate.truth import NOISE_QUALITY
from splatalk.evaluate.voices import another_voice
from splatalk.speech import speech_windows
from splatalk.train.perceptual import Lpips

Mouth = Literal["audio", "expression", "both"]


def evaluate(
    avatar: Avatar,
    capture: Capture,
    out: Path | None = None,
    frames: np.ndarray | None = None,
    mouth: Mouth | None = None,
    backend: str = "auto",
    perceptual: bool = True,
    fit: bool = True,
    voices: bool = True,
    phonemes: Path | None = None,
    drives: Sequence[Drive] = (),
    draw_drives: bool = True,
) -> Report:
    """Measure an avatar against a capture.

    Args:
        avatar: what is measured.
        capture: the recording; its head pose, torso pose, gaze and upper face drive the avatar.
        out: folder for ``index.html``, ``report.json`` and side-by-side frames; None writes nothing.
        frames: frame numbers, increasing; None takes the held-out ones.
        mouth: what drives the mouth; None takes the sound, or the tracked expression if the avatar knows no sound.
        backend: see ``render.backends``.
        perceptual: whether LPIPS is measured (needs its asset).
        fit: whether head and torso poses of the measured frames are refined on their pictures (``drive.fit_poses``), as
            training does for its own frames; else they are the tracker's.
        voices: whether the frames are drawn once more with the words in another voice.
        phonemes: times of the recording's phonemes; None finds p, b and m in its sound.
        drives: speech from elsewhere, each with the truth of how the person says it.
        draw_drives: whether frames of ``drives`` are drawn; else only what the encoder asks for is compared.

    Raises:
        UserError: nothing is held out, the sizes differ, a drive cannot be used, or ``out`` cannot be written.
    """
    if out is not None and out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file.", "Name a folder for the report.")
    chosen = np.asarray(capture.test_frames() if frames is None else frames, dtype=int)
    _check(avatar, capture, chosen)
    driver: Mouth = mouth or ("expression" if avatar.audio_encoder is None else "audio")
    usual = Usual.of(capture)
    closures = closures_of(phonemes, capture.audio)
    metric = Lpips() if perceptual else None
    performance = from_capture(avatar, capture, chosen, mouth=driver)
    notes = _notes(capture, chosen, performance)
    notes.append(f"When p, b and m are spoken: {len(closures.times)} {closures.source}.")
    if fit:
        tracked = _quick_psnr(avatar, capture, chosen, performance, backend)
        performance = with_fitted_poses(avatar, capture, chosen, performance)
        notes.append(
            "Head and torso poses were refined on these frames, twelve numbers a frame with the avatar fixed, as "
            f"training does for its frames. With the tracker's poses the full-frame PSNR is {tracked:.2f} dB."
        )
    images, seconds = timed_frames(avatar, performance, backend)
    rows = _compare(capture, chosen, images, metric)
    faces = _track(capture, chosen, images)
    if voices and driver == "audio":
        faces["other_voice"] = _in_another_voice(avatar, capture, chosen, performance, backend)

    own, recording = motion_figures(faces, chosen, capture.camera.height, capture.fps)
    for row, who in ((own, "avatar"), (recording, "noise")):
        row["closed_pbm"] = _closed(faces[who], closures, chosen, capture.fps, usual)
    own |= {key: _mean(rows, key) for key in sorted({key for row in rows for key in row})}
    if driver != "expression":
        with progress.bar("Listening to silence and noise", leakage.frame_count(avatar.fps)) as step:
            own |= leakage.drawn_leakage(avatar, usual.tracked, backend, step)
        own |= leakage.predicted_leakage(avatar, usual.metres)
    own |= speed_figures(seconds)
    report = Report(
        avatar_name=str(avatar.meta.get("name") or "avatar"),
        capture_name=capture.path.name,
        frames=chosen.tolist(),
        fps=float(capture.fps),
        width=capture.camera.width,
        height=capture.camera.height,
        mouth=driver,
        avatar={key: plain(value) for key, value in own.items()},
        recording={key: plain(value) for key, value in recording.items()},
        curves=_curves(rows, faces, capture.camera.height),
        machine=machine_facts(avatar.n_gaussians, backend),
        notes=notes,
        spoken=[spoken.measure(avatar, drive, usual, backend, draw_drives) for drive in drives],
    )
    if out is not None:
        shown, mouths = (
            gallery.frames(report, capture, images),
            gallery.mouths(report, capture, images, faces["recording"]),
        )
        page.write(report, shown, mouths, out, closures.times)
    return report


def _quick_psnr(avatar: Avatar, capture: Capture, frames: np.ndarray, performance: Performance, backend: str) -> float:
    pictures = zip(play(avatar, performance, backend=backend), frames, strict=True)
    return float(np.mean([metrics.psnr(image, capture.frame(int(frame))) for image, frame in pictures]))


def timed_frames(avatar: Avatar, performance: Performance, backend: str) -> tuple[list[np.ndarray], list[float]]:
    """Rendered frames, and the seconds that each took from its controls to its pixels."""
    images: list[np.ndarray] = []
    seconds: list[float] = []
    avatar.forget_features()
    frames = play(avatar, performance, backend=backend)
    with progress.bar("Rendering held-out frames", len(performance)) as step:
        while True:
            start = time.perf_counter()
            image = next(frames, None)
            if image is None:
                return images, seconds
            seconds.append(time.perf_counter() - start)
            images.append(image)
            step()


def speed_figures(seconds: Sequence[float]) -> dict[str, float]:
    """``fps``, ``frame_ms_p50``, ``frame_ms_p99`` of all frames but the first, and ``first_frame_ms``."""
    steady = np.asarray(seconds[1:] if len(seconds) > 1 else seconds) * 1000.0
    return {
        "fps": 1000.0 / float(steady.mean()),
        "frame_ms_p50": float(np.percentile(steady, 50)),
        "frame_ms_p99": float(np.percentile(steady, 99)),
        "first_frame_ms": seconds[0] * 1000.0,
    }


def motion_figures(
    faces: dict[str, Faces], frames: np.ndarray, height: int, fps: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Mouth and expression figures of the avatar, and of the recording re-encoded (``noise``) as its own.

    Wobble needs nothing to compare with, so the recording's own is that of its frames as they are.

    Args:
        faces: ``avatar``, ``recording``, ``noise`` and perhaps ``other_voice``, tracked alike.
        frames: (N,) their frame numbers.
        height: of the images, pixels.
        fps: frames per second.
    """
    truth = faces["recording"]
    out = []
    for face in (faces["avatar"], faces["noise"]):
        scaled, reference = motion.to_512(face.landmarks, height), motion.to_512(truth.landmarks, height)
        lmd = motion.landmark_distance(scaled[:, LIPS], reference[:, LIPS])
        out.append(
            {
                "lmd_px": motion.mean(lmd),
                "lmd_eyes": 100 * motion.mean(lmd / motion.eye_distance(reference)),
                **figures(Lips.of(face), Lips.of(truth), frames, fps),
                "shapes_all": motion.shape_error(face.blendshapes, truth.blendshapes),
                "shapes_mouth": motion.shape_error(face.blendshapes, truth.blendshapes, MOUTH_SHAPES),
                "shapes_upper": motion.shape_error(face.blendshapes, truth.blendshapes, UPPER_SHAPES),
                "wobble": motion.wobble(scaled, frames),
                "face_found": 100 * float(face.found.mean()),
            }
        )
    out[1]["wobble"] = motion.wobble(motion.to_512(truth.landmarks, height), frames)
    if "other_voice" in faces:
        again = motion.correlation(faces["other_voice"].opening(), truth.opening())
        out[0]["other_voice_correlation"] = again
        out[0]["other_voice_loss"] = out[0]["opening_correlation"] - again
    return out[0], out[1]


def _closed(faces: Faces, closures: Closures, frames: np.ndarray, fps: float, usual: Usual) -> float:
    return closed_share(faces.opening(), closures.times, frames, fps, usual.tracked.closed_below)


def _check(avatar: Avatar, capture: Capture, frames: np.ndarray) -> None:
    if not len(frames):
        raise UserError(
            f"{capture.path.name} has no usable held-out frames.", "Record a longer clip with the face in view."
        )
    if frames.min() < 0 or frames.max() >= capture.n_frames or (np.diff(frames) <= 0).any():
        raise UserError(
            f"Frames must increase and lie in 0..{capture.n_frames - 1}.",
            "Check the frame numbers that were asked for.",
        )
    ours, theirs = avatar.camera, capture.camera
    if (ours.width, ours.height) != (theirs.width, theirs.height):
        raise UserError(
            f"The avatar has {ours.width}×{ours.height} pixels, {capture.path.name} {theirs.width}×{theirs.height}.",
            "Evaluate an avatar on the capture that it was trained on.",
        )


def _compare(
    capture: Capture, frames: np.ndarray, images: Sequence[np.ndarray], metric: Lpips | None
) -> list[dict[str, float]]:
    def compare(k: int) -> dict[str, float]:
        truth = capture.frame(frames[k])
        box = metrics.pixel_box(capture.tracks.face_box[frames[k]], truth.shape[1], truth.shape[0])
        return metrics.image_metrics(images[k], truth, capture.matte(frames[k]), box, metric)

    with progress.bar("Comparing frames", len(frames)) as step, _one_thread_each() as pool:
        rows = []
        for row in pool.map(compare, range(len(frames))):
            rows.append(row)
            step()
        return rows


@contextlib.contextmanager
def _one_thread_each() -> Iterator[ThreadPoolExecutor]:
    """A pool with a frame on every core: no waiting for each other within a frame, which a busy machine turns slow."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(min(os.cpu_count() or 1, 8), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def _track(capture: Capture, frames: np.ndarray, images: Sequence[np.ndarray]) -> dict[str, Faces]:
    def recorded(quality: int | None) -> Iterator[np.ndarray]:
        for i in frames:
            image = capture.frame(i)
            yield image if quality is None else pictures.recompressed(image, quality)

    sources: dict[str, Iterable[np.ndarray]] = {
        "avatar": images,
        "recording": recorded(None),
        "noise": recorded(NOISE_QUALITY),
    }
    with progress.bar("Tracking faces", 3 * len(frames)) as step:
        return {name: track_faces(source, step) for name, source in sources.items()}


def _in_another_voice(
    avatar: Avatar, capture: Capture, frames: np.ndarray, performance: Performance, backend: str
) -> Faces:
    """The same frames, drawn again with the words in another voice."""
    sound = another_voice(capture.audio)
    speech = speech_windows(avatar.meta["speech"], sound, capture.fps, capture.n_frames)[frames]
    with progress.bar("Speaking in another voice", len(frames)) as step:
        spoken = dataclasses.replace(performance, speech=speech)
        return track_faces(play(avatar, spoken, backend=backend), step)


def _mean(rows: Sequence[dict[str, float]], key: str) -> float:
    values = np.array([row[key] for row in rows if key in row])
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else np.nan


def _curves(rows: Sequence[dict[str, float]], faces: dict[str, Faces], height: int) -> dict[str, list[float | None]]:
    lips = [motion.to_512(faces[who].landmarks[:, LIPS], height) for who in ("avatar", "recording")]
    curves = {key: [row[key] for row in rows] for key in ("psnr_full", "lpips_full") if key in rows[0]}
    return {
        **{key: plain_list(values) for key, values in curves.items()},
        "lmd_px": plain_list(motion.landmark_distance(*lips)),
        **{f"opening_{who}": plain_list(face.opening()) for who, face in faces.items() if who != "noise"},
        **{f"width_{who}": plain_list(face.width()) for who, face in faces.items() if who != "noise"},
    }


def _notes(capture: Capture, frames: np.ndarray, performance: Performance) -> list[str]:
    notes = []
    missing = int(frames[-1] - frames[0]) + 1 - len(frames)
    if missing:
        notes.append(f"{missing} frames in the range are left out because tracking had marked them as unusable.")
    train = capture.train_frames()
    inside = int(np.isin(frames, train).sum())
    if inside:
        notes.append(f"{inside} of these frames belong to the training part: the figures flatter the avatar.")
    if performance.audio is not None and not np.abs(performance.audio).max(initial=0.0) > 1e-3:
        notes.append("The recording is silent: figures about the mouth say nothing about speech.")
    return notes
