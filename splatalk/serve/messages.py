"""What a page and the server say to each other over the WebSocket; docs/protocol.md shows the conversation.

From the page: one JSON text a message, and binary ones for sounds. From the server: JSON texts, and binary messages
whose first four bytes say what they are. All numbers are little-endian.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import struct
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from splatalk.errors import FormatError

MAX_JSON = 16_384
"""Characters in a message."""
MAX_TEXT = 2_000
"""Characters to be said."""
MAX_SOUND_BYTES = 50_000_000
MAX_SOUND_S = 300.0
MAX_CHUNK_BYTES = 64_000
"""Of the microphone: two seconds."""
MAX_NAME = 200
MAX_ENTRIES = 64
_GAZE_LIMIT = 0.6  # radians

Head = Literal["natural", "still"]


# --- from the page


@dataclasses.dataclass(frozen=True)
class SetControls:
    """``{"type": "controls", "expression": {ARKit name: -1..1}, "emotion": {name: 0..1}, "lip_scale": 0..3,
    "gaze": [yaw, pitch], "head": "natural" | "still"}``: all sliders at once; what is left out is as at the start.

    Args:
        expression: added to the curves of that name.
        emotion: see ``drive.emotion``.
        lip_scale: how far the mouth goes, 1 as driven.
        gaze: yaw and pitch added to both eyes, radians, yaw positive to the subject's left.
        head: ``still`` looks ahead.
    """

    expression: Mapping[str, float] = dataclasses.field(default_factory=dict)
    emotion: Mapping[str, float] = dataclasses.field(default_factory=dict)
    lip_scale: float = 1.0
    gaze: tuple[float, float] = (0.0, 0.0)
    head: Head = "natural"


@dataclasses.dataclass(frozen=True)
class Say:
    """``{"type": "say", "text": "Hello.", "voice": "en"}``: speak a text.

    Args:
        voice: a language such as ``en`` or ``de``, or a name that the synthesiser knows.
    """

    text: str
    voice: str = "en"


@dataclasses.dataclass(frozen=True)
class SoundFollows:
    """``{"type": "sound", "name": "hello.mp3", "bytes": 12345}``: the next binary message is a sound file."""

    name: str
    bytes: int


@dataclasses.dataclass(frozen=True)
class Microphone:
    """``{"type": "mic", "on": true}``: binary messages that follow are int16 samples, 16 kHz mono, until it is off.
    With ``"listen": true`` the avatar listens to them instead of saying them."""

    on: bool
    listen: bool = False


@dataclasses.dataclass(frozen=True)
class Clock:
    """``{"type": "clock", "utterance": 3, "time": 1.25}``: where the page is in an utterance, in seconds of its sound.

    The page sends it about ten times a second while it plays; the server keeps a little ahead of it.
    """

    utterance: int
    time: float


@dataclasses.dataclass(frozen=True)
class Stop:
    """``{"type": "stop"}``: be quiet, now."""


ClientMessage = SetControls | Say | SoundFollows | Microphone | Clock | Stop


def parse(text: str) -> ClientMessage:
    """Read a message of a page.

    Raises:
        FormatError: anything else than one of the messages above.
    """
    if len(text) > MAX_JSON:
        raise _bad(f"{len(text)} characters are too many")
    try:
        raw = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise _bad("it is not JSON") from error
    if not isinstance(raw, dict):
        raise _bad("it is not a JSON object")
    kind = raw.get("type")
    if kind == "controls":
        return _controls(raw)
    if kind == "say":
        return Say(_text(raw, "text", MAX_TEXT), _voice(raw))
    if kind == "sound":
        return SoundFollows(_text(raw, "name", MAX_NAME), int(_number(raw, "bytes", 1, MAX_SOUND_BYTES)))
    if kind == "mic":
        if not isinstance(raw.get("on"), bool):
            raise _bad("'on' is neither true nor false")
        if not isinstance(raw.get("listen", False), bool):
            raise _bad("'listen' is neither true nor false")
        return Microphone(raw["on"], raw.get("listen", False))
    if kind == "clock":
        return Clock(int(_number(raw, "utterance", 0, 2**32 - 1)), _number(raw, "time", 0, 1e6))
    if kind == "stop":
        return Stop()
    raise _bad("its type is unknown")


def microphone_samples(data: bytes) -> np.ndarray:
    """Binary message of the microphone -> (S,) float32, -1..1, 16 kHz.

    Raises:
        FormatError: too long, or half a sample.
    """
    if len(data) > MAX_CHUNK_BYTES or len(data) % 2:
        raise _bad(f"{len(data)} bytes are no piece of microphone sound")
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768.0


def _controls(raw: dict[str, Any]) -> SetControls:
    gaze = raw.get("gaze", [0.0, 0.0])
    if not isinstance(gaze, list) or len(gaze) != 2:
        raise _bad("'gaze' is not two numbers")
    head = raw.get("head", "natural")
    if head not in ("natural", "still"):
        raise _bad("'head' is neither natural nor still")
    yaw, pitch = (_in_range("gaze", value, -_GAZE_LIMIT, _GAZE_LIMIT) for value in gaze)
    return SetControls(
        expression=_numbers(raw, "expression", -1.0, 1.0),
        emotion=_numbers(raw, "emotion", 0.0, 1.0),
        lip_scale=_number(raw, "lip_scale", 0.0, 3.0) if "lip_scale" in raw else 1.0,
        gaze=(yaw, pitch),
        head=head,
    )


def _numbers(raw: dict[str, Any], key: str, low: float, high: float) -> dict[str, float]:
    values = raw.get(key, {})
    if not isinstance(values, dict) or len(values) > MAX_ENTRIES:
        raise _bad(f"{key!r} is not a table of at most {MAX_ENTRIES} numbers")
    return {name[:MAX_NAME]: _in_range(key, value, low, high) for name, value in values.items()}


def _number(raw: dict[str, Any], key: str, low: float, high: float) -> float:
    return _in_range(key, raw.get(key), low, high)


def _in_range(key: str, value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise _bad(f"{key!r} is not a number from {low:g} to {high:g}")
    return float(value)


def _text(raw: dict[str, Any], key: str, longest: int) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _bad(f"{key!r} is no text")
    if len(value) > longest:
        raise FormatError(f"That is too long: {len(value)} characters.", f"Use at most {longest}.")
    return value


def _voice(raw: dict[str, Any]) -> str:
    voice = raw.get("voice", "en")
    if not isinstance(voice, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,39}", voice):
        raise _bad("'voice' is not the name of one")
    return voice


def _no_number(name: str) -> float:
    raise ValueError(name)


def _bad(why: str) -> FormatError:
    return FormatError(f"The server does not understand a message: {why}.", "Reload the page.")


# --- from the server


@dataclasses.dataclass(frozen=True)
class Frame:
    """Binary: how the avatar is at one moment, 16 + 4 K + 56 bytes.

    ======  ====  =================================================================
    offset  type
    ======  ====  =================================================================
    0       u32   what drives it: 1 nothing (it idles), 2 an utterance, 3 the microphone
    4       u32   utterance
    8       f64   seconds: of the utterance's sound, or since the microphone was switched on, or since the page came
    16      f32   K coefficients, in the order of the compact avatar's bases
    16+4K   f32   head: quaternion wxyz, translation xyz in metres, canonical to world
    44+4K   f32   torso: the same
    ======  ====  =================================================================
    """

    IDLE: ClassVar[int] = 1
    UTTERANCE: ClassVar[int] = 2
    MICROPHONE: ClassVar[int] = 3

    kind: int
    utterance: int
    time: float
    values: np.ndarray
    """(K + 14,) float32: coefficients, head, torso."""

    def to_bytes(self) -> bytes:
        return struct.pack("<IId", self.kind, self.utterance, self.time) + self.values.astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Frame:
        kind, utterance, time = struct.unpack_from("<IId", data)
        return cls(kind, utterance, time, np.frombuffer(data, "<f4", offset=16))


@dataclasses.dataclass(frozen=True)
class SoundOf:
    """Binary: the sound of an utterance: u32 16, u32 utterance, then a WAV file."""

    KIND: ClassVar[int] = 16

    utterance: int
    wav: bytes

    def to_bytes(self) -> bytes:
        return struct.pack("<II", self.KIND, self.utterance) + self.wav


@dataclasses.dataclass(frozen=True)
class Hello:
    """``{"type": "hello", …}``: first of all; what this avatar can do.

    Args:
        name: of the avatar.
        fingerprint: of its compact file: another one means another avatar, and the page loads anew.
        fps: frames per second.
        coefficients: K, numbers of a frame before the poses.
        expression: names of the curves, sliders in that order.
        emotions: names.
        speech: whether sounds and texts can drive it.
        microphone: whether it can follow sound while it is spoken.
        lookahead_ms: how much sound after a moment the live mouth has to hear.
    """

    name: str
    fingerprint: str
    fps: float
    coefficients: int
    expression: tuple[str, ...]
    emotions: tuple[str, ...]
    speech: bool
    microphone: bool
    lookahead_ms: float
    max_text: int = MAX_TEXT
    max_sound_bytes: int = MAX_SOUND_BYTES
    max_sound_s: float = MAX_SOUND_S
    type: str = "hello"


@dataclasses.dataclass(frozen=True)
class Utterance:
    """``{"type": "utterance", "id": 3, "seconds": 2.5, "mime": "audio/wav", "text": …}``; its ``SoundOf`` is next."""

    id: int
    seconds: float
    text: str = ""
    mime: str = "audio/wav"
    type: str = "utterance"


@dataclasses.dataclass(frozen=True)
class State:
    """``{"type": "state", "doing": "idle" | "preparing" | "speaking" | "listening" | "attending"}``:
    ``listening`` says what the microphone hears, ``attending`` listens to it."""

    doing: Literal["idle", "preparing", "speaking", "listening", "attending"]
    type: str = "state"


@dataclasses.dataclass(frozen=True)
class Delay:
    """``{"type": "delay", "p50_ms": 9.1, "p99_ms": 14.0}``: from the arrival of the last sound that a frame of the
    microphone needed to the frame's departure, over the last ten seconds."""

    p50_ms: float
    p99_ms: float
    type: str = "delay"


@dataclasses.dataclass(frozen=True)
class Problem:
    """``{"type": "error", "message": …, "hint": …}``: one sentence what is wrong, one what to do."""

    message: str
    hint: str = ""
    type: str = "error"


ServerMessage = Frame | SoundOf | Hello | Utterance | State | Delay | Problem


def encode(message: ServerMessage) -> bytes | str:
    """As it goes over the WebSocket: bytes for binary messages, else JSON."""
    if isinstance(message, Frame | SoundOf):
        return message.to_bytes()
    return json.dumps(_finite(dataclasses.asdict(message)), ensure_ascii=False)


def _finite(table: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in table.items()}
