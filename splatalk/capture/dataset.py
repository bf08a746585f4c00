"""A Capture on disk: normalised frames, mattes, plate, sound, camera and tracks in one folder.

Layout: ``capture.json``, ``frames.mp4``, ``mattes.mp4``, ``plate.png``, ``audio.wav``, ``tracks.npz`` and the quality
report. ``capture.json`` holds the others' checksums, so that damage is told when a capture is opened. Earlier versions
are read too: 2 had no checksums and plain numbers in its tracks, 1 ``frames/000000.jpg`` and ``mattes/000000.png``.
Reading treats everything as data from strangers: sizes are checked and nothing is executed.
"""

from __future__ import annotations

import dataclasses
import json
import struct
import wave
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from splatalk import files
from splatalk.avatar.face_mesh import N_LANDMARKS
from splatalk.capture import pictures, reasons
from splatalk.capture.footage import Films, Footage, PictureFolders
from splatalk.capture.packing import pack, unpack
from splatalk.capture.regions import mouth_region
from splatalk.errors import FormatError
from splatalk.render.camera import Camera

VERSION = 3
_HINT = "Make the capture again with `splatalk capture`."
_MAX_FRAMES, _MAX_SIDE = 200_000, 8192
_SHAPES: dict[str, tuple[object, ...]] = {
    "landmarks": ("N", N_LANDMARKS, 2),
    "landmarks_head": ("N", N_LANDMARKS, 3),
    "neutral": (N_LANDMARKS, 3),
    "blendshapes": ("N", 52),
    "gaze": ("N", 4),
    "head_pose": ("N", 4, 4),
    "torso_pose": ("N", 4, 4),
    "valid": ("N",),
    "face_box": ("N", 4),
}
_STEPS = {"landmarks": 2.0**-7, "landmarks_head": 2.0**-17, "blendshapes": 2.0**-14}
"""To which these are rounded and packed, far below their noise: 1/128 pixel, 8 micrometres."""
CHECKED = ("frames.mp4", "mattes.mp4", "audio.wav", "plate.png")
"""Files with a checksum in ``capture.json``; the tracks have their own."""


