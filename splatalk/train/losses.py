"""What a rendered frame is compared by."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from splatalk.kernels.ssim import l1_ssim
from splatalk.train.perceptual import MIN_SIDE, PatchDistance


@dataclasses.dataclass(frozen=True)
class LossWeights:
    """Weights of the terms of the training loss; the first two after 3D Gaussian Splatting, eq. 7."""

    l1: float = 0.8
    ssim: float = 0.2
    matte: float = 0.1
    mouth: float = 1.0
    face: float = 0.5
    perceptual: float = 0.15
    offsets: float = 0.01
    thin: float = 0.1
    poses: float = 1e-4
    depth: float = 0.003


@dataclasses.dataclass
class Target:
    """One recorded frame.

    Args:
        image: (H, W, 3) 0..1.
        matte: (H, W) 0..1, where the person is.
        face_box, mouth_box: x0, y0, x1, y1 in whole pixels.
    """

    image: Tensor
    matte: Tensor
    face_box: tuple[int, int, int, int]
    mouth_box: tuple[int, int, int, int]

    def pinned(self) -> Target:
        """In page-locked memory, from which a GPU copies while the CPU goes on."""
        return dataclasses.replace(self, image=self.image.pin_memory(), matte=self.matte.pin_memory())

    def to(self, device: torch.device) -> Target:
        image, matte = (t.to(device, non_blocking=True) for t in (self.image, self.matte))
        return dataclasses.replace(self, image=image, matte=matte)


def photometric(image: Tensor, target: Target, weights: LossWeights) -> Tensor:
    """L1 and SSIM over the frame, and L1 again over the face and over the mouth."""
    emphasis = torch.full(image.shape[:2], weights.l1, device=image.device)
    for weight, box in ((weights.face, target.face_box), (weights.mouth, target.mouth_box)):
        x0, y0, x1, y1 = box
        # The root lies between a term per pixel and a term per box, whatever the size of the face in the picture.
        emphasis[y0:y1, x0:x1] += weight / math.sqrt((x1 - x0) * (y1 - y0) / emphasis.numel())
    return l1_ssim(image, target.image, emphasis, weights.ssim)


def silhouette(alpha: Tensor, target: Target) -> Tensor:
    """Mean absolute difference of rendered and recorded coverage."""
    return (alpha - target.matte).abs().mean()


def thinness(scales: Tensor, limit: float = 10.0) -> Tensor:
    """How far the longest axis exceeds ``limit`` times the middle one: needles look wrong from new views."""
    a, b, c = scales.unbind(-1)
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    longest, middle = torch.maximum(high, c), torch.maximum(low, torch.minimum(high, c))
    return (longest / middle.clamp_min(1e-6) - limit).clamp_min(0.0).mean()


class PatchPerceptual:
    """LPIPS on one square patch of the person.

    Args:
        side: edge of the patch, pixels.
        device: where the pictures are.
    """

    def __init__(self, side: int, device: torch.device) -> None:
        self.side = max(side, MIN_SIDE)
        self.distance = PatchDistance(device)

    def __call__(self, image: Tensor, target: Target, where: tuple[float, float], anywhere: bool) -> Tensor:
        """``where`` (0..1, 0..1) places the patch's centre inside the face box, or ``anywhere`` in the picture."""
        around = (0, 0, image.shape[1], image.shape[0]) if anywhere else target.face_box
        box = self._place(image, around, where)
        return self.distance(crop(image, box), crop(target.image, box))

    def _place(
        self, image: Tensor, box: tuple[int, int, int, int], where: tuple[float, float]
    ) -> tuple[int, int, int, int]:
        h, w = image.shape[:2]
        side = min(self.side, h, w)
        x = round(box[0] + where[0] * (box[2] - box[0]) - side / 2)
        y = round(box[1] + where[1] * (box[3] - box[1]) - side / 2)
        x, y = min(max(x, 0), w - side), min(max(y, 0), h - side)
        return x, y, x + side, y + side


def crop(image: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    """(H, W, 3) cut to a box."""
    x0, y0, x1, y1 = box
    return image[y0:y1, x0:x1]
