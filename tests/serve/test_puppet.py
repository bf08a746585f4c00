"""The laws of a puppet, on a clock that the tests move."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from splatalk.serve.messages import Clock as PageClock
from splatalk.serve.messages import Delay, Frame, Microphone, SetControls, SoundOf, State, Stop, Utterance
from splatalk.serve.person import Knobs
from splatalk.serve.puppet import AHEAD_S, FADE_S, LATE_FRAMES, Preparing, Puppet, Recital
from splatalk.speech import SAMPLE_RATE
from tests.serve.puppets import FPS, Body, Clock, Ear, performance


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def puppet(clock: Clock) -> Puppet:
    return Puppet(Body(), Ear(), clock)


def run(puppet: Puppet, clock: Clock, seconds: float, step: float = 0.01) -> list:
    """All messages of some time."""
    sent = []
    for _ in range(round(seconds / step)):
        while True:
            messages, wait = puppet.next()
            sent += messages
            if wait > 0 or not messages:
                break
        clock.time += step
    return sent


def frames(sent: list, kind: int) -> list[Frame]:
    return [m for m in sent if isinstance(m, Frame) and m.kind == kind]


def test_it_idles_at_its_own_pace(puppet, clock):
    idle = frames(run(puppet, clock, 2.0), Frame.IDLE)
    assert len(idle) == pytest.approx(2.0 * FPS, abs=2)


def test_a_slow_machine_leaves_frames_out(clock):
    puppet = Puppet(Body(clock, cost=0.1), Ear(), clock)
    began = clock.time
    count = 0
    while clock.time < began + 5.0:
        messages, wait = puppet.next()
        count += len(messages)
        clock.time += max(wait, 0.001)
    assert count == pytest.approx(50, abs=2), "as many as it can draw, and none on top of each other"


def test_an_utterance_runs_a_little_ahead_of_the_page(puppet, clock):
    puppet.ask(Recital(1, performance(100), b"RIFF"))
    sent = run(puppet, clock, 1.0)
    assert [type(m) for m in sent[:3]] == [State, Utterance, SoundOf]
    assert sent[1].seconds == 4.0
    times = [f.time for f in frames(sent, Frame.UTTERANCE)]
    assert times[0] == 0.0
    assert times[-1] == pytest.approx(AHEAD_S, abs=1 / FPS), "it waits for the page"
    puppet.ask(PageClock(1, 1.0))
    later = [f.time for f in frames(run(puppet, clock, 0.1), Frame.UTTERANCE)]
    assert later[0] == 1.0, "what is late is left out"
    assert later[-1] == pytest.approx(1.0 + AHEAD_S, abs=1 / FPS)


def test_seeking_sends_what_is_there(puppet, clock):
    puppet.ask(Recital(1, performance(100), b""))
    puppet.ask(PageClock(1, 3.0))
    run(puppet, clock, 0.1)
    puppet.ask(PageClock(1, 0.5))
    assert frames(run(puppet, clock, 0.1), Frame.UTTERANCE)[0].time == pytest.approx(0.5, abs=1 / FPS)


def test_after_the_last_frame_it_idles(puppet, clock):
    puppet.ask(Recital(1, performance(50), b""))
    run(puppet, clock, 0.1)
    puppet.ask(PageClock(1, 2.0))
    sent = run(puppet, clock, 0.2)
    assert State("idle") in sent
    assert frames(sent, Frame.IDLE)


def test_a_clock_of_another_utterance_means_nothing(puppet, clock):
    puppet.ask(Recital(2, performance(50), b""))
    puppet.ask(PageClock(1, 2.0))
    assert State("idle") not in run(puppet, clock, 0.2)


@pytest.mark.parametrize("order", [Stop(), Preparing(), Recital(2, performance(10, 0.9), b""), Microphone(True)])
def test_the_present_utterance_ends_at_once(puppet, clock, order):
    puppet.ask(Recital(1, performance(100), b""))
    run(puppet, clock, 0.1)
    puppet.ask(order)
    sent = run(puppet, clock, 0.5)
    assert not [f for f in frames(sent, Frame.UTTERANCE) if f.utterance == 1]
    assert isinstance(sent[0], State)


def test_a_slider_acts_at_once_even_on_frames_that_were_ahead(puppet, clock):
    puppet.ask(Recital(1, performance(100), b""))
    run(puppet, clock, 0.1)
    puppet.ask(Knobs(SetControls({"browInnerUp": 0.7})))
    again = frames(run(puppet, clock, 0.1), Frame.UTTERANCE)
    assert again[0].time <= 1 / FPS
    assert all(f.values[1] == pytest.approx(0.7) for f in again)


def test_nothing_jumps_when_the_source_changes(puppet, clock):
    run(puppet, clock, 0.1)
    puppet.ask(Recital(1, performance(100, mouth=1.0), b""))
    for t in np.arange(0, 1.0, 0.1):
        puppet.ask(PageClock(1, t))
        sent = frames(run(puppet, clock, 0.02), Frame.UTTERANCE)
        for frame in sent:
            expected = 1.0 if frame.time >= FADE_S else None
            assert frame.values[0] == pytest.approx(expected) if expected else 0.0 <= frame.values[0] <= 1.0
    first = Puppet(Body(), Ear(), clock)
    first.next()
    first.ask(Recital(1, performance(100, mouth=1.0), b""))
    mouths = [f.values[0] for f in frames(run(first, clock, 0.02), Frame.UTTERANCE)]
    assert mouths[0] == pytest.approx(0.0, abs=1e-6)
    assert np.abs(np.diff(mouths)).max() < 0.2


def test_the_microphone_is_followed_and_its_delay_told(puppet, clock):
    puppet.ask(Microphone(True))
    sent = []
    for _ in range(100):
        puppet.hear(np.full(640, 0.25, np.float32))
        sent += run(puppet, clock, 0.04)
    heard = frames(sent, Frame.MICROPHONE)
    assert len(heard) == pytest.approx(100 - 5, abs=1), "all but the lookahead"
    assert heard[-1].values[0] == pytest.approx(0.25)
    assert np.diff([f.time for f in heard]) == pytest.approx(1 / FPS)
    delays = [m for m in sent if isinstance(m, Delay)]
    assert len(delays) == pytest.approx(4, abs=1)
    assert all(0 <= d.p50_ms <= d.p99_ms < 20 for d in delays)
    puppet.ask(Microphone(False))
    rest = run(puppet, clock, 1.0)
    assert len(frames(rest, Frame.MICROPHONE)) == pytest.approx(5, abs=1), "what was heard is acted out"
    assert State("idle") in rest
    assert frames(rest, Frame.IDLE)


def test_it_listens_to_the_microphone_without_repeating_it(clock):
    ear = Ear()
    puppet = Puppet(Body(), ear, clock)
    puppet.ask(Microphone(True, listen=True))
    sent = []
    for _ in range(50):
        puppet.hear(np.full(640, 0.25, np.float32))
        sent += run(puppet, clock, 0.04)
    assert sent[0] == State("attending")
    assert len(ear.overheard) == pytest.approx(50 * 640, abs=640) and len(ear.samples) == 0
    assert len(frames(sent, Frame.IDLE)) == pytest.approx(50, abs=2) and not frames(sent, Frame.MICROPHONE)
    puppet.ask(Microphone(False))
    rest = run(puppet, clock, 0.5)
    assert State("idle") in rest and frames(rest, Frame.IDLE)
    puppet.ask(Recital(1, performance(50), b""))
    assert State("speaking") in run(puppet, clock, 0.1)


def test_what_is_late_at_the_microphone_is_left_out(clock):
    puppet = Puppet(Body(clock, cost=0.2), Ear(), clock)
    puppet.ask(Microphone(True))
    last = 0.0
    for k in range(200):
        puppet.hear(np.full(640, 0.25, np.float32))
        if k % 5 == 4:  # five pieces arrive while one frame is drawn
            for message in puppet.next()[0]:
                if isinstance(message, Frame):
                    last = message.time
    assert 200 / FPS - last < 0.2 + (LATE_FRAMES + 5 + 1) / FPS


def test_a_flood_of_sound_is_cut_and_the_clock_stays_right(puppet, clock):
    puppet.ask(Microphone(True))
    puppet.next()
    for _ in range(1000):
        puppet.hear(np.full(1600, 0.25, np.float32))
    heard = frames(run(puppet, clock, 0.5), Frame.MICROPHONE)
    assert 99.0 - 0.3 < heard[-1].time < 100.0


def test_ten_minutes_take_no_memory(clock):
    """Idling, talking and being interrupted all the time, sound even when nobody listens."""
    puppet = Puppet(Body(), Ear(), clock)
    chunk = np.full(640, 0.1, np.float32)

    def minutes(n: int) -> int:
        for k in range(round(n * 60 * FPS)):
            if k % 500 == 0:
                puppet.ask(Recital(1, performance(40), b""))
            if k % 500 == 100:
                puppet.ask(Microphone(True))
            if k % 500 == 400:
                puppet.ask(Stop())
            puppet.hear(chunk)
            puppet.ask(PageClock(1, (k % 500) / FPS))
            puppet.next()
            clock.time += 1 / FPS
        held = [puppet._orders, puppet._heard, puppet._delays, puppet._intake._pieces]
        assert puppet._intake._waiting <= SAMPLE_RATE
        assert max(map(len, held)) <= 250
        gc.collect()
        return len(gc.get_objects())

    assert minutes(9) - minutes(1) < 200
