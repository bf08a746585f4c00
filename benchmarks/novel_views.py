"""How an avatar holds up from cameras that never recorded the person, against rendered truth.

python -m benchmarks.novel_views CAPTURE AVATAR [--truth ../shared/captures/ada] [--fitted-poses] [-o FOLDER]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common import shared_recordings, told
from splatalk import avatar as avatars
from splatalk.capture.dataset import Capture
from splatalk.evaluate.machine import machine_facts
from splatalk.evaluate.novel import Truth, View, align, novel_views, view_figures
from splatalk.files import atomic_path
from splatalk.train.perceptual import Lpips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", type=Path)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--truth", type=Path, help="path and name of the recording, without _gt.npz")
    parser.add_argument("--every", type=int, default=1, help="take every so many-th held-out frame")
    parser.add_argument("--fitted-poses", action="store_true", help="refine held-out frames' poses on their pictures")
    parser.add_argument("-o", "--output", type=Path, help="folder for novel_views.json and a picture")
    options = parser.parse_args()

    truth_name = options.truth or shared_recordings() / "ada"
    capture, person = Capture.load(options.capture), avatars.load(options.avatar)
    truth = Truth.load(Path(f"{truth_name}_gt.npz"), Path(f"{truth_name}_novel.zip"))
    similarity = align(capture, truth, person.manner["head_pose"])
    metric = Lpips()
    rows: list[list[dict[str, float]]] = [[] for _ in truth.yaw_pitch]
    shown: dict[int, View] = {}
    for view in novel_views(person, capture, truth, similarity, options.every, fit=options.fitted_poses):
        rows[view.view].append(view_figures(view, metric))
        shown.setdefault(view.view, view)

    result = {
        "residual_mm": similarity.residual * 10,
        "scale_cm_per_unit": similarity.scale,
        "turn_degrees": similarity.turn_degrees,
        "frames": len(rows[0]),
        "views": [
            {"yaw": int(yaw), "pitch": int(pitch)} | {key: _mean(rows[k], key) for key in rows[k][0]}
            for k, (yaw, pitch) in enumerate(truth.yaw_pitch)
        ],
        "machine": machine_facts(person.n_gaussians, "auto"),
    }
    print(
        f"alignment residual {similarity.residual * 10:.2f} mm over the training frames, worlds turned by "
        f"{similarity.turn_degrees:.2f} degrees, {len(rows[0])} frames a view"
    )
    print(f"{'yaw':>5} {'pitch':>5} {'person dB':>10} {'head dB':>9} {'LPIPS':>8}")
    for row in result["views"]:
        print("{yaw:>5} {pitch:>5} {psnr_person:>10.2f} {psnr_head:>9.2f} {lpips_full:>8.4f}".format(**row))
    if options.output:
        with atomic_path(options.output / "novel_views.json") as path:
            path.write_text(json.dumps(result, indent=1))
        with atomic_path(options.output / "novel_views.jpg") as path:
            cv2.imwrite(str(path), sheet(list(shown.values()))[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def sheet(views: list[View], width: int = 256) -> np.ndarray:
    """Truth above, avatar below, one column a view."""
    rows = [[cv2.resize(i, (width, width), interpolation=cv2.INTER_AREA) for i in (v.truth, v.image)] for v in views]
    return np.concatenate([np.concatenate(column, axis=0) for column in rows], axis=1)


def _mean(rows: list[dict[str, float]], key: str) -> float:
    return float(np.mean([row[key] for row in rows]))


if __name__ == "__main__":
    told(main)
