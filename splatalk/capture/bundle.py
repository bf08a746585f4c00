"""Bundle adjustment: head poses and the places of skin points that together explain where the points are seen.

Poses turn about the middle of the face, to which all points are relative. Every observation has its own 2 × 2
information matrix, because a patch with an edge in it holds a point across the edge only.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from splatalk.capture.geometry import nearest_rotation, rotation_from_vector, vector_from_rotation

_CHUNK = 256


@dataclasses.dataclass(frozen=True)
class Prior:
    """What is believed before the picture is looked at: standard deviations, independent of one another.

    Args:
        point: metres, of a point around its place on the tracked surface.
        turn: radians, of a pose.
        place: share of the distance, of the middle of the face across the line of sight.
        distance: share of the distance, along it.
    """

    point: float = 0.008
    turn: float = 0.1
    place: float = 0.01
    distance: float = 0.05

    def pose_precision(self, distance: np.ndarray) -> np.ndarray:
        """(N, 6) of turn and shift, for faces at (N,) metres."""
        out = np.empty((len(distance), 6))
        out[:, :3] = self.turn**-2
        out[:, 3:5] = ((self.place * distance) ** -2)[:, None]
        out[:, 5] = (self.distance * distance) ** -2
        return out


@dataclasses.dataclass
class Points:
    """Places of M points on the skin, from the middle of the face, and how expression moves them.

    Args:
        place: (M, 3) metres.
        basis: (M, K, 3) metres per unit of each expression term.
    """

    place: np.ndarray
    basis: np.ndarray

    def at(self, point: np.ndarray, terms: np.ndarray) -> np.ndarray:
        """(n, Q) point numbers and (n, K) expression terms → (n, Q, 3) metres."""
        out = self.place[point]
        for k in range(terms.shape[1]):
            out += terms[:, k, None, None] * self.basis[point, k]
        return out


@dataclasses.dataclass
class Observations:
    """Points seen in N frames, Q a frame.

    Args:
        point: (N, Q) which point; any where the information is 0.
        seen: (N, Q, 2) pixels from the principal point.
        information: (N, Q, 2, 2) trust, 0 for none, 1 for a point held to the noise.
        terms: (N, K) expression terms.
    """

    point: np.ndarray
    seen: np.ndarray
    information: np.ndarray
    terms: np.ndarray

    def part(self, rows: slice) -> Observations:
        return Observations(self.point[rows], self.seen[rows], self.information[rows], self.terms[rows])


@dataclasses.dataclass(frozen=True)
class Home:
    """What a prior is around: (M, 3) places of points, (N, 3, 3) and (N, 3) poses."""

    place: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray


@dataclasses.dataclass
class Linear:
    """The problem around the present guess: per observation (n, Q, ...) residual and derivatives.

    Args:
        error: (n, Q, 2) pixels.
        weight: (n, Q, 2, 2) robust information a pixel squared.
        by_pose: (n, Q, 2, 6), by_point: (n, Q, 2, 3).
    """

    error: np.ndarray
    weight: np.ndarray
    by_pose: np.ndarray
    by_point: np.ndarray


def linearise(
    seen: Observations,
    points: Points,
    rotation: np.ndarray,
    translation: np.ndarray,
    focal: float,
    noise: float,
) -> Linear:
    """Project the points and derive; residuals are weighted as under Cauchy's distribution with scale 2 · noise."""
    turned = np.einsum("nij,nqj->nqi", rotation, points.at(seen.point, seen.terms))
    camera = turned + translation[:, None]
    inverse = 1.0 / np.maximum(camera[..., 2], 1e-3)
    slope = camera[..., :2] * inverse[..., None]
    error = focal * slope - seen.seen
    square = np.einsum("nqi,nqij,nqj->nq", error, seen.information, error)
    weight = seen.information / (noise**2 * (1.0 + square / (2.0 * noise) ** 2))[..., None, None]
    by_camera = np.zeros((*error.shape, 3))
    by_camera[..., 0, 0] = by_camera[..., 1, 1] = focal * inverse
    by_camera[..., 2] = -focal * slope * inverse[..., None]
    x, y, z = (turned[..., k] for k in range(3))
    by_turn = np.zeros((*turned.shape, 3))  # minus the cross-product matrix
    by_turn[..., 0, 1], by_turn[..., 0, 2] = z, -y
    by_turn[..., 1, 0], by_turn[..., 1, 2] = -z, x
    by_turn[..., 2, 0], by_turn[..., 2, 1] = y, -x
    by_pose = np.concatenate([by_camera @ by_turn, by_camera], axis=-1)
    return Linear(error, weight, by_pose, by_camera @ rotation[:, None])


