"""The CUDA kernels: first whether they are right, then how fast they are, beside plain torch, gsplat and tinycudann.

    python -m benchmarks.gpu [--gaussians 30000] [--capture NAME.capture]    # writes benchmarks/results/gpu.*
    python -m benchmarks.gpu --host      # no GPU: the same kernels' logic on the CPU, small, without times

Errors are relative, |ours - torch| / |torch| over all entries, the largest of values and gradients; torch computes in
double precision. Times are medians of CUDA events after a warm-up, batch 1. Exit code 1 when a kernel is wrong.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.common import RESULTS, told
from benchmarks.cpu import FOCAL_SHARE, head_and_shoulders
from benchmarks.stand_in import controls, person
from splatalk.avatar.playback import frame_input, prepare
from splatalk.drive.playback_graph import PlaybackGraph
from splatalk.errors import UserError
from splatalk.files import atomic_path
from splatalk.kernels import cuda, tcnn_adapter
from splatalk.kernels.cuda.hash_triplane import hash_triplane_cuda
from splatalk.kernels.cuda.raster import rasterize_cuda
from splatalk.kernels.cuda.ssim import l1_ssim_cuda
from splatalk.kernels.hash_triplane import HashTriplaneSpec, hash_triplane_reference
from splatalk.kernels.raster_reference import rasterize_reference
from splatalk.kernels.ssim import ssim_reference
from splatalk.render import backends
from splatalk.render.camera import Camera
from splatalk.render.gsplat_adapter import rasterize_gsplat
from splatalk.render.rasterize import rasterize

SIDE = 512
Function = Callable[[list[Tensor]], Tensor]
HEAD_DISTANCE = 4.4  # metres, in the scene of benchmarks.cpu
FRAMES = 400  # one after another, when playback is timed


@dataclasses.dataclass
class Row:
    """A line of the table; times in milliseconds, None where not measured.

    Args:
        error, limit: ours against torch, and the most it may be.
        other: name of the library beside it; other_error: its values and gradients against torch.
    """

    what: str
    size: str
    error: float
    limit: float
    forward: float | None = None
    both: float | None = None
    torch_forward: float | None = None
    torch_both: float | None = None
    other: str = ""
    other_error: float | None = None
    other_forward: float | None = None
    other_both: float | None = None
    note: str = ""

    @property
    def right(self) -> bool:
        return self.error <= self.limit


@dataclasses.dataclass
class Case:
    """One kernel on given leaves. ``twin`` and ``other`` compute the same by other means."""

    what: str
    size: str
    limit: float
    leaves: list[Tensor]
    ours: Function
    twin: Function
    other_name: str = ""
    other: Function | None = None


def raster_case(device: torch.device, n: int, side: int) -> Case:
    focal = side * FOCAL_SHARE
    leaves = [t.detach().to(device) for t in head_and_shoulders(n)]
    camera = (torch.eye(4), (focal, focal, side / 2, side / 2), side, side)
    behind = torch.full((3,), 0.5, device=device)
    gsplat = device.type == "cuda" and backends.available()["gsplat"].startswith("ready")
    return Case(
        "rasterizer", f"{n} Gaussians, {side}x{side}", 2e-3, leaves,
        lambda t: rasterize_cuda(*t, *camera, behind)[0],
        lambda t: rasterize_reference(*t, *camera, behind.to(t[0]))[0],
        "gsplat", (lambda t: rasterize_gsplat(*t, *camera, behind, None)[0]) if gsplat else None,
    )  # fmt: skip


def hash_case(device: torch.device, n: int) -> Case:
    spec = HashTriplaneSpec(finest_resolution=384)
    rand = torch.Generator().manual_seed(0)
    x = torch.rand(4 * n, 3, generator=rand)
    # The derivative jumps at cell borders: points there would compare roundings.
    position = x[:, :, None].double() * torch.from_numpy(spec.level_table[:, 0].copy())
    x = x[((position - position.round()).abs() > 1e-3).flatten(1).all(1)][:n].to(device)
    tables = torch.randn(3, spec.entries, spec.features, generator=rand).to(device)
    tcnn = device.type == "cuda" and tcnn_adapter.problem() is None
    return Case(
        "hash triplane", f"{len(x)} points", 1e-4, [x, tables],
        lambda t: hash_triplane_cuda(*t, spec), lambda t: hash_triplane_reference(*t, spec),
        "tinycudann", (lambda t: tcnn_adapter.hash_triplane_tcnn(*t, spec)) if tcnn else None,
    )  # fmt: skip


def ssim_case(device: torch.device, side: int) -> Case:
    rand = torch.Generator().manual_seed(0)
    a = torch.rand(side, side, 3, generator=rand)
    b = (a + 0.1 * torch.randn(a.shape, generator=rand)).clamp(0, 1).to(device)
    weight = torch.rand(side, side, generator=rand).to(device)
    return Case(
        "L1 and SSIM", f"{side}x{side}", 1e-4, [a.to(device)],
        lambda t: l1_ssim_cuda(t[0], b, weight, 0.2),
        lambda t: (weight.to(t[0])[..., None] * (t[0] - b.to(t[0])).abs()).mean()
        + 0.2 * (1 - ssim_reference(t[0], b.to(t[0]))),
    )  # fmt: skip


def results_of(function: Function, leaves: list[Tensor], kind: torch.dtype) -> list[Tensor]:
    """Values and the gradient of every leaf for a fixed direction."""
    leaves = [t.to(kind, copy=True).requires_grad_() for t in leaves]
    out = function(leaves)
    direction = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out)
    return [out.detach(), *torch.autograd.grad(out, leaves, direction)]


def error_of(values: list[Tensor], truth: list[Tensor]) -> float:
    return max(
        float((v.double() - t.double()).norm() / t.double().norm().clamp(min=1e-30))
        for v, t in zip(values, truth, strict=True)
    )


def checked(case: Case) -> Row:
    truth = results_of(case.twin, case.leaves, torch.float64)
    row = Row(
        case.what, case.size, error_of(results_of(case.ours, case.leaves, torch.float32), truth), case.limit,
        other=case.other_name if case.other else "",
    )  # fmt: skip
    if case.other is not None:
        row.other_error = error_of(results_of(case.other, case.leaves, torch.float32), truth)
    return row


def milliseconds(call: Callable[[], object], repeats: int) -> float:
    """Median time of a call on the current stream."""
    for _ in range(min(repeats, 5)):
        call()
    times = []
    for _ in range(repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def timed(case: Case, row: Row) -> Row:
    """``row`` with times of ``case``, which is larger than what was checked."""

    def measure(function: Function, repeats: int) -> tuple[float, float]:
        leaves = [t.clone().requires_grad_() for t in case.leaves]
        direction = torch.ones_like(function(leaves))

        def forward() -> None:
            with torch.no_grad():
                function(leaves)

        return milliseconds(forward, repeats), milliseconds(
            lambda: torch.autograd.grad(function(leaves), leaves, direction), repeats
        )

    row.size += f"; timed: {case.size}"
    row.forward, row.both = measure(case.ours, 50)
    row.torch_forward, row.torch_both = measure(case.twin, 3)
    if case.other is not None:
        row.other_forward, row.other_both = measure(case.other, 50)
    return row


def talking_head(n: int, side: int):
    """An avatar with the statistics of a real one, seen as in the other benchmarks; 62 % of it moves."""
    means, quats, scales, opacities, _ = head_and_shoulders(n)
    means = means.detach() - torch.tensor([0.0, 0.0, HEAD_DISTANCE])
    avatar = person(n, int(0.62 * n), scene=[means, quats, scales, opacities.clamp(0.01, 0.99)])
    focal = side * FOCAL_SHARE
    return avatar, Camera(side, side, focal, focal, side / 2, side / 2)


def driven(avatar, seed: int):
    frame = controls(avatar, seed)
    for pose in (frame.head_pose, frame.torso_pose):
        pose[2, 3] += HEAD_DISTANCE - 1.0
    return frame


def playback_rows(device: torch.device, n: int, side: int) -> list[Row]:
    """Posed Gaussians and drawn frames against the avatar in plain torch on the CPU."""
    avatar, camera = talking_head(n, side)
    frame = driven(avatar, 0)
    tokens, splats = avatar.tokens(frame), avatar.pose(frame)
    playback = prepare(avatar, device)
    given = frame_input(avatar, tokens, frame, camera)
    playback.frame[: len(given)].copy_(given)
    truth = [splats.means, splats.quats, splats.scales, splats.opacities, splats.sh]
    posed = Row("posed Gaussians", f"{n} Gaussians", error_of([t.cpu() for t in playback.posed()], truth), 1e-5)
    graph = PlaybackGraph(avatar, (side, side), torch.zeros(3), device)
    graph.draw(tokens, frame, camera)
    picture = rasterize(splats, camera).image
    drawn = Row("tokens to pixels", f"{n} Gaussians, {side}x{side}", error_of([graph.image.cpu()], [picture]), 1e-3)
    return [posed, drawn]


def time_playback(device: torch.device, n: int, side: int, rows: list[Row]) -> None:
    """Milliseconds a frame of the graph, and of the same avatar in torch operations with the same rasterizer."""
    avatar, camera = talking_head(n, side)
    frames = [driven(avatar, seed) for seed in range(8)]
    tokens = [avatar.tokens(f) for f in frames]
    inputs = [frame_input(avatar, t, f, camera) for t, f in zip(tokens, frames, strict=True)]
    graph = PlaybackGraph(avatar, (side, side), torch.zeros(3), device)
    for t, f in zip(tokens, frames, strict=True):
        graph.draw(t, f, camera)
    posed, drawn = rows
    posed.forward = milliseconds(lambda: graph.playback.project(side, side), 100)

    def stream() -> None:
        for i in range(FRAMES):
            graph.submit(inputs[i % len(inputs)])

    drawn.forward = milliseconds(stream, 5) / FRAMES
    shown = 1000 / milliseconds(lambda: graph.draw(tokens[0], frames[0], camera), 50)
    drawn.note = f"{1000 / drawn.forward:.0f} frames/s; {shown:.0f} frames/s with every picture fetched to the CPU"
    there = avatar.to(device)

    def eager() -> None:
        with torch.no_grad():
            rasterize(there.pose(frames[0]), camera, backend="cuda")

    drawn.torch_forward = milliseconds(eager, 30)
    for row in rows:
        row.size += f"; timed: {n} Gaussians" + (f", {side}x{side}" if row is drawn else "")


def training_rate(capture_path: Path, gaussians: int, steps: int = 200) -> str:
    from splatalk.capture.dataset import Capture
    from splatalk.config import load_preset
    from splatalk.train.device import choose
    from splatalk.train.run import build

    preset = dataclasses.replace(
        load_preset("gpu"), static_iterations=0, speech_iterations=steps + 20, perceptual_from=0.0,
        initial_gaussians=gaussians, max_gaussians=gaussians,
    )  # fmt: skip
    run = build(Capture.load(capture_path), preset, 0, choose("cuda")).run()
    for _ in range(20):
        next(run)
    began = time.perf_counter()
    for _ in range(steps):
        report = next(run)
    rate = steps / (time.perf_counter() - began)
    return f"Training: {rate:.1f} iterations/s with {report.gaussians} Gaussians at {preset.size} px, every loss term."


def table(facts: dict[str, object], rows: list[Row], remarks: list[str]) -> str:
    """Everything as Markdown."""

    def cell(value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}"

    head = ("kernel", "size", "error (limit)", "forward ms", "+ backward ms", "torch ms", "torch + backward ms")
    head = (*head, "beside", "its error", "its forward ms", "its + backward ms")
    body = [head]
    for r in rows:
        error = f"{r.error:.1e} ({r.limit:.0e}){'' if r.right else ' WRONG'}"
        other = "–" if r.other_error is None else f"{r.other_error:.1e}"
        cells = [r.what, r.size, error, *map(cell, (r.forward, r.both, r.torch_forward, r.torch_both))]
        cells += [r.other or "–", other, cell(r.other_forward), cell(r.other_both)]
        body.append(tuple(cells))
    measured = [column for column in range(len(head)) if any(cells[column] != "–" for cells in body[1:])]
    lines = [", ".join(f"{key} {value}" for key, value in facts.items()), ""]
    lines += [f"| {' | '.join(cells[column] for column in measured)} |" for cells in body]
    lines.insert(3, "|" + "---|" * len(measured))
    notes = [f"{r.what}: {r.note}." for r in rows if r.note]
    return "\n".join([*lines, "", *notes, *remarks]).rstrip() + "\n"


def run(host: bool, gaussians: int, capture: Path | None) -> tuple[dict[str, object], list[Row], list[str]]:
    device = torch.device("cpu") if host else torch.device("cuda", torch.cuda.current_device())
    small = (raster_case(device, 400, 64), hash_case(device, 200), ssim_case(device, 48))
    rows = [checked(case) for case in small]
    playback = playback_rows(device, 300, 64)
    remarks = []
    if host:
        facts: dict[str, object] = {"device": "CPU, through the host shim: logic only, no times"}
    else:
        large = (raster_case(device, gaussians, SIDE), hash_case(device, gaussians), ssim_case(device, SIDE))
        rows = [timed(case, row) for case, row in zip(large, rows, strict=True)]
        time_playback(device, gaussians, SIDE, playback)
        rate = "Training: not measured, no --capture." if capture is None else training_rate(capture, gaussians)
        remarks = [rate]
        facts = {"device": torch.cuda.get_device_name(), "CUDA": torch.version.cuda}
    facts |= {"torch": torch.__version__, "date": datetime.date.today().isoformat()}
    return facts, rows + playback, remarks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gaussians", type=int, default=30_000)
    parser.add_argument("--capture", type=Path, help="a capture to train on, for iterations a second")
    parser.add_argument("--host", action="store_true", help="check the kernels' logic on the CPU, without times")
    args = parser.parse_args()
    if not args.host and cuda.problem() is not None:
        raise UserError(f"There is no GPU for these kernels ({cuda.problem()}); --host checks them on the CPU.", "")
    torch.manual_seed(0)
    facts, rows, remarks = run(args.host, args.gaussians, args.capture)
    text = table(facts, rows, remarks)
    print(text, end="")
    if not args.host:
        data = {"machine": facts, "rows": [dataclasses.asdict(r) for r in rows], "remarks": remarks}
        contents = {"gpu.json": json.dumps(data, indent=2) + "\n", "gpu.md": "# CUDA kernels\n\n" + text}
        for name, content in contents.items():
            with atomic_path(RESULTS / name) as path:
                path.write_text(content, encoding="utf-8")
    if not all(r.right for r in rows):
        sys.exit(1)


if __name__ == "__main__":
    told(main)
