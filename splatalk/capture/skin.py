"""Keyframes whose skin is followed: the face's surface under their pixels, and points on its firm parts.

A keyframe is a frame of the clip with its pose and the tracked face surface. Every pixel of its face then has a place
in the head frame, so another frame can be drawn as the keyframe would show it, up to what its pose is wrong.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from splatalk.avatar.face_mesh import FACE_TRIANGLES, N_SKIN, rigidity
from splatalk.capture.geometry import vector_from_rotation

MOST_KEYFRAMES = 14
_APART = np.radians(3.5)  # turn between neighbouring keyframes
_POINTS = 90  # a keyframe
_FIRM = 0.3  # least rigidity of the skin around a point
WINDOW = 15  # pixels, side of the patch that is compared
_STRONG = 25.0  # mean squared gradient, grey levels of the evened picture a pixel, that counts as firm
_BLUR = 7.0  # pixels; shading changes more slowly over the face than this
_GRID = 4  # pixels between the exactly warped ones


@dataclasses.dataclass
class Keyframe:
    """A frame that others are compared with.

    Args:
        frame: its number.
        corner: (2,) left and top of its crop in the frame, pixels.
        picture: (h, w) uint8 crop, evened out (``evened``).
        surface: (h / 4, w / 4, 3) head-frame points under every fourth pixel, metres.
        points: (M, 2) pixels in the crop that are followed, float32.
        on_skin: (M, 3) metres, head frame.
        information: (M, 2, 2) how firmly each point's patch holds it along x and y: eigenvalues 0..1.
        firmness: (M,) 0..1, rigidity of the skin there.
    """

    frame: int
    corner: np.ndarray
    picture: np.ndarray
    surface: np.ndarray
    points: np.ndarray
    on_skin: np.ndarray
    information: np.ndarray
    firmness: np.ndarray

    def warp(self, rotation: np.ndarray, translation: np.ndarray, focal: float, centre: np.ndarray) -> np.ndarray:
        """(h, w, 2) float32: where a frame with the given pose shows what this crop shows, pixel indices."""
        camera = self.surface @ rotation.T.astype(np.float32) + translation.astype(np.float32)
        seen = focal * camera[..., :2] / camera[..., 2:] + (centre - 0.5).astype(np.float32)
        h, w = self.picture.shape
        rows, columns = self.surface.shape[:2]
        scale = np.array([[1 / _GRID, 0, 0], [0, 1 / _GRID, 0]])
        assert rows * _GRID >= h and columns * _GRID >= w
        return cv2.warpAffine(
            seen.astype(np.float32), scale, (w, h), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip


def choose(rotation: np.ndarray, score: np.ndarray, most: int = MOST_KEYFRAMES, apart: float = _APART) -> np.ndarray:
    """Frames spread over the turns of the head.

    Args:
        rotation: (N, 3, 3).
        score: (N,) how good a frame is as a keyframe, at most 1; not a number where it must not be one.

    Returns:
        (K,) frame numbers; the first is nearest to the middle.
    """
    turn = _turn(rotation)
    usable = np.isfinite(score)
    middle = np.median(turn[usable], axis=0)
    badness = np.where(usable, 1.0 - score, np.inf)
    first = int(np.argmin(np.linalg.norm(turn - middle, axis=1) / apart + badness))
    chosen = [first]
    distance = np.linalg.norm(turn - turn[first], axis=1)
    while len(chosen) < most:
        gain = np.where(usable, distance - apart * np.minimum(badness, 1e3), -np.inf)
        best = int(np.argmax(gain))
        if gain[best] < apart:
            break
        chosen.append(best)
        distance = np.minimum(distance, np.linalg.norm(turn - turn[best], axis=1))
    return np.array(chosen)


def _turn(rotation: np.ndarray) -> np.ndarray:
    """(N, 3) radians; a roll counts half: it turns a patch but shows no other side of it."""
    return vector_from_rotation(rotation) * np.array([1.0, 1.0, 0.5])


def nearest(rotation: np.ndarray, keys: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The keyframes to compare each frame with: (N, count) numbers of them and (N, count) weights 0..1.

    Args:
        rotation, keys: (N, 3, 3), (K, 3, 3) head poses of frames and keyframes.

    The weight falls to nothing where the next keyframe takes over, so no pose jumps there.
    """
    count = min(count, len(keys))
    turn = _turn(rotation)
    distance = np.linalg.norm(turn[:, None] - _turn(keys)[None], axis=-1)
    order = np.argsort(distance, axis=1)
    near = np.take_along_axis(distance, order, axis=1)
    if len(keys) == count:
        return order, np.ones(order.shape)
    limit = near[:, count : count + 1] + 1e-6
    return order[:, :count], np.clip(1.0 - (near[:, :count] / limit) ** 4, 0.0, 1.0)


def evened(picture: np.ndarray) -> np.ndarray:
    """(h, w) uint8 → uint8 with shading taken out: local mean removed, local contrast made alike."""
    gray = picture.astype(np.float32)
    flat = gray - _blurred(gray)
    contrast = cv2.sqrt(_blurred(flat * flat))
    return np.clip(128.0 + 40.0 * flat / (contrast + 4.0), 0.0, 255.0).astype(np.uint8)