def residuals(
    seen: Observations, points: Points, rotation: np.ndarray, translation: np.ndarray, focal: float
) -> np.ndarray:
    """(N, Q, 2) pixels from where points are seen to where they are expected, in pieces that bound memory."""
    out = np.empty(seen.seen.shape)
    for begin in range(0, len(rotation), _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        part = seen.part(rows)
        turned = np.einsum("nij,nqj->nqi", rotation[rows], points.at(part.point, part.terms))
        camera = turned + translation[rows, None]
        out[rows] = focal * camera[..., :2] / np.maximum(camera[..., 2:], 1e-3) - part.seen
    return out


def fit_frames(
    seen: Observations,
    points: Points,
    rotation: np.ndarray,
    translation: np.ndarray,
    focal: float,
    noise: float,
    prior: Prior,
    steps: int = 6,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses of all frames with the points held, each frame on its own.

    Args:
        rotation, translation: (N, 3, 3), (N, 3) to start from; also what ``prior`` is around.

    Returns:
        rotation, translation, and the (N, 6, 6) precision of turn and shift without the prior.
    """
    out: list[tuple[np.ndarray, ...]] = []
    for begin in range(0, len(rotation), _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        now, home = (rotation[rows], translation[rows]), (rotation[rows], translation[rows])
        precision = prior.pose_precision(translation[rows, 2])
        for _ in range(steps):
            at = linearise(seen.part(rows), points, *now, focal, noise)
            normal, gradient = _pose_terms(at)
            full, pull = _with_prior(normal, gradient, now, home, precision)
            now = _moved(now, -np.linalg.solve(full, pull[..., None])[..., 0])
        out.append((*now, normal))
    rotation, translation, normal = (np.concatenate(parts) for parts in zip(*out))
    return rotation, translation, normal


def adjust(
    seen: Observations,
    points: Points,
    rotation: np.ndarray,
    translation: np.ndarray,
    home: Home,
    focal: float,
    noise: float,
    prior: Prior,
    steps: int,
) -> tuple[Points, np.ndarray, np.ndarray]:
    """Poses and places of points together (Gauss-Newton, points eliminated); what expression does is held.

    Args:
        rotation, translation: (N, 3, 3), (N, 3), to start from.
        home: what ``prior`` is around.

    Returns:
        points, rotation, translation.
    """
    now, place = (rotation, translation), points.place
    precision = prior.pose_precision(home.translation[:, 2])
    n, m = len(rotation), len(place)
    for _ in range(steps):
        at = linearise(seen, Points(place, points.basis), *now, focal, noise)
        normal, gradient = _with_prior(*_pose_terms(at), now, (home.rotation, home.translation), precision)
        weighted = at.weight @ at.by_point  # (n, Q, 2, 3)
        own, pull = np.zeros((m, 3, 3)), np.zeros((m, 3))
        np.add.at(own, seen.point, np.swapaxes(at.by_point, -1, -2) @ weighted)
        np.add.at(pull, seen.point, np.einsum("nqij,nqi->nqj", weighted, at.error))
        own += np.eye(3) * prior.point**-2
        pull += (place - home.place) * prior.point**-2
        by_frame = np.zeros((n, m, 6, 3))
        np.add.at(by_frame, (np.arange(n)[:, None], seen.point), np.swapaxes(at.by_pose, -1, -2) @ weighted)
        cross = by_frame.transpose(0, 2, 1, 3).reshape(6 * n, m, 3)
        inverse = np.linalg.inv(own)
        eliminated = np.einsum("amj,mjk->amk", cross, inverse).reshape(6 * n, -1)
        full = -eliminated @ cross.reshape(6 * n, -1).T
        for i in range(n):
            full[6 * i : 6 * i + 6, 6 * i : 6 * i + 6] += normal[i]
        change = -np.linalg.solve(full, gradient.reshape(-1) - eliminated @ pull.reshape(-1))
        place = place - np.einsum("mjk,mk->mj", inverse, pull + np.einsum("amj,a->mj", cross, change))
        now = _moved(now, change.reshape(n, 6))
    return Points(place, points.basis), *now


def fit_expression(
    seen: Observations,
    points: Points,
    rotation: np.ndarray,
    translation: np.ndarray,
    focal: float,
    noise: float,
    give: np.ndarray,
    most: int = 150,
) -> Points:
    """How expression moves each point: ridge regression with poses and places held.

    Args:
        give: (M,) metres that one unit of a term may move each point.
        most: observations that a point counts as at most: errors of neighbouring frames are alike.
    """
    at = linearise(seen, points, rotation, translation, focal, noise)
    used = at.weight[..., 0, 0] > 0
    row, slot = np.nonzero(used)
    order = np.argsort(seen.point[row, slot], kind="stable")
    row, slot = row[order], slot[order]
    bounds = np.searchsorted(seen.point[row, slot], np.arange(len(points.place) + 1))
    basis, k = points.basis.copy(), seen.terms.shape[1]
    for m in range(len(basis)):
        r, q = row[bounds[m] : bounds[m + 1]], slot[bounds[m] : bounds[m + 1]]
        if len(r) < 2:
            continue
        columns = np.concatenate([np.ones((len(r), 1)), seen.terms[r]], axis=1)
        jacobian = (at.by_point[r, q][:, :, None, :] * columns[:, None, :, None]).reshape(len(r), 2, -1)
        scaled = at.weight[r, q] @ jacobian * min(1.0, most / len(r))
        flat, flat_scaled = jacobian.reshape(-1, 3 * k + 3), scaled.reshape(-1, 3 * k + 3)
        keep = np.concatenate([np.full(3, 0.003**-2), np.full(3 * k, give[m] ** -2)])
        pull = flat_scaled.T @ at.error[r, q].reshape(-1)
        pull[3:] += keep[3:] * basis[m].reshape(-1)
        change = -np.linalg.solve(flat.T @ flat_scaled + np.diag(keep), pull)
        basis[m] += change[3:].reshape(k, 3)
    return Points(points.place, basis)


def _pose_terms(at: Linear) -> tuple[np.ndarray, np.ndarray]:
    """(n, 6, 6) normal matrices and (n, 6) gradients of the poses."""
    n = len(at.error)
    scaled = (at.weight @ at.by_pose).reshape(n, -1, 6)
    rows = at.by_pose.reshape(n, -1, 6)
    return np.swapaxes(rows, 1, 2) @ scaled, np.einsum("nka,nk->na", scaled, at.error.reshape(n, -1))


def _with_prior(
    normal: np.ndarray,
    gradient: np.ndarray,
    now: tuple[np.ndarray, np.ndarray],
    home: tuple[np.ndarray, np.ndarray],
    precision: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    away = np.concatenate([vector_from_rotation(now[0] @ np.swapaxes(home[0], 1, 2)), now[1] - home[1]], axis=1)
    return normal + precision[:, :, None] * np.eye(6), gradient + precision * away


def _moved(pose: tuple[np.ndarray, np.ndarray], change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rotation = nearest_rotation(rotation_from_vector(np.clip(change[:, :3], -0.3, 0.3)) @ pose[0])
    return rotation, pose[1] + np.clip(change[:, 3:], -0.2, 0.2)
