"""Head poses from the skin itself: keyframes followed through the clip, poses and places of points solved together.

A landmark network has seen many faces, few of them from below; it understates nods and shakes by itself. Skin does
neither, but says nothing when it is covered or blurred. So the landmarks' poses, corrected by what the skin taught
about them, remain what is believed about a frame before its picture is compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np

from splatalk.capture import bundle, skin, skin_flow
from splatalk.capture.bundle import Home, Observations, Points, Prior
from splatalk.capture.geometry import mean_rotation, rotation_from_vector, vector_from_rotation
from splatalk.capture.pose import FaceModel, Solution
from splatalk.capture.skin_flow import Sightings, SkinTracker
from splatalk.progress import Step

_TERMS = 6
_NOISE_PX = 0.4  # of a followed point
_FACE_PX = 190.0  # height of a face at which its skin is followed; larger ones are made smaller
_ROUNDS = 4
_SPREAD_FRAMES, _SPREAD_APART = 90, np.radians(1.0)  # the frames whose poses are solved together with the points
_SPREAD_KEYS = 7  # keyframes that each of those is compared with
_EXPRESSION_FRAMES = 1000
_OWN_INFORMATION = 10.0  # of a keyframe about its own points: they are where they are
_STIFF, _SOFT = 0.0003, 0.004  # metres that a unit of expression may move firm skin, and the rest of it more
_FEWEST_POINTS = 60
_LOOSE = Prior(point=0.01)
_LANDMARKS = Prior(turn=np.radians(1.0), place=0.002, distance=0.01)
"""How far landmark poses are wrong after correction."""
_BLINK_COLUMNS = (9, 10)
_HELD = 0.25  # share of the usual support, from which a frame counts as followed


@dataclasses.dataclass
class SkinPoses:
    """Poses that the skin's motion asks for.

    Args:
        rotation, translation: (N, 3, 3), (N, 3) head frame to camera.
        support: (N,) how much of the usual number of points was found in each frame, 0..1.
        residual: (N,) RMS distance between found and explained points, pixels along directions in which they hold.
        relief: (3, 3) how the face's surface, from its middle, has to be stretched to agree.
    """

    rotation: np.ndarray
    translation: np.ndarray
    support: np.ndarray
    residual: np.ndarray
    relief: np.ndarray

    @property
    def followed(self) -> float:
        """Share of the frames whose pose rests on the skin rather than on landmarks."""
        return float((self.support > _HELD).mean())

    def reshaped(self, points: np.ndarray, pivot: np.ndarray) -> np.ndarray:
        """(..., 3) points of the landmark solve's head frame on the surface that the skin asks for."""
        return (points - pivot) @ self.relief.T + pivot


def refine(
    solution: Solution,
    blendshapes: np.ndarray,
    score: np.ndarray,
    gray: Callable[[int], np.ndarray],
    size: tuple[int, int],
    pivot: np.ndarray,
    step: Step,
) -> SkinPoses | None:
    """Follow the skin through the clip.

    Args:
        solution: of the landmarks, poses smoothed.
        blendshapes: (N, 52).
        score: (N,) how sharp each frame is, 1 as usual; not a number where it is not fit.
        gray: gives a frame as (H, W) uint8.
        size: (width, height) of the frames.
        pivot: (3,) middle of the face, head frame, metres.
        step: called once a frame, and for the frames looked at twice with 0.

    Returns:
        None when the face shows too little to follow.
    """
    blinking = blendshapes[:, _BLINK_COLUMNS].max(axis=1)
    score = np.minimum(score, 1.0) - 0.5 * (blinking > 0.5)
    if not np.isfinite(score).any():
        return None
    solution, gray, size = _at_usual_size(solution, gray, size)
    rotation, translation, focal = solution.rotation, solution.translation, solution.focal
    keys = [
        skin.make_keyframe(i, gray(i), solution.model.shape(solution.terms[i]), rotation[i], translation[i], focal)
        for i in skin.choose(rotation, score).tolist()
    ]
    numbers = np.array([key.frame for key in keys])
    tracker = SkinTracker(keys, focal, size)
    if tracker.first[-1] < _FEWEST_POINTS:
        return None
    spread = np.union1d(skin.choose(rotation, score, _SPREAD_FRAMES, _SPREAD_APART), numbers)
    near, _ = skin.nearest(rotation[spread], rotation[numbers], _SPREAD_KEYS)
    together = skin_flow.follow(
        tracker, gray, spread, near, np.ones(near.shape), rotation[spread], translation[spread], lambda: step(0)
    )
    near, trust = skin.nearest(rotation, rotation[numbers], skin_flow.PER_FRAME)
    everything = skin_flow.follow(
        tracker, gray, range(len(rotation)), near, trust, rotation, translation, lambda: step(1)
    )
    return _Solver(solution, tracker, size, pivot).solve(together, spread, everything)


