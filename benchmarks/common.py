"""What the benchmarks share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from splatalk.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


def shared_recordings() -> Path:
    """Folder of the recordings with truth: ``captures`` in $SPLATALK_SHARED, or in ``shared`` beside the repository.

    Raises:
        UserError: there is none.
    """
    base = Path(os.environ.get("SPLATALK_SHARED") or ROOT.parent / "shared")
    if not (base / "captures").is_dir():
        raise UserError(f"There are no recordings in {base / 'captures'}.", "Set SPLATALK_SHARED to their folder.")
    return base / "captures"


def told(main: Callable[[], None]) -> None:
    """Run a benchmark; what the user can fix is told without a stack trace."""
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
