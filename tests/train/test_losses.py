"""The training loss: zero for the recording itself, and it looks harder at the mouth."""

import torch

from splatalk.train.losses import LossWeights, Target, photometric, silhouette, thinness


def target():
    torch.manual_seed(0)
    return Target(torch.rand(64, 80, 3), torch.rand(64, 80), (10, 10, 60, 60), (30, 40, 46, 52))


def test_the_recording_itself_costs_nothing():
    t = target()
    assert abs(photometric(t.image, t, LossWeights()).item()) < 1e-5
    assert silhouette(t.matte, t).item() == 0.0


def test_the_same_error_costs_more_in_the_mouth_than_in_the_face_than_elsewhere():
    t = target()
    costs = []
    for y, x in ((46, 38), (20, 20), (2, 70)):
        image = t.image.clone()
        image[y : y + 4, x : x + 4] += 0.2
        costs.append(photometric(image, t, LossWeights(ssim=0.0)).item())
    assert costs[0] > 1.5 * costs[1] > 1.5 * costs[2]


def test_only_needles_are_thin():
    assert thinness(torch.tensor([[1.0, 1.0, 0.1], [1.0, 9.0, 1.0]])).item() == 0.0
    assert thinness(torch.tensor([[1.0, 30.0, 1.0]])).item() == 20.0
