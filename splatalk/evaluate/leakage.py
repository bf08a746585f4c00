"""A mouth that should rest: driven by digital silence and by the noise of a room in which nobody speaks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from splatalk.avatar.face_mesh import N_LANDMARKS
from splatalk.avatar.model import Avatar
from splatalk.avatar.mouth_basis import mouth_opening_and_width
from splatalk.drive.from_audio import from_audio
from splatalk.drive.play import play
from splatalk.evaluate import motion
from splatalk.evaluate.mouth import Lips, Range
from splatalk.evaluate.tracking import track_faces
from splatalk.evaluate.voices import ROOM_DB, room_noise
from splatalk.speech import SAMPLE_RATE, speech_windows

DRAWN_S, PREDICTED_S = 2.0, 10.0
DRAWN_DB = -50.0
"""Level of the room noise that is drawn."""


def drawn_leakage(avatar: Avatar, spoken: Range, backend: str, step: Callable[[], object]) -> dict[str, float]:
    """Percent of drawn frames, tracked again, in which the mouth leaves its rest in silence.

    Args:
        spoken: the person's tracked opening while speaking.
        step: called for each of the ``frame_count`` frames.

    Returns:
        ``silence_moving``, ``noise_moving``.
    """
    silence = np.zeros(round(DRAWN_S * SAMPLE_RATE), np.float32)
    openings = []
    for samples in (silence, room_noise(DRAWN_S, DRAWN_DB)):
        performance = from_audio(avatar, samples, seed=0, head="still")
        openings.append(track_faces(play(avatar, performance, backend=backend), step).opening())
    found = openings[0][np.isfinite(openings[0])]
    rest = float(np.median(found)) if len(found) else np.nan
    keys = ("silence_moving", "noise_moving")
    return {key: 100 * motion.moving_share(o, spoken.span, rest) for key, o in zip(keys, openings)}


def frame_count(fps: float) -> int:
    """Frames that ``drawn_leakage`` draws."""
    return 2 * round(DRAWN_S * fps)


def predicted_leakage(avatar: Avatar, spoken: Range) -> dict[str, float]:
    """The same for the mouth that the encoder asks for, nothing drawn: longer, and at several levels of noise.

    Args:
        spoken: the person's opening in the head frame, metres.

    Returns:
        ``noise_moving_worst``: percent of frames at the worst of ``voices.ROOM_DB``.
    """
    n = round(PREDICTED_S * avatar.fps)
    rest = float(predicted_lips(avatar, np.zeros(round(PREDICTED_S * SAMPLE_RATE), np.float32), n).opening.mean())
    shares = [
        motion.moving_share(predicted_lips(avatar, room_noise(PREDICTED_S, level, seed), n).opening, spoken.span, rest)
        for seed, level in enumerate(ROOM_DB)
    ]
    return {"noise_moving_worst": 100 * max(shares)}


def predicted_lips(avatar: Avatar, samples: np.ndarray, n: int) -> Lips:
    """Opening and width that the sound asks for in ``n`` frames, metres in the head frame; nothing is drawn."""
    encoder = avatar.audio_encoder
    assert encoder is not None
    speech = speech_windows(avatar.meta["speech"], samples, avatar.fps, n)
    with torch.no_grad():
        codes = encoder(torch.as_tensor(speech, dtype=torch.float32, device=avatar.device))[0].cpu().numpy()
    landmarks = np.zeros((n, N_LANDMARKS, 3), np.float32)
    landmarks[:, avatar.mouth_basis.indices] = avatar.mouth_basis.decode(codes)
    return Lips(*mouth_opening_and_width(landmarks).T)
