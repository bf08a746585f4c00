"""From a video to a Capture: normalised frames, tracks, mattes, background plate, sound and a quality report."""

from splatalk.capture.dataset import Capture, Tracks
from splatalk.capture.record import record

__all__ = ["Capture", "Tracks", "record"]
