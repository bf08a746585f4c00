"""Which choices of the method earn their place: one switch changed at a time, equal budgets, several seeds.

    python -m benchmarks.ablation ONE.capture TWO.capture [--steps 500] [--seeds 2] [--only planes=dense …] [--save]

Every variant is trained on the first 10/11 of each recording and measured on frames of the last 1/11 whose head poses
are refined on their pictures: with the mouth driven by sound alone, and with the tracked mouth. The table gives mean
differences from the preset's own choices and, behind ±, half the spread between seeds and recordings. Runs that are
done are kept in --work and not repeated.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import RESULTS, machine, told
from splatalk.avatar.face_mesh import N_LANDMARKS
from splatalk.avatar.model import Avatar
from splatalk.avatar.mouth_basis import MouthBasis, mouth_opening_and_width
from splatalk.capture.dataset import Capture
from splatalk.config import Preset, load_preset
from splatalk.drive.fit_poses import with_fitted_poses
from splatalk.drive.from_capture import from_capture
from splatalk.drive.play import play
from splatalk.evaluate.metrics import image_metrics, psnr
from splatalk.files import atomic_path
from splatalk.train.frames import read_target
from splatalk.train.losses import crop
from splatalk.train.perceptual import Lpips
from splatalk.train.run import Hearing, build, listen

VARIANTS = (
    "",
    "planes=dense",
    "attention=agent",
    "decoder=kan",
    'tokens=["mouth","upper","eyes","pose","null"]',
    'tokens=["upper","eyes","pose","null","speech"]',
    'tokens=["mouth","upper","eyes","null","speech"]',
    'tokens=["mouth","upper","eyes","pose","speech"]',
    'deforms=["means","rotation","scales"]',
    'deforms=["means","rotation","scales","opacity"]',
    'deforms=["color"]',
    "deforms=[]",
    "perceptual_every=100000",
    "speech=mel",
    "speech=whisper",
    "speech=visemes",
)
COLUMNS = {
    "face_sound": ("face, sound, dB", +1),
    "mouth_sound": ("mouth, sound, dB", +1),
    "face_tracked": ("face, tracked, dB", +1),
    "mouth_tracked": ("mouth, tracked, dB", +1),
    "lpips_sound": ("LPIPS face, sound", -1),
    "heard": ("opening corr., predicted", +1),
    "milliseconds": ("ms a step", -1),
}
BUDGET = {"initial_gaussians": "9000", "max_gaussians": "12000"}
SHOWN = 12
"""Held-out frames that are drawn for each variant."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, default=500, help="training steps, a third of them static")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="variants, FIELD=VALUE of the preset")
    parser.add_argument("--work", type=Path, default=Path("ablation.work"))
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/ablation.md and .json")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)

    variants = list(VARIANTS) if not options.only else ["", *options.only]
    rows: list[dict] = []
    for seed in range(options.seeds):
        for folder in options.captures:
            bench = Bench(Capture.load(folder), options.steps)
            for variant in variants:
                rows.append(bench.run(variant, seed, options.work))
                print(json.dumps(rows[-1]), flush=True)
    text = table(rows, variants, options.steps)
    print(text)
    if options.save:
        facts = {"machine": machine(), "rows": rows}
        for name, content in (("ablation.md", text), ("ablation.json", json.dumps(facts, indent=1) + "\n")):
            with atomic_path(RESULTS / name) as path:
                path.write_text(content, encoding="utf-8")


