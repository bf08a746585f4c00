"""What the benchmarks share."""

from __future__ import annotations

import datetime
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from splatalk import kernels
from splatalk.errors import UserError
from splatalk.evaluate.machine import processor
from splatalk.files import atomic_path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"


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


def command() -> str:
    """What was typed, without the folders of this machine."""
    main = sys.modules["__main__"].__spec__
    words = [Path(word).name if os.sep in word else word for word in sys.argv[1:]]
    return " ".join(["python", "-m", main.name if main else Path(sys.argv[0]).name, *words])


def machine() -> dict[str, str]:
    """Command, date, processor and what it was shared with: a speed means nothing without them."""
    module = kernels.native()
    return {
        "command": command(),
        "date": datetime.date.today().isoformat(),
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "instruction set": module.isa() if module else f"none ({kernels.native_error()})",
        "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
    }


def median_and_best(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Milliseconds of a call, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[1:]), min(times[1:])


def save_result(name: str, title: str, text: str, values: dict[str, Any]) -> None:
    """Write ``results/NAME.md`` and ``NAME.json``; ``values`` holds ``machine``."""
    facts = "\n".join(f"* {key}: {value}" for key, value in values["machine"].items())
    for suffix, content in ((".json", json.dumps(values, indent=1) + "\n"), (".md", f"# {title}\n\n{facts}\n\n{text}")):
        with atomic_path(RESULTS / f"{name}{suffix}") as path:
            path.write_text(content, encoding="utf-8")
