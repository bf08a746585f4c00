from __future__ import annotations

from pathlib import Path

import pytest

from splatalk.errors import UserError
from splatalk.export.compact import to_bytes
from splatalk.export.player import bundle
from tests.viewer.browser import FLAGS, Opened, chromium, opened
from tests.viewer.performer import performer


@pytest.fixture(scope="session")
def player_bundle():
    try:
        return bundle()
    except UserError as error:
        pytest.skip(f"NOT TESTED: {error}")


@pytest.fixture(scope="session")
def browser(player_bundle):
    sync_api = pytest.importorskip("playwright.sync_api", reason="NOT TESTED: pip install playwright")
    program = chromium()
    if program is None:
        pytest.skip("NOT TESTED: no Chromium found; install the package chromium")
    with sync_api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture(scope="session")
def performance_page(player_bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up person in a self-contained page."""
    path = tmp_path_factory.mktemp("page") / "performer.html"
    path.write_text(player_bundle.page(to_bytes(*performer()), "A <made-up> person"), encoding="utf-8")
    return path


@pytest.fixture
def player(browser, performance_page) -> Opened:
    """That page in a fresh window, the player ready."""
    with opened(browser, performance_page) as seen:
        seen.until("window.splatalk !== undefined", "the player")
        yield seen