class Bench:
    """One recording; what its variants share is computed once."""

    def __init__(self, capture: Capture, steps: int) -> None:
        self.capture, self.steps = capture, steps
        self.metric = Lpips()
        self.hearing: dict[str, Hearing] = {}
        held_out = capture.test_frames()
        self.frames = held_out[np.unique(np.linspace(0, len(held_out) - 1, SHOWN).round().astype(int))]

    def run(self, variant: str, seed: int, work: Path) -> dict:
        """Figures of one variant; read from ``work`` when they are there."""
        preset = self.preset(variant)
        key = "".join(c if c.isalnum() else "_" for c in f"{self.capture.path.stem}-{variant}-{seed}-{self.steps}")
        kept = work / f"{key}.json"
        if kept.is_file():
            return json.loads(kept.read_text())
        heard = self.hearing.get(preset.speech)
        if heard is None:
            heard = self.hearing[preset.speech] = listen(self.capture, preset.speech, seed)
        trainer = build(self.capture, preset, seed, torch.device("cpu"), heard)
        began = time.process_time()
        losses = [report.loss for report in trainer.run()]
        seconds = time.process_time() - began
        if not np.isfinite(losses).all():
            raise FloatingPointError(f"{variant} has diverged")
        avatar = trainer.avatar.eval().requires_grad_(False)
        row = {"recording": self.capture.path.stem, "variant": variant, "seed": seed}
        row |= self.pictures(avatar) | {"heard": self.heard(heard), "milliseconds": 1e3 * seconds / len(losses)}
        with atomic_path(kept) as path:
            path.write_text(json.dumps(row))
        return row

    def preset(self, variant: str) -> Preset:
        static = self.steps // 3
        budget = BUDGET | {"static_iterations": str(static), "speech_iterations": str(self.steps - static)}
        field, _, value = variant.partition("=")
        return load_preset("fast", budget | ({field: value} if variant else {}))

    def pictures(self, avatar: Avatar) -> dict[str, float]:
        """PSNR of face and mouth and LPIPS of the face, the mouth by sound and as tracked."""
        by_sound = from_capture(avatar, self.capture, self.frames, mouth="audio")
        by_sound = with_fitted_poses(avatar, self.capture, self.frames, by_sound)
        tracked = from_capture(avatar, self.capture, self.frames, mouth="expression")
        tracked = dataclasses.replace(tracked, head_pose=by_sound.head_pose, torso_pose=by_sound.torso_pose)
        out = {}
        for name, performance in (("sound", by_sound), ("tracked", tracked)):
            figures = [
                self.compare(image, int(frame))
                for image, frame in zip(play(avatar, performance), self.frames, strict=True)
            ]
            for key in ("face", "mouth", "lpips"):
                out[f"{key}_{name}"] = float(np.mean([f[key] for f in figures]))
        return out

    def compare(self, image: np.ndarray, frame: int) -> dict[str, float]:
        target, truth = read_target(self.capture, frame), self.capture.frame(frame)
        found = image_metrics(image, truth, self.capture.matte(frame), target.face_box, self.metric)
        mouth = psnr(crop(image, target.mouth_box), crop(truth, target.mouth_box))
        return {"face": found["psnr_face"], "mouth": mouth, "lpips": found["lpips_face"]}

    def heard(self, hearing: Hearing) -> float:
        """Correlation of the mouth's opening by sound with the tracked one, over all held-out frames."""
        frames = self.capture.test_frames()
        if hearing.encoder is None:
            return float("nan")
        with torch.no_grad():
            codes = hearing.encoder(torch.from_numpy(hearing.features[frames]).float())[0].numpy()
        return float(np.corrcoef(opening(hearing.basis, codes), opening(hearing.basis, hearing.codes[frames]))[0, 1])


def opening(basis: MouthBasis, codes: np.ndarray) -> np.ndarray:
    """(N,) metres, gap of the lips that codes (N, C) stand for."""
    landmarks = np.zeros((len(codes), N_LANDMARKS, 3), np.float32)
    landmarks[:, basis.indices] = basis.decode(codes)
    return mouth_opening_and_width(landmarks)[:, 0]


def table(rows: list[dict], variants: list[str], steps: int) -> str:
    """Markdown: the preset's own figures, then differences."""
    facts = machine()
    names = sorted({row["recording"] for row in rows})
    seeds = len({row["seed"] for row in rows})
    own = {(row["recording"], row["seed"]): row for row in rows if not row["variant"]}
    lines = [
        "# Which choices earn their place",
        "",
        f"{facts['date']}; {facts['processor']}. `{facts['command']}`",
        f"Recordings {', '.join(names)}; {seeds} seeds; {steps} steps and 12,000 Gaussians each, {SHOWN} held-out",
        "frames drawn. The first row is the preset's own choices; the others are differences from it, better ones in",
        "bold. ± is half the range over seeds and recordings: a smaller difference says nothing. Milliseconds are of",
        "processor time.",
        "",
        "| variant | " + " | ".join(title for title, _ in COLUMNS.values()) + " |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]
    for variant in variants:
        mine = [row for row in rows if row["variant"] == variant]
        cells = []
        for key, (_, sign) in COLUMNS.items():
            digits = 3 if key in ("heard", "lpips_sound") else 0 if key == "milliseconds" else 2
            if not variant:
                cells.append(f"{np.mean([row[key] for row in mine]):.{digits}f}")
                continue
            change = np.array([row[key] - own[row["recording"], row["seed"]][key] for row in mine])
            half = float(np.ptp(change)) / 2
            cell = f"{change.mean():+.{digits}f} ± {half:.{digits}f}"
            cells.append(f"**{cell}**" if sign * change.mean() > max(half, 1e-9) else cell)
        lines.append(f"| {variant.replace('|', '/') or 'as in the preset'} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    told(main)
