from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from aiohttp import ClientSession

from splatalk import avatar as avatars
from splatalk.serve import training
from splatalk.serve.guard import Guard
from splatalk.serve.run import Server
from splatalk.serve.training import LOOKED_AT_S, PREVIEW_EVERY_S, Curve, TrainingView, training_application
from splatalk.train.run import train
from splatalk.train.trainer import StepReport
from tests.conftest import TINY
from tests.serve.puppets import Clock


def test_a_curve_keeps_its_shape_in_bounded_memory():
    curve = Curve(("value",), most=50)
    for step in range(20_000):
        curve.add(step, 2.0 * step)
    table = curve.table()
    assert 20 <= len(table["step"]) <= 50
    assert table["value"] == pytest.approx([2 * s for s in table["step"]], rel=1e-4)
    assert table["step"][-1] > 18_000
    assert np.ptp(np.diff(table["step"])) < 2, "equal stretches"


class Trainer:
    """As much of one as the view looks at."""

    def __init__(self) -> None:
        self.step, self.total = 0, 1000
        self.sampler = SimpleNamespace(frames=np.arange(10, 50))
        self.capture = SimpleNamespace(frame=lambda i: np.full((8, 8, 3), i, np.uint8))


@pytest.fixture
def drawn(monkeypatch) -> list[int]:
    frames: list[int] = []

    def draw(trainer, frame):
        frames.append(frame)
        return np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr(training, "draw_frame", draw)
    return frames


def steps(view: TrainingView, clock: Clock, count: int, speed: float = 10.0) -> None:
    trainer = Trainer()
    for _ in range(count):
        clock.time += 1 / speed
        trainer.step += 1
        view(trainer, StepReport(trainer.step - 1, "speech", 0.1, 0.05, 30.0, 1234))  # type: ignore[arg-type]


def test_it_tells_how_far_it_is(drawn):
    clock = Clock()
    view = TrainingView("me", clock)
    assert view.state()["stage"] == "starting"
    steps(view, clock, 200)
    state = view.state()
    assert (state["stage"], state["step"], state["total"], state["gaussians"]) == ("speech", 200, 1000, 1234)
    assert state["steps_per_s"] == pytest.approx(10.0)
    assert state["left_s"] == pytest.approx(80.0)
    assert state["curve"]["psnr"][-1] == 30.0


def test_nothing_is_drawn_unless_somebody_looks(drawn):
    clock = Clock()
    view = TrainingView("me", clock)
    steps(view, clock, 500)
    assert drawn == []
    view.state()
    steps(view, clock, 500)
    assert len(drawn) == pytest.approx(LOOKED_AT_S / PREVIEW_EVERY_S, abs=1), "and no longer than that"
    assert len(set(drawn)) == len(drawn), "another frame each time"
    assert view.picture().startswith(b"\xff\xd8")


def test_a_page_watches_a_real_training_and_changes_nothing(sample_capture, tiny_avatar_path, tmp_path, monkeypatch):
    """The same avatar with and without a page, which asks all the time."""
    monkeypatch.setattr(training, "PREVIEW_EVERY_S", 0.0)
    guard, view = Guard("127.0.0.1"), TrainingView("tiny")
    seen: list[dict] = []
    done = threading.Event()

    async def look() -> None:
        async with ClientSession() as session:
            while not done.is_set():
                async with session.get(guard.url + "state") as response:
                    seen.append(await response.json())
                await asyncio.sleep(0.1)
            async with session.get(guard.url + "preview.jpg") as response:
                assert response.content_type == "image/jpeg"

    with Server(guard, training_application(guard, {}, view)).beside():
        page = threading.Thread(target=lambda: asyncio.run(look()))
        page.start()
        watched = train(sample_capture, tmp_path / "a.avatar", TINY, work=tmp_path / "a", watch=view)
        done.set()
        page.join()
    assert seen[-1]["preview"] > 2
    assert {s["stage"] for s in seen} >= {"starting", "speech"}
    alone = avatars.load(tiny_avatar_path)
    torch.testing.assert_close(watched.gaussians.means, alone.gaussians.means, rtol=0, atol=0)
