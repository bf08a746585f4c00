"""What is kept of a consent, what is refused, and how earlier files are shown."""

from __future__ import annotations

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splatalk import consent
from splatalk.consent import FIELDS, LONGEST, NONE, Consent
from splatalk.errors import UserError

FULL = {
    "statement": "Yes, and I know what it is.", "subject": "Ada", "given_by": "B. Person", "date": "2026-05-03",
    "purpose": "a museum guide",
}  # fmt: skip


def written(tmp_path, content: bytes):
    path = tmp_path / "consent.json"
    path.write_bytes(content)
    return path


def test_a_file_gives_every_field_and_comes_back_from_what_is_kept(tmp_path):
    told = consent.read(written(tmp_path, json.dumps(FULL).encode()))
    assert told.to_json() == {**FULL, "recorded": told.recorded}
    assert consent.stored(json.loads(json.dumps(told.to_json()))) == told
    shown = consent.sentence(told.to_json())
    assert all(text.rstrip(".") in shown for text in FULL.values()) and "\n" not in shown


@pytest.mark.parametrize(
    "content",
    [b"", b"[1]", b'"yes"', b"{", b'{"statement": 1}', b'{"statment": "Yes."}', b'{"purpose": "fun"}', b"\xff\xfe",
     b'{"statement": " "}', b"[" * 20_000, b'{"statement": "' + b"a" * 70_000 + b'"}'],
    ids=lambda c: c[:16].decode("latin-1"),
)  # fmt: skip
def test_what_is_no_consent_is_refused(tmp_path, content):
    with pytest.raises(UserError) as caught:
        consent.read(written(tmp_path, content))
    assert caught.value.hint


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError):
        consent.read(tmp_path / "none.json")


@pytest.mark.parametrize("name", FIELDS)
def test_fields_have_a_limit(name):
    with pytest.raises(UserError, match=r"characters long|not a date"):
        Consent(**{"subject": "Ada", name: "a" * (LONGEST[name] + 1)})


def test_dates_are_days_that_have_been():
    assert Consent("Yes.", date="2024-02-29").date == "2024-02-29"
    later = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3)).date().isoformat()
    for wrong in ("2023-02-29", "3 May", later):
        with pytest.raises(UserError):
            Consent("Yes.", date=wrong)


def test_nothing_reaches_a_terminal_but_text():
    told = Consent("Yes.\x1b[2J\nNo.", subject="A\u202edA")
    assert told.statement == "Yes. [2J No." and told.subject == "A dA"
    assert "\x1b" not in consent.sentence("old\x1b[0m") + consent.sentence({"who\x1b": "a\x1bb"})


def test_earlier_files_stay_readable():
    assert consent.sentence(None) == consent.sentence("") == consent.sentence({}) == NONE
    assert consent.sentence("I agreed.") == "I agreed."
    assert consent.sentence({"statement": "Yes", "recorded": "2026-11-21"}) == "Yes. Recorded 2026-11-21."
    assert consent.sentence({"who": "nobody"}) == "who: nobody."
    assert consent.stored("I agreed.") is None and consent.stored({"who": "nobody"}) is None


@given(st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_anything_in_a_file_can_be_shown(told):
    shown = consent.sentence(told)
    assert shown and all(ord(sign) >= 32 for sign in shown)
    assert consent.stored(told) is None or set(told) <= {*FIELDS, "recorded"}
