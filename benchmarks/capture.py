"""Speed, memory, disk and mattes of the capture stage.

    python -m benchmarks.capture --seconds 10 --save

The first seconds of a recording go through the whole stage; then its parts are timed one by one on one thread, random
frames are read back, and mattes are compared with the truth of the synthetic recording. ``--save`` writes
``benchmarks/results/capture.md``. Processor time is what to compare on a machine that does other things too.
"""

from __future__ import annotations

import argparse
import itertools
import re
import resource
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from benchmarks.common import machine, save_result, shared_recordings, told
from splatalk.capture import Capture, matte, record
from splatalk.capture.decode import Crop, VideoFacts, probe, read_frames
from splatalk.capture.extract import Worker, nearest_face
from splatalk.capture.film import Film, FilmWriter
from splatalk.capture.framing import Framing, look
from splatalk.capture.matte import Segmenter

FPS = 25.0
SIZE = 512
PARTS_ON = 60  # frames


def processor_s() -> float:
    """Seconds of processor time that this process has had, all threads together."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def beginning(video: Path, seconds: float, out: Path) -> Path:
    """The first seconds, streams copied."""
    with av.open(str(video)) as source, av.open(str(out), "w") as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams if s.type in ("video", "audio")}
        for packet in source.demux(list(source.streams.video + source.streams.audio)):
            if packet.dts is None or packet.pts is None or float(packet.pts * packet.time_base) >= seconds:
                continue
            packet.stream = streams[packet.stream.index]
            target.mux(packet)
    return out


def whole_stage(clip: Path, out: Path) -> tuple[Capture, dict[str, float]]:
    """Record it once; wall and processor time, peak memory, disk."""
    began, used = time.perf_counter(), processor_s()
    capture = record(clip, out, size=SIZE)
    wall, used = time.perf_counter() - began, processor_s() - used
    minutes = len(capture) / FPS / 60
    films = {name: (out / f"{name}.mp4").stat().st_size / 1e6 / minutes for name in ("frames", "mattes")}
    return capture, {
        "frames": len(capture),
        "frames_per_s": len(capture) / wall,
        "cpu_ms_per_frame": 1e3 * used / len(capture),
        "frames_per_s_of_two_free_cores": 2.0 * len(capture) / used,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "mb_per_minute": sum(file.stat().st_size for file in out.iterdir()) / 1e6 / minutes,
        **{f"{name}_mb_per_minute": size for name, size in films.items()},
    }


def each(call: Callable[[Any], Any], items: Sequence[Any]) -> tuple[list[Any], float]:
    """Results, and milliseconds of processor time an item."""
    used = processor_s()
    results = [call(item) for item in items]
    return results, 1e3 * (processor_s() - used) / len(items)


def parts(facts: VideoFacts, framing: Framing, frames: list[np.ndarray], folder: Path) -> dict[str, float]:
    """Milliseconds of processor time a frame of each part of the long pass, and of reading back."""
    worker, found = Worker(), {}
    used = processor_s()
    count = sum(1 for _ in itertools.islice(read_frames(facts, framing.crop), PARTS_ON))
    found["decode, crop, scale"] = 1e3 * (processor_s() - used) / count
    _, found["find and refine the face"] = each(lambda f: nearest_face(worker.finder, f, framing), frames)
    coarse, found["matte network"] = each(worker.segmenter.coarse, frames)
    worker.close()
    alphas, found["matte to the edges"] = each(lambda pair: matte.refine(*pair), list(zip(frames, coarse)))
    size = frames[0].shape[:2]
    with FilmWriter(folder / "frames.mp4", FPS) as film, FilmWriter(folder / "mattes.mp4", FPS, gray=True) as grays:
        _, found["write frames"] = each(film.write, frames)
        _, found["write mattes"] = each(lambda a: grays.write((a * 255.0 + 0.5).astype(np.uint8)), alphas)
    order = np.random.default_rng(0).permutation(len(frames)).tolist()
    stored, alpha = (Film(folder / f"{name}.mp4", len(frames), size, FPS) for name in ("frames", "mattes"))
    _, found["read a random frame"] = each(stored.rgb, order)
    _, found["read a random matte"] = each(alpha.luma, order)
    return found


def stored_psnr(capture: Capture, frames: list[np.ndarray]) -> list[float]:
    """Mean and least PSNR of stored frames against those that were decoded, dB."""
    errors = [((capture.frame(i).astype(float) - frame) ** 2).mean() for i, frame in enumerate(frames)]
    values = 10 * np.log10(255.0**2 / np.array(errors))
    return [float(values.mean()), float(values.min())]


def matte_iou(video: Path, truth: Path, most: int = 12) -> dict[str, float]:
    """Intersection over union with the truth where it exists: view 2 of the novel views is the capture camera."""
    facts = probe(video)
    with zipfile.ZipFile(truth) as file:
        names = sorted(name for name in file.namelist() if re.fullmatch(r"f\d+_c2_mask\.png", name))
        names = names[:: max(len(names) // most, 1)]
        masks = {int(name[1:6]): _decoded(file.read(name)) > 0 for name in names}
    values = []
    with Segmenter() as segmenter:
        for i, rgb in enumerate(read_frames(facts, Crop.whole(facts, SIZE), start=min(masks)), min(masks)):
            if i in masks:
                person = matte.refine(rgb, segmenter.coarse(rgb)) > 0.5
                values.append((person & masks[i]).sum() / (person | masks[i]).sum())
            if i >= max(masks):
                break
    return {"frames": len(values), "mean": float(np.mean(values)), "least": float(np.min(values))}


def _decoded(data: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path, nargs="?", help="a recording; the synthetic one when not given")
    parser.add_argument("--seconds", type=float, default=10.0, help="how much of it")
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    video = args.video or shared_recordings() / "ada.mp4"
    with tempfile.TemporaryDirectory() as folder:
        clip = beginning(video, args.seconds, Path(folder) / "clip.mp4")
        capture, stage = whole_stage(clip, Path(folder) / "clip.capture")
        facts = probe(clip)
        worker = Worker()
        framing = look(facts, SIZE, worker.finder)
        worker.close()
        frames = list(itertools.islice(read_frames(facts, framing.crop), min(PARTS_ON, len(capture))))
        values: dict[str, Any] = {"machine": machine(), "recording": video.name, "stage": stage}
        values["psnr_db"] = stored_psnr(capture, frames)
        values["cpu_ms"] = parts(facts, framing, frames, Path(folder))
    truth = video.with_name(f"{video.stem}_novel.zip")
    values["matte_iou"] = matte_iou(video, truth) if truth.is_file() else None
    text = describe(values)
    print(text)
    if args.save:
        save_result("capture", "The capture stage", text, values)


def describe(values: dict[str, Any]) -> str:
    """Markdown."""
    stage, iou = values["stage"], values["matte_iou"]
    mean, least = values["psnr_db"]
    lines = [
        f"The first {stage['frames']} frames of {values['recording']} at {SIZE} pixels.",
        "",
        "| the whole stage | |",
        "|---|---|",
        f"| frames/s on this machine as it was | {stage['frames_per_s']:.1f} |",
        f"| processor time a frame | {stage['cpu_ms_per_frame']:.0f} ms |",
        f"| frames/s that this allows on two free cores | {stage['frames_per_s_of_two_free_cores']:.1f} |",
        f"| peak memory | {stage['peak_mb']:.0f} MB |",
        f"| disk a minute | {stage['mb_per_minute']:.0f} MB: frames {stage['frames_mb_per_minute']:.0f}, mattes "
        f"{stage['mattes_mb_per_minute']:.0f} |",
        f"| stored frames against decoded ones | {mean:.1f} dB, least {least:.1f} |",
    ]
    if iou:
        lines.append(
            f"| person IoU with the truth, {iou['frames']} frames | {iou['mean']:.3f}, least {iou['least']:.3f} |"
        )
    lines += ["", "| part, one thread | processor time a frame |", "|---|---|"]
    lines += [f"| {name} | {ms:.1f} ms |" for name, ms in values["cpu_ms"].items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    told(main)
