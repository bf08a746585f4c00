"""How a person's mouth follows speech that is still coming: fitted in seconds, once everything else is trained."""

from __future__ import annotations

from splatalk.avatar.audio_encoder import AudioEncoder, fit_audio_encoder, smiles
from splatalk.avatar.model import Avatar
from splatalk.capture.dataset import Capture
from splatalk.speech.live import LOOKAHEADS_S, VISEMES, heard, key, live_windows


def fit_live(avatar: Avatar, capture: Capture, seed: int = 0) -> dict[str, AudioEncoder] | None:
    """Encoders for live driving at every lookahead, ready to be given to ``avatar.set_live_encoder``.

    Args:
        avatar: of the person, with the mouth basis that codes are to be in. Not changed.
        capture: the recording that the avatar was made from; its training frames are used.

    Returns:
        ``live.key`` of a lookahead → encoder, or None when the recording holds less than a second of speech.
    """
    frames = capture.train_frames()
    codes = avatar.mouth_basis.encode(capture.tracks.landmarks_head[frames])
    unheard = smiles(capture.tracks.blendshapes, capture.fps)[frames]
    known = heard(capture.audio, capture.fps, capture.n_frames)
    fitted: dict[str, AudioEncoder] = {}
    for lookahead in LOOKAHEADS_S:
        windows = live_windows(known, capture.fps, capture.n_frames, lookahead)
        encoder = fit_audio_encoder(
            windows[frames], codes, avatar.mouth_basis, unheard=unheard, seed=seed, visemes=VISEMES, words=False
        )
        if encoder is None:
            return None
        fitted[key(lookahead)] = encoder.eval().requires_grad_(False)
    return fitted
