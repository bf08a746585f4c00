"""The deformation network: canonical position and this frame's tokens in, offsets of every Gaussian attribute out.

Structure after EGSTalker (arXiv 2510.08587): a multi-resolution hash triplane gives each Gaussian a feature, that
feature is the query of a spatial-audio attention over a handful of tokens, and a small decoder makes offsets of it.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from splatalk.kernels.attention_mlp import AttentionMlp, attention_mlp
from splatalk.kernels.hash_triplane import HashTriplaneSpec, hash_triplane

TOKENS = ("mouth", "upper", "eyes", "pose", "null", "speech")
DEFORMS = ("means", "rotation", "scales", "opacity", "color")
N_UPPER = 23
"""Upper-face blendshapes; the rest of the 52 belong to the mouth."""


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The method's choices as switches.

    Args:
        planes: ``hash`` (multi-resolution hash triplane) or ``dense`` (two dense resolutions, product over planes).
        attention: ``mha`` (every Gaussian attends to every token) or ``agent`` (through a few agent tokens).
        decoder: ``mlp`` or ``kan``.
        dim: width of features and tokens.
        heads: attention heads.
        agents: agent tokens, for ``attention="agent"``.
        levels, log2_table, base_resolution, max_resolution: of the hash triplane.
        mouth_dim: C, coefficients of the mouth basis.
        speech_tokens: T, tokens the speech encoder gives; 0 without one.
        tokens: the kinds of tokens that Gaussians attend to, see ``TokenEncoder``.
        deforms: the attributes that the network changes; with ``color`` it repaints wrinkles, teeth and shadows.

    Raises:
        ValueError: an unknown kind of token or attribute, or no token at all.
    """

    planes: Literal["hash", "dense"] = "hash"
    attention: Literal["mha", "agent"] = "mha"
    decoder: Literal["mlp", "kan"] = "mlp"
    dim: int = 64
    heads: int = 2
    agents: int = 16
    levels: int = 12
    log2_table: int = 14
    base_resolution: int = 16
    max_resolution: int = 384
    mouth_dim: int = 12
    speech_tokens: int = 0
    tokens: tuple[str, ...] = TOKENS
    deforms: tuple[str, ...] = DEFORMS

    def __post_init__(self) -> None:
        for name, known in (("tokens", TOKENS), ("deforms", DEFORMS)):
            given = tuple(getattr(self, name))
            if not set(given) <= set(known) or not (given or name == "deforms"):
                raise ValueError(f"{name} are {given}, of {known}")
            object.__setattr__(self, name, given)  # files hold lists


@dataclasses.dataclass
class Offsets:
    """What deformation adds to M Gaussians: means (M, 3) metres, rotation (M, 3) axis-angle radians, log_scales (M, 3),
    opacity_logits (M,), color (M, 3) on the constant SH coefficient."""

    means: Tensor
    rotation: Tensor
    log_scales: Tensor
    opacity_logits: Tensor
    color: Tensor

    @classmethod
    def of(cls, values: Tensor) -> Offsets:
        """(M, 13), as the network gives them."""
        means, rotation, log_scales, opacity, color = values.split((3, 3, 3, 1, 3), -1)
        return cls(means, rotation, log_scales, opacity[:, 0], color)

    def values(self) -> Tensor:
        """(M, 13), the reverse of ``of``."""
        return torch.cat((self.means, self.rotation, self.log_scales, self.opacity_logits[:, None], self.color), -1)


OFFSET_UNITS = (0.01,) * 3 + (0.3,) * 3 + (0.3,) * 3 + (1.0,) + (0.5,) * 3
"""Size of one unit of the decoder's output: metres, radians, log-scale, logit, SH colour."""


def _units(deforms: tuple[str, ...]) -> Tensor:
    """(13,) ``OFFSET_UNITS``, zero for what the network leaves alone."""
    sizes = (3, 3, 3, 1, 3)
    kept = [float(name in deforms) for name, size in zip(DEFORMS, sizes, strict=True) for _ in range(size)]
    return torch.tensor(OFFSET_UNITS) * torch.tensor(kept)


