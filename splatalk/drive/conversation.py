"""A person in a conversation: speaks in the recorded manner, listens with the eyes on the camera, and idles alive.

Speaking is ``drive.manner`` as it is. Listening and idling walk through the recording's silent parts, if it has some
that are long enough, with smaller motion; on top come small nods where the other ends a phrase, and breath.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.transform import Rotation

from splatalk.avatar.controls import SMILE_SHAPES, Performance
from splatalk.avatar.model import Avatar
from splatalk.drive.adjust import spoken_mouth
from splatalk.drive.manner import STYLES, MannerWalk, absolute, relative
from splatalk.drive.turns import IDLE, LISTENING, SPEAKING, Turns
from splatalk.errors import UserError
from splatalk.speech import PROSODY, SAMPLE_RATE, prosody, speech_windows

QUIET_AMPLITUDE = 0.55
"""How far the head goes while listening or idle, as a multiple of how far it goes while speaking."""
ANTICIPATION_S = 0.2
"""Who is about to speak gets ready; only where the sound is known in advance."""
BLINKS_KEPT = 0.5
"""Share of the recorded blinks while listening: listeners blink less than speakers."""
GAZE_KEPT = 0.25
"""How much of the recorded wandering of the eyes stays while they look into the camera."""
NOD_S, NOD_RAD, NOD_CHANCE = (0.6, 0.9), (0.04, 0.08), 0.8
"""Duration and depth of a nod, and how likely the end of a phrase gets one."""
BREATH_HZ, BREATH_M, BREATH_RAD = 0.23, 0.0012, 0.003
SMILE = 0.3
"""Of the recorded smile's curves while listening."""
SILENT_RUN_S, SILENT_TOTAL_S = 1.2, 5.0
"""Silence in the recording: the shortest run that is walked through, and how much there must be in all."""

_ACTIVITY = PROSODY.index("activity")
_NECK = np.array([0.0, 0.12, 0.03])  # metres in the head frame: what a nod turns about
_BLINK = slice(8, 10)
_MOTION = ("head_pose", "torso_pose", "expression", "gaze")


