"""The compact file: round trip, readers in agreement, and one clear error for everything that is not one."""

from __future__ import annotations

import dataclasses
import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splatalk.errors import FormatError, UserError
from splatalk.export.compact import ATTRIBUTES, layout, posed, read, to_bytes, write
from splatalk.export.compact.plate import decode_plate
from splatalk.export.compact.sample import EXPECTED, FILE, expected, sample

SAMPLE = Path(__file__).parent / "compact_sample"


@pytest.fixture(scope="module")
def raw() -> bytes:
    return to_bytes(*sample(), compress=False)


def repacked(raw: bytes, change) -> bytes:
    """``raw`` with its JSON changed in place by ``change(fields)``."""
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    fields = json.loads(header["__metadata__"]["splatalk_compact"])
    change(fields)
    header["__metadata__"]["splatalk_compact"] = json.dumps(fields)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + raw[8 + size :]


def test_values_come_back_within_half_a_step(raw):
    compact, track, sound = sample()
    contents = read(raw)
    back = contents.compact
    for name, levels in (("means", 65535), ("color", 65535), ("log_scales", 255), ("opacity_logits", 255)):
        wanted, got = getattr(compact, name), getattr(back, name)
        step = (wanted.max(0) - wanted.min(0)) / levels
        assert (np.abs(got - wanted) <= 0.51 * step + 1e-6).all(), name
    assert np.abs(back.bone - compact.bone).max() <= 0.51 / 255
    assert np.abs((back.quats * compact.quats).sum(1)).min() > 0.99995
    for name in ATTRIBUTES:
        assert back.bases[name].shape == compact.bases[name].shape
        limit = 0.51 / 127 * np.abs(compact.bases[name]).max((1, 2), initial=0.0)
        assert (np.abs(back.bases[name] - compact.bases[name]) <= limit[:, None, None] + 1e-9).all(), name
    assert contents.track is not None and contents.sound == sound and back.plate == compact.plate
    assert np.abs(contents.track.coefficients - track.coefficients).max() < 1e-4
    assert np.abs(contents.track.head - track.head).max() < 2e-5
    for name in ("provenance", "error", "ranks", "yaw_range", "pitch_range", "fps"):
        assert getattr(back, name) == getattr(compact, name)
    assert back.camera.to_json() == compact.camera.to_json()


def test_reading_and_writing_again_changes_nothing(raw):
    contents = read(raw)
    again = read(to_bytes(contents.compact, contents.track, contents.sound))
    for name in ("means", "quats", "log_scales", "opacity_logits", "color", "bone"):
        assert np.allclose(getattr(again.compact, name), getattr(contents.compact, name), atol=1e-6), name
    assert np.allclose(again.track.coefficients, contents.track.coefficients, atol=1e-6)


def test_equal_input_gives_equal_bytes():
    assert to_bytes(*sample()) == to_bytes(*sample())


def test_sample_for_other_readers_is_current():
    """``python -m splatalk.export.compact.sample tests/export/compact_sample`` writes both again."""
    contents = read(SAMPLE / FILE)
    truth = json.loads((SAMPLE / EXPECTED).read_text(encoding="utf-8"))
    got = json.loads(json.dumps(expected(contents)))
    assert got.keys() == truth.keys()
    for frame, fields in truth["posed"].items():
        for name, values in fields.items():
            assert np.allclose(got["posed"][frame][name], values, atol=1e-5), (frame, name)
    for part in ("canonical", "bases"):
        for name, values in truth[part].items():
            assert np.allclose(got[part][name], values, atol=1e-6), name
    assert got["provenance"] == truth["provenance"] and got["sound"] == truth["sound"]


def test_posing_follows_its_definition(raw):
    """A moved Gaussian, by hand."""
    compact = read(raw).compact
    coefficients = np.zeros(compact.n_coefficients, np.float32)
    coefficients[1] = 2.0  # the second of the means
    coefficients[3] = 0.5  # the first of the rotations
    head, torso = np.eye(4), np.eye(4)
    head[:3, 3] = (0.0, 0.0, 1.0)
    splats = posed(compact, coefficients, head, torso)
    wanted = compact.means[4] + 2.0 * compact.bases["means"][1, 4] + compact.bone[4] * head[:3, 3]
    assert np.allclose(splats.means[4], wanted, atol=1e-6)
    r = 0.25 * compact.bases["rotation"][0, 4]
    w, x, y, z = compact.quats[4]
    turned = np.array([w - r @ [x, y, z], *(w * r + [x, y, z] + np.cross(r, [x, y, z]))])
    assert np.allclose(splats.quats[4], turned / np.linalg.norm(turned), atol=1e-6)
    assert np.allclose(splats.means[15], compact.means[15] + compact.bone[15] * head[:3, 3], atol=1e-6)
    with pytest.raises(ValueError, match="coefficients"):
        posed(compact, coefficients[:-1], head, torso)


