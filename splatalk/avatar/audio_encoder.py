"""From speech features to a person's mouth, and to tokens for the deformation network.

The map from sound to mouth is linear and found in closed form (ridge regression). Small networks were tried and did
worse on held-out speech, with 8 s and with 75 s of recording alike: ``benchmarks/speech_study.md``.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn

from splatalk.avatar.controls import SMILE_SHAPES
from splatalk.avatar.face_mesh import N_LANDMARKS
from splatalk.avatar.mouth_basis import MouthBasis, mouth_opening_and_width
from splatalk.avatar.ridge import ridge
from splatalk.speech.features import feature_groups
from splatalk.speech.lip_reading import CLOSED, SHAPES
from splatalk.speech.prosody import PROSODY

__all__ = [
    "AudioEncoder", "AudioEncoderConfig", "MouthBasis", "fit_audio_encoder", "mouth_opening_and_width", "smiles",
]  # fmt: skip

CONTEXT = 3
"""Window rows of 40 ms on either side of a step that its mouth code is made from: a lookahead of 120 ms."""

LEAST_SPEECH = 25
"""Frames with speech below which nothing can be learned."""

_ACTIVITY = PROSODY.index("activity")
_WORD_AXES = 128
_GROUP_WEIGHT = {"words": 0.4, "visemes": 0.4, "curves": 0.5, "prosody": 0.4, "articulation": 1.0}
_CURVES_ALONE = 1.0  # weight of the curves where words do not count
_CLOSING_GAIN = 2.5
"""Of windows that hold only probabilities: closed lips are certain from 0.4, as a window row averages 80 ms."""
_SEALED_QUANTILE = 0.05
_SMILE_S = 0.32
_SILENT_FRAME_WEIGHT = 0.2
_REST_FRAMES = 25  # recorded silence that counts as much as the assumption that a silent mouth is closed


@dataclasses.dataclass(frozen=True)
class AudioEncoderConfig:
    """Shapes of an AudioEncoder, and how well it does.

    Args:
        window: W, rows of a feature window (odd).
        dim: D, columns.
        mouth_dim: C, mouth coefficients.
        token_dim: width of the tokens.
        explained: share of the variance of the lips' opening explained in held-out blocks of the recording.
        visemes: how many of the columns are mouth shapes, see ``speech.features.n_visemes``.
    """

    window: int
    dim: int
    mouth_dim: int
    token_dim: int = 64
    explained: float = 0.0
    visemes: int = 0

    def __post_init__(self) -> None:
        if self.window < 2 * CONTEXT + 1 or self.window % 2 == 0 or min(self.mouth_dim, self.token_dim) < 1:
            raise ValueError(f"window must be odd and at least {2 * CONTEXT + 1}, got {self}")
        if feature_groups(self.dim, self.visemes)["words"].stop < 1 or not 0 <= self.visemes <= len(SHAPES):
            raise ValueError(f"dim {self.dim} is too small for {self.visemes} visemes")

    @property
    def tokens(self) -> int:
        """T, time steps with a token."""
        return self.window - 2 * CONTEXT


class AudioEncoder(nn.Module):
    """Speech features around a frame to its mouth code and to one token for each of the T middle rows of the window.

    The mouth code is fitted once (buffers, not trained further: with seconds of recording, training it through pictures
    learns the recording by heart). Where there is no voice for 120 ms on either side, it is the closed mouth; where
    closed lips are heard (p, b, m), the lips are closed, along the way this person opens and closes them. Tokens carry
    mouth codes and prosody of their time step, and a learned projection makes them of use to the network.
    """

    def __init__(self, config: AudioEncoderConfig) -> None:
        super().__init__()
        self.config = config
        c = config.mouth_dim
        self.register_buffer("weight", torch.zeros(c, config.dim, 2 * CONTEXT + 1))
        self.register_buffer("bias", torch.zeros(c))
        self.register_buffer("rest", torch.zeros(c))
        if config.visemes:  # opening = opens . code - sealed; a unit of it is closed by -closes
            self.register_buffer("opens", torch.zeros(c))
            self.register_buffer("closes", torch.zeros(c))
            self.register_buffer("sealed", torch.zeros(()))
        self.register_buffer("time_code", _time_code(config.tokens, config.token_dim), persistent=False)
        self.weight: Tensor
        self.bias: Tensor
        self.rest: Tensor
        self.opens: Tensor
        self.closes: Tensor
        self.sealed: Tensor
        self.time_code: Tensor
        self.project = nn.Linear(c + len(PROSODY), config.token_dim)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Args: features: (B, W, D) of ``speech_windows``. Returns: mouth codes (B, C), tokens (B, T, token_dim)."""
        codes = self.codes(features)
        voice = features[:, CONTEXT:-CONTEXT, feature_groups(self.config.dim)["prosody"]]
        tokens = self.project(torch.cat((codes, voice), -1)) + self.time_code
        return codes[:, self.config.tokens // 2], tokens

    def codes(self, features: Tensor) -> Tensor:
        """(B, W, D) -> mouth codes of the T middle rows, (B, T, C)."""
        spoken = F.conv1d(features.transpose(1, 2), self.weight, self.bias).transpose(1, 2)
        if self.config.visemes:
            closed = self._closed(features[:, CONTEXT:-CONTEXT])
            too_open = F.relu(spoken @ self.opens - self.sealed)
            spoken = spoken - (closed * too_open)[..., None] * self.closes
        return torch.lerp(self.rest.expand_as(spoken), spoken, _gate(features))

    def _closed(self, rows: Tensor) -> Tensor:
        """(B, T, D) -> (B, T): how surely the lips are closed, 0 to 1."""
        groups = feature_groups(self.config.dim, self.config.visemes)
        if self.config.visemes == len(SHAPES):
            return rows[..., groups["closed"].start]
        return (_CLOSING_GAIN * rows[..., groups["visemes"].start + CLOSED]).clamp(0.0, 1.0)


def _gate(features: Tensor) -> Tensor:
    """(B, W, D) -> (B, T, 1): 1 where there is voice within 120 ms, 0 in silence."""
    activity = features[:, :, feature_groups(features.shape[-1])["prosody"].start + _ACTIVITY]
    return F.max_pool1d(activity[:, None], 2 * CONTEXT + 1, stride=1).transpose(1, 2).clamp(0.0, 1.0)


def _time_code(steps: int, dim: int) -> Tensor:
    """Sines and cosines of the step's place in the window, (steps, dim) (Vaswani et al. 2017, section 3.5)."""
    place = torch.arange(steps)[:, None] - steps // 2
    rate = torch.exp(-math.log(100.0) * torch.arange((dim + 1) // 2) / max(dim // 2, 1))
    angle = place * rate * math.pi / 2
    return 0.5 * torch.stack((angle.sin(), angle.cos()), -1).flatten(1)[:, :dim]


def smiles(blendshapes: np.ndarray, fps: float) -> np.ndarray:
    """How much a person smiles, beyond what single sounds do to the corners of the mouth.

    Args:
        blendshapes: (N, 52) tracked curves, frame after frame.
        fps: frames per second.

    Returns:
        (N, 1) for ``fit_audio_encoder``.
    """
    smile = blendshapes[:, list(SMILE_SHAPES)].mean(1, keepdims=True, dtype=np.float64)
    return np.asarray(gaussian_filter1d(smile, _SMILE_S * fps, axis=0))


def fit_audio_encoder(
    features: np.ndarray,
    mouth: np.ndarray,
    basis: MouthBasis,
    *,
    unheard: np.ndarray | None = None,
    valid: np.ndarray | None = None,
    seed: int = 0,
    visemes: int = 0,
    words: bool = True,
) -> AudioEncoder | None:
    """Learn how a person's mouth follows speech.

    Ridge regression on the rows around each frame. The generic articulation estimates are penalised least, so that
    little recording means relying on them; how strong the penalty is is found by holding out blocks of the recording.

    Args:
        features: (N, W, D) of ``speech_windows``.
        mouth: (N, C) tracked mouth codes.
        basis: what the codes mean.
        unheard: (N, M) what else moves the mouth and cannot be heard, such as ``smiles``: its share of the codes is
            not taken for the work of the sounds that happen to go with it, and the mouth speaks as it usually does.
        valid: (N,) bool, frames to use; None uses all.
        seed: of the token projection's start.
        visemes: how many columns of ``features`` are mouth shapes, see ``speech.features.n_visemes``.
        words: learn from the encoder's own features; else from what was heard of visemes in them, which depends less on
            whose voice it is (``speech.features.by_visemes``).

    Returns:
        the encoder, or None when the recording holds less than a second of speech.
    """
    if valid is not None:
        features, mouth = features[valid], mouth[valid]
        unheard = None if unheard is None else unheard[valid]
    gate = _gate(torch.from_numpy(features.astype(np.float32)))[:, features.shape[1] // 2 - CONTEXT, 0].numpy()
    if gate.sum() < LEAST_SPEECH:
        return None
    scaled = _Scaled(features, visemes, words)
    weights = _SILENT_FRAME_WEIGHT + (1.0 - _SILENT_FRAME_WEIGHT) * gate.astype(np.float64)
    lips = _lip_axes(basis)
    fitted, constant, explained = ridge(scaled(features), mouth.astype(np.float64), weights, lips, unheard)
    weight, bias = scaled.unfold(fitted, constant)
    config = AudioEncoderConfig(
        features.shape[1], features.shape[2], mouth.shape[1], explained=round(explained, 4), visemes=visemes
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = AudioEncoder(config)
    encoder.weight.copy_(torch.from_numpy(weight))
    encoder.bias.copy_(torch.from_numpy(bias))
    encoder.rest.copy_(torch.from_numpy(_resting_mouth(mouth, gate, basis)))
    if visemes:
        for name, value in _closing(mouth.astype(np.float64), lips[:, 0]).items():
            getattr(encoder, name).copy_(torch.from_numpy(value))
    return encoder


def _closing(mouth: np.ndarray, opens: np.ndarray) -> dict[str, np.ndarray]:
    """How this person's lips close, from codes (N, C) and what each adds to the opening (C,).

    The way is the regression of the codes on the opening: what else moves when the lips close moves along.
    """
    opening = mouth @ opens
    spread = np.cov(mouth.T, opening)[:-1, -1]
    return {
        "opens": opens.astype(np.float32),
        "closes": (spread / max(float(spread @ opens), 1e-12)).astype(np.float32),
        "sealed": np.asarray(np.quantile(opening, _SEALED_QUANTILE), dtype=np.float32),
    }


def _resting_mouth(mouth: np.ndarray, gate: np.ndarray, basis: MouthBasis) -> np.ndarray:
    """(C,) the mouth in silence: closed, but as this person holds it in pauses as far as pauses were recorded."""
    silent = mouth[gate < 0.1]
    if len(silent) == 0:
        return basis.rest
    share = len(silent) / (len(silent) + _REST_FRAMES)
    return np.asarray(share * np.median(silent, 0) + (1.0 - share) * basis.rest, dtype=np.float32)


def _lip_axes(basis: MouthBasis) -> np.ndarray:
    """(C, 2) change of opening and width, metres, by a unit of each code."""
    step = 0.5 * np.eye(basis.n_components, dtype=np.float32)
    ends = []
    for codes in (step, -step):
        landmarks = np.zeros((len(codes), N_LANDMARKS, 3), np.float32)
        landmarks[:, basis.indices] = basis.decode(codes)
        ends.append(mouth_opening_and_width(landmarks))
    return np.asarray(ends[0] - ends[1], dtype=np.float64)


class _Scaled:
    """Feature windows as regression inputs: groups centred and scaled to their weight, words cut to principal axes.

    Without ``words``, probabilities of visemes are in their place; neither takes in how surely the lips are closed.
    """

    def __init__(self, features: np.ndarray, visemes: int, words: bool = True) -> None:
        middle = features.shape[1] // 2
        self.rows = slice(middle - CONTEXT, middle + CONTEXT + 1)
        self.groups, self.by_words = feature_groups(features.shape[2], visemes), words
        rows = features[:, middle].astype(np.float64)
        self.mean = rows.mean(0)
        parts = [self._words(rows)] if words else [self._columns(rows, "visemes")]
        parts += [self._columns(rows, name) for name in ("curves", "prosody", "articulation")]
        self.matrix = np.concatenate(parts, 1)
        """(D, K): feature row to regression input."""

    def _words(self, rows: np.ndarray) -> np.ndarray:
        """(N, D) rows -> (D, k) principal axes of the words."""
        group = self.groups["words"]
        _, size, axes = np.linalg.svd(rows[:, group] - self.mean[group], full_matrices=False)
        count = min(_WORD_AXES, len(size))
        spread = max(float((size[:count] / math.sqrt(len(rows))).mean()), 1e-6)
        matrix = np.zeros((len(self.mean), count))
        matrix[group] = axes[:count].T * _GROUP_WEIGHT["words"] / spread / math.sqrt(count)
        return matrix

    def _columns(self, rows: np.ndarray, name: str) -> np.ndarray:
        """(N, D) rows -> (D, k) a group's columns as they are, each brought to one spread.

        Probabilities of visemes are brought to it together: a rare one must not count as much as a frequent one.
        """
        columns = np.arange(self.mean.size)[self.groups[name]]
        spread = rows[:, columns].std(0)
        if name == "visemes" and len(columns):
            spread = np.full(len(columns), math.sqrt(np.mean(np.square(spread))))
        matrix = np.zeros((len(self.mean), len(columns)))
        weight = _CURVES_ALONE if name == "curves" and not self.by_words else _GROUP_WEIGHT[name]
        scale = weight / np.maximum(spread, 1e-3) / math.sqrt(max(len(columns), 1))
        matrix[columns, np.arange(len(columns))] = scale
        return matrix

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(N, W, D) -> (N, rows * K)."""
        return ((features[:, self.rows] - self.mean) @ self.matrix).reshape(len(features), -1)

    def unfold(self, fitted: np.ndarray, constant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights (rows * K, C) and constant (C,) on inputs -> (C, D, rows) and (C,) float32 on the features."""
        per_row = fitted.reshape(2 * CONTEXT + 1, self.matrix.shape[1], -1)
        weight = np.einsum("dk,rkc->cdr", self.matrix, per_row)
        bias = constant - np.einsum("cdr,d->c", weight, self.mean)
        return weight.astype(np.float32), bias.astype(np.float32)
