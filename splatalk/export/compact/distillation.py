"""From an avatar to a compact one: few bases instead of the network.

The network's offsets in some hundred states are decomposed attribute by attribute, each Gaussian weighted by how much
the picture changes with it. Bases of all attributes then compete: whatever removes most error for its bytes comes next,
until frames that took no part agree with the full avatar. At last the coefficients are moved so that 0 is the person at
rest.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from splatalk.avatar.controls import Performance
from splatalk.avatar.model import Avatar
from splatalk.avatar.rig import quat_multiply
from splatalk.export.canonical import provenance
from splatalk.export.compact import bases as motions
from splatalk.export.compact import quantise, states
from splatalk.export.compact.bases import Bases
from splatalk.export.compact.judge import MAX_JUDGEMENTS, Judge, n_pictures
from splatalk.export.compact.model import ATTRIBUTES, WIDTHS, Compact
from splatalk.export.compact.plate import encode_plate
from splatalk.export.compact.project import as_attributes, offsets_at
from splatalk.export.compact.select import Selection, select
from splatalk.export.compact.sensitivity import PROBES, sensitivity
from splatalk.export.compact.states import State
from splatalk.export.compact.viewing import seen_range
from splatalk.render.sh import C0, sh_to_color

TARGET_DB = 45.0
"""PSNR against the full avatar inside the face's box, dB: differences that no eye finds. Whole pictures, most of which
never move, come out several dB higher."""
PAGE_BYTES, LIVE_BYTES = 3_300_000, 8_000_000
"""Gaussians and bases before gzip, for a performance and for all that an avatar can do. The first leaves room for half
a minute of sound and the player in a page of 4 MB; the second need not be small."""
MAX_COEFFICIENTS = 96
_EXAMPLES_BYTES = 5e8
_ROUNDING = 0.01  # of the squared error is what rounding the coefficients may add
_BYTES_A_COEFFICIENT = 1.2  # a frame, in a packed track
_BYTES_A_GAUSSIAN = 21


def distil(
    avatar: Avatar,
    performance: Performance | None = None,
    *,
    error_db: float = TARGET_DB,
    max_bytes: int | None = None,
    seed: int = 0,
    on_step: Callable[[int], object] = lambda n: None,
) -> Compact:
    """The compact avatar that stays within an error, with a projection for ``coefficients`` and ``track_of``.

    Args:
        performance: what it has to show; None spans all that the avatar can do (for live driving and sliders).
        error_db: least PSNR against the full avatar inside the face's box, over frames held out; as many bases as
            that takes.
        max_bytes: most that Gaussians and bases may take before gzip, even if the error is larger then; None is
            ``PAGE_BYTES`` for a performance and ``LIVE_BYTES`` without one.
        seed: of the sampled states.
        on_step: called with the number of steps done, of ``distil_steps`` in all.
    """
    moments = states.of_avatar(avatar, seed) if performance is None else states.of_performance(avatar, performance)
    means = avatar.gaussians.means[avatar.gaussians.dynamic].detach()
    felt = sensitivity(avatar, moments.examples, lambda: on_step(1), seed)
    chosen = select(avatar, felt.seen)
    rows = torch.from_numpy(chosen.dynamic)
    with torch.no_grad():
        features = avatar.deformation.features(means[rows])
    examples = moments.examples[:: _stride(len(moments.examples), len(means))]
    stacks = _offsets(avatar, examples, features, rows, on_step)
    bases = {name: motions.principal(stacks.pop(name), felt.attributes[name][rows]) for name in ATTRIBUTES}
    full = _compact(avatar, chosen, bases)
    ordered = motions.order(bases, _BYTES_A_COEFFICIENT * (0 if performance is None else len(performance)))
    judge = Judge(avatar, moments.held_out, features, rows, on_step)
    if max_bytes is None:
        max_bytes = LIVE_BYTES if performance is None else PAGE_BYTES
    ranks, figures = _fewest(_affordable(ordered, full, max_bytes), full, bases, judge, error_db)
    squared_error = 3 * avatar.camera.width * avatar.camera.height * 10.0 ** (-figures["psnr_db"] / 10.0)
    resting = as_attributes(offsets_at(avatar, states.at_rest(avatar).tokens, features, rows))
    bases = {name: bases[name].resting(resting[name].ravel(), ranks[name]) for name in ATTRIBUTES}
    projection = motions.projection(bases, ranks, _ROUNDING * squared_error, seed)
    projection = dataclasses.replace(projection, rows=chosen.dynamic[projection.rows])
    final = _cut(_compact(avatar, chosen, bases), ranks)
    return dataclasses.replace(final, error={**figures, "target_face_db": error_db}, projection=projection)


def distil_steps(avatar: Avatar, performance: Performance | None = None) -> int:
    """How many steps ``distil`` reports at most: the total for a progress bar."""
    if performance is None:
        n_examples, n_held_out = states.sampled_counts()
    else:
        n_examples, n_held_out = (len(frames) for frames in states.frames_of(len(performance)))
    stride = _stride(n_examples, int(avatar.gaussians.dynamic.sum()))
    return PROBES + len(range(0, n_examples, stride)) + n_pictures(n_held_out)


def _stride(n_examples: int, n_dynamic: int) -> int:
    """Every how many-th example is taken, so that their offsets fit into memory."""
    return max(math.ceil(n_examples * n_dynamic * 4 * sum(WIDTHS.values()) / _EXAMPLES_BYTES), 1)


def _offsets(
    avatar: Avatar, examples: Sequence[State], features: torch.Tensor, rows: torch.Tensor,
    on_step: Callable[[int], object],
) -> dict[str, np.ndarray]:  # fmt: skip
    """Attribute -> (S, M, width) float32, what the network says in each state."""
    stacks = {name: np.empty((len(examples), len(rows), WIDTHS[name]), np.float32) for name in ATTRIBUTES}
    for i, state in enumerate(examples):
        for name, values in as_attributes(offsets_at(avatar, state.tokens, features, rows)).items():
            stacks[name][i] = values
        on_step(1)
    return stacks


@torch.no_grad()
def _compact(avatar: Avatar, chosen: Selection, bases: Mapping[str, Bases]) -> Compact:
    """With all bases. Motion at coefficients of 0 is folded in; every number is as the file will give it back."""
    g, order, m = avatar.gaussians, torch.from_numpy(chosen.order), len(chosen.dynamic)
    mean = {name: torch.from_numpy(bases[name].mean).view(m, WIDTHS[name]) for name in ATTRIBUTES}
    quats = g.quats[order].clone()
    quats[:m] = quat_multiply(torch.cat((torch.ones(m, 1), 0.5 * mean["rotation"]), 1), quats[:m])
    means, log_scales, logits = g.means[order].clone(), g.log_scales[order].clone(), g.opacity_logits[order].clone()
    color = _color(avatar, order)
    for values, name in ((means, "means"), (log_scales, "log_scales"), (logits[:, None], "opacity"), (color, "color")):
        values[:m] += mean[name]
    yaw, pitch = seen_range(avatar.manner["head_pose"], avatar.rest_head, avatar.camera)
    return Compact(
        fps=avatar.fps,
        camera=avatar.camera,
        rest_head=np.asarray(avatar.rest_head, np.float64),
        rest_torso=np.asarray(avatar.rest_torso, np.float64),
        head_centre=avatar.head_centre,
        yaw_range=yaw,
        pitch_range=pitch,
        means=quantise.linear(means.numpy(), np.uint16).values(),
        quats=quantise.unit_quaternions(quantise.quaternions(quats.numpy())),
        log_scales=quantise.linear(log_scales.numpy(), np.uint8).values(),
        opacity_logits=quantise.linear(logits.numpy(), np.uint8).values(),
        color=quantise.linear(color.numpy(), np.uint16).values(),
        bone=(g.bone_logits[order].sigmoid().mul(255.0).round() / 255.0).numpy(),
        bases={k: bases[k].vectors.reshape(-1, m, WIDTHS[k]) for k in ATTRIBUTES},
        plate=encode_plate(avatar.plate),
        provenance=provenance(avatar),
        error={},
    )


def _color(avatar: Avatar, order: torch.Tensor) -> torch.Tensor:
    """(N, 3) sRGB of Gaussians ``order``, seen from the capture camera where colour depends on the view."""
    sh = avatar.gaussians.sh[order]
    if sh.shape[1] == 1:
        return 0.5 + C0 * sh[:, 0]
    resting = avatar.splats(None, avatar.rest_head, avatar.rest_torso).means[order]
    camera = avatar.camera
    position = torch.from_numpy(-camera.world_to_camera[:3, :3].T @ camera.world_to_camera[:3, 3]).float()
    return sh_to_color(sh, resting - position)


def _affordable(ordered: list[str], full: Compact, max_bytes: int) -> list[str]:
    """As many bases from the front as ``max_bytes`` and ``MAX_COEFFICIENTS`` allow, at least one."""
    sizes = np.cumsum([full.n_dynamic * WIDTHS[name] for name in ordered])
    fit = int(np.searchsorted(sizes, max_bytes - _BYTES_A_GAUSSIAN * full.n_gaussians, side="right"))
    return ordered[: int(np.clip(fit, 1, MAX_COEFFICIENTS))]


def _cut(full: Compact, ranks: Mapping[str, int]) -> Compact:
    return dataclasses.replace(full, bases={name: full.bases[name][: ranks[name]] for name in ATTRIBUTES})


def _fewest(
    ordered: list[str], full: Compact, bases: Mapping[str, Bases], judge: Judge, error_db: float
) -> tuple[dict[str, int], dict[str, float]]:
    """Ranks of the shortest beginning of ``ordered`` that reaches ``error_db``, or of all of it; and its figures."""

    def judged(count: int) -> tuple[dict[str, int], dict[str, float]]:
        ranks = {name: Counter(ordered[:count])[name] for name in ATTRIBUTES}
        return ranks, judge(_cut(full, ranks), bases)

    low, high, best = 0, len(ordered), judged(len(ordered))
    for _ in range(MAX_JUDGEMENTS - 1):
        if best[1]["face_db"] < error_db or high - low <= 1:
            break
        middle = (low + high) // 2
        found = judged(middle)
        if found[1]["face_db"] >= error_db:
            high, best = middle, found
        else:
            low = middle
    return best
