"""The long pass over the clip: every frame is decoded, stored, its face measured and its matte cut, on several threads.

One thread decodes and writes, the others look at the frames in flight, of which there are only a few. The pass is kept
in parts of ``BATCH`` frames, so that an interrupted one goes on where it stopped.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from splatalk.capture import matte as mattes
from splatalk.capture import workers
from splatalk.capture.decode import VideoFacts, read_frames
from splatalk.capture.faces import Face, FaceFinder
from splatalk.capture.framing import Framing
from splatalk.capture.matte import Segmenter
from splatalk.capture.measurements import THUMBNAIL, Measurements
from splatalk.capture.parts import BATCH, Parts
from splatalk.files import explained
from splatalk.progress import Step

T = TypeVar("T")
_IN_FLIGHT = 3  # frames a thread that are decoded and not yet looked at


class Worker:
    """The networks of one thread."""

    def __init__(self) -> None:
        self.finder = FaceFinder()
        self.segmenter = Segmenter()

    def close(self) -> None:
        self.finder.close()
        self.segmenter.close()

    def measure(self, rgb: np.ndarray, framing: Framing) -> tuple[Measurements, np.ndarray]:
        """One frame's row and its coarse matte."""
        return _row(rgb, nearest_face(self.finder, rgb, framing)), self.segmenter.coarse(rgb)


class Pool:
    """``threads`` threads with a Worker each."""

    def __init__(self, threads: int) -> None:
        self.in_flight = _IN_FLIGHT * threads
        self._stack = ExitStack()
        self._workers: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for _ in range(threads):
            worker = Worker()
            self._stack.callback(worker.close)
            self._workers.put(worker)
        self._executor = self._stack.enter_context(concurrent.futures.ThreadPoolExecutor(threads))

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._stack.close()

    def submit(self, work: Callable[..., T], *arguments: object) -> concurrent.futures.Future[T]:
        """As ``Executor.submit``."""
        return self._executor.submit(work, *arguments)

    def measure(self, rgb: np.ndarray, framing: Framing) -> tuple[Measurements, np.ndarray]:
        worker = self._workers.get()
        try:
            return worker.measure(rgb, framing)
        finally:
            self._workers.put(worker)


def extract(facts: VideoFacts, framing: Framing, fps: float, folder: Path, step: Step) -> Measurements:
    """Make ``folder/frames.mp4`` and ``folder/mattes.mp4``.

    Args:
        facts: the clip.
        framing: from ``framing.look``.
        fps: of the frames.
        folder: of the unfinished capture; parts found in it are kept.
        step: called after each frame.

    Returns:
        rows of all frames.

    Raises:
        UserError: the disk is full.
    """
    size = (framing.crop.out_height, framing.crop.out_width)
    parts = Parts(folder / "parts", size, fps)
    done = list(parts.finished())
    for rows in done:
        step(len(rows))
    if not done or len(done[-1]) == BATCH:
        with workers.one_thread_a_call(), Pool(workers.count()) as pool, explained(folder):
            frames = read_frames(facts, framing.crop, fps=fps, start=len(done) * BATCH)
            seen = _looked_at(pool, frames, framing)
            carried = [_Seen(rgb, *pool.measure(rgb, framing)) for rgb in parts.last_frames(len(done))]
            while not done or len(done[-1]) == BATCH:
                rows, carried = _fill_part(pool, seen, parts, len(done), carried, step)
                done.append(rows)
    with explained(folder):
        parts.join(folder, len(done))
    return Measurements.joined(done)


@dataclasses.dataclass(frozen=True)
class _Seen:
    """A frame that waits for its neighbours: (H, W, 3) picture, its row, coarse matte."""

    rgb: np.ndarray
    row: Measurements
    coarse: np.ndarray


def _looked_at(pool: Pool, frames: Iterable[np.ndarray], framing: Framing) -> Iterator[_Seen]:
    """Frames in order, with a few more being looked at meanwhile."""
    waiting: deque[tuple[np.ndarray, concurrent.futures.Future[tuple[Measurements, np.ndarray]]]] = deque()
    for rgb in frames:
        waiting.append((rgb, pool.submit(pool.measure, rgb, framing)))
        if len(waiting) > pool.in_flight:
            rgb, future = waiting.popleft()
            yield _Seen(rgb, *future.result())
    for rgb, future in waiting:
        yield _Seen(rgb, *future.result())


def _fill_part(
    pool: Pool, seen: Iterator[_Seen], parts: Parts, index: int, carried: list[_Seen], step: Step
) -> tuple[Measurements, list[_Seen]]:
    """Write one part. Its mattes begin and end a frame earlier than its frames: each one waits for the next frame.

    Args:
        carried: the last two frames before the part; fewer at the start.

    Returns:
        the part's rows, and its last two frames.
    """
    rows: list[Measurements] = []
    cut: deque[concurrent.futures.Future[np.ndarray]] = deque()
    with parts.writers(index) as (frames, alphas):
        for now in seen:
            if carried:
                cut.append(pool.submit(_cut, carried[0], carried[-1], now))
            carried = [*carried[-1:], now]
            frames.write(now.rgb)
            rows.append(now.row)
            step()
            if len(cut) > pool.in_flight:
                alphas.write(cut.popleft().result())
            if len(rows) == BATCH:
                break
        else:
            if carried:
                cut.append(pool.submit(_cut, carried[0], carried[-1], carried[-1]))
        for future in cut:
            alphas.write(future.result())
    joined = Measurements.joined(rows)
    parts.finish(index, joined)
    return joined, carried


def _cut(before: _Seen, now: _Seen, after: _Seen) -> np.ndarray:
    """(H, W) uint8 matte of the middle one of three frames."""
    coarse = mattes.steady(before.coarse, now.coarse, after.coarse)
    return (mattes.refine(now.rgb, coarse) * 255.0 + 0.5).astype(np.uint8)


def nearest_face(finder: FaceFinder, rgb: np.ndarray, framing: Framing) -> Face | None:
    """The enrolled person's face: large and near the usual place."""
    faces = [face for face in finder.find(rgb) if face.size > 0.4 * framing.size]
    if not faces:
        return None

    def distance(face: Face) -> float:
        centre = (face.box[:2] + face.box[2:]) / 2
        return float(np.linalg.norm(centre - framing.centre) / framing.size + abs(np.log(face.size / framing.size)))

    return finder.refine(rgb, min(faces, key=distance))


def _row(rgb: np.ndarray, face: Face | None) -> Measurements:
    small = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    landmarks, shapes, quality = np.zeros((478, 3)), np.zeros(52), (0.0, 0.0, 0.0, 0.0)
    if face is not None:
        landmarks, shapes = face.landmarks, face.blendshapes
        quality = (*_quality(rgb, face.box), face.doubt)
    sharpness, brightness, clipped, doubt = (np.array([value]) for value in quality)
    found = np.array([face is not None])
    return Measurements(landmarks[None], shapes[None], found, sharpness, brightness, clipped, doubt, small[None])


def _quality(rgb: np.ndarray, box: np.ndarray) -> tuple[float, float, float]:
    height, width = rgb.shape[:2]
    x0, y0, x1, y1 = np.clip(box, 0, [width, height, width, height]).astype(int)
    if x1 - x0 < 8 or y1 - y0 < 8:
        return 0.0, 0.0, 0.0
    gray = cv2.cvtColor(rgb[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
    edges = cv2.Laplacian(gray, cv2.CV_32F)
    return float(edges.std()), float(gray.mean()), float(((gray < 4) | (gray > 251)).mean())
