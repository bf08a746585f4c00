"""The compiled posing against its torch twin: values, gradients, and what moves whom."""

from __future__ import annotations

import pytest
import torch
from scenes import relative_error

from splatalk.avatar.rig import corrected, rotation_matrix
from splatalk.kernels.bones import Bone
from splatalk.kernels.posing import OFFSETS, Canonical, pose, pose_reference

LEARNED = ("means", "quats", "log_scales", "opacity_logits", "colors", "bone_logits")
OUTPUTS = ("means", "quats", "scales", "opacities", "colors")
VERTICES = 20


def person(n: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Canonical:
    g = torch.Generator().manual_seed(seed)
    r = lambda *shape: torch.randn(*shape, generator=g).to(dtype)  # noqa: E731
    learned = [0.1 * r(n, 3), r(n, 4), r(n, 3) - 5, 2 * r(n), 0.5 * r(n, 3), 3 * r(n)]
    corners = torch.randint(VERTICES, (n, 3), generator=g)
    weights = torch.rand(n, 3, generator=g).to(dtype) / 3
    return Canonical(*(t.requires_grad_() for t in learned), torch.rand(n, generator=g) < 0.6, corners, weights)


def movement(g: Canonical, seed: int = 1, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """Offsets (M, 13) and surface (V, 3)."""
    r = torch.Generator().manual_seed(seed)
    offsets = 0.2 * torch.randn(int(g.dynamic.sum()), OFFSETS, generator=r)
    return offsets.to(dtype).requires_grad_(), (0.01 * torch.randn(VERTICES, 3, generator=r)).to(dtype)


def bone(turn: tuple[float, float, float], shift: tuple[float, float, float], dtype=torch.float32) -> torch.Tensor:
    out = torch.eye(4, dtype=torch.float64)
    out[:3, :3] = rotation_matrix(torch.tensor(turn, dtype=torch.float64))
    out[:3, 3] = torch.tensor(shift)
    return out.to(dtype).requires_grad_()


# The larger turns make each of the four quaternion components the largest, and quaternions of opposite sign.
TURNS = [
    ((0.1, -0.2, 0.05), (0.0, 0.1, 0.02)),
    ((3.0, 0.1, 0.0), (2.8, -0.3, 0.2)),
    ((0.1, 3.0, 0.2), (0.0, -3.1, 0.0)),
    ((0.0, 0.2, 3.0), (0.1, 0.0, 2.0)),
    ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
]


def both(n: int, turns=TURNS[0], with_offsets: bool = True, with_surface: bool = True):
    results = []
    for run, dtype in ((pose, torch.float32), (pose_reference, torch.float64)):
        g = person(n, dtype=dtype)
        offsets, surface = movement(g, dtype=dtype)
        bones = [bone(turn, (0.1, -0.2, 0.6), dtype) for turn in turns]
        out = run(g, offsets if with_offsets else None, surface if with_surface else None, *bones)
        upstream = torch.Generator().manual_seed(3)
        torch.autograd.backward(out, [torch.randn(t.shape, generator=upstream).to(dtype) for t in out])
        leaves = {name: getattr(g, name) for name in LEARNED}
        leaves |= {"offsets": offsets, "head": bones[0], "torso": bones[1]}
        results.append((out, {name: leaf.grad for name, leaf in leaves.items()}))
    return results


@pytest.mark.parametrize("n", [1, 15, 700, 2500])
@pytest.mark.parametrize(("with_offsets", "with_surface"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.usefixtures("compiled")
def test_agrees_with_the_twin(n, with_offsets, with_surface):
    compare(*both(n, TURNS[0], with_offsets, with_surface))


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.usefixtures("compiled")
def test_agrees_for_any_turn_of_the_bones(turns):
    compare(*both(200, turns))


def compare(ours, truth) -> None:
    for name, value, true in zip(OUTPUTS, ours[0], truth[0]):
        assert (value - true).detach().abs().max() < 1e-4 * true.detach().abs().max().clamp(min=1), name
    for name, true in truth[1].items():
        if true is None or (name == "offsets" and len(true) == 0):
            assert ours[1][name] is None or not len(ours[1][name]), name
        else:
            assert relative_error(ours[1][name], true) < 1e-3, name


def test_twin_gradients_are_finite_differences():
    g = person(4, dtype=torch.float64)
    offsets, surface = movement(g, dtype=torch.float64)
    bones = [bone(turn, (0.1, -0.2, 0.6), torch.float64) for turn in TURNS[0]]

    def run(offsets, head, torso, *learned):
        return pose_reference(g._replace(**dict(zip(LEARNED, learned))), offsets, surface, head, torso)

    inputs = (offsets, *bones, *(getattr(g, name) for name in LEARNED))
    assert torch.autograd.gradcheck(run, inputs, eps=1e-6, atol=1e-4)


@pytest.mark.usefixtures("compiled")
def test_gradient_of_a_pose_correction_is_a_finite_difference():
    """Through the quaternion of the pose, as pose refinement uses it."""
    g, weights = person(300), torch.linspace(-1, 1, 300)[:, None]
    offsets, surface = movement(g)
    base, torso = bone((0.1, 0.3, -0.2), (0, 0, 0.6)).detach(), bone((0, 0, 0), (0, 0.1, 0.6)).detach()

    def loss(change: torch.Tensor, run=pose) -> torch.Tensor:
        means, quats, *_ = run(g, offsets, surface, corrected(base.to(change), change), torso.to(change))
        return (means * weights).sum() + (quats * weights).square().sum()

    change = torch.zeros(6, requires_grad=True)
    loss(change).backward()
    g = person(300, dtype=torch.float64)
    offsets, surface = movement(g, dtype=torch.float64)
    step = 1e-4 * torch.eye(6, dtype=torch.float64)
    expected = torch.stack([(loss(s, pose_reference) - loss(-s, pose_reference)) / 2e-4 for s in step]).detach()
    assert relative_error(change.grad, expected) < 1e-3


@pytest.mark.usefixtures("compiled")
def test_threads_change_nothing():
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        out, gradients = both(3000)[0]
        results.append([*out, *gradients.values()])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))


def test_only_the_dynamic_ones_are_moved_and_carried():
    g = person(50)
    offsets, surface = movement(g)
    bones = [torch.eye(4), torch.eye(4)]
    still, moved = pose(g, None, None, *bones), pose(g, offsets, surface, *bones)
    for a, b in zip(still, moved):
        assert torch.equal(a[~g.dynamic], b[~g.dynamic])
        assert (a[g.dynamic] != b[g.dynamic]).any(-1).all()


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.usefixtures("compiled")
def test_a_gaussian_that_is_not_finite_stays_alone(name, value):
    g = person(40)
    offsets, surface = movement(g)
    bones = [bone(turn, (0, 0, 0.6)) for turn in TURNS[0]]
    clean = pose(g, offsets, surface, *bones)
    with torch.no_grad():
        getattr(g, name)[7] = value
    others = torch.arange(40) != 7
    out = pose(g, offsets, surface, *bones)
    assert all(torch.equal(a[others], b[others]) for a, b in zip(clean, out))
    if value != value:
        assert any(torch.isnan(t[7]).any() for t in out)


def test_no_gaussians_and_none_dynamic():
    bones = [bone(turn, (0, 0, 0.6)) for turn in TURNS[0]]
    for n in (0, 5):
        g = person(n)._replace(dynamic=torch.zeros(n, dtype=torch.bool))
        offsets = torch.zeros(0, OFFSETS, requires_grad=True)
        out = pose(g, offsets, torch.zeros(VERTICES, 3), *bones)
        sum(t.sum() for t in out).backward()
        assert out[0].shape == (n, 3) and g.means.grad.shape == (n, 3)
        assert n > 0 or not bones[0].grad[:3].any()


@pytest.mark.usefixtures("compiled")
def test_bones_take_the_short_way():
    head, torso = Bone.pair(*(bone(turn, (0, 0, 0)).detach().numpy() for turn in TURNS[2]))
    assert head.numbers[12] >= 0 and head.numbers[12:] @ torso.numbers[12:] >= 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quats": torch.zeros(10, 3)}, "quats must have shape"),
        ({"means": torch.zeros(9, 3)}, "differ in length"),
        ({"corners": torch.full((10, 3), VERTICES)}, "corner lies outside"),
        ({"corners": torch.full((10, 3), -1)}, "corner lies outside"),
        ({"dynamic": torch.ones(10, dtype=torch.bool)}, "offsets must have shape"),
    ],
)
@pytest.mark.usefixtures("compiled")
def test_wrong_input_is_named(change, message):
    g = person(10)
    offsets, surface = movement(g)
    with pytest.raises(ValueError, match=message):
        pose(g._replace(**change), offsets, surface, torch.eye(4), torch.eye(4))
