"""The linear face rig finds a linear truth and stays calm where it was told nothing."""

import numpy as np
import torch

from splatalk.avatar.face_rig import N_LANDMARKS, OTHER_INPUTS, FaceRig


def split(inputs):
    return (torch.from_numpy(part).float() for part in np.split(inputs, [12, 12 + 23]))


def test_a_linear_face_is_found_from_noisy_frames():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(400, 12 + OTHER_INPUTS)) * 0.3
    truth = rng.normal(size=(12 + OTHER_INPUTS, N_LANDMARKS, 3)) * 2e-3
    displacement = np.tensordot(inputs, truth, 1) + 1e-3 + rng.normal(size=(400, N_LANDMARKS, 3)) * 1e-4
    rig = FaceRig.fit(inputs, displacement)
    fresh = rng.normal(size=12 + OTHER_INPUTS) * 0.3
    found = rig(*split(fresh)).numpy()
    np.testing.assert_allclose(found, np.tensordot(fresh, truth, 1) + 1e-3, atol=1.5e-4)


def test_an_input_that_never_moved_moves_nothing():
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(100, 12 + OTHER_INPUTS))
    inputs[:, 3] = 0.5
    rig = FaceRig.fit(inputs, rng.normal(size=(100, N_LANDMARKS, 3)) * 1e-3)
    assert np.abs(rig.basis[3].numpy()).max() < 1e-9
