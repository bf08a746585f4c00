"""Novel views against truth: an avatar seen from cameras that never recorded the person.

A monocular avatar lives in a scale of its own. One similarity transform for the whole clip, fitted over the training
frames, maps it onto the truth; the truth's cameras are carried back through it. Nothing is aligned per image.
"""

from __future__ import annotations

import dataclasses
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from scipy import optimize

from splatalk import progress
from splatalk.avatar.model import Avatar
from splatalk.capture.dataset import Capture
from splatalk.capture.geometry import rotation_from_vector, vector_from_rotation
from splatalk.drive.fit_poses import with_fitted_poses
from splatalk.drive.from_capture import from_capture
from splatalk.drive.play import play
from splatalk.errors import FormatError, UserError
from splatalk.evaluate import metrics
from splatalk.render.camera import Camera
from splatalk.train.perceptual import Lpips

CORRESPONDING = ((36, 33), (39, 133), (42, 362), (45, 263), (28, 197), (30, 4), (33, 2), (48, 61), (54, 291), (8, 152))
"""(Multi-PIE 68, MediaPipe 478): corners of eyes and mouth, nose and chin, which both define alike."""
HEAD = 1
"""Value of the truth's masks where head and hair are."""


@dataclasses.dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + translation.

    Args:
        scale: target units per source unit.
        rotation: (3, 3).
        translation: (3,) target units.
        residual: root mean square distance left after fitting, target units.
    """

    scale: float
    rotation: np.ndarray
    translation: np.ndarray
    residual: float

    @property
    def turn_degrees(self) -> float:
        """How far the worlds are turned against each other."""
        return float(np.degrees(np.linalg.norm(vector_from_rotation(self.rotation))))

    def camera(self, camera: Camera) -> Camera:
        """A camera of the target's world as one of the source's; both see the same picture."""
        r, t = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
        out = np.eye(4)
        out[:3, :3] = r @ self.rotation
        out[:3, 3] = (r @ self.translation + t) / self.scale
        return dataclasses.replace(camera, world_to_camera=out)


@dataclasses.dataclass(frozen=True)
class Truth:
    """What is known about a synthetic recording; centimetres, OpenCV axes.

    Args:
        camera: the recording's; its world is the truth's.
        head_pose: (N, 4, 4) head to world.
        landmarks: (N, 68, 3) in the head frame.
        frames: (F,) frames with novel views.
        yaw_pitch: (V, 2) degrees.
        novel_from_camera: (V, 4, 4).
        background: (3,) RGB 0..255.
        views: the archive with the pictures.
    """

    camera: Camera
    head_pose: np.ndarray
    landmarks: np.ndarray
    frames: np.ndarray
    yaw_pitch: np.ndarray
    novel_from_camera: np.ndarray
    background: np.ndarray
    views: Path

    @classmethod
    def load(cls, facts: Path, views: Path) -> Truth:
        """Read ``NAME_gt.npz`` and ``NAME_novel.zip``.

        Raises:
            FormatError: one of them is missing or is something else.
        """
        try:
            with zipfile.ZipFile(views) as archive:
                if not any(re.fullmatch(r"f\d+_c\d+\.webp", name) for name in archive.namelist()):
                    raise ValueError("the archive holds no views")
            with np.load(facts, allow_pickle=False) as data:
                width, height = (int(v) for v in data["image_size"])
                fx, fy, cx, cy = (float(data["K"][row]) for row in ((0, 0), (1, 1), (0, 2), (1, 2)))
                return cls(
                    camera=Camera(width, height, fx, fy, cx, cy),
                    head_pose=data["T_cam_head"].astype(np.float64),
                    landmarks=data["landmarks68_model"].astype(np.float64),
                    frames=data["test_frames"],
                    yaw_pitch=data["novel_yaw_pitch"],
                    novel_from_camera=data["T_novel_from_cam"].astype(np.float64),
                    background=data["novel_background"],
                    views=views,
                )
        except Exception as e:  # a damaged archive can raise anything
            raise FormatError(
                f"{facts} and {views} are not a truth with novel views: {e}.", "Name a recording that comes with both."
            ) from e

    def pictures(self, frame: int, view: int) -> tuple[np.ndarray, np.ndarray]:
        """The picture (H, W, 3) uint8 RGB and its mask (H, W): 0 background, 1 head with hair, 2 torso."""
        stem = f"f{frame:05d}_c{view}"
        try:
            with zipfile.ZipFile(self.views) as archive:
                image = cv2.imdecode(np.frombuffer(archive.read(f"{stem}.webp"), np.uint8), cv2.IMREAD_COLOR_RGB)
                mask = cv2.imdecode(np.frombuffer(archive.read(f"{stem}_mask.png"), np.uint8), cv2.IMREAD_UNCHANGED)
            if image is None or mask is None or mask.shape != image.shape[:2]:
                raise ValueError("not a picture with its mask")
        except Exception as e:
            raise FormatError(f"{stem} in {self.views} cannot be read: {e}.", "Copy the archive again.") from e
        return image, mask


def align(capture: Capture, truth: Truth, head_pose: np.ndarray | None = None) -> Similarity:
    """From the avatar's world to the truth's, by head poses and the faces that they carry over all training frames.

    The two head frames differ by a motion that is constant but unknown, so the rotation between the worlds is what
    explains all turns of the head at once (``fit_rotation``). The tracked face gives the scale, which head poses hardly
    tell: a head turns more than it travels. It is taken across the view: that is what one camera sees, depth it
    concludes.

    Args:
        head_pose: (N, 4, 4) of the training frames, as training refined them; the tracker's without.

    Raises:
        UserError: the recordings share fewer than three frames.
    """
    frames = capture.train_frames()
    known = frames < len(truth.head_pose)
    if known.sum() < 3:
        raise UserError(f"{capture.path.name} and the truth have no frames in common.", "Use the matching recording.")
    poses = (capture.tracks.head_pose[frames] if head_pose is None else head_pose.astype(np.float64))[known]
    frames = frames[known]
    ours, theirs = np.array(CORRESPONDING).T[::-1]
    true = _carried(truth.head_pose[frames], truth.landmarks[frames][:, theirs])
    rotation = fit_rotation(poses[:, :3, :3], truth.head_pose[frames, :3, :3])
    tracked = _carried(poses, capture.tracks.landmarks_head[frames][:, ours])
    return fit_turned(tracked, true, rotation)


def fit_rotation(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(3, 3) rotation A of target_i = A source_i B over all i, with B constant and of no interest: hand-eye
    calibration (Park and Martin 1994), solved for both by least squares.

    Args:
        source, target: (N, 3, 3) rotations of one body, whose frame each world chose for itself.
    """
    some = np.unique(np.linspace(0, len(source) - 1, 400).round().astype(int))
    source, target = source[some], target[some]

    def left(x: np.ndarray) -> np.ndarray:
        a, b = rotation_from_vector(x.reshape(2, 3))
        return np.asarray((a @ source @ (b @ around) - target).ravel())

    around = source[0].T @ target[0]
    return rotation_from_vector(optimize.least_squares(left, np.zeros(6)).x[:3])


