"""Frames on a GPU in one replay: tokens to pixels as a CUDA graph of the project's own kernels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from splatalk.avatar.controls import Controls
from splatalk.avatar.model import Avatar, Tokens
from splatalk.avatar.playback import frame_input, prepare
from splatalk.kernels.cuda import address, extension, stream_of
from splatalk.kernels.cuda.playback import bytes_of
from splatalk.kernels.cuda.raster import PairBudget
from splatalk.render.camera import Camera


class PlaybackGraph:
    """One avatar before one background in one picture size, drawn again and again.

    The graph holds nine nodes: tokens, pose and projection, six of the rasterizer, the conversion to bytes. A replay
    allocates nothing and waits for nothing; it runs on the caller's current stream. Poses and the camera belong to the
    frame's input, so neither needs a new graph. On the CPU the same launches run one by one through the host shim, and
    so they are tested without a GPU.

    Args:
        avatar: ``fusible``; later changes to it are not seen.
        size: (width, height), pixels.
        background: (3,) or (height, width, 3), 0..1.
        device: a GPU.

    Attributes:
        image: (height, width, 3) float32, alpha: (height, width), pixels: (height, width, 3) uint8, of the last frame.

    Raises:
        ValueError: the avatar is not fusible.
    """

    def __init__(self, avatar: Avatar, size: tuple[int, int], background: Tensor, device: torch.device) -> None:
        self.avatar, (self.width, self.height) = avatar, size
        self.playback = prepare(avatar, device)
        self.background = background.to(device, torch.float32).contiguous()
        self.image = torch.zeros(self.height, self.width, 3, device=device)
        self.alpha = torch.zeros(self.height, self.width, device=device)
        self.pixels = torch.zeros(self.height, self.width, 3, dtype=torch.uint8, device=device)
        self.budget = PairBudget(device, deferred=True)
        self._reserve()

    def submit(self, frame: Tensor) -> None:
        """Draw a frame, given `avatar.playback.frame_input`, on the current stream, without waiting for it."""
        self.playback.frame[: len(frame)].copy_(frame, non_blocking=True)
        if self._graph is None:
            self._launch()
        else:
            self._graph.replay()

    def draw(self, tokens: Tokens, controls: Controls, camera: Camera) -> np.ndarray:
        """The picture (height, width, 3) uint8 of one frame.

        Args:
            tokens: what conditions the network.
            controls: its poses carry the bones.
            camera: from where, of this picture size.
        """
        frame = frame_input(self.avatar, tokens, controls, camera)
        self.submit(frame)
        while not self.budget.settle():  # more of the picture is covered than before: make room and draw again
            self._reserve()
            self.submit(frame)
        return self.pixels.cpu().numpy()

    def _reserve(self) -> None:
        """Memory for as many pairs as the budget says, and a graph that uses it."""
        device, n = self.image.device, self.playback.count
        tiles = -(-self.width // 16) * -(-self.height // 16)
        capacity = self.budget.reserve(n, tiles)
        size = extension(device).raster_state_bytes(n, self.width, self.height, capacity)
        self._memory = torch.empty(size, dtype=torch.uint8, device=device)
        self._graph = self._captured() if device.type == "cuda" else None

    def _launch(self) -> None:
        self.playback.project(self.width, self.height)
        extension(self.image.device).raster_projected(
            address(self.playback.screen), address(self.playback.depths), self.playback.count, self.width, self.height,
            address(self.background), self.background.ndim == 3, address(self.image), address(self.alpha),
            address(self.budget.needed), address(self._memory), self.budget.capacity, stream_of(self.image),
        )  # fmt: skip
        bytes_of(self.image, self.pixels)

    def _captured(self) -> torch.cuda.CUDAGraph:
        """The launches of a frame as a graph, after one run of them outside: modules load at their first launch."""
        stream = torch.cuda.Stream(self.image.device)
        stream.wait_stream(torch.cuda.current_stream(self.image.device))
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(stream):
            self._launch()
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                self._launch()
        torch.cuda.current_stream(self.image.device).wait_stream(stream)
        self.budget.needed.zero_()
        return graph
