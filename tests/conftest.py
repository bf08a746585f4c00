"""What several tests share: the sample recording, enrolled small, and an avatar trained for a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from splatalk import assets
from splatalk.config import Preset
from splatalk.errors import AssetError

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_VIDEO = ROOT / "captures" / "ada_sample.mp4"
SAMPLE_SPEECH = ROOT / "captures" / "ada_speech.wav"

TINY = Preset(
    name="tiny", size=288, speech="mel", levels=6, log2_table=11, initial_gaussians=2500, max_gaussians=3000,
    static_iterations=40, speech_iterations=40, densify_every=25, perceptual_every=8, patch=64,
    checkpoint_every=45, preview_every=1000,
)  # fmt: skip
"""Small enough to train in seconds; every stage and term takes part."""


def require_assets(*names: str) -> None:
    """Skip, saying which one, when a model file is neither cached nor to be had."""
    for name in names:
        try:
            assets.fetch(name)
        except AssetError as error:
            pytest.skip(f"NOT TESTED, the model file {name} cannot be had: {error}")


@pytest.fixture(scope="session")
def sample_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 5 seconds of the sample recording, streams copied."""
    import av

    path = tmp_path_factory.mktemp("clip") / "ada_5s.mp4"
    with av.open(str(SAMPLE_VIDEO)) as source, av.open(str(path), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams if s.type in ("video", "audio")}
        for packet in source.demux():
            if packet.dts is None or float(packet.pts * packet.time_base) >= 5.0:
                continue
            packet.stream = streams[packet.stream.index]
            out.mux(packet)
    return path


@pytest.fixture(scope="session")
def sample_capture(sample_clip: Path, tmp_path_factory: pytest.TempPathFactory):
    """Those 5 seconds as a Capture at 288 pixels."""
    require_assets("face_landmarker", "selfie_segmenter")
    from splatalk.capture import record

    consent = {"statement": "Synthetic.", "recorded": "2026-11-21"}
    return record(sample_clip, tmp_path_factory.mktemp("capture") / "ada.capture", size=TINY.size, consent=consent)


@pytest.fixture(scope="session")
def tiny_avatar_path(sample_capture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ``.avatar`` file trained for a moment on ``sample_capture``."""
    require_assets("lpips_alex")
    from splatalk.train.run import train

    folder = tmp_path_factory.mktemp("avatar")
    train(sample_capture, folder / "tiny.avatar", TINY, work=folder / "work")
    return folder / "tiny.avatar"
