"""The ``.avatar`` file: one safetensors file whose header carries JSON. Nothing in it can execute.

Tensors: the model's parameters and buffers under their module names, ``mouth_basis.*``, ``manner.*``, ``rest_head`` and
``rest_torso`` (4, 4), and ``plate_png`` (bytes of the background picture). Header key ``splatalk``: format version,
camera, network and speech configuration, and ``meta`` (consent, provenance, training summary). See docs/formats.md.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from splatalk.avatar.audio_encoder import AudioEncoder, AudioEncoderConfig
from splatalk.avatar.face_rig import FaceRig
from splatalk.avatar.gaussians import Gaussians
from splatalk.avatar.model import Avatar
from splatalk.avatar.mouth_basis import MouthBasis
from splatalk.avatar.network import Deformation, NetworkConfig
from splatalk.errors import FormatError
from splatalk.files import atomic_path
from splatalk.render.camera import Camera
from splatalk.speech import listener, live

FORMAT_VERSION = 2
"""Version 2 may hold ``live_encoder``; what does not is written as version 1, which older readers know."""

KEY = "splatalk"
MAX_HEADER = 1 << 20


def save(avatar: Avatar, path: Path) -> None:
    """Write an avatar; the file appears under its name only when it is complete.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    tensors = {k: v.detach().contiguous() for k, v in avatar.state_dict().items()}
    tensors |= {f"mouth_basis.{k}": v.contiguous() for k, v in avatar.mouth_basis.tensors().items()}
    tensors["rest_head"] = torch.from_numpy(np.asarray(avatar.rest_head, dtype=np.float64))
    tensors["rest_torso"] = torch.from_numpy(np.asarray(avatar.rest_torso, dtype=np.float64))
    tensors |= {f"manner.{k}": torch.from_numpy(np.ascontiguousarray(v)) for k, v in avatar.manner.items()}
    png = cv2.imencode(".png", cv2.cvtColor(avatar.plate, cv2.COLOR_RGB2BGR))[1]
    tensors["plate_png"] = torch.from_numpy(png.ravel().copy())
    header = {
        "version": 1 if avatar.live_encoder is None else FORMAT_VERSION,
        "camera": avatar.camera.to_json(),
        "network": vars(avatar.deformation.config),
        "audio_encoder": None if avatar.audio_encoder is None else vars(avatar.audio_encoder.config),
        "live_encoder": _live_header(avatar),
        "meta": avatar.meta,
    }
    with atomic_path(path) as temporary:
        save_file(tensors, str(temporary), {KEY: json.dumps(header)})
        temporary.chmod(0o644)  # safetensors makes files that only their owner can read


def read_header(path: Path) -> dict[str, Any]:
    """The JSON of an ``.avatar`` file, without reading its tensors.

    Raises:
        FormatError: missing, damaged, or another kind of file.
    """
    if not path.is_file():
        raise FormatError(f"There is no avatar file {path}.", "Make one with: splatalk enroll VIDEO -o NAME.avatar")
    return _guarded(path, lambda: _header(path))


def load(path: Path) -> Avatar:
    """Read an avatar.

    Raises:
        FormatError: missing, damaged, truncated, of a newer version, or another kind of file.
    """
    header = read_header(path)
    return _guarded(path, lambda: _build(header, _tensors(path)))


def _guarded(path: Path, read: Callable[[], Any]) -> Any:
    """A file from a stranger may be wrong in any way; all of them are one clear error."""
    try:
        return read()
    except FormatError:
        raise
    except OSError as error:
        raise FormatError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the file's permissions."
        ) from error
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, cv2.error) as error:
        raise FormatError(
            f"{path} is not a complete .avatar file ({type(error).__name__}).",
            "It may be cut off or damaged: copy it again, or enrol the person again.",
        ) from error


