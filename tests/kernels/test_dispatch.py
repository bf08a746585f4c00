"""One binary, several instruction sets: all of them agree; and what happens without the binary."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

_SCRIPT = """
import json, sys
sys.path.insert(0, {here!r})
import torch
from scenes import NAMES, blob
from test_attention_mlp import SIZES, attention_mlp, network, points, weights_of
from test_posing import LEARNED, TURNS, bone, movement, person, pose
from splatalk import kernels
from splatalk.kernels.hash_triplane import HashTriplaneSpec, hash_triplane
from splatalk.kernels.raster import rasterize_cpu
from splatalk.kernels.ssim import ssim
scene = blob(300, 61, 45, 1)
arguments = scene.arguments(grad=True)
image, alpha, _ = rasterize_cpu(**arguments)
similarity = ssim(image, torch.rand(45, 61, 3, generator=torch.Generator().manual_seed(0)))
(similarity + alpha.sum()).backward()
spec = HashTriplaneSpec(levels=6)
x = torch.rand(200, 3, generator=torch.Generator().manual_seed(1))
tables = (spec.init_tables(torch.Generator().manual_seed(2)) * 1e4).requires_grad_()
features = hash_triplane(x, tables, spec)
features.square().sum().backward()
net, queries = network(SIZES["default"]), points(100, SIZES["default"])
attention_mlp(queries, net).square().sum().backward()
g = person(100)
offsets, surface = movement(g)
posed = pose(g, offsets, surface, *(bone(turn, (0, 0, 0.6)) for turn in TURNS[0]))
sum(t.square().sum() for t in posed).backward()
numbers = [image.sum(), alpha.sum(), similarity, features.square().sum(), tables.grad.abs().sum()]
numbers += [arguments[name].grad.abs().sum() for name in NAMES]
numbers += [leaf.grad.abs().sum() for leaf in (queries, *weights_of(net).values(), offsets)]
numbers += [getattr(g, name).grad.abs().sum() for name in LEARNED]
module = kernels.native()
print(json.dumps([module.isa() if module else kernels.native_error(), [float(n.detach()) for n in numbers]]))
"""


def run(**environment: str) -> tuple[str, list[float]]:
    result = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(here=str(HERE))],
        env={**os.environ, "PYTHONPATH": str(HERE.parent.parent), **environment},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert not result.stderr, result.stderr
    name, numbers = json.loads(result.stdout)
    return name, numbers


@pytest.mark.usefixtures("compiled")
def test_every_instruction_set_agrees():
    name, truth = run(SPLATALK_NO_NATIVE="1")
    assert "SPLATALK_NO_NATIVE" in name
    seen = set()
    for isa in ("baseline", "v3", "v4"):
        name, numbers = run(SPLATALK_ISA=isa)
        seen.add(name)  # a processor without the wanted set takes the best it has
        assert numbers == pytest.approx(truth, rel=2e-4), isa
    assert "baseline" in seen
