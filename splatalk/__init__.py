"""Personal talking avatars made of 3D Gaussians."""

import os

# OpenMP threads that wait by spinning slow everything down tenfold and more as soon as another process wants a core.
# It is read once, when torch or the kernels load.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# The same holds for the linear algebra under numpy and scipy, which knows no other way of waiting. What it is used for
# here is small: a busy machine makes two threads up to thirty times slower than one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