class Conversation:
    """Head, eyes and face without end, and how much the mouth smiles. Deterministic for a seed and what is heard.

    Args:
        avatar: any.
        seed: of both walks, nods and blinks.
        style: a name in ``drive.manner.STYLES``.
    """

    def __init__(self, avatar: Avatar, seed: int = 0, style: str = "natural") -> None:
        self._rest = (avatar.rest_head, avatar.rest_torso)
        self._fps = avatar.fps
        rows = silent_rows(avatar.manner, avatar.fps)

        def walk(amplitude: float, rows: np.ndarray | None, seed: int) -> MannerWalk:
            return MannerWalk(avatar.manner, *self._rest, avatar.fps, seed, amplitude * STYLES[style], rows)

        self._speaking = walk(1.0, None, seed)
        self._quiet = walk(QUIET_AMPLITUDE, rows, seed + 1)
        self._turns = Turns(avatar.fps)
        self._rng = np.random.default_rng((seed, 1))
        self._nod: tuple[float, float, float] | None = None  # start, duration, depth
        self._blinks = _Blinks(avatar.manner["expression"][:, _BLINK], self._rng)
        self._usual_gaze = np.median(avatar.manner["gaze"], 0)
        self._gaze_range = np.quantile(avatar.manner["gaze"], (0.005, 0.995), axis=0)
        self._ahead = camera_direction(avatar.rest_head)
        self._frame = 0
        self._breath = self._rng.uniform(0.0, 2 * math.pi)

    def next(self, own: float, other: float) -> tuple[dict[str, np.ndarray], float]:
        """The next frame.

        Args:
            own, other: voice activity of the avatar and of who talks to it, 0..1.

        Returns:
            head_pose and torso_pose (4, 4), expression (52,), gaze (4,); and how much it listens, 0..1.
        """
        turn = self._turns.next(own, other)
        speaking, quiet = ({k: v[0] for k, v in walk.take(1).items()} for walk in (self._speaking, self._quiet))
        time = self._frame / self._fps
        self._frame += 1
        if turn.phrase_ended and self._nod is None and self._rng.random() < NOD_CHANCE:
            self._nod = (time, self._rng.uniform(*NOD_S), self._rng.uniform(*NOD_RAD))
        talks, listens = float(turn.weights[SPEAKING]), float(turn.weights[LISTENING])
        motion = {
            key: _between(quiet[key], speaking[key], rest, talks) for key, rest in zip(_MOTION[:2], self._rest)
        } | {key: quiet[key] + talks * (speaking[key] - quiet[key]) for key in _MOTION[2:]}
        self._breathe(motion, time, listens + float(turn.weights[IDLE]))
        motion["head_pose"] = motion["head_pose"] @ self._nodding(time)
        motion["gaze"] = self._look(motion, listens)
        motion["expression"] = motion["expression"].copy()
        motion["expression"][_BLINK] = self._blinks(motion["expression"][_BLINK], listens)
        return motion, listens

    def _breathe(self, motion: dict[str, np.ndarray], time: float, share: float) -> None:
        wave = share * math.sin(2 * math.pi * BREATH_HZ * time + self._breath)
        lift = np.array([0.0, -BREATH_M * wave, 0.0])  # y is down
        for key, part in (("head_pose", 0.7), ("torso_pose", 1.0)):
            motion[key] = motion[key].copy()
            motion[key][:3, 3] += part * lift
        lean = Rotation.from_rotvec([-BREATH_RAD * wave, 0.0, 0.0]).as_matrix()
        motion["torso_pose"][:3, :3] = motion["torso_pose"][:3, :3] @ lean

    def _nodding(self, time: float) -> np.ndarray:
        """(4, 4) in the head frame."""
        moved = np.eye(4)
        if self._nod is None:
            return moved
        start, duration, depth = self._nod
        part = (time - start) / duration
        if part >= 1.0:
            self._nod = None
            return moved
        # The fourth power of a sine begins and ends without a corner in speed or in its change.
        moved[:3, :3] = Rotation.from_rotvec([depth * math.sin(math.pi * part) ** 4, 0.0, 0.0]).as_matrix()
        moved[:3, 3] = _NECK - moved[:3, :3] @ _NECK
        return moved

    def _look(self, motion: dict[str, np.ndarray], listens: float) -> np.ndarray:
        """(4,) the recorded gaze, turned to the camera as far as it listens."""
        turned = np.tile(camera_direction(motion["head_pose"]) - self._ahead, 2)
        at_camera = self._usual_gaze + turned + GAZE_KEPT * (motion["gaze"] - self._usual_gaze)
        at_camera = np.clip(at_camera, *self._gaze_range)
        return np.asarray(motion["gaze"] + listens * (at_camera - motion["gaze"]), dtype=np.float32)


class _Blinks:
    """Leaves out some blinks: a lid that begins to close may not.

    Args:
        lids: (M, 2) recorded.
        rng: decides.
    """

    def __init__(self, lids: np.ndarray, rng: np.random.Generator) -> None:
        usual, most = np.median(lids), float(lids.max(initial=0.0))
        self._limit = float(usual + 0.3 * max(most - usual, 0.0))
        self._rng, self._closing, self._held = rng, False, 0.0

    def __call__(self, lids: np.ndarray, listens: float) -> np.ndarray:
        closing = bool(lids.max() > self._limit)
        if closing and not self._closing:
            self._held = float(self._rng.random() > 1.0 - (1.0 - BLINKS_KEPT) * listens)
        self._closing = closing
        return np.minimum(lids, self._limit) if closing and self._held else lids


