"""Where and when something was measured; a speed means nothing without it."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

import torch

import splatalk
from splatalk.render import backends


def machine_facts(n_gaussians: int, backend: str) -> dict[str, str]:
    """Date, versions, processor and backend, for the report."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "splatalk": splatalk.__version__,
        "Gaussians": f"{n_gaussians:,}",
        "backend": backends.choose(backend),
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
    }


def processor() -> str:
    """Name of the processor as well as the system tells it."""
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
