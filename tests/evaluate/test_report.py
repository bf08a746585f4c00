"""The report survives JSON and damage, and its page is whole, escaped and self-contained."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from splatalk.errors import FormatError, UserError
from splatalk.evaluate import gallery, page, pictures
from splatalk.evaluate.catalogue import BY_KEY, HEADLINES, METRICS
from splatalk.evaluate.report import Report, Spoken, plain, plain_list, table
from splatalk.plot import plot

VOID = {"meta", "img", "br"}


def report(name: str = "Ada") -> Report:
    n = 20
    opening = [0.1 * abs(math.sin(i / 3)) for i in range(n)]
    return Report(
        avatar_name=name,
        capture_name="ada.capture",
        frames=[*range(100, 100 + n)],
        fps=25.0,
        width=64,
        height=48,
        mouth="audio",
        avatar={m.key: 12.3456 for m in METRICS},
        recording={"lmd_px": 0.25, "face_found": 100.0, "opening_lag_ms": None},
        curves={
            "psnr_full": [30.0 + i for i in range(n)],
            "opening_avatar": opening,
            "opening_recording": [None, *opening[1:]],
        },
        machine={"date": "2026-01-01", "processor": "one & only"},
        notes=["7 frames left out <here>."],
        spoken=[spoken()],
    )


def spoken() -> Spoken:
    curves = {f"{kind}_{who}": [0.1, None, 0.3] for kind in ("opening", "width") for who in ("avatar", "recording")}
    return Spoken(
        "talk & more.wav", "talk.mp4", "1 phoneme times from talk.json", 25.0, {"opening_correlation": 0.91},
        {"closed_pbm": 100.0}, curves, [[0.02, 0.06]],
    )  # fmt: skip


def image(value: int = 90) -> np.ndarray:
    return np.full((48, 64, 3), value, np.uint8)


def shown() -> list[pictures.Picture]:
    return [pictures.picture("000100", 'worst: "frame" 100 <1>', pictures.side_by_side(image(), image(100)))]


class Page(HTMLParser):
    """Checks that every element is closed, and gathers addresses and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [str(value) for key, value in attrs if key in ("src", "href", "srcset", "action")]
        assert not any(key.startswith("on") for key, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_json_round_trip() -> None:
    assert Report.from_json(report().to_json()) == report()


def test_values_that_do_not_exist_are_null() -> None:
    assert plain(math.inf) is None and plain(math.nan) is None and plain(2) == 2.0
    assert plain_list(np.array([1.0, np.nan])) == [1.0, None]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 99), ("frames", [1.5]), ("frames", [True]), ("fps", "25"), ("fps", None), ("avatar", []),
        ("avatar", {"psnr_full": "high"}), ("curves", {"psnr_full": [1.0]}), ("machine", {"a": 1}), ("more", 1),
        ("width", -1), ("notes", "none"), ("mouth", None), ("spoken", [{}]), ("spoken", {}),
    ],
)  # fmt: skip
def test_wrong_fields_are_refused(field: str, value: object) -> None:
    data = json.loads(report().to_json())
    data[field] = value
    with pytest.raises(FormatError):
        Report.from_json(json.dumps(data))


@pytest.mark.parametrize("field", list(json.loads(report().to_json())))
def test_missing_fields_are_refused(field: str) -> None:
    data = json.loads(report().to_json())
    del data[field]
    with pytest.raises(FormatError):
        Report.from_json(json.dumps(data))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*json.loads(report().to_json())]), json_values, st.text(max_size=40), st.integers(0, 3000))
def test_damage_never_gives_anything_but_a_format_error(field: str, value: object, junk: str, cut: int) -> None:
    data = json.loads(report().to_json())
    data[field] = value
    for text in (json.dumps(data), junk, report().to_json()[:cut], "[" * 3000):
        try:
            read = Report.from_json(text)
        except FormatError:
            continue
        assert Report.from_json(read.to_json()) == read


def test_table_names_every_figure_within_80_columns() -> None:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(table(report()))
    text = console.export_text()
    assert all(m.label in text for m in METRICS)
    assert "12.35" in text and "0.25" in text and "–" in text


