from __future__ import annotations

import gzip
import json
import struct

import gsply
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splatalk.errors import FormatError, UserError
from splatalk.export.axes import half_turn
from splatalk.export.spz import read_spz, sidecar, write_spz
from tests.export.people import head, picture, psnr
from tests.export.readers import spz_by_gsply

FILE_FUZZ = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_what_another_program_reads_looks_the_same(tmp_path, coefficients):
    splats = head(coefficients=coefficients)
    write_spz(tmp_path / "a.spz", splats, {"consent": "Said yes."})
    read = spz_by_gsply(tmp_path / "a.spz")
    assert read.means[:, 1].dot(splats.means[:, 1]) < 0, "y up in the file"
    assert psnr(picture(half_turn(read)), picture(splats)) > 45
    assert (tmp_path / "a.spz").stat().st_size < 20 * len(splats) * (1 if coefficients == 1 else 4)
    facts = json.loads(sidecar(tmp_path / "a.spz").read_text())
    assert facts["consent"] == "Said yes." and "y up" in facts["axes"] and facts["units"] == "metres"


@pytest.mark.parametrize("coefficients", [1, 16])
def test_both_readers_read_the_same(tmp_path, coefficients):
    write_spz(tmp_path / "a.spz", head(200, coefficients))
    ours, theirs = read_spz(tmp_path / "a.spz")[0], half_turn(spz_by_gsply(tmp_path / "a.spz"))
    for name in ("means", "scales", "sh"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.opacities, theirs.opacities, rtol=1e-4, atol=2e-6)
    alike = torch.nn.functional.cosine_similarity(ours.quats, theirs.quats)
    assert alike.abs().min() > 1 - 1e-5


def test_files_of_another_program_and_of_version_2_are_read(tmp_path):
    write_spz(tmp_path / "a.spz", head(100))
    gsply.write_spz(tmp_path / "b.spz", gsply.read_spz(tmp_path / "a.spz"), fractional_bits=12)
    a, (b, facts) = read_spz(tmp_path / "a.spz")[0], read_spz(tmp_path / "b.spz")
    torch.testing.assert_close(a.means, b.means, atol=2.0**-12, rtol=0)
    torch.testing.assert_close(a.sh, b.sh)
    assert facts == {}
    body = bytes([0, 0x10, 0, 0, 0, 0, 0, 0, 0xFF]) + b"\xff" + bytes(3) + bytes(3) + bytes([128, 128, 255])
    (tmp_path / "c.spz").write_bytes(gzip.compress(struct.pack("<IIIBBBB", 0x5053474E, 2, 1, 0, 12, 0, 0) + body))
    c, theirs = read_spz(tmp_path / "c.spz")[0], half_turn(spz_by_gsply(tmp_path / "c.spz"))
    torch.testing.assert_close(c.means, theirs.means)
    torch.testing.assert_close(c.means, torch.tensor([[1.0, 0.0, 65536 / 4096]]))
    torch.testing.assert_close(c.quats, theirs.quats, atol=1e-3, rtol=0)


def test_bombs_are_refused_before_they_unfold(tmp_path):
    header = struct.pack("<IIIBBBB", 0x5053474E, 3, 4_000_000_000, 0, 12, 0, 0)
    (tmp_path / "a.spz").write_bytes(gzip.compress(header + bytes(10_000_000)))
    with pytest.raises(FormatError, match="kind"):
        read_spz(tmp_path / "a.spz")


@FILE_FUZZ
@given(data=st.data())
def test_damaged_files_are_told_never_crash(tmp_path, data):
    write_spz(tmp_path / "good.spz", head(20, 4))
    inside = data.draw(st.booleans())
    good = (tmp_path / "good.spz").read_bytes()
    bad = bytearray(gzip.decompress(good) if inside else good)
    if data.draw(st.booleans()):
        bad = bad[: data.draw(st.integers(0, len(bad) - 1))]
    else:
        bad[data.draw(st.integers(0, min(len(bad) - 1, 40)))] = data.draw(st.integers(0, 255))
    (tmp_path / "bad.spz").write_bytes(gzip.compress(bytes(bad)) if inside else bytes(bad))
    sidecar(tmp_path / "bad.spz").write_bytes(data.draw(st.binary(max_size=20)))
    try:
        splats, _ = read_spz(tmp_path / "bad.spz")
    except FormatError as error:
        assert "bad.spz" in error.message and error.hint
    else:
        assert all(torch.isfinite(getattr(splats, f)).all() for f in ("means", "quats", "scales", "opacities", "sh"))


def test_an_interrupted_export_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("splatalk.export.spz.json.dumps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_spz(tmp_path / "a.spz", head(10))
    assert list(tmp_path.iterdir()) == []


def test_values_and_names_that_cannot_be(tmp_path):
    splats = head(5)
    with pytest.raises(UserError, match=r"\.spz"):
        write_spz(tmp_path / "a.ply", splats)
    splats.means[0, 0] = float("nan")
    with pytest.raises(UserError, match="finite"):
        write_spz(tmp_path / "a.spz", splats)
    assert list(tmp_path.iterdir()) == []
