"""The training page: curves, a picture that is drawn anew every few seconds, how far it is and how long it takes.

The trainer's thread writes, the server's thread reads. Pictures are drawn in the trainer's thread, between two steps
and only while a page asks for them, so that training is hardly slowed and the page's end means nothing to it.
"""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from aiohttp import web

from splatalk.serve.guard import Guard
from splatalk.serve.site import Content, add_state, application
from splatalk.train.run import draw_frame
from splatalk.train.trainer import StepReport, Trainer

PREVIEW_EVERY_S = 4.0
LOOKED_AT_S = 10.0
"""After a page's last question nobody is watching any more."""
PREVIEW_FRAMES = 8
"""Different frames of the recording that are shown in turn."""
FAREWELL_S = 3.0
MAX_POINTS = 400
RATE_STEPS = 100
JPEG_QUALITY = 88


class Curve:
    """Means over equal stretches of steps; when there are too many, two become one. Memory stays the same for ever.

    Args:
        names: of the columns.
    """

    def __init__(self, names: tuple[str, ...], most: int = MAX_POINTS) -> None:
        self._names, self._most = names, most
        self._stretch = 1
        self._points: list[np.ndarray] = []  # (step, *values) each
        self._open: list[np.ndarray] = []

    def add(self, step: int, *values: float) -> None:
        self._open.append(np.array([step, *values], np.float64))
        if len(self._open) < self._stretch:
            return
        self._points.append(np.mean(self._open, 0))
        self._open.clear()
        if len(self._points) >= self._most:
            self._points = [(a + b) / 2 for a, b in zip(self._points[::2], self._points[1::2])]
            self._stretch *= 2

    def table(self) -> dict[str, list[float]]:
        """``step`` and the columns by name, one number a point."""
        rows = list(self._points)
        columns = ("step", *self._names)
        return {name: [float(f"{row[i]:.6g}") for row in rows] for i, name in enumerate(columns)}


class TrainingView:
    """Watches a training and tells a page about it.

    Args:
        name: of the avatar that is being made.
        clock: seconds, steady.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._now = name, clock
        self._lock = threading.Lock()
        self._curve = Curve(("loss", "psnr"))
        self._marks: collections.deque[float] = collections.deque(maxlen=RATE_STEPS)
        self._facts: dict[str, Any] = {"stage": "starting", "step": 0, "total": 0, "gaussians": 0}
        self._picture, self._version, self._drawn_at = b"", 0, -PREVIEW_EVERY_S
        self._asked_at = -LOOKED_AT_S

    def __call__(self, trainer: Trainer, report: StepReport) -> None:
        """``train.run.train(watch=…)``."""
        now = self._now()
        with self._lock:
            self._marks.append(now)
            self._curve.add(report.step, report.loss, report.psnr)
            self._facts = {
                "stage": report.stage, "step": trainer.step, "total": trainer.total, "gaussians": report.gaussians,
            }  # fmt: skip
            wanted = now - self._asked_at < LOOKED_AT_S and now - self._drawn_at >= PREVIEW_EVERY_S
        if wanted:
            self._draw(trainer, now)

    def finish(self) -> None:
        """The avatar is complete; a page that looks is given the time to see it."""
        with self._lock:
            self._facts["stage"] = "finished"
            asked, looked_at = self._asked_at, self._now() - self._asked_at < LOOKED_AT_S
        end = self._now() + FAREWELL_S
        while looked_at and self._asked_at == asked and self._now() < end:
            time.sleep(0.05)

    def state(self) -> dict[str, Any]:
        """For ``/state``; asking means looking."""
        with self._lock:
            self._asked_at = self._now()
            speed = self._speed()
            left = (self._facts["total"] - self._facts["step"]) / speed if speed else None
            return {
                "kind": "training", "name": self._name, **self._facts, "steps_per_s": speed, "left_s": left,
                "curve": self._curve.table(), "preview": self._version,
            }  # fmt: skip

    def picture(self) -> bytes:
        """JPEG of the recorded and the drawn frame, side by side; empty before the first."""
        with self._lock:
            return self._picture

    def _speed(self) -> float | None:
        """Steps a second, of late."""
        if len(self._marks) < 2 or self._marks[-1] <= self._marks[0]:
            return None
        return (len(self._marks) - 1) / (self._marks[-1] - self._marks[0])

    def _draw(self, trainer: Trainer, now: float) -> None:
        frames = trainer.sampler.frames
        frame = int(frames[(self._version % PREVIEW_FRAMES) * len(frames) // PREVIEW_FRAMES])
        both = np.hstack((trainer.capture.frame(frame), draw_frame(trainer, frame)))
        done, data = cv2.imencode(".jpg", both[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        with self._lock:
            self._drawn_at = now
            if done:
                self._picture, self._version = data.tobytes(), self._version + 1


def training_application(guard: Guard, contents: dict[str, Content], view: TrainingView) -> web.Application:
    """The training page's site."""
    app = application(guard, contents)
    add_state(app, view.state)

    async def preview(request: web.Request) -> web.Response:
        picture = view.picture()
        if not picture:
            raise web.HTTPNotFound
        return web.Response(body=picture, content_type="image/jpeg")

    app.router.add_get("/preview.jpg", preview)
    return app