def _blurred(image: np.ndarray) -> np.ndarray:
    """A wide blur, at a quarter of the size."""
    h, w = image.shape
    small = cv2.resize(image, ((w + 3) // 4, (h + 3) // 4), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), _BLUR / 4), (w, h), interpolation=cv2.INTER_LINEAR)


def make_keyframe(
    frame: int,
    gray: np.ndarray,
    shape: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
    focal: float,
) -> Keyframe:
    """Prepare a frame for comparison.

    Args:
        frame: its number.
        gray: (H, W) uint8.
        shape: (478, 3) the face in it, metres, head frame.
        rotation, translation: its head pose.
        focal: pixels.
    """
    height, width = gray.shape
    centre = np.array([width / 2, height / 2])
    camera = shape[:N_SKIN] @ rotation.T + translation
    seen = focal * camera[:, :2] / camera[:, 2:] + centre
    low = np.clip(np.floor(seen.min(axis=0)) - 8, 0, [width - 16, height - 16]).astype(int)
    high = np.clip(np.ceil(seen.max(axis=0)) + 8, low + 16, [width, height]).astype(int)
    size = high - low
    depth, firm = _rasterise(seen - low, camera[:, 2], rigidity()[:N_SKIN], (int(size[1]), int(size[0])))
    inside = depth > 0
    filled = _filled(depth, inside)
    crop = evened(gray[low[1] : high[1], low[0] : high[0]])

    def lift(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
        z = filled[np.clip(rows, 0, size[1] - 1).astype(int), np.clip(columns, 0, size[0] - 1).astype(int)]
        pixel = np.stack([columns, rows], axis=-1) + low + 0.5 - centre
        out = np.concatenate([pixel / focal * z[..., None], z[..., None]], axis=-1)
        return (out - translation) @ rotation

    rows, columns = np.meshgrid(
        np.arange(0, size[1] + _GRID, _GRID), np.arange(0, size[0] + _GRID, _GRID), indexing="ij"
    )
    mask = cv2.erode((firm > _FIRM).astype(np.uint8), np.ones((5, 5), np.uint8)) * 255
    found = cv2.goodFeaturesToTrack(crop, _POINTS, 0.005, 5, mask=mask, blockSize=7)
    points = np.zeros((0, 2), np.float32) if found is None else found.reshape(-1, 2)
    at = points.astype(int)
    return Keyframe(
        frame=frame,
        corner=low,
        picture=crop,
        surface=lift(columns.astype(float), rows.astype(float)).astype(np.float32),
        points=points,
        on_skin=lift(points[:, 0].astype(float), points[:, 1].astype(float)),
        information=_information(crop, at),
        firmness=firm[at[:, 1], at[:, 0]],
    )


def structure_tensors(picture: np.ndarray, at: np.ndarray, side: int) -> np.ndarray:
    """(M, 2, 2) mean outer product of the gradient, grey levels a pixel, over square patches around (M, 2) pixels."""
    image = picture.astype(np.float32)
    dx, dy = (cv2.Sobel(image, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
    xx, xy, yy = (cv2.boxFilter(p, -1, (side, side))[at[:, 1], at[:, 0]] for p in (dx * dx, dx * dy, dy * dy))
    return np.stack([np.stack([xx, xy], -1), np.stack([xy, yy], -1)], -2).astype(np.float64)


def _information(picture: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Structure tensors of the patches around (M, 2) pixels, scaled so that a firm corner has eigenvalues of 1."""
    tensor = structure_tensors(picture, at, WINDOW)
    values, vectors = np.linalg.eigh(tensor)
    return (vectors * np.clip(values / _STRONG, 0.0, 1.0)[:, None, :]) @ np.swapaxes(vectors, 1, 2)


def _rasterise(
    seen: np.ndarray, depth: np.ndarray, values: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the front of the face mesh: (h, w) depth, 0 where it is not, and (h, w) interpolated ``values``."""
    out, drawn = np.full(size, np.inf), np.zeros(size)
    for triangle in FACE_TRIANGLES:
        a, b, c = seen[triangle]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if area > -1e-6:  # seen from behind, or from the side
            continue
        x0, y0 = np.maximum(np.floor(seen[triangle].min(axis=0)).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(seen[triangle].max(axis=0)).astype(int) + 1, size[::-1])
        if x0 >= x1 or y0 >= y1:
            continue
        y, x = np.mgrid[y0:y1, x0:x1] + 0.5
        w1 = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / area
        w2 = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / area
        w0 = 1.0 - w1 - w2
        z = w0 * depth[triangle[0]] + w1 * depth[triangle[1]] + w2 * depth[triangle[2]]
        part = out[y0:y1, x0:x1]
        nearer = (np.minimum(np.minimum(w0, w1), w2) >= -1e-9) & (z < part)
        part[nearer] = z[nearer]
        value = w0 * values[triangle[0]] + w1 * values[triangle[1]] + w2 * values[triangle[2]]
        drawn[y0:y1, x0:x1][nearer] = value[nearer]
    return np.where(np.isfinite(out), out, 0.0), drawn


def _filled(depth: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Depth with the pixels off the mesh given that of the nearest one on it."""
    if not inside.any():
        return np.ones_like(depth)
    _, label = cv2.distanceTransformWithLabels(
        (~inside).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(label.max() + 1)
    table[label[inside]] = depth[inside]
    return table[label]
