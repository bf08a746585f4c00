"""The long pass over the clip: every frame is decoded, stored, its face measured and its matte cut, in batches on
several threads.

Each finished batch leaves one file of measurements, so an interrupted pass goes on where it stopped. Only two batches
of pictures are in memory at a time.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import queue
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from splatalk.capture import matte as mattes
from splatalk.capture import pictures
from splatalk.capture.decode import VideoFacts, read_frames
from splatalk.capture.faces import Face, FaceFinder
from splatalk.capture.framing import Framing
from splatalk.capture.matte import Segmenter
from splatalk.files import explained
from splatalk.progress import Step

T = TypeVar("T")
BATCH = 50
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95)


@dataclasses.dataclass
class Measurements:
    """One row a frame.

    Args:
        landmarks: (N, 478, 3) pixels and relative depth; zero where no face was found.
        blendshapes: (N, 52).
        found: (N,) bool.
        sharpness: (N,) standard deviation of the Laplacian over the face, grey levels.
        brightness: (N,) mean grey level of the face, 0..255.
        clipped: (N,) share of the face's pixels at either end of the range.
    """

    landmarks: np.ndarray
    blendshapes: np.ndarray
    found: np.ndarray
    sharpness: np.ndarray
    brightness: np.ndarray
    clipped: np.ndarray

    def __len__(self) -> int:
        return len(self.found)

    @classmethod
    def joined(cls, parts: list[Measurements]) -> Measurements:
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


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
    """Fill ``folder/frames``, ``folder/mattes`` and ``folder/batches``.

    Args:
        facts: the clip.
        framing: from ``framing.look``.
        fps: of the frames.
        folder: of the unfinished capture; batches found in it are kept.
        step: called after each frame.

    Returns:
        rows of all frames.

    Raises:
        UserError: the disk is full.
    """
    for name in ("frames", "mattes", "batches"):
        (folder / name).mkdir(exist_ok=True)
    done = list(_finished(folder))
    start = len(done) * BATCH
    for part in done:
        step(len(part))
    if done and len(done[-1]) < BATCH:
        return Measurements.joined(done)
    frames = read_frames(facts, framing.crop, fps=fps, start=start)
    with Pool(os.cpu_count() or 1) as pool, explained(folder):
        carried = [_seen_again(pool, folder, i, framing) for i in range(max(start - 2, 0), start)]
        while True:
            batch = list(islice(frames, BATCH))
            last = len(batch) < BATCH
            rows, seen = _measure(pool, batch, start, framing, folder, step)
            window = (carried or seen[:1]) + seen
            _cut_mattes(pool, folder, window + window[-1:] if last else window)
            carried = window[-2:]
            start += len(batch)
            _write_batch(folder, len(done), rows)
            done.append(rows)
            if last:
                return Measurements.joined(done)


@dataclasses.dataclass(frozen=True)
class _Seen:
    """A frame that waits for its neighbours: number, (H, W, 3) picture, coarse matte."""

    index: int
    rgb: np.ndarray
    coarse: np.ndarray


def _measure(
    pool: Pool, batch: list[np.ndarray], start: int, framing: Framing, folder: Path, step: Step
) -> tuple[Measurements, list[_Seen]]:
    """Measure and store the frames of one batch."""
    measured = [pool.submit(pool.measure, rgb, framing) for rgb in batch]
    written = [pool.submit(pictures.write, _frame(folder, start + k), rgb, _JPEG) for k, rgb in enumerate(batch)]
    rows: list[Measurements] = [_no_rows()]
    seen: list[_Seen] = []
    for k, (rgb, future) in enumerate(zip(batch, measured)):
        row, coarse = future.result()
        rows.append(row)
        seen.append(_Seen(start + k, rgb, coarse))
        step()
    for done in written:
        done.result()
    return Measurements.joined(rows), seen


def _cut_mattes(pool: Pool, folder: Path, window: list[_Seen]) -> None:
    """Cut the mattes of all frames in ``window`` but the first and the last, which only help their neighbours."""
    cut = []
    for before, now, after in zip(window, window[1:], window[2:]):
        coarse = mattes.steady(before.coarse, now.coarse, after.coarse)
        cut.append(pool.submit(_write_matte, folder, now.index, now.rgb, coarse))
    for future in cut:
        future.result()


def _seen_again(pool: Pool, folder: Path, index: int, framing: Framing) -> _Seen:
    rgb = pictures.read_rgb(_frame(folder, index))
    return _Seen(index, rgb, pool.measure(rgb, framing)[1])


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
    landmarks, shapes, quality = np.zeros((478, 3)), np.zeros(52), (0.0, 0.0, 0.0)
    if face is not None:
        landmarks, shapes, quality = face.landmarks, face.blendshapes, _quality(rgb, face.box)
    sharpness, brightness, clipped = (np.array([value]) for value in quality)
    return Measurements(landmarks[None], shapes[None], np.array([face is not None]), sharpness, brightness, clipped)


def _quality(rgb: np.ndarray, box: np.ndarray) -> tuple[float, float, float]:
    height, width = rgb.shape[:2]
    x0, y0, x1, y1 = np.clip(box, 0, [width, height, width, height]).astype(int)
    if x1 - x0 < 8 or y1 - y0 < 8:
        return 0.0, 0.0, 0.0
    gray = cv2.cvtColor(rgb[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
    edges = cv2.Laplacian(gray, cv2.CV_32F)
    return float(edges.std()), float(gray.mean()), float(((gray < 4) | (gray > 251)).mean())


def _no_rows() -> Measurements:
    return Measurements(
        np.zeros((0, 478, 3)), np.zeros((0, 52)), np.zeros(0, bool), np.zeros(0), np.zeros(0), np.zeros(0)
    )


def _frame(folder: Path, index: int) -> Path:
    return folder / "frames" / f"{index:06d}.jpg"


def _write_matte(folder: Path, index: int, rgb: np.ndarray, coarse: np.ndarray) -> None:
    alpha = (mattes.refine(rgb, coarse) * 255.0 + 0.5).astype(np.uint8)
    pictures.write(folder / "mattes" / f"{index:06d}.png", alpha, (cv2.IMWRITE_PNG_COMPRESSION, 4))


def _batch(folder: Path, index: int) -> Path:
    return folder / "batches" / f"{index:05d}.npz"


def _write_batch(folder: Path, index: int, part: Measurements) -> None:
    path = _batch(folder, index)
    unfinished = path.with_suffix(".tmp.npz")
    np.savez(unfinished, **{field.name: getattr(part, field.name) for field in dataclasses.fields(part)})
    unfinished.replace(path)


def _finished(folder: Path) -> Iterator[Measurements]:
    """Batches from the start that are whole; the first damaged one ends them."""
    index = 0
    while (path := _batch(folder, index)).exists():
        try:
            with np.load(path, allow_pickle=False) as data:
                part = Measurements(**{name: data[name] for name in data.files})
        except (OSError, ValueError, EOFError, TypeError, KeyError, zipfile.BadZipFile):
            return
        yield part
        if len(part) < BATCH:
            return
        index += 1