class HashPlanes(nn.Module):
    """Multi-resolution hash triplane over the box of the moving Gaussians, see ``kernels.hash_triplane``."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.spec = HashTriplaneSpec(
            levels=config.levels,
            base_resolution=config.base_resolution,
            finest_resolution=config.max_resolution,
            log2_table_size=config.log2_table,
        )
        # Larger than Instant-NGP's 1e-4: a few hundred steps must already tell neighbours apart.
        self.tables = nn.Parameter(self.spec.init_tables() * 100.0)
        self.width = self.spec.width

    def forward(self, x: Tensor) -> Tensor:
        """(M, 3) in 0..1 -> (M, width)."""
        return hash_triplane(x, self.tables, self.spec)


class DensePlanes(nn.Module):
    """Two dense plane resolutions, features multiplied over the planes (K-Planes, arXiv 2301.10241, eq. 2)."""

    CHANNELS = 32

    def __init__(self) -> None:
        super().__init__()
        self.grids = nn.ParameterList(nn.Parameter(torch.empty(3, self.CHANNELS, r, r)) for r in (64, 128))
        for grid in self.grids:
            nn.init.uniform_(grid, 0.1, 0.5)
        self.width = self.CHANNELS * len(self.grids)

    def forward(self, x: Tensor) -> Tensor:
        """(M, 3) in 0..1 -> (M, width)."""
        pairs = torch.stack((x[:, [0, 1]], x[:, [1, 2]], x[:, [0, 2]])) * 2 - 1  # (3, M, 2)
        features = [F.grid_sample(g, pairs[:, :, None], align_corners=True)[..., 0].prod(0).T for g in self.grids]
        return torch.cat(features, -1)


class KanLayer(nn.Module):
    """A Kolmogorov-Arnold layer with Gaussian radial bases on a fixed grid (KAN, arXiv 2404.19756, eq. 2.10 with
    radial functions in place of splines)."""

    def __init__(self, inputs: int, outputs: int, bases: int = 6) -> None:
        super().__init__()
        self.register_buffer("centres", torch.linspace(-2.0, 2.0, bases), persistent=False)
        self.centres: Tensor
        self.width = 4.0 / (bases - 1)
        self.base = nn.Linear(inputs, outputs)
        self.spline = nn.Linear(inputs * bases, outputs, bias=False)
        nn.init.normal_(self.spline.weight, std=0.1 / math.sqrt(inputs * bases))

    def forward(self, x: Tensor) -> Tensor:
        bumps = torch.exp(-(((x[..., None] - self.centres) / self.width) ** 2))
        return self.base(F.silu(x)) + self.spline(bumps.flatten(-2))


class Attention(nn.Module):
    """Cross-attention of Gaussians (queries) to tokens (keys and values).

    The query projection is folded into the keys and the output projection into the values: with T tokens and H heads
    that leaves two products with a (dim, H*T) matrix, exact, and cheap because T is small.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))

    def folded(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (T, dim) -> score matrix (H*T, dim), score bias (H*T,), value matrix (H*T, dim)."""
        t, dim = tokens.shape
        d = dim // self.heads
        k = self.key(tokens).view(t, self.heads, d).transpose(0, 1) * d**-0.5  # (H, T, d)
        v = self.value(tokens).view(t, self.heads, d).transpose(0, 1)
        score = k @ self.query.weight.view(self.heads, d, dim)  # (H, T, dim)
        bias = k @ self.query.bias.view(self.heads, d, 1)
        value = v @ self.out.weight.view(dim, self.heads, d).permute(1, 2, 0)
        return score.flatten(0, 1), bias.flatten(), value.flatten(0, 1)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """(M, dim) queries, (T, dim) tokens -> (M, dim)."""
        score, bias, value = self.folded(tokens)
        weight = F.linear(x, score, bias).view(x.shape[0], self.heads, -1).softmax(-1)
        return torch.addmm(self.out.bias, weight.flatten(1), value)


class AgentAttention(nn.Module):
    """Attention through agent tokens (Agent Attention, arXiv 2312.08874, eq. 3): agents gather from the tokens, then
    Gaussians read from the agents. The agents are learned, so the second step's weights do not change over time."""

    def __init__(self, dim: int, heads: int, agents: int) -> None:
        super().__init__()
        self.agents = nn.Parameter(torch.randn(agents, dim) * 0.5)
        self.gather = Attention(dim, heads)
        self.read_query, self.read_key = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        values = self.gather(self.agents, tokens)
        scale = x.shape[-1] ** -0.5
        keys = self.read_key(self.agents)
        score = torch.addmm(keys @ self.read_query.bias, x, self.read_query.weight.T @ keys.T) * scale
        return score.softmax(-1) @ values


class TokenEncoder(nn.Module):
    """Everything that drives one frame, as tokens: speech, mouth, upper face, eyes, head pose and a null token."""

    MOUTH_TOKENS = 2

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        dim = config.dim

        def embed(inputs: int, tokens: int = 1) -> nn.Sequential:
            return nn.Sequential(nn.Linear(inputs, dim), nn.SiLU(), nn.Linear(dim, dim * tokens))

        self.kinds = config.tokens
        self.mouth = embed(config.mouth_dim, self.MOUTH_TOKENS)
        self.upper = embed(N_UPPER)
        self.eyes = embed(6)
        self.pose = embed(9)
        self.null = nn.Parameter(torch.randn(1, dim) * 0.1)
        self.no_speech = nn.Parameter(torch.randn(1, dim) * 0.1)

    def forward(self, mouth: Tensor, upper: Tensor, eyes: Tensor, pose: Tensor, speech: Tensor | None) -> Tensor:
        """mouth (C,), upper (23,), eyes (6,), pose (9,), speech tokens (T, dim) or None -> (T', dim)."""
        dim = self.null.shape[-1]
        tokens = {
            "mouth": lambda: self.mouth(mouth).view(-1, dim),
            "upper": lambda: self.upper(upper)[None],
            "eyes": lambda: self.eyes(eyes)[None],
            "pose": lambda: self.pose(pose)[None],
            "null": lambda: self.null,
            "speech": lambda: self.no_speech if speech is None else speech,
        }
        return torch.cat([tokens[kind]() for kind in TOKENS if kind in self.kinds])


class Deformation(nn.Module):
    """Canonical positions and tokens -> Offsets."""

    box: Tensor
    units: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.register_buffer("box", torch.tensor([[-0.15] * 3, [0.15] * 3]))
        self.register_buffer("units", _units(config.deforms), persistent=False)
        self.planes = HashPlanes(config) if config.planes == "hash" else DensePlanes()
        self.encode = nn.Sequential(nn.Linear(self.planes.width, dim), nn.SiLU(), nn.Linear(dim, dim))
        if config.attention == "agent":
            self.attention: nn.Module = AgentAttention(dim, config.heads, config.agents)
        else:
            self.attention = Attention(dim, config.heads)
        self.tokens = TokenEncoder(config)
        outputs = len(OFFSET_UNITS)
        if config.decoder == "kan":
            self.decoder = nn.Sequential(KanLayer(dim, 32), KanLayer(32, outputs))
        else:
            last = nn.Linear(dim, outputs)
            nn.init.normal_(last.weight, std=1e-3)
            nn.init.zeros_(last.bias)
            self.decoder = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim), nn.SiLU(), last)

    def features(self, means: Tensor) -> Tensor:
        """Query features (M, dim) of canonical positions (M, 3); they do not change over time and may be kept."""
        return self.encode(self._on_planes(means))

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """Features (M, dim) from ``features``, tokens (T, dim) from ``self.tokens`` -> (M, 13) for ``Offsets.of``."""
        if not self.fused:
            return self.decoder(features + self.attention(features, tokens)) * self.units
        return attention_mlp(features, self.folded(tokens))

    def at(self, means: Tensor, tokens: Tensor) -> Tensor:
        """``forward`` for canonical positions (M, 3) whose features are not kept: what training runs."""
        if not self.fused:
            return self(self.features(means), tokens)
        (encode, encode_bias), (second, second_bias) = _linear(self.encode[0]), _linear(self.encode[2])
        net = self.folded(tokens)
        net = net._replace(
            encode=encode,
            encode_bias=encode_bias,
            score=net.score @ second,
            score_bias=net.score_bias + net.score @ second_bias,
            direct=net.direct @ second,
            direct_bias=net.direct_bias + net.direct @ second_bias,
        )
        return attention_mlp(self._on_planes(means), net)

    @property
    def fused(self) -> bool:
        """Whether attention and decoder are those that run as one kernel."""
        return isinstance(self.attention, Attention) and self.config.decoder == "mlp"

    def folded(self, tokens: Tensor) -> AttentionMlp:
        """Attention to ``tokens`` (T, dim) and the decoder as one kernel on features takes them; only if ``fused``."""
        attention = self.attention
        assert isinstance(attention, Attention)
        score, bias, value = attention.folded(tokens)
        (first, first_bias), (second, second_bias), (last, last_bias) = (_linear(self.decoder[i]) for i in (0, 2, 4))
        return AttentionMlp(
            heads=attention.heads,
            score=score,
            score_bias=bias,
            direct=first,
            direct_bias=first_bias + first @ attention.out.bias,
            value=first @ value.T,
            second=second,
            second_bias=second_bias,
            last=last * self.units[:, None],
            last_bias=last_bias * self.units,
        )

    def _on_planes(self, means: Tensor) -> Tensor:
        low, high = self.box
        return self.planes(((means - low) / (high - low)).clamp(0.0, 1.0))


def _linear(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias."""
    assert isinstance(layer, nn.Linear)
    return layer.weight, layer.bias
