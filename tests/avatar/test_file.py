"""The ``.avatar`` file: exact round trip, and one clear error for everything that is not one."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from splatalk import avatar as avatars
from splatalk.errors import FormatError


def test_round_trip_is_exact(tiny_avatar_path, tmp_path):
    a = avatars.load(tiny_avatar_path)
    avatars.save(a, tmp_path / "copy.avatar")
    b = avatars.load(tmp_path / "copy.avatar")
    assert a.meta == b.meta and a.n_gaussians == b.n_gaussians and (a.plate == b.plate).all()
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name]), name
    assert a.camera.to_json() == b.camera.to_json()
    assert all((a.manner[k] == b.manner[k]).all() for k in a.manner)


def test_header_says_who_and_how(tiny_avatar_path):
    meta = avatars.load(tiny_avatar_path).meta
    assert meta["consent"] and meta["training"]["preset"]["name"] == "tiny" and meta["fps"] == 25.0


def test_missing_file(tmp_path):
    with pytest.raises(FormatError, match="no avatar file"):
        avatars.load(tmp_path / "none.avatar")


def test_other_safetensors_file(tmp_path):
    save_file({"x": torch.zeros(3)}, str(tmp_path / "x.avatar"))
    with pytest.raises(FormatError, match="no avatar"):
        avatars.load(tmp_path / "x.avatar")


def test_newer_version(tiny_avatar_path, tmp_path):
    data = tiny_avatar_path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    ours = json.loads(header["__metadata__"]["splatalk"])
    header["__metadata__"]["splatalk"] = json.dumps({**ours, "version": 99})
    text = json.dumps(header).encode()
    (tmp_path / "new.avatar").write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])
    with pytest.raises(FormatError, match="version 99"):
        avatars.load(tmp_path / "new.avatar")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.0, 0.999))
def test_truncated(tiny_avatar_path, tmp_path, share):
    data = tiny_avatar_path.read_bytes()
    (tmp_path / "cut.avatar").write_bytes(data[: int(share * len(data))])
    with pytest.raises(FormatError):
        avatars.load(tmp_path / "cut.avatar")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.integers(0, 6000), value=st.integers(0, 255))
def test_a_changed_header_byte_is_an_error_or_harmless(tiny_avatar_path, tmp_path, where, value):
    data = bytearray(tiny_avatar_path.read_bytes())
    data[where] = value
    (tmp_path / "bad.avatar").write_bytes(data)
    try:
        avatars.load(tmp_path / "bad.avatar")
    except FormatError as error:
        assert error.hint
