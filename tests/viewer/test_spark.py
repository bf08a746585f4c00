"""A development test: the player against a renderer by other people. `npm --prefix viewer/oracle ci` enables it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from splatalk.avatar.rig import quat_from_matrix, quat_multiply
from splatalk.export.compact import posed, read, to_bytes
from splatalk.render.sh import sh_to_color
from tests.viewer.browser import opened
from tests.viewer.performer import performer

ORACLE = Path(__file__).resolve().parents[2] / "viewer" / "oracle"
AGREES_DB = 44.0
"""Spark keeps 16-bit positions and 8-bit scales, and blends in 8 bits."""


@pytest.fixture(scope="module")
def spark_page(tmp_path_factory) -> Path:
    npm = shutil.which("npm")
    if npm is None or not (ORACLE / "node_modules").is_dir():
        pytest.skip("NOT TESTED: comparison with Spark; run `npm --prefix viewer/oracle ci` for it")
    path = tmp_path_factory.mktemp("spark") / "spark.html"
    subprocess.run([npm, "run", "build", "--", str(path)], cwd=ORACLE, check=True, capture_output=True, timeout=120)
    return path


@pytest.mark.parametrize(("frame", "yaw"), [(10, 0.0), (40, 18.0)])
def test_the_player_and_spark_agree(browser, player, spark_page, frame, yaw):
    contents = read(to_bytes(*performer()))
    compact, track = contents.compact, contents.track
    camera = compact.camera.orbited(compact.head_centre, np.radians(yaw), 0.0)
    drawn = player.pixels(frame, camera, {"kind": "color", "color": [0, 0, 0]})
    splats = posed(compact, track.coefficients[frame], track.head[frame], track.torso[frame])
    with opened(browser, spark_page) as seen:
        pixels = seen.page.evaluate("scene => drawWithSpark(scene)", scene(splats, camera))
    by_spark = np.array(pixels, np.uint8).reshape(camera.height, camera.width, 4)[::-1, :, :3]
    found = 10 * np.log10(255.0**2 / np.mean((drawn[..., :3].astype(np.float64) - by_spark) ** 2))
    assert by_spark.std() > 20
    assert found > AGREES_DB


def scene(splats, camera) -> dict:
    """As the camera sees them, in plain lists."""
    import torch

    view = torch.from_numpy(camera.world_to_camera).float()
    means = splats.means @ view[:3, :3].T + view[:3, 3]
    quats = quat_multiply(quat_from_matrix(view[:3, :3]).expand_as(splats.quats), splats.quats)
    columns = {
        "means": means, "quats": quats, "scales": splats.scales, "opacities": splats.opacities,
        "colors": sh_to_color(splats.sh).clamp(max=1.0),
    }  # fmt: skip
    intrinsics = {name: getattr(camera, name) for name in ("width", "height", "fx", "fy", "cx", "cy")}
    return {**{name: values.flatten().tolist() for name, values in columns.items()}, **intrinsics}
