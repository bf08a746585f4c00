"""From a Capture to an avatar file: build, train, report, save."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

import splatalk
from splatalk import progress
from splatalk.avatar import file as avatar_file
from splatalk.avatar.audio_encoder import AudioEncoder, fit_audio_encoder, smiles
from splatalk.avatar.controls import MOUTH_SHAPES, UPPER_SHAPES, Performance
from splatalk.avatar.face_rig import FaceRig
from splatalk.avatar.model import Avatar
from splatalk.avatar.mouth_basis import MouthBasis
from splatalk.avatar.network import Deformation, NetworkConfig
from splatalk.capture.dataset import Capture
from splatalk.capture.performance import recorded_performance
from splatalk.config import Preset
from splatalk.render.rasterize import rasterize
from splatalk.speech import PROSODY, speech_windows
from splatalk.speech.features import by_visemes, exact_name, feature_groups, n_visemes
from splatalk.train import checkpoint
from splatalk.train.device import choose
from splatalk.train.frames import mean_face
from splatalk.train.initialise import initialise
from splatalk.train.live import fit_live
from splatalk.train.trainer import StepReport, Trainer

LOG_EVERY = 50


def train(
    capture: Capture,
    out: Path,
    preset: Preset,
    *,
    seed: int = 0,
    resume: bool = True,
    work: Path,
    device: str = "auto",
    on_log: Callable[[dict[str, Any]], None] | None = None,
    watch: Callable[[Trainer, StepReport], None] | None = None,
) -> Avatar:
    """Fit an avatar to a capture and save it.

    Args:
        out: the ``.avatar`` file.
        resume: go on from a checkpoint in ``work`` if it is of the same capture, preset and seed.
        work: folder for the checkpoint, ``log.jsonl`` and ``preview.jpg``.
        device: ``auto``, ``cpu`` or ``cuda``, see ``train.device``.
        on_log: called with a dictionary of figures every ``LOG_EVERY`` steps.
        watch: called after every step; may draw, must not change anything.

    Returns:
        the avatar, on the CPU.

    Raises:
        UserError: a file cannot be written, or a model file cannot be had. BackendError: the device cannot be used.
    """
    began = time.perf_counter()
    work.mkdir(parents=True, exist_ok=True)
    trainer = build(capture, preset, seed, choose(device))
    trainer.avatar.meta["name"] = out.stem
    identity = {"preset": preset.to_json(), "seed": seed, "capture": _fingerprint(capture)}
    if resume and checkpoint.restore(trainer, work / "checkpoint.safetensors", identity):
        progress.note(f"Resuming at step {trainer.step} of {trainer.total}.")
    log = (work / "log.jsonl").open("a" if trainer.step else "w", encoding="utf-8")
    with log, progress.bar("Training", trainer.total, unit="step") as advance:
        advance(trainer.step)
        for report in trainer.run():
            advance(1, **_shown(report))
            if watch is not None:
                watch(trainer, report)
            if report.step % LOG_EVERY == 0 or trainer.step == trainer.total:
                line = {**dataclasses.asdict(report), "seconds": round(time.perf_counter() - began, 2)}
                log.write(json.dumps(line) + "\n")
                log.flush()
                if on_log is not None:
                    on_log(line)
            if trainer.step % preset.checkpoint_every == 0:
                checkpoint.save(trainer, work / "checkpoint.safetensors", identity)
            if trainer.step % preset.preview_every == 0 or trainer.step == trainer.total:
                write_preview(trainer, work / "preview.jpg")
    avatar = trainer.avatar.cpu().eval().requires_grad_(False)
    avatar.set_live_encoder(fit_live(avatar, capture, seed))
    avatar.meta["training"] |= {"seconds": round(time.perf_counter() - began, 1), "steps": trainer.step}
    avatar_file.save(avatar, out)
    return avatar


@dataclasses.dataclass
class Hearing:
    """What is known of a recording's mouth and sound before any Gaussian: see ``listen``.

    Args:
        basis: mouth shapes.
        codes: (N, C) the tracked mouth in that basis.
        features: (N, W, D) speech features of every frame.
        encoder: fitted to the training frames; None where they are silent.
    """

    basis: MouthBasis
    codes: np.ndarray
    features: np.ndarray
    encoder: AudioEncoder | None


def listen(capture: Capture, speech: str, seed: int) -> Hearing:
    """Fit how sound moves the mouth."""
    tracks, frames = capture.tracks, capture.train_frames()
    basis = MouthBasis.fit(tracks.landmarks_head[frames], tracks.neutral)
    features = speech_windows(speech, capture.audio, capture.fps, capture.n_frames)
    codes = basis.encode(tracks.landmarks_head)
    with progress.bar("Learning how speech moves the mouth", 1, unit="fit") as advance:
        encoder = fit_audio_encoder(
            features[frames], codes[frames], basis, unheard=smiles(tracks.blendshapes, capture.fps)[frames],
            seed=seed, visemes=n_visemes(speech), words=not by_visemes(speech),
        )  # fmt: skip
        advance(1)
    return Hearing(basis, codes, features, encoder)


def build(capture: Capture, preset: Preset, seed: int, device: torch.device, hearing: Hearing | None = None) -> Trainer:
    """A trainer at step 0: speech encoder fitted to the tracked mouth, Gaussians in place, network fresh.

    Args:
        hearing: from ``listen``, when it is at hand; its encoder is copied.
    """
    torch.manual_seed(seed)
    tracks, frames = capture.tracks, capture.train_frames()
    hearing = hearing or listen(capture, preset.speech, seed)
    basis, codes, encoder = hearing.basis, hearing.codes, copy.deepcopy(hearing.encoder)
    performance = recorded_performance(capture, basis, hearing.features)
    gaussians = initialise(capture, preset.initial_gaussians, seed)
    config = NetworkConfig(
        planes=preset.planes, attention=preset.attention, decoder=preset.decoder,
        levels=preset.levels, log2_table=preset.log2_table, mouth_dim=basis.n_components,
        tokens=preset.tokens, deforms=preset.deforms,
    )  # fmt: skip
    deformation = Deformation(config)
    moved = gaussians.means.detach()[gaussians.dynamic]
    low, high = moved.amin(0), moved.amax(0)
    deformation.box.copy_(torch.stack((low - 0.05 * (high - low), high + 0.05 * (high - low))))
    ref = capture.tracks.reference_frame
    avatar = Avatar(
        gaussians, _face_rig(capture, performance, codes), deformation, basis, encoder,
        curves_to_mouth=_curves_to_mouth(tracks.blendshapes[frames], codes[frames]),
        camera=capture.camera, rest_head=tracks.head_pose[ref], rest_torso=tracks.torso_pose[ref],
        plate=capture.plate, manner=_manner(performance, frames), meta=_meta(capture, preset, seed),
    )  # fmt: skip
    return Trainer(avatar, capture, performance, preset, seed, device)


def draw_frame(trainer: Trainer, frame: int) -> np.ndarray:
    """(H, W, 3) uint8: a frame of the recording as the avatar draws it now."""
    trainer.avatar.forget_features()
    with torch.no_grad():
        splats = trainer.avatar.pose(trainer.controls(frame))
        drawn = rasterize(splats, trainer.capture.camera, trainer.plate).image
    trainer.avatar.forget_features()
    return drawn.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()


def write_preview(trainer: Trainer, path: Path) -> None:
    """Recorded above drawn, for a few frames over the recording."""
    frames = trainer.sampler.frames[np.linspace(0, len(trainer.sampler.frames) - 1, 6).astype(int)[1:-1]]
    columns = [np.vstack((trainer.capture.frame(int(f)), draw_frame(trainer, int(f)))) for f in frames]
    cv2.imwrite(str(path), cv2.cvtColor(np.hstack(columns), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])


def _fingerprint(capture: Capture) -> str:
    """Changes when the tracks or the facts of a capture change."""
    digest = hashlib.sha256()
    for name in ("capture.json", "tracks.npz"):
        digest.update((capture.path / name).read_bytes())
    return digest.hexdigest()


def _shown(report: StepReport) -> dict[str, Any]:
    return {"stage": report.stage, "loss": f"{report.loss:.4f}", "gaussians": report.gaussians}


def _face_rig(capture: Capture, performance: Performance, codes: np.ndarray) -> FaceRig:
    frames = capture.train_frames()
    upper = performance.expression[:, list(UPPER_SHAPES)]
    inputs = np.concatenate((codes, upper, performance.gaze), 1)[frames]
    return FaceRig.fit(inputs, capture.tracks.landmarks_head[frames] - mean_face(capture))


def _curves_to_mouth(curves: np.ndarray, mouth: np.ndarray) -> torch.Tensor:
    """(53, C) ridge regression from the 52 curves and 1; rows of curves that do not concern the mouth are zero."""
    x = np.zeros((len(curves), 53))
    x[:, list(MOUTH_SHAPES)] = curves[:, list(MOUTH_SHAPES)]
    mean_x, mean_y = x.mean(0), mouth.mean(0)
    centred = x - mean_x
    penalty = 1e-3 * len(x) * np.eye(53)
    weights = np.linalg.solve(centred.T @ centred + penalty, centred.T @ (mouth - mean_y))
    weights[-1] = mean_y - mean_x @ weights
    return torch.from_numpy(weights).float()


def _manner(performance: Performance, frames: np.ndarray) -> dict[str, np.ndarray]:
    """How this person moves when speaking: what ``drive`` draws head motion, blinks and gaze from."""
    expression = performance.expression[frames].copy()
    expression[:, list(MOUTH_SHAPES)] = 0.0
    return {
        "head_pose": performance.head_pose[frames].astype(np.float32),
        "torso_pose": performance.torso_pose[frames].astype(np.float32),
        "expression": expression.astype(np.float32),
        "gaze": performance.gaze[frames].astype(np.float32),
        "voice": _voice(performance)[frames],
    }


def _voice(performance: Performance) -> np.ndarray:
    """(N,) float32, voice activity of every frame."""
    assert performance.speech is not None
    windows = performance.speech
    column = feature_groups(windows.shape[2])["prosody"].start + PROSODY.index("activity")
    return windows[:, windows.shape[1] // 2, column].astype(np.float32)


def _meta(capture: Capture, preset: Preset, seed: int) -> dict[str, Any]:
    return {
        "splatalk": splatalk.__version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "fps": capture.fps,
        "speech": exact_name(preset.speech),
        "consent": capture.meta.get("consent"),
        "source": capture.meta.get("source"),
        "training": {"preset": preset.to_json(), "seed": seed, "frames": len(capture.train_frames())},
    }
