"""The compact avatar: canonical Gaussians and a few bases, so that a frame is a few dozen numbers.

A browser plays it without the network: ``attribute = canonical + sum_k c_k basis_k``, then the two bones. One file
holds the Gaussians, the bases, and optionally a track (coefficients and poses over time) with its sound.
docs/formats.md says how it is laid out.
"""

from splatalk.export.compact.distillation import distil, distil_steps
from splatalk.export.compact.layout import Contents, read, to_bytes, write
from splatalk.export.compact.model import ATTRIBUTES, Compact, EncodedSound, Plate, Track, posed
from splatalk.export.compact.project import LiveProjector, coefficients, track_of
from splatalk.export.compact.save import distilled, export_compact, export_steps
from splatalk.export.compact.sound import encode_sound

__all__ = [
    "ATTRIBUTES", "Compact", "Contents", "EncodedSound", "LiveProjector", "Plate", "Track", "coefficients", "distil",
    "distil_steps", "distilled", "encode_sound", "export_compact", "export_steps", "posed", "read", "to_bytes",
    "track_of", "write",
]  # fmt: skip