@dataclasses.dataclass
class Tracks:
    """What was followed through the clip, N frames.

    Args:
        landmarks: (N, 478, 2) pixels of the normalised frame.
        landmarks_head: (N, 478, 3) metres in the head frame, expression included, rigid motion removed.
        neutral: (478, 3) metres, head frame: the person's own face at rest.
        blendshapes: (N, 52) in 0..1.
        gaze: (N, 4) yaw and pitch of the left, then the right eye against the head, radians, + = subject's left / up.
        head_pose: (N, 4, 4) head frame → world.
        torso_pose: (N, 4, 4) canonical space → world for the torso.
        valid: (N,) bool, frames fit for training.
        face_box: (N, 4) x0, y0, x1, y1 pixels.
        reference_frame: where head and torso poses coincide.
        reason: (N,) uint8, why a frame is not valid: a code of ``capture.reasons``, 0 where it is.
    """

    landmarks: np.ndarray
    landmarks_head: np.ndarray
    neutral: np.ndarray
    blendshapes: np.ndarray
    gaze: np.ndarray
    head_pose: np.ndarray
    torso_pose: np.ndarray
    valid: np.ndarray
    face_box: np.ndarray
    reference_frame: int = 0
    reason: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint8))

    def __post_init__(self) -> None:
        if len(self.reason) != len(self.valid):
            self.reason = np.where(self.valid, reasons.USED, reasons.UNKNOWN).astype(np.uint8)

    def save(self, path: Path) -> None:
        """Write ``tracks.npz``: float32 or packed, valid as bool."""
        arrays: dict[str, Any] = {name: getattr(self, name).astype(np.float32) for name in _SHAPES}
        arrays["valid"], arrays["reason"] = self.valid.astype(bool), self.reason.astype(np.uint8)
        arrays |= {name: pack(getattr(self, name), step) for name, step in _STEPS.items()}
        arrays["reference_frame"] = np.array(self.reference_frame)
        np.savez_compressed(path, **arrays)

    @classmethod
    def load(cls, path: Path, n_frames: int) -> Tracks:
        """Read and check ``tracks.npz``.

        Raises:
            FormatError: missing, damaged, of other shapes, or with values that are not finite.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                arrays = {name: data[name] for name in (*_SHAPES, "reference_frame")}
                for name, step in _STEPS.items():
                    if arrays[name].dtype == np.uint8:  # numbers are plain before version 3
                        arrays[name] = unpack(arrays[name], step)
                reason = data["reason"] if "reason" in data else np.zeros(0, np.uint8)  # version 1 did not say
        except files.DAMAGED_ARCHIVE as error:
            raise FormatError(f"The tracks in {path} cannot be read ({_brief(error)}).", _HINT) from error
        for name, shape in _SHAPES.items():
            wanted = tuple(n_frames if side == "N" else side for side in shape)
            array = arrays[name]
            kind = np.bool_ if name == "valid" else np.floating
            if array.shape != wanted or not np.issubdtype(array.dtype, kind):
                raise FormatError(f"{name} in {path} is {array.dtype} {array.shape} instead of {wanted}.", _HINT)
            if name != "valid" and not np.isfinite(array).all():
                raise FormatError(f"{name} in {path} holds values that are not finite.", _HINT)
        if (
            reason.dtype != np.uint8
            or reason.shape not in ((0,), (n_frames,))
            or (reason.size and ((reason == reasons.USED) != arrays["valid"]).any())
        ):
            raise FormatError(f"The reasons in {path} do not fit the frames that are left out.", _HINT)
        reference = arrays.pop("reference_frame")
        if reference.shape != () or not 0 <= int(reference) < n_frames:
            raise FormatError(f"The reference frame in {path} is not one of the {n_frames} frames.", _HINT)
        for name in ("head_pose", "torso_pose"):
            arrays[name] = arrays[name].astype(np.float64)
        return cls(**arrays, reference_frame=int(reference), reason=reason)


class Capture:
    """An enrolled recording. Open one with ``Capture.load``.

    Args:
        path: the folder.
        meta: contents of ``capture.json``.
        camera: the recording camera, world frame = its own frame.
        tracks: see ``Tracks``.
        footage: frames and mattes.
    """

    def __init__(self, path: Path, meta: dict[str, Any], camera: Camera, tracks: Tracks, footage: Footage) -> None:
        self.path, self.meta, self.camera, self.tracks, self.footage = path, meta, camera, tracks, footage
        self.fps = float(meta["fps"])
        self.n_frames = int(meta["n_frames"])
        self._plate: np.ndarray | None = None
        self._audio: np.ndarray | None = None

    def __len__(self) -> int:
        return self.n_frames

    @property
    def width(self) -> int:
        return self.camera.width

    @property
    def height(self) -> int:
        return self.camera.height

    @classmethod
    def load(cls, path: Path | str) -> Capture:
        """Open a capture folder and check all of it that is not pixels.

        Raises:
            FormatError: not a capture, a file is missing or damaged, or written by a newer version.
        """
        path = Path(path)
        meta = _read_meta(path / "capture.json")
        try:
            camera = Camera.from_json(meta["camera"])
            size = (camera.width, camera.height)
            numbers = np.array([camera.fx, camera.fy, camera.cx, camera.cy], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"The camera in {path / 'capture.json'} is damaged ({_brief(error)}).", _HINT) from error
        if not all(isinstance(side, int) and 2 <= side <= _MAX_SIDE for side in size):
            raise FormatError(f"{path / 'capture.json'} gives an impossible frame size {size}.", _HINT)
        pose = camera.world_to_camera
        if (
            not np.isfinite(numbers).all()
            or numbers[:2].min() <= 0
            or pose.shape != (4, 4)
            or not np.isfinite(pose).all()
        ):
            raise FormatError(f"The camera in {path / 'capture.json'} is damaged.", _HINT)
        tracks = Tracks.load(path / "tracks.npz", meta["n_frames"])
        size = (camera.height, camera.width)
        footage: Footage
        if meta["version"] == 1:
            footage = PictureFolders(path, meta["n_frames"], size)
        else:
            footage = Films(path, meta["n_frames"], size, float(meta["fps"]))
        capture = cls(path, meta, camera, tracks, footage)
        capture._check_files()
        if meta["version"] >= 3:
            _check_sums(path, meta.get("checksums"))
        return capture

    def frame(self, i: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB.

        Raises:
            FormatError: the picture is damaged.
        """
        return self.footage.frame(i)

    def matte(self, i: int) -> np.ndarray:
        """(H, W) float32 0..1, 1 where the person is.

        Raises:
            FormatError: the matte is damaged.
        """
        return self.footage.matte(i)

    def mouth_region(self, i: int) -> np.ndarray:
        """(H, W) float32 0..1, 1 inside the open mouth: teeth, tongue and the dark between; see ``face_mesh``."""
        return mouth_region(self.tracks.landmarks[i], (self.height, self.width))

    @property
    def plate(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB background without the person."""
        if self._plate is None:
            path = self.path / "plate.png"
            self._plate = pictures.sized(pictures.read_rgb(path), path, (self.height, self.width))
        return self._plate

    @property
    def audio(self) -> np.ndarray:
        """(S,) float32 in -1..1, 16 kHz, S = n_frames / fps · 16000."""
        if self._audio is None:
            self._audio = _read_wave(self.path / "audio.wav")
        return self._audio

    def train_frames(self) -> np.ndarray:
        """Indices of the valid frames among the first 10/11."""
        return np.flatnonzero(self.tracks.valid[: self.split])

    def test_frames(self) -> np.ndarray:
        """Indices of the valid frames among the last 1/11."""
        return self.split + np.flatnonzero(self.tracks.valid[self.split :])

    @property
    def split(self) -> int:
        """First frame of the held-out tail."""
        return self.n_frames * 10 // 11

    def _check_files(self) -> None:
        plate = self.path / "plate.png"
        if not plate.is_file():
            raise FormatError(f"{plate} is missing from the capture.", _HINT)
        expected = round(self.n_frames / self.fps * 16000)
        if abs(len(self.audio) - expected) > 16000 // 25:
            raise FormatError(f"{self.path / 'audio.wav'} is {len(self.audio)} samples long, not {expected}.", _HINT)


def checksums(folder: Path) -> dict[str, int]:
    """CRC-32 of the files of a capture that ``capture.json`` vouches for.

    Raises:
        OSError: one is missing or cannot be read.
    """
    found = {}
    for name in CHECKED:
        with (folder / name).open("rb") as file:
            value = 0
            while block := file.read(1 << 20):
                value = zlib.crc32(block, value)
        found[name] = value
    return found


def _check_sums(folder: Path, told: object) -> None:
    """Half a tenth of a second a minute of recording, and the only thing that notices a hole inside a film."""
    if not isinstance(told, dict):
        raise FormatError(f"{folder / 'capture.json'} lacks the checksums of the other files.", _HINT)
    try:
        found = checksums(folder)
    except OSError as error:
        raise FormatError(f"A file of {folder} cannot be read ({_brief(error)}).", _HINT) from error
    for name, value in found.items():
        if told.get(name) != value:
            raise FormatError(f"{folder / name} is damaged: it is not what was written.", _HINT)


def write_wave(path: Path, samples: np.ndarray) -> None:
    """(S,) float32 → 16 kHz mono PCM16."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2").tobytes())


