"""Why a frame of a recording is left out, as a small integer a frame (``Tracks.reason``) and in words.

The numbers stand in files and keep their meaning; new reasons are added at the end.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

USED = 0
UNKNOWN = 255
"""Left out by an earlier program that did not say why."""
WORDS: dict[int, str] = {
    1: "no face",
    2: "blurred",
    3: "face hidden",
    4: "no sound",
    5: "looking away",
    6: "another shot",
    UNKNOWN: "left out",
}
"""What is said about a frame that is left out, by code; ``USED`` has none."""
CODES: dict[str, int] = {word: code for code, word in WORDS.items()}


def encode(reasons: Mapping[int, str], valid: np.ndarray) -> np.ndarray:
    """Reasons by frame → (N,) uint8 codes.

    Args:
        reasons: words by frame; those that are not known become ``UNKNOWN``.
        valid: (N,) bool; frames that are not valid and have no reason become ``UNKNOWN``.
    """
    out = np.where(valid, USED, UNKNOWN).astype(np.uint8)
    for frame, word in reasons.items():
        out[frame] = CODES.get(word, UNKNOWN)
    return out


def runs(reasons: Mapping[int, str]) -> list[tuple[int, int, str]]:
    """Reasons by frame → runs of frames with the same one, in order: first, one after the last, reason."""
    found: list[tuple[int, int, str]] = []
    for i, word in sorted(reasons.items()):
        if found and found[-1][1] == i and found[-1][2] == word:
            found[-1] = (found[-1][0], i + 1, word)
        else:
            found.append((i, i + 1, word))
    return found


def decode(codes: np.ndarray) -> dict[int, str]:
    """(N,) codes → reasons of the frames left out, in order; unknown codes are those of ``UNKNOWN``."""
    return {int(i): WORDS.get(int(codes[i]), WORDS[UNKNOWN]) for i in np.flatnonzero(codes)}
