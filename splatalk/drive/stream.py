"""Live driving: sound comes in pieces of any size, Controls come out as soon as they can be known."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from splatalk.avatar.audio_encoder import AudioEncoder
from splatalk.avatar.controls import Controls
from splatalk.avatar.model import Avatar
from splatalk.drive.adjust import Adjust, adjusted_controls
from splatalk.drive.conversation import Conversation, smile_code
from splatalk.drive.from_audio import Head, still
from splatalk.errors import UserError
from splatalk.speech import PROSODY, SAMPLE_RATE, listener, live
from splatalk.speech.features import feature_groups
from splatalk.speech.prior import ARTICULATION

FADE_S = 0.2
"""In which the mouth goes from what it did to what it does now, when words begin, end or are cut off."""

HISTORY_S = 60.0
"""Frames this far back can be taken back by ``interrupt``."""

_Moved = tuple[dict[str, np.ndarray], float]
"""Motion of a frame, and how much it listens in it."""

_LOST_S = 0.3  # sound of the other side that stays away this long is over
_VOICE_DELAY = 4  # steps of 20 ms after which voice is told more surely
_ACTIVITY = PROSODY.index("activity") - len(PROSODY) - len(ARTICULATION)  # column of a window, from its end


class Stream:
    """An avatar that listens. All state is here; nothing depends on the size of the pieces in which sound comes.

    Time is counted in frames. Sound begins with the frame after the last one that was given: after ``finish`` or
    ``interrupt``, the next ``feed`` begins new words there. Head, blinks and gaze go on through all of it: those of
    somebody who speaks while there is a voice in ``feed``, listens while there is one in ``overhear``, and idles else.

    Args:
        avatar: with a live encoder, or with a Whisper encoder, which then does with what can be known in time.
        seed: where in the recorded manner it starts and how it goes on.
        head: ``natural`` or ``still``.
        style: a name in ``drive.manner.STYLES``.
        adjust: knobs; may be replaced at any time (``stream.adjust = ...``).
        lookahead_s: seconds of sound that are waited for after a frame, one of ``live.LOOKAHEADS_S``.

    Raises:
        UserError: this avatar cannot be driven live, or the lookahead is none of the four.
    """

    def __init__(
        self,
        avatar: Avatar,
        *,
        seed: int = 0,
        head: Head = "natural",
        style: str = "natural",
        adjust: Adjust | None = None,
        lookahead_s: float = live.DEFAULT_LOOKAHEAD_S,
    ) -> None:
        if lookahead_s not in live.LOOKAHEADS_S:
            known = ", ".join(f"{1000 * s:.0f}" for s in live.LOOKAHEADS_S)
            raise UserError(f"A lookahead of {1000 * lookahead_s:g} ms is not possible.", f"Use {known} milliseconds.")
        self.avatar, self.adjust, self.lookahead_s = avatar, adjust or Adjust(), lookahead_s
        self.frame = 0
        """Index of the next frame."""
        self._mouth = _LiveMouth(avatar, lookahead_s)
        self._talk = None if head == "still" else Conversation(avatar, seed, style)
        self._smile = smile_code(avatar)
        self._other, self._other_since = _Voice(), 0
        self._still = {name: rows[0] for name, rows in still(avatar, 1).items()}
        self._ahead: deque[_Moved] = deque()  # motion of frames that were taken back
        self._given: deque[tuple[_Moved, np.ndarray]] = deque(maxlen=round(HISTORY_S * avatar.fps))
        self._last = self._mouth.rest
        self._gap, self._faded = np.zeros_like(self._last), 0.0
        self._silence()
        self._mouth(np.stack([listener.hear(self._hearing, np.zeros(listener.STEP, np.float32))] * live.SPAN))
        self._silence()  # what is loaded at first use is loaded now, and the first sound need not wait for it

    @property
    def fps(self) -> float:
        return self.avatar.fps

    @property
    def stand_in(self) -> bool:
        """Whether the mouth comes from the encoder for recorded sound, for want of a live one: less exact."""
        return self._mouth.stand_in

    def feed(self, samples: np.ndarray) -> list[Controls]:
        """Hear more.

        Args:
            samples: (S,) float32, 16 kHz, -1..1; any length.

        Returns:
            the frames whose lookahead is now complete, in order.
        """
        if samples.ndim != 1:
            raise ValueError(f"samples must be (S,), got {samples.shape}")
        self._break |= self._n_samples == 0
        self._n_samples += len(samples)
        return self._hear(np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=1.0, neginf=-1.0))

    def finish(self) -> list[Controls]:
        """The sound is over: the frames that still waited for their lookahead. The next ``feed`` begins new words."""
        if self._n_samples == 0:
            return []
        wanted = int(np.ceil(self._n_samples / SAMPLE_RATE * self.fps - 1e-9))
        steps = live.steps_until(wanted - 1, self.fps, self.lookahead_s) - self._steps
        missing = max(steps, 0) * listener.STEP - len(self._rest_of_block)
        frames = self._hear(np.zeros(max(missing, 0), np.float32), limit=wanted)
        self._silence()
        return frames

    def interrupt(self, frame: int | None = None) -> None:
        """Stop now: forget the sound that is still waiting; the mouth goes to rest in the next frames.

        Args:
            frame: index of the first frame that will not be shown. Frames from there on that were already given
                are taken back, so that what follows continues what was seen. None: all were shown.
        """
        if frame is not None:
            for _ in range(min(self.frame - frame, len(self._given))):
                motion, _ = self._given.pop()
                self._ahead.appendleft(motion)
                self.frame -= 1
            self._last = self._given[-1][1] if self._given else self._mouth.rest
        self._silence()

    def overhear(self, samples: np.ndarray) -> None:
        """Sound (S,) of the other side, float32, 16 kHz, as it comes: the frames that follow attend to it."""
        self._other.hear(np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=1.0, neginf=-1.0))
        self._other_since = 0

    def idle(self) -> Controls:
        """One frame without sound."""
        if self._n_samples:
            self._silence()
        return self._frame(self._mouth.rest, 0.0)

    # --- inside

    def _silence(self) -> None:
        """No words from here on: forget what was heard, and let the next frames start from the last mouth."""
        self._hearing = listener.begin()
        self._recent = np.zeros((live.SPAN, listener.WIDTH + 1), np.float32)
        self._rest_of_block = np.zeros(0, np.float32)
        self._steps, self._n_samples, self._spoken = 0, 0, 0
        self._break = True

    def _hear(self, samples: np.ndarray, limit: int | None = None) -> list[Controls]:
        """Frames that the steps in ``samples`` complete, at most ``limit`` of this sound."""
        waiting = np.concatenate((self._rest_of_block, samples))
        whole = len(waiting) // listener.STEP
        frames = self._due(limit) if self._steps == 0 and len(waiting) else []
        for block in waiting[: whole * listener.STEP].reshape(whole, listener.STEP):
            self._recent = np.concatenate((self._recent[1:], listener.hear(self._hearing, block)[None]))
            self._steps += 1
            frames += self._due(limit)
        self._rest_of_block = waiting[whole * listener.STEP :]
        return frames

    def _due(self, limit: int | None) -> list[Controls]:
        frames = []
        while live.steps_until(self._spoken, self.fps, self.lookahead_s) <= self._steps:
            if limit is not None and self._spoken >= limit:
                break
            self._spoken += 1
            frames.append(self._frame(*self._mouth(self._recent)))
        return frames

    def _frame(self, mouth: np.ndarray, voice: float) -> Controls:
        """The next frame with that mouth (C,) and voice activity, without a jump from the last one."""
        if self._break:
            self._gap, self._faded, self._break = self._last - mouth, 0.0, False
        self._faded += 1.0 / (FADE_S * self.fps)
        part = min(self._faded, 1.0)
        self._last = mouth + (1.0 - part * part * (3.0 - 2.0 * part)) * self._gap
        moved = self._moved(voice)
        self._given.append((moved, self._last))
        motion, listens = moved
        controls = Controls(**motion, mouth=self._last + np.float32(listens) * self._smile)
        time = self.frame / self.fps
        self.frame += 1
        return adjusted_controls(self.avatar, controls, self.adjust, time)

    def _moved(self, voice: float) -> _Moved:
        """Pose, upper face and gaze of the next frame."""
        if self._ahead:
            return self._ahead.popleft()
        self._other_since += 1
        if self._talk is None:
            return self._still, 0.0
        attentive = self._other_since <= _LOST_S * self.fps
        return self._talk.next(voice, self._other.activity if attentive else 0.0)


class _Voice:
    """Whether somebody speaks, told from sound in pieces of any size."""

    def __init__(self) -> None:
        self._hearing, self._rest = listener.begin(), np.zeros(0, np.float32)
        self.activity = 0.0

    def hear(self, samples: np.ndarray) -> None:
        """Args: samples: (S,) float32, 16 kHz."""
        waiting = np.concatenate((self._rest, samples))
        whole = len(waiting) // listener.STEP * listener.STEP
        for block in waiting[:whole].reshape(-1, listener.STEP):
            found = listener.estimates(listener.hear(self._hearing, block), _VOICE_DELAY, 0)
            self.activity = float(np.clip(found[0, _ACTIVITY], 0.0, 1.0))
        self._rest = waiting[whole:]


class _LiveMouth:
    """What is known of the sound to a mouth code: what the encoder's ``codes`` computes, in numpy for a single frame:
    waking torch's threads takes longer than the product."""

    def __init__(self, avatar: Avatar, lookahead_s: float) -> None:
        self.lookahead = live.lookahead_steps(lookahead_s)
        self.stand_in = avatar.live_encoder is None
        encoder = avatar.audio_encoder if avatar.live_encoder is None else avatar.live_encoder[live.key(lookahead_s)]
        if not isinstance(encoder, AudioEncoder):
            raise UserError("This avatar cannot be driven by sound.", "Enrol it again from a recording with speech.")
        # An encoder for recorded sound gets what it knows of lips and voice; its words stay what they are in silence.
        n = encoder.config.visemes
        groups = feature_groups(live.DIM, live.VISEMES)
        first = live.DIM if self.stand_in else 0
        shapes = np.arange(groups["visemes"].start, groups["visemes"].start + n)
        voice = np.arange(groups["prosody"].start, live.DIM)
        self.columns = np.concatenate((np.arange(first, groups["words"].stop), shapes, voice))
        weight = encoder.weight.numpy()[:, -len(self.columns) :]  # (C, columns, 7)
        self.weight = np.ascontiguousarray(weight.transpose(0, 2, 1).reshape(len(weight), -1))
        self.bias, self.rest = encoder.bias.numpy().copy(), encoder.rest.numpy().copy()
        self.close = _closing(encoder, groups)

    def __call__(self, recent: np.ndarray) -> tuple[np.ndarray, float]:
        """(SPAN, C + 1) newest steps of the listener -> (C,) code, and voice activity 0..1."""
        rows = live.window(recent, self.lookahead)
        spoken = self.weight @ rows[:, self.columns].ravel() + self.bias
        spoken = self.close(rows[live.CONTEXT], spoken)
        voiced = float(np.clip(rows[:, _ACTIVITY].max(), 0.0, 1.0))
        return np.asarray(self.rest + voiced * (spoken - self.rest), dtype=np.float32), voiced


def _closing(encoder: AudioEncoder, groups: dict[str, slice]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """How lips close where it is heard: (window row, code (C,)) -> code, as in ``AudioEncoder.codes``."""
    if encoder.config.visemes < live.VISEMES:
        return lambda row, code: code
    opens, closes, sealed = (t.numpy().copy() for t in (encoder.opens, encoder.closes, encoder.sealed))
    column = groups["closed"].start

    def close(row: np.ndarray, code: np.ndarray) -> np.ndarray:
        too_open = max(float(code @ opens) - float(sealed), 0.0)
        return np.asarray(code - float(row[column]) * too_open * closes)

    return close