def _at_usual_size(
    solution: Solution, gray: Callable[[int], np.ndarray], size: tuple[int, int]
) -> tuple[Solution, Callable[[int], np.ndarray], tuple[int, int]]:
    """Large faces made smaller: what can be followed in skin is coarse, and patches have a fixed size."""
    side = solution.focal * float(np.ptp(solution.model.neutral[:, 1]) / np.median(solution.translation[:, 2]))
    scale = _FACE_PX / max(side, 1.0)
    if scale > 0.85:
        return solution, gray, size
    small = max(round(size[0] * scale), 16), max(round(size[1] * scale), 16)
    scale = small[0] / size[0]
    smaller = dataclasses.replace(solution, focal=solution.focal * scale)
    return smaller, lambda i: cv2.resize(gray(i), small, interpolation=cv2.INTER_AREA), small


class _Solver:
    """The joint solve; poses turn about the middle of the face in here."""

    def __init__(self, solution: Solution, tracker: SkinTracker, size: tuple[int, int], pivot: np.ndarray) -> None:
        keys = tracker.keys
        self.focal, self.pivot, self.centre = solution.focal, pivot, np.array(size) / 2
        self.noise = _NOISE_PX
        self.rotation = solution.rotation
        self.place = solution.translation + solution.rotation @ pivot
        self.start = np.concatenate([key.on_skin for key in keys]) - pivot
        self.information = np.concatenate([key.information for key in keys])
        self.firmness = np.concatenate([key.firmness for key in keys])
        self.weight = np.minimum(2.0 * self.firmness, 1.0)
        self.keyframe = np.repeat([key.frame for key in keys], [len(key.points) for key in keys])
        self.terms = free_of_pose(solution.terms[:, :_TERMS], self.rotation, self.place)

    def solve(self, together: Sightings, spread: np.ndarray, everything: Sightings) -> SkinPoses:
        some = np.unique(np.linspace(0, len(self.rotation) - 1, _EXPRESSION_FRAMES).round().astype(int))
        points = Points(self.start, np.zeros((len(self.start), self.terms.shape[1], 3)))
        home = Home(self.start, self.rotation[spread], self.place[spread])
        joint, free = (home.rotation, home.translation), (self.rotation[some], self.place[some])
        give = _STIFF + _SOFT * (1.0 - self.firmness)
        steadiness = np.ones(len(self.start))
        for k in range(_ROUNDS):
            steps = 2 if k else 6
            seen = self._observations(together, spread, steadiness)
            own = self.keyframe[seen.point] == spread[:, None]
            seen.information[own & (together.point >= 0)] = _OWN_INFORMATION * np.eye(2)
            points, turned, placed = bundle.adjust(seen, points, *joint, home, self.focal, self.noise, _LOOSE, steps)
            joint = turned, placed
            seen = self._observations(everything.rows(some), some, steadiness)
            free = bundle.fit_frames(seen, points, *free, self.focal, self.noise, _LOOSE, steps)[:2]
            points = bundle.fit_expression(seen, points, *free, self.focal, self.noise, give)
            steadiness = self._steadiness(seen, points, *free)
        everywhere = np.arange(len(self.rotation))
        seen = self._observations(everything, everywhere, steadiness)
        rotation, place, _ = bundle.fit_frames(
            seen, points, *corrected(self.rotation, self.place, some, *free), self.focal, self.noise, _LANDMARKS, 8
        )
        held = np.trace(seen.information, axis1=-2, axis2=-1).sum(axis=1)
        error = bundle.residuals(seen, points, rotation, place, self.focal)
        square = np.einsum("nqi,nqij,nqj->n", error, seen.information, error)
        return SkinPoses(
            rotation,
            place - rotation @ self.pivot,
            np.clip(held / max(float(np.median(held)), 1e-9), 0.0, 1.0),
            np.sqrt(square / np.maximum(held, 1e-9)),
            self._relief(points, steadiness),
        )

    def _observations(self, sightings: Sightings, frames: np.ndarray, steadiness: np.ndarray) -> Observations:
        point = np.maximum(sightings.point, 0)
        trust = sightings.weight * (self.weight * steadiness)[point] * (sightings.point >= 0)
        information = self.information[point] * trust[..., None, None]
        return Observations(point, sightings.seen - self.centre, information, self.terms[frames])

    def _steadiness(self, seen: Observations, points: Points, rotation: np.ndarray, place: np.ndarray) -> np.ndarray:
        """(M,) trust in each point by how well it goes along with the others."""
        error = bundle.residuals(seen, points, rotation, place, self.focal)
        length = np.sqrt(np.einsum("nqi,nqij,nqj->nq", error, self.information[seen.point], error))
        used = seen.information[..., 0, 0] > 0
        order = np.argsort(seen.point[used], kind="stable")
        owner, length = seen.point[used][order], length[used][order]
        usual = np.full(len(self.start), np.inf)
        for m, part in zip(np.unique(owner), np.split(length, np.flatnonzero(np.diff(owner)) + 1)):
            if len(part) > 3:
                usual[m] = np.median(part)
        known = np.isfinite(usual)
        if not known.any():
            return np.zeros(len(usual))
        return 1.0 / (1.0 + (usual / max(float(np.median(usual[known])), 1e-6)) ** 2)

    def _relief(self, points: Points, steadiness: np.ndarray) -> np.ndarray:
        """The linear map that carries the tracked surface to the points, held near none."""
        weight = (self.weight * steadiness)[:, None]
        normal = (self.start * weight).T @ self.start + 1e-3 * np.eye(3)
        return np.eye(3) + np.linalg.solve(normal, (self.start * weight).T @ (points.place - self.start)).T


