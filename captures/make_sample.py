"""Make the sample capture again from the recording it was cut from.

    python captures/make_sample.py FOLDER [--out captures]

FOLDER holds ``ada.mp4``. The clip's packets are copied, not encoded again; the speech is a later part of the same
recording, resampled to 16 kHz mono, beginning and ending in silence.
"""

from __future__ import annotations

import argparse
import wave
from pathlib import Path

import av
import numpy as np

CLIP_SECONDS = 27.4  # the pause after the seventh sentence
SPEECH_SECONDS = (33.5, 41.3)  # two whole sentences that the clip does not contain
SPEECH_RATE = 16_000


def cut_clip(source: Path, target: Path, seconds: float) -> int:
    """Copy the first ``seconds`` of ``source``; returns the number of video frames copied."""
    with av.open(str(source)) as reader, av.open(str(target), "w", options={"movflags": "+faststart"}) as writer:
        video, sound = reader.streams.video[0], reader.streams.audio[0]
        pairs = {s.index: writer.add_stream_from_template(s) for s in (video, sound)}
        assert video.average_rate is not None
        packets = [p for p in reader.demux(video, sound) if p.size]
        pictures = [p for p in packets if p.stream is video]
        keep = _decodable_prefix([p.pts or 0 for p in pictures], round(seconds * video.average_rate))
        last = float(max(p.pts for p in pictures[:keep]) * video.time_base + 1 / video.average_rate)
        kept = {id(p) for p in pictures[:keep]}
        for packet in packets:
            if id(packet) in kept or (packet.stream is sound and float(packet.pts * packet.time_base) < last):
                packet.stream = pairs[packet.stream.index]
                writer.mux(packet)
    return keep


def _decodable_prefix(pts: list[int], wanted: int) -> int:
    """Length nearest to ``wanted`` of a run of packets in decoding order that holds the first frames without a gap."""
    shown = sorted(pts)
    whole = [n for n in range(1, len(pts) + 1) if max(pts[:n]) == shown[n - 1]]
    return min(whole, key=lambda n: abs(n - wanted))


def cut_speech(source: Path, target: Path, start: float, end: float) -> float:
    """Write ``start`` to ``end`` seconds of the sound as 16 kHz mono PCM; returns its length in seconds."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SPEECH_RATE)
    blocks = []
    with av.open(str(source)) as reader:
        for frame in reader.decode(audio=0):
            blocks += [f.to_ndarray()[0] for f in resampler.resample(frame)]
    samples = np.concatenate(blocks)[round(start * SPEECH_RATE) : round(end * SPEECH_RATE)]
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SPEECH_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return len(samples) / SPEECH_RATE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder that holds ada.mp4")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    source = args.folder / "ada.mp4"
    frames = cut_clip(source, args.out / "ada_sample.mp4", CLIP_SECONDS)
    seconds = cut_speech(source, args.out / "ada_speech.wav", *SPEECH_SECONDS)
    print(f"ada_sample.mp4: {frames} frames; ada_speech.wav: {seconds:.2f} s")


if __name__ == "__main__":
    main()