def fit_turned(source: np.ndarray, target: np.ndarray, rotation: np.ndarray) -> Similarity:
    """The similarity of a known rotation, with the scale from what lies across the target's z axis.

    Args:
        source, target: (N, 3) corresponding points.
    """
    source = source @ rotation.T
    a, b = (points[:, :2] - points[:, :2].mean(axis=0) for points in (source, target))
    scale = float((a * b).sum() / (a * a).sum())
    translation = target.mean(axis=0) - scale * source.mean(axis=0)
    left = target - (scale * source + translation)
    return Similarity(scale, rotation, translation, float(np.sqrt((left**2).sum(axis=1).mean())))


def _carried(poses: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N * P, 3): points (N, P, 3) of every frame in the world."""
    moved = np.einsum("nij,npj->npi", poses[:, :3, :3], points) + poses[:, None, :3, 3]
    return moved.reshape(-1, 3).astype(np.float64)


@dataclasses.dataclass(frozen=True)
class View:
    """One novel view of one frame: the avatar's picture, the truth's, and the truth's mask."""

    frame: int
    view: int
    image: np.ndarray
    truth: np.ndarray
    mask: np.ndarray


def novel_views(
    avatar: Avatar,
    capture: Capture,
    truth: Truth,
    similarity: Similarity,
    every: int = 1,
    backend: str = "auto",
    fit: bool = False,
) -> Iterator[View]:
    """Render every novel view of the truth's held-out frames, on the truth's flat background.

    Args:
        similarity: from ``align``.
        every: take every so many-th frame.
        fit: whether the frames' head and torso poses are refined on the recorded pictures, see ``drive.fit_poses``.
    """
    frames = np.intersect1d(truth.frames, capture.test_frames())[::every]
    performance = from_capture(avatar, capture, frames)
    if fit:
        performance = with_fitted_poses(avatar, capture, frames, performance)
    colour = "#" + bytes(int(c) for c in truth.background).hex()
    with progress.bar("Novel views", len(frames) * len(truth.yaw_pitch), "picture") as step:
        for view, matrix in enumerate(truth.novel_from_camera):
            camera = similarity.camera(dataclasses.replace(truth.camera, world_to_camera=matrix))
            rendered = play(avatar, performance, camera=camera, background=colour, backend=backend)
            for frame, image in zip(frames, rendered, strict=True):
                yield View(int(frame), view, image, *truth.pictures(int(frame), view))
                step()


def view_figures(view: View, metric: Lpips | None) -> dict[str, float]:
    """``psnr_person`` and ``psnr_head`` within the truth's mask; ``lpips_full`` over the picture on flat background."""
    out = {
        "psnr_person": metrics.psnr(view.image, view.truth, (view.mask > 0).astype(np.float64)),
        "psnr_head": metrics.psnr(view.image, view.truth, (view.mask == HEAD).astype(np.float64)),
    }
    if metric is not None:
        out["lpips_full"] = metrics.lpips(metric, view.image, view.truth)
    return out
