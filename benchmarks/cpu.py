"""Speed of the CPU kernels against their plain torch twins, and how it grows with Gaussians and pixels.

    python -m benchmarks.cpu [--gaussians 10000 30000 50000 100000] [--sides 256 512 1024] [--budget 240] [--save]

The scene has the statistics of an avatar. Figures are medians and, in brackets, the best of several repeats after a
warm-up; a busy machine (see its load) makes medians larger. The twins are slow: their cells are measured once each,
cheapest first, until the budget (seconds) is spent; what is left out says so. ``--save`` writes cpu.md, cpu.json and
cpu.svg into benchmarks/results.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.chart import log_chart
from benchmarks.common import RESULTS, machine, median_and_best, save_result
from splatalk.files import atomic_path
from splatalk.kernels.attention_mlp import AttentionMlp, attention_mlp, attention_mlp_reference
from splatalk.kernels.hash_triplane import HashTriplaneSpec, hash_triplane, hash_triplane_reference
from splatalk.kernels.posing import OFFSETS, Canonical, pose, pose_reference
from splatalk.kernels.raster import rasterize_cpu
from splatalk.kernels.raster_reference import rasterize_reference
from splatalk.kernels.ssim import ssim, ssim_reference
from splatalk.progress import bar
from splatalk.train.perceptual import PatchDistance

FOCAL_SHARE = 1100 / 512
KERNELS_AT = (30_000, 512)
PATCH = 192
DYNAMIC = 0.64
"""Share of the Gaussians of an avatar that the network moves."""
NETWORK = (72, 64, 2, 12, 64, 64, OFFSETS)
"""Encoder's inputs, width, heads, tokens, hidden, second, outputs."""
NOT_RUN = "not run"
TWIN_LIMIT = 6e10
"""Gaussians times pixels above which the twin would need more memory than a laptop has."""

Case = tuple[Callable[[], Tensor], list[Tensor]]


@dataclasses.dataclass
class Cell:
    """One thing that is timed: by this backend and by its twin; milliseconds as (median, best), or None."""

    name: str
    gaussians: int
    side: int
    make: Callable[[bool], Case]
    forward: tuple[float, float] | None = None
    both: tuple[float, float] | None = None
    twin_forward: float | None = None
    twin_both: float | None = None


