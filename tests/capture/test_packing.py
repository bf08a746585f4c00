"""What is packed comes back, and nothing else is taken for packed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from splatalk.capture.packing import pack, unpack

STEP = 2.0**-7


@settings(deadline=None)
@given(arrays.arrays(np.float64, arrays.array_shapes(min_dims=1, max_dims=3), elements=st.floats(-8e3, 8e3)))
def test_values_come_back_to_half_a_step(values: np.ndarray) -> None:
    out = unpack(pack(values, STEP), STEP)
    assert out.shape == values.shape and out.dtype == np.float32
    assert np.abs(out - values).max(initial=0.0) <= STEP / 2 + 1e-9


def test_slow_motion_takes_one_byte() -> None:
    assert pack(np.cumsum(np.full((100, 3), STEP * 60), axis=0), STEP).shape == (1, 100, 3)
    assert pack(np.full((2, 3), 500.0), STEP).shape == (3, 2, 3)


@pytest.mark.parametrize("values", [np.array([[np.nan]]), np.array([[np.inf]]), np.array([[1e12]])])
def test_what_has_no_place_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError):
        pack(values, STEP)


@settings(deadline=None)
@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=4, max_side=5), elements=st.integers(0, 255)))
def test_any_bytes_are_finite_or_refused(data: np.ndarray) -> None:
    try:
        assert np.isfinite(unpack(data, STEP)).all()
    except ValueError:
        assert data.ndim < 2 or len(data) > 4 or len(data) == 4


def test_plain_numbers_are_not_packed() -> None:
    with pytest.raises(ValueError):
        unpack(np.zeros((2, 3), np.float32), STEP)
