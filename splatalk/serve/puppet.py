"""What the avatar of one page does next, frame by frame: it idles, speaks an utterance, says what the microphone hears
or listens to it.

Orders and sound may come from any thread; ``next`` is called from one, does what was ordered and computes a frame.
Nothing piles up: queues are short, and what is late is left out.
"""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable
from typing import Literal, Protocol

import numpy as np

from splatalk.avatar.controls import Controls, Performance
from splatalk.serve.messages import (
    Clock,
    Delay,
    Frame,
    Microphone,
    ServerMessage,
    SetControls,
    SoundOf,
    State,
    Stop,
    Utterance,
)  # fmt: skip
from splatalk.serve.person import Knobs
from splatalk.serve.sounds import Intake
from splatalk.speech import SAMPLE_RATE

AHEAD_S = 0.4
"""How far frames of an utterance run ahead of the page's clock."""
FADE_S = 0.4
"""In which a change of what drives the avatar is smoothed."""
LATE_FRAMES = 3
"""Frames of the microphone that wait; older ones are left out."""
DELAY_EVERY_S, DELAY_WINDOW_S = 1.0, 10.0
SEEK_S = 0.25
"""A clock further off than this was moved by hand."""


@dataclasses.dataclass(frozen=True)
class Recital:
    """An utterance that is ready to be spoken.

    Args:
        id: counts the utterances of a page.
        performance: what moves.
        wav: its sound, for the page.
        text: what is said, if it is known.
    """

    id: int
    performance: Performance
    wav: bytes
    text: str = ""


@dataclasses.dataclass(frozen=True)
class Preparing:
    """An utterance is being made; what is said now ends."""


Order = Knobs | Clock | Stop | Microphone | Preparing | Recital


class Body(Protocol):
    """See ``person.Person``."""

    @property
    def fps(self) -> float: ...

    def values(self, controls: Controls, knobs: Knobs) -> np.ndarray: ...


class Ear(Protocol):
    """See ``drive.stream.Stream``; ``lookahead_s`` is 0 where there is nothing to hear with."""

    lookahead_s: float

    def feed(self, samples: np.ndarray) -> list[Controls]: ...

    def finish(self) -> list[Controls]: ...

    def interrupt(self) -> None: ...

    def overhear(self, samples: np.ndarray) -> None: ...

    def idle(self) -> Controls: ...


@dataclasses.dataclass
class _Heard:
    """A frame of the microphone: its place since it was switched on, and when the sound it waited for arrived."""

    time: float
    controls: Controls
    arrived: float