def _header(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        size = file.read(8)
    if len(size) < 8 or not 2 <= struct.unpack("<Q", size)[0] <= MAX_HEADER:
        raise ValueError("not a safetensors file")
    with safe_open(str(path), "pt") as file:
        text = (file.metadata() or {}).get(KEY)
    if text is None:
        raise FormatError(f"{path} is a safetensors file, but no avatar.", "Use a file that splatalk enroll wrote.")
    header = json.loads(text)
    if header["version"] > FORMAT_VERSION:
        raise FormatError(
            f"{path} has format version {header['version']}, this splatalk reads up to {FORMAT_VERSION}.",
            "Install a newer splatalk.",
        )
    return header


def _tensors(path: Path) -> dict[str, Tensor]:
    with safe_open(str(path), "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)


def _build(header: dict[str, Any], tensors: dict[str, Tensor]) -> Avatar:
    means, sh = tensors["gaussians.means"], tensors["gaussians.sh"]
    encoder = header["audio_encoder"]
    picture = cv2.imdecode(tensors.pop("plate_png").numpy(), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("the background picture is damaged")
    mouth_basis = MouthBasis.from_tensors(_take(tensors, "mouth_basis."))
    manner = {k: v.numpy() for k, v in _take(tensors, "manner.").items()}
    _check_manner(manner)
    avatar = Avatar(
        gaussians=Gaussians.empty(means.shape[0], sh.shape[1]),
        face_rig=FaceRig(tensors["face_rig.basis"].shape[0]),
        deformation=Deformation(NetworkConfig(**header["network"])),
        mouth_basis=mouth_basis,
        audio_encoder=None if encoder is None else AudioEncoder(AudioEncoderConfig(**encoder)),
        curves_to_mouth=torch.zeros_like(tensors["curves_to_mouth"]),
        camera=Camera.from_json(header["camera"]),
        rest_head=tensors.pop("rest_head").numpy(),
        rest_torso=tensors.pop("rest_torso").numpy(),
        plate=cv2.cvtColor(picture, cv2.COLOR_BGR2RGB),
        manner=manner,
        meta=header["meta"],
        live_encoder=_live_encoder(header.get("live_encoder"), tensors, mouth_basis.n_components),
    )
    avatar.load_state_dict(tensors)
    return avatar.eval().requires_grad_(False)


def _live_header(avatar: Avatar) -> dict[str, Any] | None:
    """The listener that the live encoders were fitted to, and lookahead in milliseconds, as text → configuration."""
    if avatar.live_encoder is None:
        return None
    encoders = {ms: vars(encoder.config) for ms, encoder in avatar.live_encoder.items()}
    return {"listener": listener.fingerprint(), "encoders": encoders}


def _live_encoder(
    header: dict[str, Any] | None, tensors: dict[str, Tensor], mouth_dim: int
) -> dict[str, AudioEncoder] | None:
    """Encoders for live driving as ``header`` describes them, without their numbers; shapes are checked first.

    None, and ``tensors`` without theirs, when there are none or they were fitted to another listener.
    """
    if header is None:
        return None
    if header["listener"] != listener.fingerprint():
        _take(tensors, "live_encoder.")
        return None
    known = [live.key(seconds) for seconds in live.LOOKAHEADS_S]
    configs = {ms: AudioEncoderConfig(**header["encoders"][ms]) for ms in known}
    shape = (live.ROWS, live.DIM, mouth_dim, live.VISEMES)
    for config in configs.values():
        if (config.window, config.dim, config.mouth_dim, config.visemes) != shape or config.token_dim > 4096:
            raise ValueError(f"live_encoder has another shape: {config}")
    return {ms: AudioEncoder(config) for ms, config in configs.items()}


def _take(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Remove the tensors whose name starts with ``prefix`` and give them without it."""
    return {k.removeprefix(prefix): tensors.pop(k) for k in list(tensors) if k.startswith(prefix)}


def _check_manner(manner: dict[str, np.ndarray]) -> None:
    n = manner["head_pose"].shape[0]
    shapes = {"head_pose": (n, 4, 4), "torso_pose": (n, 4, 4), "expression": (n, 52), "gaze": (n, 4)}
    if "voice" in manner:  # avatars of old do not have it
        shapes["voice"] = (n,)
    for name, shape in shapes.items():
        if manner[name].shape != shape or n == 0:
            raise ValueError(f"manner.{name} must be {shape}, got {manner[name].shape}")
