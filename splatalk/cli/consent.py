"""How a command comes by the consent: an option, a file, or questions on a terminal."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from splatalk import progress
from splatalk.cli.common import PATH
from splatalk.consent import Consent, printable, read
from splatalk.errors import UserError


def consent_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--consent`` and ``--consent-file``; the command gets ``consent``: a ``Consent``, or None without either."""

    @click.option("--consent", "statement", help="Who agreed to this, when and how. Kept in avatar and exports.")
    @click.option("--consent-file", type=PATH, help="The same as JSON: statement, subject, given_by, date, purpose.")
    @functools.wraps(function)
    def wrapped(*args: Any, statement: str | None, consent_file: Path | None, **kwargs: Any) -> Any:
        if statement is not None and consent_file is not None:
            raise UserError("Both --consent and --consent-file are given.", "Give one of them.")
        given = Consent(statement) if statement is not None else read(consent_file) if consent_file else None
        return function(*args, consent=given, **kwargs)

    return wrapped


def obtain(given: Consent | None, video: Path) -> Consent | None:
    """The consent that was given; else people at a terminal are asked, and a script is reminded and goes on without.

    Raises:
        UserError: the answer was no.
    """
    if given is not None:
        return given
    if _at_terminal():
        return _ask(video)
    progress.note('No consent is recorded. Say that the person agreed with --consent "…" or --consent-file.')
    return None


def _at_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty() and not progress.is_quiet()


def _ask(video: Path) -> Consent:
    click.echo("An avatar is of somebody. What you answer is kept in it and in everything exported from it.", err=True)
    if not click.confirm(f"Did the person in {printable(video.name)} agree to it?", default=False, err=True):
        raise UserError("Without the person's consent nothing is made.", "Ask them first, then run the command again.")
    while not (subject := click.prompt("Who is the person", err=True).strip()):
        pass
    given_by = click.prompt("Who gave the consent", default=subject, err=True)
    purpose = click.prompt("What is the avatar for (Enter: not said)", default="", show_default=False, err=True)
    date = click.prompt("When, YYYY-MM-DD (Enter: not said)", default="", show_default=False, err=True)
    return Consent("Agreed to an avatar made from this recording.", subject, given_by, date, purpose)