class Puppet:
    """One page's avatar.

    Args:
        body: what turns Controls into the numbers of a frame.
        ear: live driving; it also idles.
        clock: seconds, steady.
    """

    def __init__(self, body: Body, ear: Ear, clock: Callable[[], float] = time.monotonic) -> None:
        self._body, self._ear, self._fps, self._now = body, ear, body.fps, clock
        self._born = clock()
        self._orders: collections.deque[Order] = collections.deque(maxlen=256)
        self._intake = Intake()
        self._knobs = Knobs(SetControls())
        self._doing: Literal["idle", "speaking", "listening", "attending"] = "idle"
        self._recital: Recital | None = None
        self._clock, self._index = 0.0, 0
        self._heard: collections.deque[_Heard] = collections.deque(maxlen=2 * round(self._fps))
        self._hearing = False  # the microphone is on
        self._finished = False  # and was switched off, and the ear said so
        self._n_heard = 0
        self._delays: collections.deque[float] = collections.deque(maxlen=round(DELAY_WINDOW_S * self._fps))
        self._told_delay = 0.0
        self._due = 0.0  # when the next frame that nobody waits for is due
        self._last: np.ndarray | None = None  # values of the latest frame
        self._gap: np.ndarray | None = None  # from what was to what is, when the source changed
        self._faded, self._changed = 0, False

    def ask(self, order: Order) -> None:
        """Have it done before the next frame."""
        if isinstance(order, Microphone) and order.on:
            self._intake.clear()  # now, not when it is done: sound follows
        self._orders.append(order)

    def hear(self, samples: np.ndarray) -> None:
        """Sound (S,) from the microphone that arrives now, float32, 16 kHz."""
        self._intake.put(samples, self._now())

    def next(self) -> tuple[list[ServerMessage], float]:
        """What is to be sent now, in order, and after how many seconds to ask again at the latest."""
        sent: list[ServerMessage] = []
        while self._orders:
            sent += self._obey(self._orders.popleft())
        if self._doing == "speaking":
            frames, wait = self._recite()
        elif self._doing == "listening":
            frames, wait = self._follow()
        else:
            if self._doing == "attending":
                self._ear.overhear(self._intake.take()[0])
            frames, wait = self._idle()
        return [*sent, *frames], wait

    # --- orders

    def _obey(self, order: Order) -> list[ServerMessage]:
        if isinstance(order, Knobs):
            self._changed |= order.still != self._knobs.still
            self._knobs = order
            self._index = min(self._index, int(self._clock * self._fps) + 1)  # what is ahead is made again
            return []
        if isinstance(order, Clock):
            self._set_clock(order)
            return []
        if isinstance(order, Recital):
            return self._begin(order)
        if isinstance(order, Microphone) and order.on:
            return self._attend() if order.listen else self._listen()
        if isinstance(order, Microphone) and self._doing == "attending":
            return self._rest()
        if isinstance(order, Microphone) and self._doing == "listening":
            self._hearing = False  # what was heard is still acted out
            return []
        if isinstance(order, Stop | Preparing):
            return self._rest("idle" if isinstance(order, Stop) else "preparing")
        return []

    def _set_clock(self, order: Clock) -> None:
        if self._recital is None or order.utterance != self._recital.id:
            return
        ahead = self._index / self._fps - order.time
        if order.time < self._clock - SEEK_S or not -SEEK_S < ahead < AHEAD_S + SEEK_S:
            self._index = int(order.time * self._fps)
        self._clock = order.time

    def _begin(self, recital: Recital) -> list[ServerMessage]:
        self._silence()
        self._recital, self._clock, self._index = recital, 0.0, 0
        self._doing, self._changed = "speaking", True
        seconds = len(recital.performance) / self._fps
        return [State("speaking"), Utterance(recital.id, seconds, recital.text), SoundOf(recital.id, recital.wav)]

    def _listen(self) -> list[ServerMessage]:
        self._silence()
        self._hearing, self._finished, self._n_heard = True, False, 0
        self._doing, self._changed = "listening", True
        self._delays.clear()
        return [State("listening")]

    def _attend(self) -> list[ServerMessage]:
        """Be spoken to: what moves stays the ear's, so nothing has to fade but what was said."""
        self._changed |= self._doing != "idle"
        self._silence()
        self._doing = "attending"
        return [State("attending")]

    def _rest(self, told: Literal["idle", "preparing"] = "idle") -> list[ServerMessage]:
        self._changed |= self._doing not in ("idle", "attending")
        self._doing = "idle"
        self._silence()
        return [State(told)]

    def _silence(self) -> None:
        """Forget what was heard and what is left of an utterance."""
        self._recital = None
        self._hearing = False
        self._heard.clear()
        self._ear.interrupt()

    # --- what drives a frame

    def _idle(self) -> tuple[list[ServerMessage], float]:
        wait = self._until_due()
        if wait > 0.0:
            return [], wait
        frame = self._frame(Frame.IDLE, 0, self._now() - self._born, self._ear.idle())
        return [frame], max(self._due - self._now(), 0.0)

    def _until_due(self) -> float:
        """Seconds until the next frame that nobody waits for; 0 now, and then the one after it is set."""
        now = self._now()
        if now < self._due:
            return self._due - now
        self._due = max(self._due + 1.0 / self._fps, now)  # late frames are left out
        return 0.0

    def _recite(self) -> tuple[list[ServerMessage], float]:
        recital = self._recital
        assert recital is not None
        length = len(recital.performance)
        if self._clock * self._fps >= length - 0.5:
            return self._rest(), 0.0
        self._index = max(self._index, int(self._clock * self._fps))  # late frames are left out
        time = self._index / self._fps
        if self._index >= length or time > self._clock + AHEAD_S:
            return [], 1.0 / self._fps
        frame = self._frame(Frame.UTTERANCE, recital.id, time, recital.performance.frame(self._index))
        self._index += 1
        return [frame], 0.0

    def _follow(self) -> tuple[list[ServerMessage], float]:
        samples, arrived = self._intake.take()
        if len(samples):
            self._remember(self._ear.feed(samples), arrived)
        if self._hearing:
            while len(self._heard) > LATE_FRAMES:
                self._heard.popleft()
            return self._heard_frame(0.0 if len(self._heard) > 1 else 1.0 / self._fps)
        if not self._finished:
            self._remember(self._ear.finish(), arrived)
            self._finished = True
        if not self._heard:
            return self._rest(), 0.0
        wait = self._until_due()
        return ([], wait) if wait > 0.0 else self._heard_frame(1.0 / self._fps)

    def _heard_frame(self, wait: float) -> tuple[list[ServerMessage], float]:
        if not self._heard:
            return [], wait
        heard = self._heard.popleft()
        frame = self._frame(Frame.MICROPHONE, 0, heard.time, heard.controls)
        return [frame, *(self._delay(heard.arrived) if self._hearing else [])], wait

    def _remember(self, controls: list[Controls], arrived: float) -> None:
        for one in controls:
            lost = self._intake.dropped / SAMPLE_RATE
            self._heard.append(_Heard(self._n_heard / self._fps + lost, one, arrived))
            self._n_heard += 1

    def _delay(self, arrived: float) -> list[ServerMessage]:
        now = self._now()
        self._delays.append(now - arrived)
        if now - self._told_delay < DELAY_EVERY_S:
            return []
        self._told_delay = now
        p50, p99 = np.percentile(np.array(self._delays) * 1e3, (50, 99))
        return [Delay(round(float(p50), 1), round(float(p99), 1))]

    # --- frames

    def _frame(self, kind: int, utterance: int, time: float, controls: Controls) -> Frame:
        values = self._faded_in(self._body.values(controls, self._knobs))
        self._last = values
        return Frame(kind, utterance, time, values)

    def _faded_in(self, values: np.ndarray) -> np.ndarray:
        """Without a jump where the source changed: the difference fades out over the first frames."""
        if self._changed and self._last is not None:
            self._gap, self._faded = self._last - values, 0
        self._changed = False
        if self._gap is None:
            return values
        part = self._faded / (FADE_S * self._fps)
        self._faded += 1
        if part >= 1.0:
            self._gap = None
            return values
        blended = values + (1.0 - part * part * (3.0 - 2.0 * part)) * self._gap
        for start in (-14, -7):  # quaternions of head and torso
            blended[start : start + 4] /= np.linalg.norm(blended[start : start + 4])
        return np.asarray(blended, np.float32)
