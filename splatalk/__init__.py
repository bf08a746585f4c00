"""Personal talking avatars made of 3D Gaussians."""

__version__ = "0.1.0"
