"""Personal talking avatars made of 3D Gaussians."""

import os

# OpenMP threads that wait by spinning slow everything down tenfold and more as soon as another process wants a core.
# It is read once, when torch or the kernels load.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
