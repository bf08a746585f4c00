"""A pinhole camera in OpenCV axes: x right, y down, z forward; metres and pixels."""

from __future__ import annotations

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Camera:
    """Intrinsics in pixels and a world-to-camera transform.

    The top-left corner of the image is (0, 0), so pixel (column c, row r) has its centre at (c + 0.5, r + 0.5).

    Args:
        width, height: image size in pixels.
        fx, fy: focal lengths in pixels.
        cx, cy: principal point in pixels.
        world_to_camera: (4, 4) float64, rigid.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    world_to_camera: np.ndarray = dataclasses.field(default_factory=lambda: np.eye(4))

    def resized(self, width: int, height: int) -> Camera:
        """The same view on another pixel grid."""
        sx, sy = width / self.width, height / self.height
        return dataclasses.replace(
            self, width=width, height=height, fx=self.fx * sx, fy=self.fy * sy, cx=self.cx * sx, cy=self.cy * sy
        )

    def orbited(self, centre: np.ndarray, yaw: float, pitch: float) -> Camera:
        """Moved on a sphere around ``centre``, still looking at it the way this camera does.

        Args:
            centre: (3,) world point that keeps its place in the image, metres.
            yaw: radians; positive moves the camera to the image's right (the subject's left).
            pitch: radians; positive moves the camera up.
        """
        cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
        turn_yaw = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
        turn_pitch = np.array([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])
        c = self.world_to_camera[:3, :3] @ np.asarray(centre, dtype=np.float64) + self.world_to_camera[:3, 3]
        turn = np.eye(4)
        turn[:3, :3] = turn_pitch @ turn_yaw
        turn[:3, 3] = c - turn[:3, :3] @ c
        return dataclasses.replace(self, world_to_camera=turn @ self.world_to_camera)

    def to_json(self) -> dict[str, object]:
        """Plain data; ``from_json`` reads it back exactly."""
        return {**dataclasses.asdict(self), "world_to_camera": self.world_to_camera.tolist()}

    @classmethod
    def from_json(cls, data: dict) -> Camera:
        return cls(**{**data, "world_to_camera": np.asarray(data["world_to_camera"], dtype=np.float64)})
