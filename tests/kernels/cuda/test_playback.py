"""The fused playback kernels against the avatar in plain torch: posed, projected, drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scenes import relative_error

from benchmarks.stand_in import controls, person
from splatalk.avatar.playback import frame_input, fusible, prepare
from splatalk.drive.playback_graph import PlaybackGraph
from splatalk.kernels.raster_reference import project_reference
from splatalk.render.rasterize import rasterize
from splatalk.render.sh import sh_to_color


def load(playback, avatar, frame):
    tokens = avatar.tokens(frame)
    given = frame_input(avatar, tokens, frame, avatar.camera)
    playback.frame[: len(given)].copy_(given)


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("sh", [1, 4])
def test_posed_gaussians_are_those_of_the_avatar(heads, sh, device):
    avatar = person(heads=heads, sh=sh)
    playback = prepare(avatar, device)
    for seed, speech in ((0, True), (1, False), (2, True)):  # speech comes and goes
        frame = controls(avatar, seed, speech)
        truth = avatar.pose(frame)
        load(playback, avatar, frame)
        for ours, theirs in zip(playback.posed(), (truth.means, truth.quats, truth.scales, truth.opacities, truth.sh)):
            assert relative_error(ours.cpu(), theirs) < 1e-5
    still = avatar.splats(None, frame.head_pose, frame.torso_pose)
    assert (truth.means - still.means).norm(dim=1).max() > 1e-3  # the network and the rig do something


@pytest.mark.parametrize(("n", "moving"), [(70, 64), (65, 65), (40, 0), (300, 129)])
def test_any_number_of_gaussians_moves(n, moving, device):
    avatar = person(n, moving, speaks=False)
    playback = prepare(avatar, device)
    frame = controls(avatar)
    load(playback, avatar, frame)
    truth = avatar.pose(frame) if moving else avatar.splats(None, frame.head_pose, frame.torso_pose)
    assert relative_error(playback.posed()[0].cpu(), truth.means) < 1e-5


@pytest.mark.parametrize("sh", [1, 4, 9, 16])
def test_projected_gaussians_are_those_of_the_reference(sh, device):
    avatar = person(sh=sh)
    camera = avatar.camera.orbited(avatar.head_centre, 0.3, 0.2)
    frame = controls(avatar, 3)
    playback = prepare(avatar, device)
    given = frame_input(avatar, avatar.tokens(frame), frame, camera)
    playback.frame[: len(given)].copy_(given)
    playback.project(camera.width, camera.height)
    splats = avatar.pose(frame).map(torch.Tensor.double)
    position = -camera.world_to_camera[:3, :3].T @ camera.world_to_camera[:3, 3]
    colors = sh_to_color(splats.sh, splats.means - torch.from_numpy(position))
    truth = project_reference(
        splats.means, splats.quats, splats.scales, splats.opacities, colors, torch.from_numpy(camera.world_to_camera),
        (camera.fx, camera.fy, camera.cx, camera.cy), camera.width, camera.height,
    )  # fmt: skip
    screen, depths = playback.screen.cpu(), playback.depths.cpu()
    assert torch.equal(torch.nonzero(depths)[:, 0], truth.index.sort().values)
    assert relative_error(screen[truth.index, :2], truth.means) < 1e-5
    assert relative_error(screen[truth.index, 6:9], truth.colors) < 1e-5
    assert relative_error(screen[truth.index, 10], truth.extents.amax(1)) < 1e-4


def test_a_frame_is_the_picture_of_the_reference(device):
    avatar = person(500, 300)
    camera, frame = avatar.camera, controls(avatar)
    background = torch.rand(camera.height, camera.width, 3, generator=torch.Generator().manual_seed(1))
    graph = PlaybackGraph(avatar, (camera.width, camera.height), background, device)
    for seed in (0, 1):
        frame = controls(avatar, seed)
        picture = graph.draw(avatar.tokens(frame), frame, camera)
        truth = rasterize(avatar.pose(frame), camera, background, backend="torch")
        assert (graph.image.cpu() - truth.image).abs().max() < 1e-4
        assert (graph.alpha.cpu() - truth.alpha).abs().max() < 1e-4
        expected = truth.image.clamp(0, 1).mul(255).round().to(torch.uint8).numpy()
        assert np.abs(picture.astype(int) - expected.astype(int)).max() <= 1


def test_a_frame_that_covers_more_makes_room_for_itself(device):
    avatar = person(60, 30)
    avatar.gaussians.log_scales.add_(2.5)
    wide = dataclasses.replace(avatar.camera, width=160, height=160, fx=15.0, fy=15.0, cx=80.0, cy=80.0)
    near = dataclasses.replace(wide, fx=300.0, fy=300.0)
    graph = PlaybackGraph(avatar, (160, 160), torch.zeros(3), device)
    frame = controls(avatar)
    graph.draw(avatar.tokens(frame), frame, wide)
    room = graph.budget.capacity
    graph.draw(avatar.tokens(frame), frame, near)
    truth = rasterize(avatar.pose(frame), near, backend="torch")
    assert graph.budget.capacity > room
    assert (graph.image.cpu() - truth.image).abs().max() < 1e-4


def test_other_networks_are_not_fusible():
    assert fusible(person())
    assert not fusible(person(attention="agent")) and not fusible(person(decoder="kan"))
    with pytest.raises(ValueError, match="does not cover"):
        prepare(person(decoder="kan"), torch.device("cpu"))


@pytest.mark.parametrize("turn", [1, 7])
def test_no_barrier_is_missing(turn, order):
    """The same bits whatever the order in which threads take their turns."""
    avatar, device = person(130, 100), torch.device("cpu")
    playback, frame = prepare(avatar, device), controls(avatar)
    load(playback, avatar, frame)
    first = playback.posed()
    order(turn)
    assert all(torch.equal(a, b) for a, b in zip(first, playback.posed()))