def head_and_shoulders(n: int, seed: int = 0) -> list[Tensor]:
    """Means, quats, scales, opacities and colours of n Gaussians on two ellipsoid shells, 72 % of the picture covered.

    Screen sizes are log-normal around 2 px of 512 (for 30,000 Gaussians, finer for more), 60 % of them mostly opaque.
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
    scales = pixels * means[:, 2:] / (512 * FOCAL_SHARE)
    arrays = [means, r.normal(size=(n, 4)), scales, 1 / (1 + np.exp(-logits)), r.random((n, 3))]
    order = r.permutation(n)
    return [torch.from_numpy(a[order].astype(np.float32)) for a in arrays]


def draw_case(n: int, side: int, twin: bool) -> Case:
    leaves = [t.requires_grad_() for t in head_and_shoulders(n)]
    focal = side * FOCAL_SHARE
    camera = (torch.eye(4), (focal, focal, side / 2, side / 2), side, side)
    draw = rasterize_reference if twin else rasterize_cpu
    return lambda: draw(*leaves, *camera, torch.full((3,), 0.5))[0], leaves


def hash_case(n: int, twin: bool) -> Case:
    spec = HashTriplaneSpec()
    tables, x = spec.init_tables().requires_grad_(), torch.rand(n, 3)
    look_up = hash_triplane_reference if twin else hash_triplane
    return lambda: look_up(x, tables, spec), [tables]


def ssim_case(side: int, twin: bool) -> Case:
    image, target = torch.rand(side, side, 3, requires_grad=True), torch.rand(side, side, 3)
    compare = ssim_reference if twin else ssim
    return lambda: compare(image, target), [image]


def perceptual_case(side: int, twin: bool) -> Case:
    """A drawn patch compared with a recorded one, as a training step does it."""
    distance = PatchDistance(torch.device("cpu"))
    if twin:
        distance.compiled = None
    drawn, recorded = torch.rand(side, side, 3, requires_grad=True), torch.rand(side, side, 3)
    return lambda: distance(drawn, recorded), [drawn]


def network_case(n: int, twin: bool) -> Case:
    """Triplane features of the dynamic ones among n Gaussians to their offsets, as in training."""
    inputs, width, heads, tokens, hidden, second, outputs = NETWORK
    scores = heads * tokens
    shapes = [(scores, width), (scores,), (hidden, width), (hidden,), (hidden, scores)]
    shapes += [(second, hidden), (second,), (outputs, second), (outputs,), (width, inputs), (width,)]
    weights = [(0.1 * torch.randn(shape)).requires_grad_() for shape in shapes]
    x = torch.randn(round(DYNAMIC * n), inputs, requires_grad=True)
    run = attention_mlp_reference if twin else attention_mlp
    return lambda: run(x, AttentionMlp(heads, *weights)), [x, *weights]


def pose_case(n: int, twin: bool) -> Case:
    means, quats, scales, opacities, colors = head_and_shoulders(n)
    learned = [means, quats, scales.log(), opacities.logit(), colors, torch.randn(n)]
    g = Canonical(
        *(t.requires_grad_() for t in learned), torch.arange(n) < round(DYNAMIC * n), torch.randint(478, (n, 3)),
        torch.rand(n, 3) / 3,
    )  # fmt: skip
    offsets = (0.01 * torch.randn(round(DYNAMIC * n), OFFSETS)).requires_grad_()
    surface, bones = 0.01 * torch.randn(478, 3), [torch.eye(4), torch.eye(4)]
    run = pose_reference if twin else pose
    return lambda: torch.cat(run(g, offsets, surface, *bones)[:3], 1), [*g[:6], offsets]


def cells(gaussians: list[int], sides: list[int]) -> list[Cell]:
    n, side = KERNELS_AT
    made = [
        Cell("hash triplane", n, 0, lambda twin: hash_case(n, twin)),
        Cell("attention and decoder", n, 0, lambda twin: network_case(n, twin)),
        Cell("posing", n, 0, lambda twin: pose_case(n, twin)),
        Cell("SSIM", 0, side, lambda twin: ssim_case(side, twin)),
        Cell(f"LPIPS of {PATCH}²", 0, PATCH, lambda twin: perceptual_case(PATCH, twin)),
    ]
    for count in gaussians:
        for edge in sides:
            made.append(Cell("rasterizer", count, edge, lambda twin, c=count, e=edge: draw_case(c, e, twin)))  # type: ignore[misc]
    return made


def _runs(case: Case) -> tuple[Callable[[], object], Callable[[], object]]:
    """Forward, and forward with backward."""
    forward, leaves = case
    with torch.no_grad():
        gradient = torch.randn(forward().shape)

    def without_graph() -> None:
        with torch.no_grad():
            forward()

    def with_backward() -> None:
        for leaf in leaves:
            leaf.grad = None
        forward().backward(gradient)

    return without_graph, with_backward


def measure_compiled(cell: Cell, repeats: int) -> None:
    forward, both = _runs(cell.make(False))
    cell.forward, cell.both = median_and_best(forward, repeats), median_and_best(both, repeats)


def measure_twin(cell: Cell) -> None:
    """Once; after a warm-up where that is cheap."""
    forward, both = _runs(cell.make(True))  # runs forward once
    if cell.name != "rasterizer":
        both()
    times = [time.perf_counter()]
    for run in (forward, both):
        run()
        times.append(time.perf_counter())
    cell.twin_forward, cell.twin_both = ((b - a) * 1e3 for a, b in itertools.pairwise(times))


def measure(made: list[Cell], repeats: int, budget: float) -> None:
    """Everything compiled, then twins, cheapest first, while the next is expected to fit into ``budget`` seconds."""
    with bar("Compiled kernels", len(made), unit="cell") as step:
        for cell in made:
            measure_compiled(cell, repeats)
            step()
    began, slowest = time.perf_counter(), 0.0
    order = sorted(made, key=lambda c: (c.name == "rasterizer", max(c.gaussians, 1) * max(c.side, 1) ** 2))
    with bar("Torch twins", len(order), unit="cell") as step:
        for cell in order:
            start = time.perf_counter()
            if start - began + 2 * slowest <= budget and cell.gaussians * cell.side**2 < TWIN_LIMIT:
                measure_twin(cell)
                slowest = max(slowest, time.perf_counter() - start)
            step()


def table(made: list[Cell]) -> str:
    """The figures as Markdown."""
    head = ["| | forward ms | forward+backward ms | torch forward ms | torch forward+backward ms | times faster |"]
    head += ["|---|---|---|---|---|---|"]
    lines = [f"At {KERNELS_AT[0]:,} Gaussians of which {DYNAMIC:.0%} move, {KERNELS_AT[1]}² pixels:", "", *head]
    lines += [_row(cell.name, cell) for cell in made if cell.name != "rasterizer"]
    lines += ["", "Rasterizer:", "", *head]
    drawn = [cell for cell in made if cell.name == "rasterizer"]
    lines += [_row(f"{cell.gaussians:,} Gaussians, {cell.side}²", cell) for cell in drawn]
    lines += ["", growth(drawn), "", "Rivals on the CPU: none installs (gsplat needs its CUDA library).", ""]
    return "\n".join(lines)


def _row(name: str, cell: Cell) -> str:
    pairs = ((cell.forward, cell.twin_forward), (cell.both, cell.twin_both))
    own = [f"{pair[0]:.2f} ({pair[1]:.2f})" for pair, _ in pairs if pair]
    twins = [NOT_RUN if twin is None else f"{twin:.0f}" for _, twin in pairs]
    faster = [f"{twin / pair[0]:.0f}" for pair, twin in pairs if twin and pair]
    return f"| {name} | " + " | ".join((*own, *twins, " / ".join(faster) or "–")) + " |"


def growth(drawn: list[Cell]) -> str:
    """How the cost of drawing grows, in a sentence: least-squares exponents of the best times."""
    said = []
    for what, of, held, name in (
        ("Gaussians", lambda c: c.gaussians, lambda c: c.side, "{}² pixels"),
        ("pixels", lambda c: c.side**2, lambda c: c.gaussians, "{:,} Gaussians"),
    ):
        powers = []
        for value in sorted({held(c) for c in drawn}):
            points = [(of(c), c.both[1]) for c in drawn if held(c) == value and c.both]
            if len(points) > 1:
                powers.append(f"{_exponent(points):.2f} ({name.format(value)})")
        if powers:
            said.append(f"with the number of {what} to the power of {', '.join(powers)}")
    return f"Forward and backward together grow {'; '.join(said)}." if said else ""


def _exponent(points: list[tuple[int, float]]) -> float:
    logs = np.log(np.array(points, dtype=np.float64))
    return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


def chart(made: list[Cell]) -> str:
    drawn = [cell for cell in made if cell.name == "rasterizer"]
    own: dict[str, list[tuple[float, float]]] = {}
    twins: dict[str, list[tuple[float, float]]] = {}
    for cell in drawn:
        own.setdefault(f"{cell.side}²", []).append((cell.gaussians, cell.both[0] if cell.both else 0.0))
        if cell.twin_both is not None:
            twins.setdefault(f"{cell.side}²", []).append((cell.gaussians, cell.twin_both))
    return log_chart("Drawing Gaussians on the CPU, forward and backward", "Gaussians", "milliseconds", own, twins)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gaussians", type=int, nargs="+", default=[10_000, 30_000, 50_000, 100_000])
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 512, 1024], help="edges of the pictures, pixels")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--budget", type=float, default=240.0, help="seconds for the torch twins, 0 leaves them out")
    parser.add_argument("--save", action="store_true", help="write into benchmarks/results")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    facts = machine()
    made = cells(options.gaussians, options.sides)
    measure(made, options.repeats, options.budget)
    text = table(made)
    print(text)
    if options.save:
        rows = [{name: value for name, value in vars(cell).items() if name != "make"} for cell in made]
        text += "\n![Drawing, forward and backward](cpu.svg)\n"
        save_result("cpu", "CPU kernels", text, {"machine": facts, "rows": rows})
        with atomic_path(RESULTS / "cpu.svg") as path:
            path.write_text(chart(made), encoding="utf-8")


if __name__ == "__main__":
    main()