def _read_wave(path: Path) -> np.ndarray:
    try:
        with wave.open(str(path), "rb") as file:
            form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error, ValueError, RuntimeError, struct.error) as error:
        raise FormatError(f"The sound in {path} cannot be read ({_brief(error)}).", _HINT) from error
    if form != (1, 2, 16000):
        raise FormatError(f"{path} is not 16 kHz mono PCM16.", _HINT)
    return np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float32) / 32767.0


def _read_meta(path: Path) -> dict[str, Any]:
    if not path.parent.is_dir():
        raise FormatError(f"There is no capture at {path.parent}.", "Give the folder that `splatalk capture` wrote.")
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"{path} cannot be read ({_brief(error)}); this is not a capture.", _HINT) from error
    if (
        not isinstance(meta, dict)
        or not isinstance(meta.get("version"), int)
        or meta.get("format") != "splatalk capture"
    ):
        raise FormatError(f"{path} does not describe a capture.", _HINT)
    if not 1 <= meta["version"] <= VERSION:
        raise FormatError(f"{path} is of version {meta['version']}; this program reads up to {VERSION}.", _HINT)
    n, fps = meta.get("n_frames"), meta.get("fps")
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= _MAX_FRAMES:
        raise FormatError(f"{path} gives an impossible number of frames.", _HINT)
    if not isinstance(fps, int | float) or isinstance(fps, bool) or not 1 <= fps <= 240:
        raise FormatError(f"{path} gives an impossible frame rate.", _HINT)
    return meta


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:120]
