from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splatalk.errors import FormatError, UserError
from splatalk.serve import messages as wire

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KINDS = st.sampled_from(["controls", "say", "sound", "mic", "clock", "stop"])
FIELDS = st.sampled_from(
    ["expression", "emotion", "lip_scale", "gaze", "head", "text", "voice", "name", "bytes", "on", "utterance", "time"]
)


def parsed_or_refused(text: str) -> wire.ClientMessage | None:
    try:
        return wire.parse(text)
    except UserError as error:
        assert error.message
        assert error.hint
        return None


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    parsed_or_refused(text)


@given(KINDS, st.dictionaries(FIELDS, JSON, max_size=6))
def test_any_fields_are_read_or_refused(kind, fields):
    message = parsed_or_refused(json.dumps({"type": kind, **fields}))
    if isinstance(message, wire.SetControls):
        assert all(-1.0 <= v <= 1.0 for v in message.expression.values())
        assert all(0.0 <= v <= 1.0 for v in message.emotion.values())
        assert 0.0 <= message.lip_scale <= 3.0
        assert max(map(abs, message.gaze)) <= 0.6
    if isinstance(message, wire.SoundFollows):
        assert 1 <= message.bytes <= wire.MAX_SOUND_BYTES


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{" * 5_000,
        json.dumps({"type": "say", "text": "a" * 100_000}),
        '{"type": "clock", "utterance": 1, "time": NaN}',
        '{"type": "clock", "utterance": 1, "time": 1e999}',
        '{"type": "controls", "lip_scale": true}',
        '{"type": "sound", "name": "a.wav", "bytes": 99999999999}',
        '{"type": "say", "text": "a", "voice": "../../en"}',
        '{"type": "say", "text": "  "}',
        '"stop"',
    ],
)
def test_what_is_too_much_or_nothing_is_refused(text):
    with pytest.raises(FormatError):
        wire.parse(text)


def test_messages_say_what_they_mean():
    text = '{"type": "controls", "expression": {"browInnerUp": 0.5}, "gaze": [0.1, -0.2], "head": "still"}'
    assert wire.parse(text) == wire.SetControls({"browInnerUp": 0.5}, gaze=(0.1, -0.2), head="still")
    assert wire.parse('{"type": "say", "text": "Hello.", "voice": "de"}') == wire.Say("Hello.", "de")
    assert wire.parse('{"type": "clock", "utterance": 3, "time": 1.25}') == wire.Clock(3, 1.25)
    assert wire.parse('{"type": "mic", "on": true}') == wire.Microphone(True)
    assert wire.parse('{"type": "mic", "on": true, "listen": true}') == wire.Microphone(True, listen=True)
    with pytest.raises(UserError, match="'listen'"):
        wire.parse('{"type": "mic", "on": true, "listen": 1}')
    assert wire.parse('{"type": "stop"}') == wire.Stop()


@given(st.binary(max_size=300))
def test_microphone_pieces_are_samples_or_refused(data):
    if len(data) % 2:
        with pytest.raises(FormatError):
            wire.microphone_samples(data)
    else:
        samples = wire.microphone_samples(data)
        assert samples.dtype == np.float32
        assert np.abs(samples).max(initial=0.0) <= 1.0


@given(st.integers(1, 3), st.integers(0, 2**32 - 1), st.floats(0, 1e6), st.integers(0, 80))
def test_a_frame_comes_back_as_it_went(kind, utterance, time, k):
    values = np.arange(k + 14, dtype=np.float32) / 7
    data = wire.encode(wire.Frame(kind, utterance, time, values))
    assert isinstance(data, bytes)
    assert len(data) == 16 + 4 * k + 56
    back = wire.Frame.from_bytes(data)
    assert (back.kind, back.utterance, back.time) == (kind, utterance, time)
    np.testing.assert_array_equal(back.values, values)