def test_page_is_well_formed_escaped_and_needs_nothing_else() -> None:
    text = page.page(report("<script>alert(1)</script>"), shown(), pictures.picture("mouths", "Mouths", image()))
    read = Page(text)
    assert "script" not in read.tags and "link" not in read.tags
    assert all(a.startswith("data:image/jpeg;base64,") for a in read.addresses) and len(read.addresses) == 2
    assert "http" not in text.replace("http-equiv", "")
    assert "<script>alert(1)</script>" in read.text and "<here>" in read.text and "one & only" in read.text
    assert all(m.label in read.text and m.meaning in read.text for m in METRICS)
    assert "prefers-color-scheme: dark" in text


def test_page_without_pictures_or_curves() -> None:
    bare = report()
    bare.curves, bare.avatar, bare.notes = {}, {"psnr_full": None}, []
    read = Page(page.page(bare, [], None))
    assert "–" in read.text and "nothing to draw" in read.text


def test_plot_is_xml_leaves_gaps_and_stays_inside() -> None:
    times = [i / 25 for i in range(6)] + [1.0]
    text = plot(times, {"a<b": [0, 1, None, 2, 3, 1, 2], "c": [1.5] * 7}, 'say "it"', "m")
    root = ElementTree.fromstring(text[text.index("<svg") :])
    first = next(e for e in root.iter() if e.get("class") == "curve c0").get("d") or ""
    assert first.count("M") == 3  # the start, after the missing value, after the missing frames
    assert "a&lt;b" in text
    assert "nothing to draw" in plot(times, {"a": [None] * 7}, "t", "")
    assert "<path" in plot(times, {"flat": [5.0] * 7}, "t", "")


def test_everything_is_written_and_the_page_stays_small(tmp_path: Path) -> None:
    big = np.random.default_rng(0).integers(0, 255, (512, 1536, 3)).astype(np.uint8)
    many = [pictures.picture(f"{i:06d}", "noise", big) for i in range(2)]
    page.write(report(), many, pictures.picture("mouths", "Mouths", image()), tmp_path / "deep" / "out")
    out = tmp_path / "deep" / "out"
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) == [
        "frames/000000.jpg", "frames/000001.jpg", "frames/mouths.jpg", "index.html", "mouth.png",
        "mouth_talk & more.png", "report.json",
    ]  # fmt: skip
    assert Report.from_json((out / "report.json").read_text()) == report()
    page.write(report("Second"), many, None, out)
    assert "Second" in (out / "index.html").read_text()


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError):
        page.write(report(), shown(), None, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@given(st.lists(st.floats(0, 1) | st.just(-math.inf), min_size=1, max_size=60))
def test_shown_frames_are_distinct_and_start_with_the_worst(badness: list[float]) -> None:
    picked = gallery.pick(np.array(badness))
    ks = [k for _, k in picked]
    assert len(set(ks)) == len(ks) <= 7
    assert badness[ks[0]] == max(badness)


def test_side_by_side_and_recompression() -> None:
    row = pictures.side_by_side(image(90), image(100))
    assert row.shape == (48, 192, 3) and (row[:, 128:] == 80).all()
    again = pictures.recompressed(np.dstack([image(200)[..., 0], image(40)[..., 0], image(10)[..., 0]]), 75)
    assert np.abs(again[10, 10].astype(int) - (200, 40, 10)).max() < 6  # channels keep their order


def test_mouth_cut_lands_where_the_mouth_is() -> None:
    scene = np.zeros((100, 100, 3), np.uint8)
    scene[40:60, 30:50] = 255
    strip = pictures.mouth_strip([scene], [scene], [np.array([30.0, 40, 50, 60])], size=40)
    assert strip.shape == (80, 40, 3) and strip[2:38, 2:38].min() == 255
    box = pictures.mouth_box(np.array([[30.0, 48], [50, 52]]))
    np.testing.assert_allclose(box, (24, 34, 56, 66))


def test_headlines_exist() -> None:
    assert set(HEADLINES) <= set(BY_KEY) and len(BY_KEY) == len(METRICS)