def test_a_file_without_track_and_sound(tmp_path):
    compact, _, _ = sample()
    size = write(tmp_path / "a.compact", compact)
    contents = read(tmp_path / "a.compact")
    assert contents.track is None and contents.sound is None and size == (tmp_path / "a.compact").stat().st_size
    with pytest.raises(UserError, match=r"\.compact"):
        write(tmp_path / "a.bin", compact)


def test_other_files_are_refused(raw, tmp_path):
    with pytest.raises(FormatError, match="no file"):
        read(tmp_path / "none.compact")
    with pytest.raises(FormatError, match="version 2"):
        read(repacked(raw, lambda f: f.update(version=2)))
    with pytest.raises(FormatError, match="no compact avatar"):
        read(struct.pack("<Q", 2) + b"{}")


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.update(n_gaussians=25),
        lambda f: f.update(n_gaussians=10**12),
        lambda f: f.update(n_dynamic=-1),
        lambda f: f.update(n_frames=6),
        lambda f: f.update(fps=float("nan")),
        lambda f: f.update(fps="25"),
        lambda f: f.update(version=True),
        lambda f: f["ranks"].update(means=4),
        lambda f: f["ranks"].pop("color"),
        lambda f: f["camera"].update(width=0),
        lambda f: f["camera"].update(fx=float("inf")),
        lambda f: f.update(rest_head=[[1, 0], [0, 1]]),
        lambda f: f["range"].update(yaw=[10, -10]),
        lambda f: f["quantised"]["means"].update(low=[0, 0]),
        lambda f: f["quantised"]["basis.means"].update(scale=[1e300, 0, 0]),
        lambda f: f["plate"].update(mime="text/html"),
        lambda f: f["sound"].update(mime="image/svg+xml"),
        lambda f: f["sound"].update(seconds=-1),
        lambda f: f.update(provenance=3),
        lambda f: f.clear(),
    ],
)
def test_hostile_headers_are_refused(raw, change):
    with pytest.raises(FormatError) as caught:
        read(repacked(raw, change))
    assert caught.value.hint


def test_values_that_are_not_finite_are_refused():
    compact, track, _ = sample()
    head = track.head.copy()
    head[2, 0, 3] = np.inf
    with pytest.raises(FormatError, match="not finite"):
        read(to_bytes(compact, dataclasses.replace(track, head=head)))


def test_a_small_file_cannot_unpack_to_a_huge_one(monkeypatch):
    monkeypatch.setattr(layout, "MAX_BYTES", 1 << 20)
    with pytest.raises(FormatError, match="unpacks"):
        read(gzip.compress(bytes(1 << 21)))


def test_a_damaged_plate_is_told():
    plate = sample()[0].plate
    assert decode_plate(plate).shape == (48, 64, 3)
    for damaged in (b"", b"no picture", plate.data[:20]):
        with pytest.raises(FormatError, match="damaged"):
            decode_plate(dataclasses.replace(plate, data=damaged))
    with pytest.raises(FormatError, match="damaged"):
        decode_plate(dataclasses.replace(plate, width=63))


def test_nested_json_is_refused(raw):
    text = b'{"__metadata__":' + b"[" * 100_000
    with pytest.raises(FormatError):
        read(struct.pack("<Q", len(text)) + text)


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0.0, 0.999), packed=st.booleans())
def test_truncated(raw, share, packed):
    data = gzip.compress(raw, 1) if packed else raw
    with pytest.raises(FormatError):
        read(data[: int(share * len(data))])


@settings(max_examples=300, deadline=None)
@given(where=st.floats(0.0, 0.9999), value=st.integers(0, 255))
def test_a_changed_byte_is_an_error_or_harmless(raw, where, value):
    data = bytearray(raw)
    data[int(where * len(data))] = value
    try:
        contents = read(bytes(data))
    except FormatError as error:
        assert error.hint
    else:
        assert all(np.isfinite(basis).all() for basis in contents.compact.bases.values())


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=400), magic=st.sampled_from([b"", b"\x1f\x8b\x08", struct.pack("<Q", 40) + b"{"]))
def test_any_bytes(data, magic):
    with pytest.raises(FormatError):
        read(magic + data)
