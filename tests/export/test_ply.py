from __future__ import annotations

import re

import numpy as np
import plyfile
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splatalk.errors import FormatError, UserError
from splatalk.export.axes import Y_DOWN
from splatalk.export.ply import read_facts, read_ply, write_ply
from splatalk.render.splats import Splats

FILE_FUZZ = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def random_splats(n: int, coefficients: int, seed: int) -> Splats:
    g = torch.Generator().manual_seed(seed)
    return Splats(
        means=torch.randn(n, 3, generator=g),
        quats=torch.randn(n, 4, generator=g),
        scales=torch.exp(torch.randn(n, 3, generator=g) * 2 - 5),
        opacities=torch.rand(n, generator=g),
        sh=torch.randn(n, coefficients, 3, generator=g),
    )


@FILE_FUZZ
@given(n=st.integers(0, 40), coefficients=st.sampled_from([1, 4, 9, 16]), seed=st.integers(0, 1000))
def test_round_trip(tmp_path, n, coefficients, seed):
    splats = random_splats(n, coefficients, seed)
    write_ply(tmp_path / "a.ply", splats)
    back = read_ply(tmp_path / "a.ply")
    for exact in ("means", "quats", "sh"):
        assert torch.equal(getattr(back, exact), getattr(splats, exact)), exact
    torch.testing.assert_close(back.scales, splats.scales, rtol=1e-6, atol=0)
    torch.testing.assert_close(back.opacities, splats.opacities, rtol=1e-6, atol=1e-7)


def test_second_generation_keeps_the_bytes_of_positions_rotations_and_colours(tmp_path):
    write_ply(tmp_path / "a.ply", random_splats(200, 4, 1))
    write_ply(tmp_path / "b.ply", read_ply(tmp_path / "a.ply"))
    a, b = (plyfile.PlyData.read(str(tmp_path / f))["vertex"].data for f in ("a.ply", "b.ply"))
    for name in a.dtype.names:
        if name == "opacity" or name.startswith("scale_"):
            np.testing.assert_allclose(a[name], b[name], rtol=1e-5, atol=1e-6)
        else:
            assert a[name].tobytes() == b[name].tobytes(), name


def test_layout_is_the_one_other_tools_read(tmp_path):
    splats = random_splats(3, 4, 0)
    write_ply(tmp_path / "a.ply", splats, {"consent": "Said yes.\nTwice é"})
    vertex = plyfile.PlyData.read(str(tmp_path / "a.ply"))["vertex"]
    assert [p.name for p in vertex.properties] == [
        *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"),
        *(f"f_rest_{i}" for i in range(9)),
        *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
    ]
    # f_rest holds all coefficients of red, then of green, then of blue.
    np.testing.assert_array_equal(vertex["f_rest_1"], splats.sh[:, 2, 0])
    np.testing.assert_array_equal(vertex["f_rest_3"], splats.sh[:, 1, 1])
    np.testing.assert_array_equal(vertex["rot_0"], splats.quats[:, 0])
    np.testing.assert_allclose(1 / (1 + np.exp(-vertex["opacity"])), splats.opacities, rtol=1e-5)
    np.testing.assert_allclose(np.exp(vertex["scale_2"]), splats.scales[:, 2], rtol=1e-5)
    facts = read_facts(tmp_path / "a.ply")
    assert facts["axes"] == Y_DOWN
    assert facts["units"] == "metres"
    assert facts["consent"] == "Said yes. Twice ?"


def test_opaque_and_flat_gaussians_stay_finite(tmp_path):
    splats = random_splats(2, 1, 0)
    splats.opacities[:] = torch.tensor([0.0, 1.0])
    splats.scales[:] = 0.0
    write_ply(tmp_path / "a.ply", splats)
    back = read_ply(tmp_path / "a.ply")
    assert back.opacities[0] <= 1e-6 and back.opacities[1] == pytest.approx(1.0, abs=1e-7)


def test_text_ply_is_read_too(tmp_path):
    splats = random_splats(5, 1, 0)
    write_ply(tmp_path / "a.ply", splats)
    data = plyfile.PlyData.read(str(tmp_path / "a.ply"))
    plyfile.PlyData(data.elements, text=True).write(str(tmp_path / "t.ply"))
    torch.testing.assert_close(read_ply(tmp_path / "t.ply").means, splats.means, rtol=1e-5, atol=1e-6)


def test_values_that_are_not_finite_are_refused_and_leave_no_file(tmp_path):
    splats = random_splats(4, 1, 0)
    splats.means[2, 1] = float("nan")
    with pytest.raises(UserError, match="not finite"):
        write_ply(tmp_path / "a.ply", splats)
    assert list(tmp_path.iterdir()) == []


@FILE_FUZZ
@given(data=st.data())
def test_damaged_files_are_told_never_crash(tmp_path, data):
    write_ply(tmp_path / "good.ply", random_splats(20, 4, 3))
    good = bytearray((tmp_path / "good.ply").read_bytes())
    header = good.index(b"end_header") + len(b"end_header\n")
    kind = data.draw(st.sampled_from(["cut", "flip header", "insert", "flip body"]))
    if kind == "cut":
        bad = good[: data.draw(st.integers(0, len(good) - 1))]
    elif kind == "insert":
        at = data.draw(st.integers(0, header - 1))
        bad = good[:at] + data.draw(st.binary(min_size=1, max_size=8)) + good[at:]
    else:
        low, high = (0, header - 1) if kind == "flip header" else (header, len(good) - 1)
        bad = bytearray(good)
        bad[data.draw(st.integers(low, high))] = data.draw(st.integers(0, 255))
    (tmp_path / "bad.ply").write_bytes(bad)
    try:
        splats = read_ply(tmp_path / "bad.ply")
    except FormatError as error:
        assert "bad.ply" in error.message
        assert error.hint
    else:
        assert all(torch.isfinite(getattr(splats, f)).all() for f in ("means", "quats", "scales", "opacities", "sh"))


@pytest.mark.parametrize("count", [10**6, 10**15, 10**17])
def test_a_header_that_promises_too_much_is_refused_before_memory_is_taken(tmp_path, count):
    write_ply(tmp_path / "a.ply", random_splats(5, 1, 0))
    data = re.sub(rb"element vertex \d+", b"element vertex %d" % count, (tmp_path / "a.ply").read_bytes())
    (tmp_path / "a.ply").write_bytes(data)
    with pytest.raises(FormatError, match="truncated"):
        read_ply(tmp_path / "a.ply")


def test_a_mesh_is_not_taken_for_gaussians(tmp_path):
    vertices = np.zeros(3, dtype=[("x", "f4"), ("y", "f4"), ("z", "f4")])
    plyfile.PlyData([plyfile.PlyElement.describe(vertices, "vertex")]).write(str(tmp_path / "m.ply"))
    with pytest.raises(FormatError, match="opacity is missing"):
        read_ply(tmp_path / "m.ply")


def test_missing_file_and_wrong_suffix(tmp_path):
    with pytest.raises(UserError):
        read_ply(tmp_path / "none.ply")
    with pytest.raises(UserError, match=r"\.ply"):
        write_ply(tmp_path / "a.obj", random_splats(1, 1, 0))