def free_of_pose(terms: np.ndarray, rotation: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Expression terms without what goes along with the pose, at unit variance.

    Networks see a raised brow where a head nods. Points that moved with that would hide the nod.
    """
    turn = vector_from_rotation(mean_rotation(rotation).T @ rotation)
    moved = np.concatenate([turn, place, turn[:, :2] ** 2, turn[:, :1] * turn[:, 1:2]], axis=1)
    moved = (moved - moved.mean(axis=0)) / np.maximum(moved.std(axis=0), 1e-9)
    design = np.concatenate([np.ones((len(moved), 1)), moved], axis=1)
    normal = design.T @ design + 1e-2 * np.eye(design.shape[1])
    left = terms - design @ np.linalg.solve(normal, design.T @ terms)
    return left / np.maximum(left.std(axis=0), 1e-6)


def corrected(
    rotation: np.ndarray, place: np.ndarray, frames: np.ndarray, better_rotation: np.ndarray, better_place: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Landmark poses with what they always get wrong taken out: a linear map learned where better ones are known.

    Args:
        rotation, place: (N, 3, 3), (N, 3) from landmarks.
        frames: (F,) where the better ones are known: (F, 3, 3), (F, 3).
    """
    middle = mean_rotation(rotation[frames])
    usual = place[frames].mean(axis=0)

    def columns(r: np.ndarray, p: np.ndarray) -> np.ndarray:
        return np.concatenate([vector_from_rotation(middle.T @ r), (p - usual) / usual[2]], axis=1)

    every = columns(rotation, place)
    design = np.concatenate([np.ones((len(every), 1)), every], axis=1)
    wrong = columns(better_rotation, better_place) - every[frames]
    usable = np.linalg.norm(wrong, axis=1) < 4.0 * np.median(np.linalg.norm(wrong, axis=1)) + 1e-9
    used = design[frames][usable]
    keep = np.diag([1e-6, *np.full(6, len(used) * 1e-5)])
    out = every + design @ np.linalg.solve(used.T @ used + keep, used.T @ wrong[usable])
    return middle @ rotation_from_vector(out[:, :3]), out[:, 3:] * usual[2] + usual


def reshape_model(model: FaceModel, skin_poses: SkinPoses, pivot: np.ndarray) -> FaceModel:
    """The face on the surface that the skin asks for."""
    return FaceModel(skin_poses.reshaped(model.neutral, pivot), model.basis @ skin_poses.relief.T)
