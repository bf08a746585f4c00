"""Errors that are the user's to fix. Anything else that is raised is a bug in splatalk."""

from __future__ import annotations


class UserError(Exception):
    """Something outside the program is wrong: a file, an option, the machine.

    The command line prints ``message`` and ``hint`` (never a stack trace) and exits with ``exit_code``.

    Args:
        message: one sentence saying what is wrong and where.
        hint: one sentence saying what to do about it.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class CaptureError(UserError):
    """The recording cannot be enrolled."""


class FormatError(UserError):
    """A file is damaged, truncated or of another kind than expected."""


class AssetError(UserError):
    """A model file is missing and could not be fetched, or its checksum is wrong."""


class BackendError(UserError):
    """A backend was asked for that cannot run on this machine."""
