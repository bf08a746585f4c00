"""A person's mouth as a few numbers: principal shapes of the tracked lips, jaw and lower cheeks."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from splatalk.avatar.face_mesh import (
    INNER_LIP_PAIRS,
    LIPS_INNER,
    LIPS_OUTER,
    MOUTH_CORNERS,
    N_LANDMARKS,
    N_SKIN,
    NOSE_TIP,
)

N_COMPONENTS = 12
_SKIN_WEIGHT = 0.3  # lips count fully; jaw and cheeks are tracked less surely and move along
_DEPTH_WEIGHT = 0.3  # depth is concluded by the tracker, not seen
_LEAST_SPREAD = 5e-5  # metres over the whole region: what moves less is noise, and is not blown up to unit size
_CLOSED_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class MouthBasis:
    """Linear mouth shapes of one person in the head frame.

    Args:
        indices: (P,) int64, landmarks of the mouth region.
        mean: (P, 3) float32 metres, mean position of each.
        encoder: (C, 3 P) float32: displacement from the mean to code, in standard deviations over the recording.
        components: (C, 3 P) float32 metres: displacement that one unit of each code makes.
        rest: (C,) float32, code of the closed mouth.
    """

    indices: np.ndarray
    mean: np.ndarray
    encoder: np.ndarray
    components: np.ndarray
    rest: np.ndarray

    @property
    def n_components(self) -> int:
        return int(self.encoder.shape[0])

    @staticmethod
    def fit(
        landmarks_head: np.ndarray,
        neutral: np.ndarray,
        indices: np.ndarray | None = None,
        n_components: int = N_COMPONENTS,
    ) -> MouthBasis:
        """Principal component analysis of the recorded displacements.

        Args:
            landmarks_head: (N, 478, 3) metres, head frame, rigid motion removed.
            neutral: (478, 3) metres, the person's face at rest; says which landmarks belong to the mouth region.
            indices: (P,) landmarks to use; None takes the skin below the tip of the nose.
            n_components: C; fewer when there are not as many frames.
        """
        chosen = np.flatnonzero(neutral[:N_SKIN, 1] > neutral[NOSE_TIP, 1]) if indices is None else np.asarray(indices)
        points = landmarks_head[:, chosen].astype(np.float64)
        mean = points.mean(0)
        moved = (points - mean).reshape(len(points), -1)
        lips = np.isin(chosen, (*LIPS_OUTER, *LIPS_INNER))
        weight = np.outer(np.where(lips, 1.0, _SKIN_WEIGHT), (1.0, 1.0, _DEPTH_WEIGHT)).ravel()
        _, size, axes = np.linalg.svd(moved * weight, full_matrices=False)
        count = max(1, min(n_components, len(points) - 1, len(size)))
        spread = np.maximum(size[:count] / np.sqrt(len(points)), _LEAST_SPREAD)
        axes = axes[:count] * np.sign(axes[:count].sum(1, keepdims=True) + 1e-12)  # the sign of an SVD is arbitrary
        encoder = axes * weight / spread[:, None]
        components = axes / weight * spread[:, None]
        codes = moved @ encoder.T
        gap = mouth_opening_and_width(landmarks_head)[:, 0]
        closed = np.argsort(gap, kind="stable")[: max(1, round(_CLOSED_SHARE * len(gap)))]
        arrays = (mean, encoder, components, codes[closed].mean(0))
        return MouthBasis(chosen.astype(np.int64), *(array.astype(np.float32) for array in arrays))

    def encode(self, landmarks_head: np.ndarray) -> np.ndarray:
        """(N, 478, 3) metres, head frame -> (N, C) float32 codes."""
        moved = (landmarks_head[:, self.indices] - self.mean).reshape(len(landmarks_head), -1)
        return np.asarray(moved @ self.encoder.T, dtype=np.float32)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """(N, C) codes -> (N, P, 3) metres, head frame: where the landmarks ``indices`` are."""
        return np.asarray(self.mean + (codes @ self.components).reshape(len(codes), -1, 3), dtype=np.float32)

    def tensors(self) -> dict[str, Tensor]:
        """Everything, for a safetensors file."""
        return {f.name: torch.from_numpy(np.ascontiguousarray(getattr(self, f.name))) for f in dataclasses.fields(self)}

    @staticmethod
    def from_tensors(tensors: dict[str, Tensor]) -> MouthBasis:
        """Inverse of ``tensors``. ValueError when shapes or values do not fit together."""
        arrays = {f.name: tensors[f.name].numpy() for f in dataclasses.fields(MouthBasis)}
        indices, count = arrays["indices"], arrays["encoder"].shape[0]
        p = indices.shape[0]
        shapes = {"indices": (p,), "mean": (p, 3), "rest": (count,)}
        shapes |= {"encoder": (count, 3 * p), "components": (count, 3 * p)}
        for name, shape in shapes.items():
            if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
                raise ValueError(f"mouth basis {name} must be finite {shape}, got {arrays[name].shape}")
        if indices.dtype != np.int64 or p == 0 or indices.min() < 0 or indices.max() >= N_LANDMARKS:
            raise ValueError("mouth basis indices must be landmark numbers")
        return MouthBasis(**arrays)


def mouth_opening_and_width(landmarks: np.ndarray) -> np.ndarray:
    """Lip opening and width, seen from the front: depth is not measured but concluded, so it is left out.

    Args:
        landmarks: (N, 478, 2 or 3), any unit.

    Returns:
        (N, 2) in that unit: mean gap of the facing inner-lip points, distance of the mouth corners.
    """
    landmarks = landmarks[..., :2]
    upper, lower = np.array(INNER_LIP_PAIRS).T
    gap = np.linalg.norm(landmarks[:, upper] - landmarks[:, lower], axis=-1).mean(-1)
    right, left = MOUTH_CORNERS
    return np.stack((gap, np.linalg.norm(landmarks[:, right] - landmarks[:, left], axis=-1)), 1)
