"""Head motion taken from a recording neither jumps nor visibly loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splatalk.drive.from_audio import to_and_fro
from splatalk.drive.play import background_image
from splatalk.errors import UserError


@given(st.integers(1, 300), st.integers(1, 1000), st.integers(0, 99))
def test_rows_are_recorded_and_neighbours_are_neighbours(recorded, n, seed):
    rows = to_and_fro(recorded, n, np.random.default_rng(seed))
    assert rows.shape == (n,) and rows.min() >= 0 and rows.max() < recorded
    assert (np.abs(np.diff(rows)) <= 1).all()


def test_the_seed_chooses_where_it_starts():
    starts = {int(to_and_fro(200, 1, np.random.default_rng(s))[0]) for s in range(20)}
    assert len(starts) > 10


@pytest.mark.parametrize("text", ["plates", "#12", "#gggggg", "#1234567", ""])
def test_a_background_that_is_no_colour_is_refused(text):
    with pytest.raises(UserError, match="no background"):
        background_image(None, text, None)


def test_a_colour_is_read():
    np.testing.assert_allclose(background_image(None, "#ff8000", None).numpy(), [1.0, 128 / 255, 0.0], atol=1e-6)
