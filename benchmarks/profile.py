"""Where the time of a training step and of a playback frame goes.

    python -m benchmarks.profile --capture NAME.capture --avatar NAME.avatar --audio SPEECH.wav [--save]

A training step is one of the speech stage, in which everything learns, at 30,000 Gaussians; a playback frame is one of
an avatar that speaks, batch 1, from its controls to bytes. Parts are marked from outside; what an operation's backward
pass takes counts as the part that its forward pass belongs to. Marking slows parts of many small operations down, so
each table says how long a step takes without it. A part's floor is what its matrix products and convolutions alone take
at the speed of a large product, or its memory traffic at the speed of a large copy, measured just before on the same
machine. ``--save`` writes cpu_profile.md and cpu_profile.json into benchmarks/results.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.autograd.profiler import record_function
from torch.profiler import ProfilerActivity, profile

from benchmarks.common import machine, median_and_best, save_result
from splatalk import avatar as avatars
from splatalk.avatar import model, network
from splatalk.avatar.model import Avatar
from splatalk.capture import Capture
from splatalk.config import load_preset
from splatalk.drive import play as playing
from splatalk.drive.from_audio import from_audio
from splatalk.speech.audio import read_audio
from splatalk.train import frames, losses, optimizer, poses, trainer
from splatalk.train.run import build

WARM_UP, REST = 5, "everything else"
PARTS: dict[str, list[tuple[Any, str]]] = {
    "reading the frame": [(frames.FrameReader, "get")],
    "controls to tokens": [(model.Avatar, "tokens"), (network.TokenEncoder, "forward")],
    "face rig": [(model.Avatar, "surface")],
    "folding the network's weights": [(network.Deformation, "folded")],
    "hash triplane": [(network.HashPlanes, "forward")],
    "attention and decoder": [(network.Deformation, "forward"), (network.Deformation, "at")],
    "pose corrections": [(trainer.Trainer, "_refined"), (poses.PoseRefinement, "size")],
    "posing": [(model.Avatar, "splats")],
    "rasterizer": [(trainer, "rasterize"), (playing, "rasterize")],
    "L1 and SSIM": [(trainer, "photometric")],
    "silhouette, thinness, size of offsets": [
        (trainer, "silhouette"), (trainer, "thinness"), (trainer, "offset_size"),
    ],
    "LPIPS of a patch": [(losses.PatchPerceptual, "__call__")],
    "Adam": [(optimizer.NamedAdam, "step")],
    "picture to bytes": [(playing, "to_uint8")],
}  # fmt: skip


@dataclasses.dataclass
class Figures:
    """Milliseconds: of a step without marks (median and best), by part with marks (forward, backward), and floors."""

    median: float
    best: float
    parts: dict[str, tuple[float, float]]
    floors: dict[str, float]


@contextlib.contextmanager
def marked() -> Iterator[None]:
    """Calls of the functions in PARTS leave a mark in the profile."""
    originals = [(owner, name, getattr(owner, name)) for places in PARTS.values() for owner, name in places]
    try:
        for part, places in PARTS.items():
            for owner, name in places:
                setattr(owner, name, _marking(part, getattr(owner, name)))
        yield
    finally:
        for owner, name, function in originals:
            setattr(owner, name, function)


def _marking(part: str, function: Callable) -> Callable:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with record_function(part):
            return function(*args, **kwargs)

    return call


def measure(step: Callable[[], object], repeats: int, floors: dict[str, float]) -> Figures:
    """Time ``step`` without and with marks."""
    for _ in range(WARM_UP):
        step()
    median, best = median_and_best(step, repeats)
    with marked(), profile(activities=[ProfilerActivity.CPU]) as recorded:
        began = time.perf_counter()
        for _ in range(repeats):
            step()
        total = (time.perf_counter() - began) * 1e3 / repeats
    parts = {k: (f / repeats, b / repeats) for k, (f, b) in by_part(recorded.events()).items()}
    parts[REST] = (total - sum(f + b for f, b in parts.values()), 0.0)
    return Figures(median, best, parts, floors)


def by_part(events: Any) -> dict[str, tuple[float, float]]:
    """Milliseconds of each part, forward and backward, out of profiler events; a nested part counts for itself."""
    forward: dict[str, float] = collections.defaultdict(float)
    backward: dict[str, float] = collections.defaultdict(float)
    owner: dict[int, str] = {}
    for event in sorted(events, key=lambda e: e.time_range.start):
        part = _part_of(event)
        if event.name in PARTS:
            forward[event.name] += event.cpu_time_total
            above = _part_of(event.cpu_parent) if event.cpu_parent else None
            if above:
                forward[above] -= event.cpu_time_total
        elif part and event.sequence_nr >= 0:
            owner[event.sequence_nr] = part  # the last that shows a number is the one that made a node of it
    for event in events:
        if event.name.startswith("autograd::engine::evaluate_function") and event.sequence_nr in owner:
            backward[owner[event.sequence_nr]] += event.cpu_time_total
    return {part: (forward[part] / 1e3, backward[part] / 1e3) for part in PARTS if forward[part] or backward[part]}


def _part_of(event: Any) -> str | None:
    while event is not None and event.name not in PARTS:
        event = event.cpu_parent
    return event.name if event is not None else None


def products_per_millisecond() -> float:
    """Multiply-adds of a large matrix product in a millisecond, at best."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    return 1024**3 / median_and_best(lambda: a @ b, 15)[1]


