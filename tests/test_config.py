from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splatalk.config import DEFAULT_PRESET, Preset, load_preset, preset_from_mapping, preset_names
from splatalk.errors import UserError


def test_the_presets_of_the_house():
    assert preset_names() == ["demo", "fast", "quality", "gpu"]
    for name in preset_names():
        preset = load_preset(name)
        assert preset.name == name and preset.summary


def test_default_is_a_preset():
    assert DEFAULT_PRESET in preset_names()


@pytest.mark.parametrize("name", ["demo", "fast", "quality", "gpu"])
def test_json_round_trip(name):
    preset = load_preset(name)
    assert preset_from_mapping(preset.to_json()) == preset


def test_every_field_has_a_kind_the_loader_knows():
    for field in dataclasses.fields(Preset):
        value = getattr(Preset(), field.name)
        assert preset_from_mapping({field.name: list(value) if isinstance(value, tuple) else value}) is not None


def test_unknown_key_names_the_nearest(tmp_path):
    (tmp_path / "mine.toml").write_text("static_iteration = 5\n")
    with pytest.raises(UserError) as caught:
        load_preset(str(tmp_path / "mine.toml"))
    assert "mine.toml" in caught.value.message and "'static_iterations'" in caught.value.hint


def test_own_file_and_settings(tmp_path):
    (tmp_path / "mine.toml").write_text('speech = "mel"\nsize = 256\n')
    preset = load_preset(str(tmp_path / "mine.toml"), {"size": "320", "planes": "dense"})
    assert (preset.name, preset.speech, preset.size, preset.planes) == ("mine", "mel", 320, "dense")


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("size", "big", "whole number"),
        ("size", True, "whole number"),
        ("speech", "opera", "whisper"),
        ("name", 3, "text"),
    ],
)
def test_values_of_the_wrong_kind(key, value, word):
    with pytest.raises(UserError) as caught:
        preset_from_mapping({key: value})
    assert key in caught.value.message and word in caught.value.hint


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(UserError, match="no preset file"):
        load_preset(str(tmp_path / "none.toml"))
    with pytest.raises(UserError, match="Did you mean 'quality'"):
        load_preset("qualty")
    (tmp_path / "broken.toml").write_bytes(b"size = = 3\n\xff")
    with pytest.raises(UserError, match="not a valid TOML"):
        load_preset(str(tmp_path / "broken.toml"))


@settings(deadline=None, max_examples=80)
@given(text=st.text(max_size=40))
def test_any_text_is_a_preset_or_a_user_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        assert isinstance(load_preset(str(path)), Preset)
    except UserError as error:
        assert error.hint
