from __future__ import annotations

import json
import struct

import fourdgs
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splatalk.errors import FormatError, UserError
from splatalk.export.axes import camera_fact, camera_of, half_turn, turned
from splatalk.export.glb import read_glb, write_glb
from tests.export.people import CAMERA, head, picture, psnr
from tests.export.readers import glb_by_fourdgs

FILE_FUZZ = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


def document_of(data: bytes) -> dict:
    (length,) = struct.unpack_from("<I", data, 12)
    return json.loads(data[20 : 20 + length])


def with_document(data: bytes, document: dict) -> bytes:
    (length,) = struct.unpack_from("<I", data, 12)
    text = json.dumps(document).encode()
    return data[:12] + struct.pack("<II", len(text), 0x4E4F534A) + text + data[20 + length :]


def test_what_another_program_reads_looks_the_same(tmp_path):
    splats = head()
    splats.sh.clamp_(-1.7, 1.7)  # that program keeps constant colours within 0..1
    write_glb(tmp_path / "a.glb", splats)
    assert fourdgs.from_gltf(str(tmp_path / "a.glb")).metadata["color_space"] == "srgb-rec709-display"
    theirs = glb_by_fourdgs(tmp_path / "a.glb")
    assert psnr(picture(half_turn(theirs)), picture(splats)) > 80


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_round_trip_is_exact(tmp_path, coefficients):
    splats = head(100, coefficients)
    write_glb(tmp_path / "a.glb", splats, {"consent": "Said yes é.", "camera": camera_fact(CAMERA)})
    back, facts = read_glb(tmp_path / "a.glb")
    for name in ("means", "scales", "opacities", "sh"):
        torch.testing.assert_close(getattr(back, name), getattr(splats, name), rtol=0, atol=0)
    assert psnr(picture(back), picture(splats)) > 90
    assert facts["consent"] == "Said yes é." and facts["rotation"] == "xyzw"
    np.testing.assert_array_equal(camera_of(facts).world_to_camera, turned(CAMERA).world_to_camera)


def test_higher_harmonics_are_found_by_another_program(tmp_path):
    write_glb(tmp_path / "a.glb", head(50, 16))
    read = fourdgs.from_gltf(str(tmp_path / "a.glb")).gaussians
    assert read.sh_degree == 3 and read.sh.shape == (50, 45)


def test_structure_is_what_the_specification_asks_for(tmp_path):
    splats = head(50)
    write_glb(tmp_path / "a.glb", splats)
    data = (tmp_path / "a.glb").read_bytes()
    assert struct.unpack_from("<III", data) == (0x46546C67, 2, len(data)) and len(data) % 4 == 0
    document = document_of(data)
    primitive = document["meshes"][0]["primitives"][0]
    assert primitive["mode"] == 0 and primitive["extensions"]["KHR_gaussian_splatting"]["kernel"] == "ellipse"
    assert document["extensionsUsed"] == ["KHR_gaussian_splatting"]
    position = document["accessors"][primitive["attributes"]["POSITION"]]
    np.testing.assert_allclose(position["max"][1], -splats.means[:, 1].min(), rtol=1e-6)
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0


@FILE_FUZZ
@given(data=st.data())
def test_damaged_files_are_told_never_crash(tmp_path, data):
    write_glb(tmp_path / "good.glb", head(20, 4))
    bad = bytearray((tmp_path / "good.glb").read_bytes())
    if data.draw(st.booleans()):
        bad = bad[: data.draw(st.integers(0, len(bad) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "bad.glb").write_bytes(bad)
    try:
        splats, _ = read_glb(tmp_path / "bad.glb")
    except FormatError as error:
        assert "bad.glb" in error.message and error.hint
    else:
        assert all(torch.isfinite(getattr(splats, f)).all() for f in ("means", "quats", "scales", "opacities", "sh"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**12) | st.text(max_size=3),
    lambda x: st.lists(x, max_size=2),
    max_leaves=3,
)


@FILE_FUZZ
@given(data=st.data())
def test_descriptions_of_nonsense_are_told(tmp_path, data):
    write_glb(tmp_path / "good.glb", head(20))
    good = (tmp_path / "good.glb").read_bytes()
    document = document_of(good)
    place = document
    for _ in range(data.draw(st.integers(1, 6))):
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key]:
            break
        if data.draw(st.integers(0, 3)) == 0:
            break
        place = place[key]
    key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else list(range(len(place)))))
    place[key] = data.draw(JSON)
    (tmp_path / "bad.glb").write_bytes(with_document(good, document))
    try:
        splats, _ = read_glb(tmp_path / "bad.glb")
    except FormatError as error:
        assert "bad.glb" in error.message and error.hint
    else:
        assert len(splats) <= 40


def test_moved_or_linear_gaussians_are_refused_not_shown_wrongly(tmp_path):
    write_glb(tmp_path / "a.glb", head(20))
    good = (tmp_path / "a.glb").read_bytes()
    moved, linear = document_of(good), document_of(good)
    moved["nodes"][0]["translation"] = [1, 2, 3]
    linear["meshes"][0]["primitives"][0]["extensions"]["KHR_gaussian_splatting"]["colorSpace"] = "lin_rec709_display"
    for document, word in ((moved, "moved"), (linear, "colours")):
        (tmp_path / "b.glb").write_bytes(with_document(good, document))
        with pytest.raises(FormatError, match=word):
            read_glb(tmp_path / "b.glb")


def test_values_and_names_that_cannot_be(tmp_path):
    splats = head(5)
    with pytest.raises(UserError, match=r"\.glb"):
        write_glb(tmp_path / "a.gltf", splats)
    splats.scales[0, 0] = float("inf")
    with pytest.raises(UserError, match="finite"):
        write_glb(tmp_path / "a.glb", splats)
    assert list(tmp_path.iterdir()) == []