def network_products(avatar: Avatar, training: bool) -> float:
    """Multiply-adds of triplane features to offsets of all dynamic Gaussians; training doubles them twice over."""
    net = avatar.deformation
    zeros = [torch.zeros(n) for n in (net.config.mouth_dim, network.N_UPPER, 6, 9)]
    speech = torch.zeros(avatar.audio_encoder.config.tokens, net.config.dim) if avatar.audio_encoder else None
    folded = net.folded(net.tokens(*zeros, speech))
    one = sum(w.numel() for w in (folded.score, folded.direct, folded.value, folded.second, folded.last))
    if training:
        one = 3 * (one + net.encode[0].weight.numel())
    return one * int(avatar.gaussians.dynamic.sum())


def perceptual_products(side: int) -> float:
    """Multiply-adds of LPIPS on a patch between Winograd's transforms: two pictures there, one back."""
    sides = [(side - 7) // 4 + 1]
    for _ in range(2):
        sides.append((sides[-1] - 3) // 2 + 1)
    layers = ((48, 64, 16, 0), (64, 192, 36, 1), (192, 384, 16, 2), (384, 256, 16, 2), (256, 256, 16, 2))
    return 3 * sum(i * o * positions * ((sides[s] + 1) // 2) ** 2 for i, o, positions, s in layers)


def bytes_per_millisecond() -> float:
    """Bytes read and written by a large copy in a millisecond, at best."""
    a = torch.ones(1 << 25)
    b = torch.empty_like(a)
    return 2 * a.nbytes / median_and_best(lambda: b.copy_(a), 7)[1]


def training(capture: Capture, gaussians: int, repeats: int) -> Figures:
    preset = dataclasses.replace(
        load_preset("fast"), static_iterations=0, speech_iterations=10**6, perceptual_from=0.0,
        initial_gaussians=gaussians, max_gaussians=gaussians, densify_every=10**7,
    )  # fmt: skip
    made = build(capture, preset, 0, torch.device("cpu"))
    steps = made.run()
    speed = products_per_millisecond()
    adam = 7 * sum(p.nbytes for p in made.optimizer.parameters.values())  # parameter and moments both ways, gradient
    floors = {
        "attention and decoder": network_products(made.avatar, training=True) / speed,
        "LPIPS of a patch": perceptual_products(preset.patch) / speed,
        "Adam": adam / bytes_per_millisecond(),
    }
    figures = measure(lambda: next(steps), repeats, floors)
    steps.close()
    return figures


def playback(avatar: Avatar, audio: Path, repeats: int) -> Figures:
    performance = from_audio(avatar, read_audio(audio), seed=0)

    def pictures() -> Iterator[Any]:
        while True:
            yield from playing.play(avatar, performance)

    shown = pictures()
    floors = {"attention and decoder": network_products(avatar, training=False) / products_per_millisecond()}
    return measure(lambda: next(shown), repeats, floors)


def table(title: str, figures: Figures) -> str:
    total = sum(f + b for f, b in figures.parts.values())
    lines = [
        f"## {title}",
        "",
        f"{figures.median:.1f} ms without marks ({1e3 / figures.median:.1f} a second), {figures.best:.1f} ms at best; "
        f"{total:.1f} ms with marks.",
        "",
        "| part | forward ms | backward ms | share | floor ms |",
        "|---|---|---|---|---|",
    ]
    for part, (f, b) in sorted(figures.parts.items(), key=lambda item: -sum(item[1])):
        floor = f"{figures.floors[part]:.1f}" if part in figures.floors else ""
        lines.append(f"| {part} | {f:.2f} | {b:.2f} | {100 * (f + b) / total:.0f} % | {floor} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--capture", type=Path, help="train on this")
    parser.add_argument("--avatar", type=Path, help="play this")
    parser.add_argument("--audio", type=Path, help="with this sound")
    parser.add_argument("--gaussians", type=int, default=30_000)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--save", action="store_true", help="write into benchmarks/results")
    args = parser.parse_args()
    if not args.capture and not (args.avatar and args.audio):
        parser.error("give --capture, or --avatar and --audio, or all three")
    found: dict[str, Figures] = {}
    if args.avatar and args.audio:
        person = avatars.load(args.avatar)
        found[f"A playback frame, {person.n_gaussians} Gaussians"] = playback(person, args.audio, 3 * args.repeats)
    if args.capture:
        title = f"A training step, {args.gaussians} Gaussians"
        found[title] = training(Capture.load(args.capture), args.gaussians, args.repeats)
    text = "\n".join(table(title, figures) for title, figures in found.items())
    print(text)
    if args.save:
        values = {title: dataclasses.asdict(figures) for title, figures in found.items()}
        save_result("cpu_profile", "Where the time goes on the CPU", text, {"machine": machine(), "found": values})


if __name__ == "__main__":
    main()
