"""Iterations a second of the speech stage, where everything learns.

    python -m benchmarks.training NAME.capture --gaussians 30000
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import torch

from splatalk.capture import Capture
from splatalk.config import load_preset
from splatalk.evaluate.machine import processor
from splatalk.train.device import NAMES, choose
from splatalk.train.run import build

WARM_UP = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--gaussians", type=int, default=30_000)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--device", default="auto", choices=NAMES)
    args = parser.parse_args()
    capture = Capture.load(args.capture)
    preset = dataclasses.replace(
        load_preset(args.preset), static_iterations=0, speech_iterations=WARM_UP + args.steps, perceptual_from=0.0,
        initial_gaussians=args.gaussians, max_gaussians=args.gaussians,
    )  # fmt: skip
    steps = build(capture, preset, 0, choose(args.device)).run()
    report = [next(steps) for _ in range(WARM_UP)][-1]
    began = time.perf_counter()
    for _ in range(args.steps):
        next(steps)
    rate = args.steps / (time.perf_counter() - began)
    where = f"{torch.get_num_threads()} threads, {processor()}"
    print(f"{rate:.1f} iterations/s: {report.gaussians} Gaussians, {capture.width}x{capture.height}, {where}")


if __name__ == "__main__":
    main()
