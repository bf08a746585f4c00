from __future__ import annotations

import wave

import numpy as np
import pytest
import torch
from pxr import Gf, Usd, UsdGeom, UsdMedia, UsdValidation, UsdVol

from splatalk.errors import UserError
from splatalk.export.axes import camera_fact, half_turn
from splatalk.export.clip import Clip
from splatalk.export.sound import Sound
from splatalk.export.usd import write_usd
from splatalk.render import Camera
from tests.export.people import nodding, picture, psnr
from tests.export.readers import usd_at

CAMERA = Camera(160, 120, 400.0, 390.0, 70.0, 66.0, np.eye(4))
FACTS = {"consent": "Said yes.", "camera": camera_fact(CAMERA)}
VOICE = Sound.mono(np.sin(np.arange(3200) / 9).astype(np.float32))


def clip(n: int = 4, coefficients: int = 1, sound: Sound | None = None, **more) -> Clip:
    return Clip(nodding(n, coefficients=coefficients), n, 25.0, FACTS, sound, **more)


@pytest.mark.parametrize(("name", "coefficients"), [("a.usdc", 1), ("a.usda", 4), ("a.usdz", 16)])
def test_what_openusd_reads_looks_the_same_in_every_frame(tmp_path, name, coefficients):
    assert write_usd(tmp_path / name, clip(coefficients=coefficients)) == 4
    stage = Usd.Stage.Open(str(tmp_path / name))
    field = UsdVol.ParticleField3DGaussianSplat(stage.GetPrimAtPath("/Avatar/Gaussians"))
    assert field
    for i, splats in enumerate(nodding(4, coefficients=coefficients)):
        read = half_turn(usd_at(field.GetPrim(), Usd.TimeCode(i)))
        assert psnr(picture(read, CAMERA), picture(splats, CAMERA)) > 80, f"frame {i}"
    default = usd_at(field.GetPrim(), Usd.TimeCode.Default())
    torch.testing.assert_close(default.means, half_turn(next(nodding(1, coefficients=coefficients))).means)


def test_time_axes_units_colour_and_consent_are_told(tmp_path):
    write_usd(tmp_path / "a.usdc", clip())
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    assert UsdGeom.GetStageUpAxis(stage) == "Y" and UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert (stage.GetTimeCodesPerSecond(), stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (25.0, 0.0, 3.0)
    prim = stage.GetPrimAtPath("/Avatar/Gaussians")
    assert Usd.ColorSpaceAPI(prim).GetColorSpaceNameAttr().Get() == "srgb_rec709_scene"
    assert stage.GetDefaultPrim().GetPath() == "/Avatar"
    facts = stage.GetRootLayer().customLayerData["splatalk"]
    assert facts["consent"] == "Said yes." and facts["units"] == "metres" and "sRGB" in facts["colour"]


def test_extent_holds_every_gaussian_at_every_time(tmp_path):
    write_usd(tmp_path / "a.usdc", clip())
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    prim = stage.GetPrimAtPath("/Avatar/Gaussians")
    for i in range(4):
        low, high = np.array(prim.GetAttribute("extent").Get(i))
        means = np.array(prim.GetAttribute("positions").Get(i))
        assert (means > low).all() and (means < high).all() and (high - low).max() < 1


@pytest.mark.parametrize("name", ["a.usdc", "a.usdz"])
def test_validators_of_openusd_find_nothing(tmp_path, capfd, name):
    write_usd(tmp_path / name, clip(sound=VOICE))
    registry = UsdValidation.ValidationRegistry()
    validators = registry.GetOrLoadAllValidators()
    assert len(validators) > 10
    stage = Usd.Stage.Open(str(tmp_path / name))
    found = UsdValidation.ValidationContext(validators).Validate(stage)
    assert [(e.GetName(), e.GetMessage()) for e in found] == []
    assert capfd.readouterr() == ("", ""), "OpenUSD has nothing to warn of"


def test_the_camera_sees_what_the_capture_camera_saw(tmp_path):
    write_usd(tmp_path / "a.usdc", clip())
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    frustum = UsdGeom.Camera(stage.GetPrimAtPath("/Avatar/CaptureCamera")).GetCamera(0).frustum
    project = frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix()
    for x, y, z in ((0.0, 0.0, 1.0), (0.1, -0.05, 0.8)):
        ndc = project.Transform(Gf.Vec3d(x, -y, -z))
        seen = ((ndc[0] + 1) / 2 * CAMERA.width, (1 - ndc[1]) / 2 * CAMERA.height)
        wanted = (CAMERA.fx * x / z + CAMERA.cx, CAMERA.fy * y / z + CAMERA.cy)
        np.testing.assert_allclose(seen, wanted, atol=1e-3)


def test_sound_beside_or_inside(tmp_path):
    write_usd(tmp_path / "a.usdc", clip(sound=VOICE))
    write_usd(tmp_path / "b.usdz", clip(sound=VOICE))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.usdc", "a.usdc.wav", "b.usdz"]
    with wave.open(str(tmp_path / "a.usdc.wav")) as sound:
        assert (sound.getframerate(), sound.getnframes()) == (16000, 3200)
    for name in ("a.usdc", "b.usdz"):
        stage = Usd.Stage.Open(str(tmp_path / name))
        voice = UsdMedia.SpatialAudio(stage.GetPrimAtPath("/Avatar/Voice"))
        assert voice.GetFilePathAttr().Get().resolvedPath, "the sound is found"
        assert voice.GetAuralModeAttr().Get() == "nonSpatial"
        assert voice.GetPlaybackModeAttr().Get() == "onceFromStart"
        assert voice.GetStartTimeAttr().Get().GetValue() == 0.0


@pytest.mark.parametrize("name", ["a.usdc", "a.usdz"])
def test_interrupted_or_empty_leaves_nothing(tmp_path, name):
    def interrupted():
        yield from nodding(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_usd(tmp_path / name, Clip(interrupted(), 4, 25.0, FACTS, VOICE))
    with pytest.raises(UserError, match="no frame"):
        write_usd(tmp_path / name, Clip(iter(()), 0, 25.0, FACTS, VOICE))
    assert list(tmp_path.iterdir()) == []


def test_wrong_suffix(tmp_path):
    with pytest.raises(UserError, match=r"\.usdc"):
        write_usd(tmp_path / "a.obj", clip())
