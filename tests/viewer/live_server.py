"""The made-up person behind a real server: the mouth is as wide as the sound is loud, a brow is a slider's value, the
head tilts while somebody talks to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from splatalk.avatar.controls import Controls, Performance
from splatalk.errors import UserError
from splatalk.export.compact.poses import pack
from splatalk.export.player import Bundle
from splatalk.export.sound import Sound
from splatalk.export.wav import wav_bytes
from splatalk.serve.guard import Guard
from splatalk.serve.person import Knobs
from splatalk.serve.puppet import Recital
from splatalk.serve.run import Server
from splatalk.serve.site import LiveSite, application, page
from splatalk.serve.sounds import decode
from splatalk.speech import SAMPLE_RATE
from tests.serve.puppets import Ear, controls
from tests.viewer.browser import Opened
from tests.viewer.performer import FPS, performer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROW = 3
"""The coefficient that the slider of browInnerUp sets."""
MOUTH = 0
TILT_RAD = 0.1
"""Of the head while it listens."""
_NEWEST = SAMPLE_RATE // 4


class Person:
    name = "Made-up"
    fps = FPS

    def __init__(self) -> None:
        self.compact = performer()[0]

    def ear(self) -> LoudEar:
        return LoudEar()

    def values(self, controls: Controls, knobs: Knobs) -> np.ndarray:
        assert controls.mouth is not None
        coefficients = np.zeros(self.compact.n_coefficients, np.float32)
        coefficients[MOUTH] = controls.mouth[0] * knobs.adjust.lip_scale
        coefficients[BROW] = knobs.adjust.expression.get("browInnerUp", 0.0)
        poses = pack(np.stack((self.compact.rest_head @ controls.head_pose, self.compact.rest_torso)))
        return np.concatenate((coefficients, poses.ravel()))


class LoudEar(Ear):
    """Hears how loud it is, not the mean, which is zero."""

    def feed(self, samples: np.ndarray) -> list[Controls]:
        return super().feed(np.abs(samples))

    def overhear(self, samples: np.ndarray) -> None:
        super().overhear(np.abs(samples))

    def idle(self) -> Controls:
        loud = self.overheard[-_NEWEST:].mean() > 0.04 if len(self.overheard) else False
        return controls(0.0, TILT_RAD if loud else 0.0)

    def interrupt(self) -> None:
        super().interrupt()
        self.overheard = self.overheard[:0]


class Studio:
    """Speaks a text as one tone of 3 s, or of 30 s."""

    has_speech = True

    def require_speech(self) -> None:
        pass

    def spoken(self, number: int, text: str, voice: str) -> Recital:
        if text == "bad":
            raise UserError("That cannot be said.", "Say something else.")
        time = np.arange((30 if text == "long" else 3) * SAMPLE_RATE) / SAMPLE_RATE
        samples = (0.5 * np.sin(2 * np.pi * 200 * time)).astype(np.float32)
        return Recital(number, loud_performance(samples), wav_bytes(Sound.mono(samples)), text)

    def heard(self, number: int, data: bytes, name: str) -> Recital:
        samples, sound = decode(data, name)
        return Recital(number, loud_performance(samples), wav_bytes(sound), name)


def loud_performance(samples: np.ndarray) -> Performance:
    width = round(SAMPLE_RATE / FPS)
    n = len(samples) // width
    mouth = np.abs(samples[: n * width]).reshape(n, width).mean(1)[:, None]
    eyes = np.tile(np.eye(4), (n, 1, 1))
    return Performance(FPS, eyes, eyes, np.zeros((n, 52), np.float32), np.zeros((n, 4), np.float32), mouth=mouth)


def live_server(bundle: Bundle, port: int | None = None) -> Server:
    guard = Guard("127.0.0.1")
    app = application(guard, page(bundle, "live"))
    LiveSite(Person(), Studio()).join(app)  # type: ignore[arg-type]
    return Server(guard, app, port)


@contextmanager
def visited(browser: Browser, url: str = "about:blank") -> Iterator[Opened]:
    """A page of a server in a window of its own."""
    window = browser.new_context(viewport={"width": 1000, "height": 700})
    try:
        page = window.new_page()
        seen = Opened(page, [], [])
        page.on("console", lambda m: seen.errors.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: seen.errors.append(str(e)))
        page.goto(url)
        yield seen
    finally:
        window.close()
