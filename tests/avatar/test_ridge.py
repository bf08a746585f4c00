"""Ridge regression finds its penalties; what goes aside is not taken for the work of the inputs."""

from __future__ import annotations

import numpy as np
import pytest

from splatalk.avatar.ridge import ridge

LIPS = np.array([[1.0, 0.0], [0.0, 1.0]])


def recording(smile: float, seed: int = 0, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Inputs (N, 30), outputs (N, 2), coefficients (30, 2), and a slow smile (N, 1) that goes along with an input."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 30))
    slow = np.convolve(rng.normal(size=n + 40), np.ones(41) / 6, "valid")
    x[:, 0] += 0.7 * slow
    coefficients = rng.normal(size=(30, 2)) * 0.3
    y = x @ coefficients + smile * slow[:, None] + 0.1 * rng.normal(size=(n, 2))
    return x, y, coefficients, slow[:, None]


def test_coefficients_are_found() -> None:
    x, y, truth, _ = recording(0.0)
    found, constant, explained = ridge(x, y + 2.0, np.ones(len(x)), LIPS)
    np.testing.assert_allclose(found, truth, atol=0.05)
    np.testing.assert_allclose(constant, 2.0, atol=0.05)
    assert explained > 0.95


@pytest.mark.parametrize("n", [300, 25])  # more frames than inputs, and fewer
def test_a_smile_is_not_taken_for_what_goes_along_with_it(n: int) -> None:
    x, y, truth, slow = recording(1.0, n=n)
    off = [np.abs(ridge(x, y, np.ones(n), LIPS, aside)[0] - truth).mean() for aside in (None, slow)]
    assert off[1] < (0.4 if n > 30 else 0.9) * off[0]


def test_it_is_left_at_its_median() -> None:
    """A face that smiles for a tenth of the time speaks without a smile."""
    x, _, truth, _ = recording(0.0)
    smile = np.zeros((300, 1))
    smile[100:130] = 1.0
    _, constant, _ = ridge(x, x @ truth + 5.0 * smile, np.ones(300), LIPS, smile)
    np.testing.assert_allclose(constant, 0.0, atol=0.05)


def test_frames_without_weight_do_not_count() -> None:
    x, y, _, slow = recording(1.0)
    weights = np.ones(300)
    weights[250:] = 0.0
    spoiled, shifted = y.copy(), slow.copy()
    spoiled[250:], shifted[250:] = 1e3, -50.0
    a, b = (ridge(x, y_, weights, LIPS, z)[0] for y_, z in ((y, slow), (spoiled, shifted)))
    np.testing.assert_allclose(a, b, atol=1e-8)