def from_conversation(
    avatar: Avatar,
    own: np.ndarray | None,
    other: np.ndarray | None,
    *,
    seed: int = 0,
    style: str = "natural",
) -> Performance:
    """A performance as long as the longer sound; its sound is the avatar's own.

    Args:
        own: (S,) float32, 16 kHz: what the avatar says; None: it only listens.
        other: (S,) float32, 16 kHz: what is said to it.
        seed, style: see ``Conversation``.

    Raises:
        UserError: the avatar cannot hear, or there is no sound.
    """
    if avatar.audio_encoder is None:
        raise UserError("This avatar cannot be driven by sound.", "Enrol it again from a recording with speech.")
    sounds = [np.zeros(0, np.float32) if s is None else s for s in (own, other)]
    n = math.ceil(max(map(len, sounds)) / SAMPLE_RATE * avatar.fps)
    if n < 1:
        raise UserError("The sound is empty.", "Give a file with at least one word in it.")
    said, heard = (voice_activity(sound, avatar.fps, n) for sound in sounds)
    said = _anticipated(said, round(ANTICIPATION_S * avatar.fps))
    talk = Conversation(avatar, seed, style)
    frames = [talk.next(float(a), float(b)) for a, b in zip(said, heard)]
    motion = {key: np.stack([moved[key] for moved, _ in frames]) for key in _MOTION}
    audio = np.pad(sounds[0], (0, max(0, math.ceil(n / avatar.fps * SAMPLE_RATE) - len(sounds[0]))))
    speech = speech_windows(avatar.meta["speech"], audio, avatar.fps, n)
    performance = Performance(avatar.fps, **motion, speech=speech, audio=audio)
    performance.mouth = _smiling_mouth(avatar, performance, np.array([listens for _, listens in frames]))
    return performance


def voice_activity(samples: np.ndarray, fps: float, n: int) -> np.ndarray:
    """(n,) 0..1, see ``speech.prosody``; zeros where there is no sound."""
    return prosody(samples, fps, n)[:, _ACTIVITY] if len(samples) else np.zeros(n, np.float32)


def smile_code(avatar: Avatar) -> np.ndarray:
    """(C,) what a slight smile adds to the mouth; next to nothing for a face that was never recorded smiling."""
    code = SMILE * avatar.curves_to_mouth.cpu().numpy()[list(SMILE_SHAPES)].sum(0)
    return np.asarray(code / max(float(np.abs(code).max()), 1.0), dtype=np.float32)  # within a standard deviation


def camera_direction(head_pose: np.ndarray) -> np.ndarray:
    """(2,) yaw and pitch, radians, at which the camera (the world's origin) is seen from the head; + is left and up."""
    x, y, z = head_pose[:3, :3].T @ -head_pose[:3, 3]
    return np.array([math.atan2(x, -z), math.atan2(-y, math.hypot(x, z))])


def silent_rows(manner: dict[str, np.ndarray], fps: float) -> np.ndarray | None:
    """(M,) bool, frames of the recording that lie in a long silence; None when there is too little of it.

    Avatars that do not know where their recording was silent give None.
    """
    if "voice" not in manner:
        return None
    silent = np.concatenate(([False], manner["voice"] < 0.1, [False]))
    edges = np.flatnonzero(np.diff(silent.astype(int))).reshape(-1, 2)
    rows = np.zeros(len(manner["voice"]), bool)
    for start, end in edges:
        if end - start >= SILENT_RUN_S * fps:
            rows[start:end] = True
    return rows if rows.sum() >= SILENT_TOTAL_S * fps else None


def _smiling_mouth(avatar: Avatar, performance: Performance, listens: np.ndarray) -> np.ndarray:
    """(N, C) what the words do, with a slight smile while it listens."""
    assert performance.speech is not None
    return spoken_mouth(avatar, performance.speech) + listens[:, None].astype(np.float32) * smile_code(avatar)


def _anticipated(activity: np.ndarray, frames: int) -> np.ndarray:
    """The most that comes within the next ``frames``."""
    padded = np.pad(activity, (0, frames))
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, frames + 1).max(1))


def _between(a: np.ndarray, b: np.ndarray, rest: np.ndarray, share: float) -> np.ndarray:
    """(4, 4) between two poses near ``rest``."""
    first, second = relative(np.stack((a, b)), rest)
    return absolute((first + share * (second - first))[None], rest)[0]
