"""What is behind the person."""

import numpy as np
import pytest

from splatalk.drive.play import background_image
from splatalk.errors import UserError


@pytest.mark.parametrize("text", ["plates", "#12", "#gggggg", "#1234567", ""])
def test_a_background_that_is_no_colour_is_refused(text):
    with pytest.raises(UserError, match="no background"):
        background_image(None, text, None)


def test_a_colour_is_read():
    np.testing.assert_allclose(background_image(None, "#ff8000", None).numpy(), [1.0, 128 / 255, 0.0], atol=1e-6)
