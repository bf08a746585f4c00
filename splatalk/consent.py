"""Who agreed to an avatar of whom, when, and for what: a statement that goes with the capture, the avatar and exports.

It is kept as a JSON object with some of ``FIELDS`` and ``recorded``, the day on which it was given to this program.
Earlier files hold a plain string, or other keys; they are shown as they are.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from splatalk.errors import UserError

LONGEST = {"statement": 2000, "subject": 200, "given_by": 200, "purpose": 500, "date": 10}
"""Fields and how many characters each may have."""
FIELDS = {
    "statement": "what was agreed to, in one's own words",
    "subject": "the person in the recording",
    "given_by": "who agreed: the person, or who may speak for them",
    "date": "the day, YYYY-MM-DD",
    "purpose": "what the avatar is for",
}
NONE = "none recorded"
_SHOWN = {*FIELDS, "recorded"}
_MOST_BYTES = 64_000
_CONTROL = ("Cc", "Cs", "Zl", "Zp")
_TURNING = "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_HINT = f"Give a JSON object with texts for some of: {', '.join(FIELDS)}."


@dataclasses.dataclass(frozen=True)
class Consent:
    """See ``FIELDS``; what is not known is empty.

    Raises:
        UserError: nothing is said, a field is too long, or the date is none or to come.
    """

    statement: str = ""
    subject: str = ""
    given_by: str = ""
    date: str = ""
    purpose: str = ""
    recorded: str = dataclasses.field(default_factory=lambda: _today().isoformat(), compare=False)

    def __post_init__(self) -> None:
        for name, most in LONGEST.items():
            text = printable(getattr(self, name)).strip()
            if len(text) > most:
                raise UserError(f"The consent's {name} is {len(text)} characters long.", f"Use {most} at most.")
            object.__setattr__(self, name, text)
        if not (self.statement or self.subject or self.given_by):
            raise UserError("The consent says nothing.", 'Say who agreed, such as --consent "I am the person in it."')
        if self.date:
            try:
                day = datetime.date.fromisoformat(self.date)
            except ValueError as error:
                raise UserError(f"{self.date!r} is not a date.", "Write the day as YYYY-MM-DD.") from error
            if day > _today() + datetime.timedelta(days=1):  # it is tomorrow already in the east
                raise UserError(f"The consent is of {self.date}, a day to come.", "Give the day of the consent.")

    def to_json(self) -> dict[str, str]:
        """The fields that say something, and ``recorded``."""
        return {name: text for name, text in dataclasses.asdict(self).items() if text}


def read(path: Path) -> Consent:
    """The consent in a JSON file.

    Raises:
        UserError: it cannot be read, is too large, or holds something else.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).", _HINT) from error
    if len(data) > _MOST_BYTES:
        raise UserError(f"{path} is too large for a consent.", _HINT)
    try:
        told = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON.", _HINT) from error
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        raise UserError(f"{path} does not hold a consent.", _HINT)
    unknown = sorted(set(told) - set(FIELDS))
    if unknown:
        raise UserError(f"{path} has {unknown[0]!r}, which a consent does not.", _HINT)
    return Consent(**told)


def stored(told: object) -> Consent | None:
    """What ``Consent.to_json`` made; None for anything else."""
    if not isinstance(told, dict) or not set(told) <= {*FIELDS, "recorded"}:
        return None
    try:
        return Consent(**told) if all(isinstance(value, str) for value in told.values()) else None
    except UserError:
        return None


def sentence(told: object) -> str:
    """Consent as kept in a file, of this or an earlier program, on one line for people."""
    if not told:
        return NONE
    if not isinstance(told, Mapping):
        return printable(str(told))
    parts = [_ended(printable(str(told["statement"])))] if told.get("statement") else []
    for name, words in (("subject", "Of"), ("given_by", "Given by"), ("date", "On"), ("purpose", "For")):
        if told.get(name):
            parts.append(_ended(f"{words} {printable(str(told[name]))}"))
    parts += [_ended(f"{printable(str(k))}: {printable(str(v))}") for k, v in told.items() if k not in _SHOWN]
    if told.get("recorded"):
        parts.append(f"Recorded {printable(str(told['recorded']))}.")
    return " ".join(parts)


def printable(text: str) -> str:
    """Text without line breaks, control and direction characters: it comes from strangers and goes to terminals."""
    kept = (" " if sign in _TURNING or unicodedata.category(sign) in _CONTROL else sign for sign in text)
    return "".join(kept)


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()
