"""Any picture of a film comes back, in any order, close to what was written."""

from __future__ import annotations

import concurrent.futures
import contextlib
import random
from pathlib import Path

import cv2
import numpy as np
import pytest

from splatalk.capture import film
from splatalk.capture.film import Film, FilmWriter, join
from splatalk.errors import FormatError

FPS = 25.0


def picture(k: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth picture that moves, with its number as sixteen dark or light fields along the top."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin((x + 2 * k) / 9 + c) + np.cos(y / 11 - c) for c in range(3)]
    out = (128 + 50 * np.stack(waves, axis=-1)).astype(np.uint8)
    for bit in range(8):
        out[:8, 8 * bit : 8 * bit + 8] = 220 if k >> bit & 1 else 30
    return out


def number(seen: np.ndarray) -> int:
    return sum(int(seen[2:6, 8 * bit + 2 : 8 * bit + 6].mean() > 128) << bit for bit in range(8))


def write(path: Path, numbers: range, **options: bool) -> Path:
    with FilmWriter(path, FPS, **options) as writer:
        for k in numbers:
            writer.write(picture(k)[..., 0] if options.get("gray") else picture(k))
    return path


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    parts = [write(folder / f"{a}.mp4", range(a, b)) for a, b in ((0, 21), (21, 22), (22, 60))]
    join(parts, folder / "all.mp4", FPS)
    return folder / "all.mp4"


def test_every_order_gives_the_same_pictures(joined: Path) -> None:
    with contextlib.closing(Film(joined, 60, (48, 64), FPS)) as seen:
        forward = [seen.rgb(i) for i in range(60)]
        assert [number(f) for f in forward] == list(range(60))
        backward = [seen.rgb(i) for i in reversed(range(60))][::-1]
        mixed = random.Random(5).sample(range(60), 60)
        shuffled = {i: seen.rgb(i) for i in mixed}
    for i in range(60):
        assert np.array_equal(forward[i], backward[i]) and np.array_equal(forward[i], shuffled[i])


def test_what_is_lost_is_little(joined: Path) -> None:
    seen = Film(joined, 60, (48, 64), FPS)
    # Colour has half the resolution, so the fields' edges lose; the smooth rest does not.
    errors = [(seen.rgb(i)[10:].astype(float) - picture(i)[10:]) ** 2 for i in range(60)]
    assert 10 * np.log10(255**2 / np.mean(errors)) > 41
    gray = cv2.cvtColor(picture(30), cv2.COLOR_RGB2GRAY).astype(float)
    assert np.abs(seen.gray(30) - gray)[10:].mean() < 6  # another weighting of the colours


def test_gray_pictures_keep_black_and_white(tmp_path: Path) -> None:
    steps = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None], 32, axis=0)
    with FilmWriter(tmp_path / "a.mp4", FPS, gray=True) as writer:
        for _ in range(3):
            writer.write(steps)
    seen = Film(tmp_path / "a.mp4", 3, (32, 64), FPS).luma(2).astype(int)
    assert np.abs(seen - steps).max() <= 3


@pytest.mark.parametrize("gray", [False, True])
def test_odd_sizes_come_back(tmp_path: Path, gray: bool) -> None:
    odd = picture(7)[:47, :61]
    with FilmWriter(tmp_path / "a.mp4", FPS, gray=gray) as writer:
        writer.write(odd[..., 0] if gray else odd)
    seen = Film(tmp_path / "a.mp4", 1, (47, 61), FPS)
    assert (seen.luma(0) if gray else seen.rgb(0)).shape == ((47, 61) if gray else (47, 61, 3))


def test_without_x264_another_encoder_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film.av, "codecs_available", set())
    seen = Film(write(tmp_path / "a.mp4", range(12)), 12, (48, 64), FPS)
    assert [number(seen.rgb(i)) for i in (11, 3, 4, 0)] == [11, 3, 4, 0]


@pytest.mark.parametrize(("n", "size"), [(59, (48, 64)), (60, (64, 48)), (60, (4096, 4096))])
def test_another_length_or_size_is_refused(joined: Path, n: int, size: tuple[int, int]) -> None:
    with pytest.raises(FormatError):
        Film(joined, n, size, FPS)


def test_nothing_written_leaves_no_file(tmp_path: Path) -> None:
    assert not write(tmp_path / "a.mp4", range(0)).exists()


def test_a_film_of_limited_range_is_no_matte(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", range(4))
    with pytest.raises(FormatError, match="range"):
        Film(path, 4, (48, 64), FPS, gray=True)


@pytest.mark.parametrize("codecs", [None, set()])
def test_gray_films_of_either_encoder_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codecs: set | None
) -> None:
    if codecs is not None:
        monkeypatch.setattr(film.av, "codecs_available", codecs)
    seen = Film(write(tmp_path / "a.mp4", range(4), gray=True), 4, (48, 64), FPS, gray=True)
    assert number(seen.luma(3)) == 3


def test_threads_read_different_places_at_once(joined: Path) -> None:
    seen = Film(joined, 60, (48, 64), FPS)
    expected = [seen.rgb(i) for i in range(60)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        halves = list(pool.map(lambda begin: [seen.rgb(i) for i in range(begin, 60, 3)], range(3)))
    for begin, pictures in enumerate(halves):
        assert all(np.array_equal(a, b) for a, b in zip(pictures, expected[begin::3]))
