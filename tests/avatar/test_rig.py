"""Laws of the two-bone rig."""

import numpy as np
import torch

from splatalk.avatar.rig import blend_bones, quat_from_matrix, quat_multiply, rotation_matrix


def pose(rotvec, translation):
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = rotation_matrix(torch.tensor(rotvec, dtype=torch.float64))
    matrix[:3, 3] = torch.tensor(translation, dtype=torch.float64)
    return matrix


def rotate(q, v):
    zero = torch.zeros_like(v[..., :1])
    conjugate = q * torch.tensor([1.0, -1, -1, -1], dtype=q.dtype)
    return quat_multiply(quat_multiply(q, torch.cat((zero, v), -1)), conjugate)[..., 1:]


def test_quaternion_of_a_matrix_rotates_like_the_matrix():
    rng = np.random.default_rng(0)
    for scale in (1e-6, 0.3, 1.5, 3.1):
        rotvec = rng.normal(size=3)
        rotvec *= scale / np.linalg.norm(rotvec)
        r = rotation_matrix(torch.from_numpy(rotvec))
        v = torch.from_numpy(rng.normal(size=3))
        torch.testing.assert_close(rotate(quat_from_matrix(r), v), r @ v)


def test_each_bone_alone_moves_rigidly():
    head, torso = pose([0.2, -0.4, 0.1], [0.1, 0.0, 0.6]), pose([0.0, 0.1, 0.0], [0.0, 0.02, 0.6])
    means = torch.randn(50, 3, dtype=torch.float64)
    quats = torch.nn.functional.normalize(torch.randn(50, 4, dtype=torch.float64), dim=-1)
    for weight, bone in ((1.0, head), (0.0, torso)):
        w = torch.full((50,), weight, dtype=torch.float64)
        moved, turned = blend_bones(means, quats, w, head, torso)
        torch.testing.assert_close(moved, means @ bone[:3, :3].T + bone[:3, 3])
        axis = torch.tensor([[0.3, -0.2, 0.9]], dtype=torch.float64).expand(50, 3)
        torch.testing.assert_close(rotate(turned, axis), rotate(quats, axis) @ bone[:3, :3].T)


def test_equal_bones_do_not_care_for_the_weight():
    head = pose([0.2, -0.4, 0.1], [0.1, 0.0, 0.6])
    means, quats = torch.randn(9, 3, dtype=torch.float64), torch.randn(9, 4, dtype=torch.float64)
    a = blend_bones(means, quats, torch.rand(9, dtype=torch.float64), head, head)
    b = blend_bones(means, quats, torch.rand(9, dtype=torch.float64), head, head)
    torch.testing.assert_close(a, b)


def test_gradient_reaches_the_bone_weight():
    head, torso = pose([0.0, 0.0, 0.0], [0.0, 0.0, 1.0]), pose([0.0, 0.0, 0.0], [0.1, 0.0, 1.0])
    w = torch.full((1,), 0.5, dtype=torch.float64, requires_grad=True)
    means, _ = blend_bones(torch.zeros(1, 3).double(), torch.tensor([[1.0, 0, 0, 0]]).double(), w, head, torso)
    means[0, 0].backward()
    torch.testing.assert_close(w.grad, torch.tensor([-0.1], dtype=torch.float64))
