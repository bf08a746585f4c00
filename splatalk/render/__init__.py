"""Cameras, posed splats and the one function that turns them into pixels."""

from splatalk.render.camera import Camera
from splatalk.render.rasterize import Rendered, rasterize
from splatalk.render.splats import Splats

__all__ = ["Camera", "Rendered", "Splats", "rasterize"]
