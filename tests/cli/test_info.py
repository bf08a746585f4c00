"""What info says first, and that consent reaches it, the avatar and the exports whole."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from splatalk.capture.dataset import Capture
from splatalk.config import load_preset
from splatalk.consent import Consent
from splatalk.export.canonical import provenance
from splatalk.train.run import _meta

AGREED = Consent("Yes.", "Ada", "B. Person", "2026-05-03", "a museum guide").to_json()
TOLD = ("Yes.", "Of Ada.", "Given by B. Person.", "On 2026-05-03.", "For a museum guide.")
QUALITY = {
    "grade": {"points": 61, "word": "fair"}, "warnings": ["It is dark."], "advice": ["Light a lamp.\x1b[2J"],
}  # fmt: skip


@pytest.fixture
def captured(monkeypatch, tmp_path):
    """A capture folder that loads with the consent and quality it is given."""

    def make(consent, quality):
        folder = tmp_path / "me.capture"
        folder.mkdir(exist_ok=True)
        (folder / "report.html").write_text("page")
        capture = SimpleNamespace(
            path=folder, n_frames=50, fps=25.0, camera=SimpleNamespace(width=64, height=48),
            tracks=SimpleNamespace(valid=np.ones(50, bool)), train_frames=lambda: np.arange(45),
            meta={"consent": consent, "quality": quality, "source": {"name": "me\x07.mp4"}},
        )  # fmt: skip
        monkeypatch.setattr(Capture, "load", lambda _: capture)
        return capture

    return make


def test_a_capture_is_graded_with_its_report_and_consent(run, run_json, captured):
    capture = captured(AGREED, QUALITY)
    shown = run("info", capture.path).stdout
    for text in ("fair, 61 of 100", "Warning: It is dark.", "To do better: Light a lamp.", *TOLD):
        assert text in shown
    assert f"The whole report: {capture.path / 'report.html'}" in shown
    assert "\x1b" not in shown and "\x07" not in shown, "files of strangers do not steer the terminal"
    facts = run_json("info", capture.path)
    assert facts["report"] == str(capture.path / "report.html") and facts["consent"] == AGREED


@pytest.mark.parametrize(
    ("consent", "told"), [(None, "Consent: none recorded"), ("I agreed.", "Consent: I agreed."), ({"who": "me"}, "me")]
)
def test_captures_of_earlier_versions(run, captured, consent, told):
    capture = captured(consent, {"advice": ["Nod."], "warnings": []})
    (capture.path / "report.html").unlink()
    shown = run("info", capture.path).stdout
    assert told in shown and "Nod." in shown and "whole report" not in shown


def test_consent_goes_from_the_capture_to_the_avatar_and_its_exports(captured):
    meta = _meta(captured(AGREED, QUALITY), load_preset("demo", {}), 0)
    assert meta["consent"] == AGREED
    carried = provenance(SimpleNamespace(meta=meta))["consent"]
    assert all(text in carried for text in TOLD)
    assert provenance(SimpleNamespace(meta={**meta, "consent": "I agreed."}))["consent"] == "I agreed."
    assert provenance(SimpleNamespace(meta={}))["consent"] == "none recorded"
