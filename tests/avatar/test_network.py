"""The deformation network: every switch runs and learns, and the folded attention is the textbook one."""

import itertools

import pytest
import torch

from splatalk.avatar.network import TOKENS, Attention, Deformation, NetworkConfig, Offsets

DRIVE = {"mouth": torch.randn(12), "upper": torch.rand(23), "eyes": torch.rand(6), "pose": torch.randn(9)}


def test_folded_attention_is_multi_head_attention():
    torch.manual_seed(0)
    dim, heads = 64, 2
    ours = Attention(dim, heads)
    theirs = torch.nn.MultiheadAttention(dim, heads, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat((ours.query.weight, ours.key.weight, ours.value.weight)))
        theirs.in_proj_bias.copy_(torch.cat((ours.query.bias, ours.key.bias, ours.value.bias)))
        theirs.out_proj.weight.copy_(ours.out.weight)
        # A value's bias passes through attention unchanged, as weights sum to one.
        theirs.out_proj.bias.copy_(ours.out.bias)
    x, tokens = torch.randn(100, dim), torch.randn(7, dim)
    wanted = theirs(x[None], tokens[None], tokens[None], need_weights=False)[0][0]
    torch.testing.assert_close(ours(x, tokens), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("planes", "attention", "decoder"), list(itertools.product(("hash", "dense"), ("mha", "agent"), ("mlp", "kan")))
)
def test_every_switch_runs_and_learns(planes, attention, decoder):
    torch.manual_seed(0)
    net = Deformation(NetworkConfig(planes=planes, attention=attention, decoder=decoder, levels=4, log2_table=10))
    x = (torch.rand(200, 3) - 0.5) * 0.2
    speech = torch.randn(5, 64)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        offsets = Offsets.of(net.at(x, net.tokens(**DRIVE, speech=speech)))
        loss = ((offsets.means - 0.05 * x) * 1e3).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.75 * losses[0]
    assert offsets.means.shape == (200, 3) and offsets.opacity_logits.shape == (200,)


@pytest.mark.parametrize(("attention", "decoder"), list(itertools.product(("mha", "agent"), ("mlp", "kan"))))
def test_positions_and_kept_features_give_the_same(attention, decoder):
    torch.manual_seed(2)
    net = Deformation(NetworkConfig(attention=attention, decoder=decoder, levels=4, log2_table=10))
    for layer in net.decoder.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.2)
    x, tokens = (torch.rand(70, 3) - 0.5) * 0.2, net.tokens(**DRIVE, speech=torch.randn(5, 64))
    features = net.features(x)
    plain = net.decoder(features + net.attention(features, tokens)) * net.units
    torch.testing.assert_close(net(features, tokens), plain, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(net.at(x, tokens), plain, rtol=1e-3, atol=1e-5)


def test_every_token_can_change_the_offsets():
    torch.manual_seed(1)
    net = Deformation(NetworkConfig(levels=4, log2_table=10))
    torch.nn.init.normal_(net.decoder[-1].weight)
    x = (torch.rand(50, 3) - 0.5) * 0.2
    features = net.features(x)
    base = net(features, net.tokens(**DRIVE, speech=torch.zeros(4, 64)))[:, :3]
    for name, value in DRIVE.items():
        other = net(features, net.tokens(**{**DRIVE, name: value + 1.0}, speech=torch.zeros(4, 64)))[:, :3]
        assert (other - base).abs().max() > 1e-6, name
    assert (net(features, net.tokens(**DRIVE, speech=torch.ones(4, 64)))[:, :3] - base).abs().max() > 1e-6


def test_a_fresh_network_hardly_moves_anything():
    net = Deformation(NetworkConfig(levels=4, log2_table=10))
    values = net(net.features(torch.zeros(10, 3)), net.tokens(**DRIVE, speech=None))
    assert values[:, :3].abs().max() < 1e-3


def test_only_what_is_asked_is_deformed():
    torch.manual_seed(2)
    net = Deformation(NetworkConfig(levels=4, log2_table=10, deforms=("rotation", "color")))
    torch.nn.init.normal_(net.decoder[-1].weight)
    x = (torch.rand(50, 3) - 0.5) * 0.2
    offsets = Offsets.of(net.at(x, net.tokens(**DRIVE, speech=None)))
    assert offsets.rotation.abs().min() > 0 and offsets.color.abs().min() > 0
    for name in ("means", "log_scales", "opacity_logits"):
        assert (getattr(offsets, name) == 0).all(), name


@pytest.mark.parametrize("kind", ["mouth", "upper", "eyes", "pose", "speech"])
def test_a_token_left_out_says_nothing(kind):
    net = Deformation(NetworkConfig(levels=4, log2_table=10, tokens=tuple(t for t in TOKENS if t != kind)))
    drive = {**DRIVE, "speech": torch.zeros(4, 64)}
    changed = {**drive, kind: drive[kind] + 1.0}
    torch.testing.assert_close(net.tokens(**drive), net.tokens(**changed), rtol=0, atol=0)
    assert net.tokens(**drive).shape[0] == 10 - {"mouth": 2, "speech": 4}.get(kind, 1)


@pytest.mark.parametrize("wrong", [{"tokens": ("mouth", "smell")}, {"tokens": ()}, {"deforms": ("mass",)}])
def test_unknown_switches_are_refused(wrong):
    with pytest.raises(ValueError):
        NetworkConfig(**wrong)
