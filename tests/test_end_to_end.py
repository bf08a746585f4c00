"""From a video to a speaking film, through the commands that a user types, in processes of their own."""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys

import av
import numpy as np
import pytest

from tests.conftest import SAMPLE_SPEECH, TINY, require_assets


def splatalk(*words: object) -> dict:
    """Run one command with ``--json``; its answer."""
    done = subprocess.run(
        [sys.executable, "-m", "splatalk", *map(str, words), "--json"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def enrolled(sample_clip, tmp_path_factory):
    require_assets("face_landmarker", "selfie_segmenter", "lpips_alex")
    folder = tmp_path_factory.mktemp("whole")
    fields = {k: v for k, v in dataclasses.asdict(TINY).items() if k != "name"}
    (folder / "tiny.toml").write_text("\n".join(f"{k} = {json.dumps(v)}" for k, v in fields.items()))
    splatalk(
        "enroll", sample_clip, "-o", folder / "ada.avatar", "--preset", folder / "tiny.toml", "--consent", "Synthetic.",
        "--keep-work",
    )  # fmt: skip
    return folder


def test_the_avatar_speaks_a_film_as_long_as_its_sound(enrolled):
    film = enrolled / "speaks.mp4"
    splatalk("speak", enrolled / "ada.avatar", "--audio", SAMPLE_SPEECH, "-o", film, "--head", "still")
    with av.open(str(SAMPLE_SPEECH)) as sound:
        seconds = sound.duration / av.time_base
    with av.open(str(film)) as container:
        assert {s.type for s in container.streams} == {"video", "audio"}
        frames = [f.to_ndarray(format="rgb24").astype(np.int16) for f in container.decode(video=0)]
    assert len(frames) == pytest.approx(seconds * 25, abs=1)
    # The head is still, so what changes between pictures is the face, and above all the mouth.
    change = np.mean([np.abs(b - a).mean(-1) for a, b in itertools.pairwise(frames)], 0)
    rows = change.mean(1)
    assert change.max() > 1.0
    lower = slice(len(rows) * 3 // 10, len(rows) * 7 // 10)
    assert rows[lower].sum() > 0.6 * rows.sum()


def test_it_is_measured_on_what_training_left_out(enrolled):
    found = splatalk(
        "eval", enrolled / "ada.avatar", "--capture", enrolled / "ada.avatar.work" / "recording.capture",
        "-o", enrolled / "report",
    )["report"]  # fmt: skip
    assert found["avatar"]["psnr_full"] > 20.0
    assert found["recording"]["opening_correlation"] > 0.9
    assert (enrolled / "report" / "index.html").stat().st_size > 10_000


def test_it_leaves_as_a_file_other_tools_read(enrolled):
    from plyfile import PlyData

    splatalk("export", enrolled / "ada.avatar", "--to", "ply", "-o", enrolled / "ada.ply")
    vertex = PlyData.read(str(enrolled / "ada.ply"))["vertex"]
    assert len(vertex.data) == splatalk("info", enrolled / "ada.avatar")["gaussians"]
