"""Speed of the CPU kernels against their plain torch twins, on a scene with the statistics of an avatar.

python -m benchmarks.cpu [--sizes 10000 30000 100000] [--threads 2] [--no-reference] [--save]

Each figure is the median over repeats after a warm-up; a busy machine (see its load) makes them much larger.
``--save`` writes benchmarks/results/cpu.json and cpu.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from splatalk import kernels
from splatalk.evaluate.machine import processor
from splatalk.files import atomic_path
from splatalk.kernels.hash_triplane import HashTriplaneSpec, hash_triplane, hash_triplane_reference
from splatalk.kernels.raster import rasterize_cpu
from splatalk.kernels.raster_reference import rasterize_reference
from splatalk.kernels.ssim import ssim, ssim_reference

RESULTS = Path(__file__).parent / "results"
SIDE, FOCAL = 512, 1100.0


def head_and_shoulders(n: int, seed: int = 0) -> list[Tensor]:
    """Means, quats, scales, opacities and colours of n Gaussians on two ellipsoid shells, 72 % of the picture covered.

    Screen sizes are log-normal around 2 px (for 30,000 Gaussians, finer for more), 60 % of them mostly opaque.
    """
    r = np.random.default_rng(seed)
    in_head = np.arange(n) < 0.62 * n
    direction = r.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    shell = direction * (1 + 0.055 * r.normal(size=(n, 1)))
    means = np.where(
        in_head[:, None], shell * [0.62, 0.80, 0.68] + [0, -0.28, 4.4], shell * [1.05, 0.62, 0.45] + [0, 1.02, 4.45]
    )
    pixels = np.exp(r.normal(np.log(2.0), 0.45, size=(n, 1)) + r.normal(0, 0.3, size=(n, 3)))
    pixels = pixels.clip(0.7, 7.0) * np.sqrt(30000 / n)
    logits = np.where(r.random(n) < 0.6, r.normal(1.8, 1.0, n), r.normal(-1.2, 1.0, n))
    arrays = [means, r.normal(size=(n, 4)), pixels * means[:, 2:] / FOCAL, 1 / (1 + np.exp(-logits)), r.random((n, 3))]
    order = r.permutation(n)
    return [torch.from_numpy(a[order].astype(np.float32)).requires_grad_() for a in arrays]


def milliseconds(call: Callable[[], object], repeats: int) -> float:
    """Median wall time of a call."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[1:])


def measure(forward: Callable[[], Tensor], leaves: list[Tensor], repeats: int) -> tuple[float, float]:
    """Forward, and forward with backward, in milliseconds."""

    def without_graph() -> None:
        with torch.no_grad():
            forward()

    gradient = torch.randn(forward().shape)

    def with_backward() -> None:
        for leaf in leaves:
            leaf.grad = None
        forward().backward(gradient)

    return milliseconds(without_graph, repeats), milliseconds(with_backward, repeats)


def raster_case(n: int, draw: Callable) -> tuple[Callable[[], Tensor], list[Tensor]]:
    leaves = head_and_shoulders(n)
    camera = (torch.eye(4), (FOCAL, FOCAL, SIDE / 2, SIDE / 2), SIDE, SIDE)
    return lambda: draw(*leaves, *camera, torch.full((3,), 0.5))[0], leaves


def hash_case(n: int, look_up: Callable) -> tuple[Callable[[], Tensor], list[Tensor]]:
    spec = HashTriplaneSpec()
    tables, x = spec.init_tables().requires_grad_(), torch.rand(n, 3)
    return lambda: look_up(x, tables, spec), [tables]


def ssim_case(side: int, compare: Callable) -> tuple[Callable[[], Tensor], list[Tensor]]:
    image, target = torch.rand(side, side, 3, requires_grad=True), torch.rand(side, side, 3)
    return lambda: compare(image, target), [image]


def rows(sizes: list[int], with_reference: bool) -> list[dict]:
    cases = [
        (f"rasterizer {n} Gaussians {SIDE}x{SIDE}", raster_case, n, rasterize_cpu, rasterize_reference) for n in sizes
    ]
    cases += [(f"hash triplane {n} points", hash_case, n, hash_triplane, hash_triplane_reference) for n in sizes]
    cases += [(f"SSIM {SIDE}x{SIDE}", ssim_case, SIDE, ssim, ssim_reference)]
    out = []
    for name, case, size, compiled, reference in cases:
        row: dict = {"kernel": name}
        row["forward_ms"], row["forward_backward_ms"] = measure(*case(size, compiled), repeats=20)
        if with_reference:
            row["torch_forward_ms"], row["torch_forward_backward_ms"] = measure(*case(size, reference), repeats=1)
        out.append({key: round(value, 2) if isinstance(value, float) else value for key, value in row.items()})
    return out


def machine() -> dict[str, object]:
    module = kernels.native()
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": processor(),
        "threads": torch.get_num_threads(),
        "instruction_set": module.isa() if module else f"none ({kernels.native_error()})",
        "torch": torch.__version__,
        "load_before": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
    }


def table(result: dict) -> str:
    """The figures as a Markdown table."""
    lines = [", ".join(f"{key.replace('_', ' ')} {value}" for key, value in result["machine"].items()), ""]
    lines += ["| kernel | forward ms | forward+backward ms | torch forward ms | torch forward+backward ms |"]
    lines += ["|---|---|---|---|---|"]
    for row in result["rows"]:
        figures = [
            row.get(prefix + key, "–") for prefix in ("", "torch_") for key in ("forward_ms", "forward_backward_ms")
        ]
        lines.append(f"| {row['kernel']} | " + " | ".join(map(str, figures)) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10000, 30000, 100000], help="numbers of Gaussians")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--no-reference", action="store_true", help="leave the slow torch twins out")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/cpu.json and cpu.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    result = {"machine": machine(), "rows": rows(options.sizes, not options.no_reference)}
    print(table(result), end="")
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        for name, text in (
            ("cpu.json", json.dumps(result, indent=2) + "\n"),
            ("cpu.md", "# CPU kernels\n\n" + table(result)),
        ):
            with atomic_path(RESULTS / name) as path:
                path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
