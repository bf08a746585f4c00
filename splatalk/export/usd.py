"""A performance as OpenUSD: one ParticleField3DGaussianSplat with time samples, the capture camera, and the sound.

Samples stand beside default values, so a program that ignores time shows the first frame. USD 26.03 brought the schema.
Axes are y up, units metres, quaternions real part first, scales and opacities activated. The radiance is sRGB as it was
trained: the prim's colour space says so, and so does the stage's ``customLayerData``, where the provenance stands too.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from splatalk import files
from splatalk.errors import UserError
from splatalk.export.axes import HALF_TURN, camera_of, half_turn, stated
from splatalk.export.clip import Clip
from splatalk.export.wav import write_wav
from splatalk.render.camera import Camera
from splatalk.render.splats import Splats

SUFFIXES = (".usdc", ".usda", ".usd", ".usdz")
PRIM = "/Avatar/Gaussians"
_APERTURE = 36.0  # mm, the full frame that the focal length in pixels is told in
_SAVE_EVERY = 50  # frames; a saved layer keeps its samples on the disk, not in memory


def sound_beside(path: Path) -> Path:
    """Where the sound of a ``.usdc`` stands; a ``.usdz`` holds it itself."""
    return path.with_name(path.name + ".wav")


def write_usd(path: Path, clip: Clip) -> int:
    """Write a stage that plays.

    Args:
        path: ``.usdc``, ``.usda`` or ``.usd`` (the sound then goes into ``NAME.usdc.wav`` beside it), or ``.usdz``.
        clip: at least one frame.

    Returns:
        number of frames.

    Raises:
        UserError: another suffix, no frame, too little room on the disk, or it cannot be written.
    """
    from pxr import UsdUtils

    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path} has no suffix of USD.", f"Use one of {', '.join(SUFFIXES)}.")
    if path.suffix.lower() != ".usdz":
        with files.atomic_path(path) as temporary:
            count = _write_stage(temporary, path, clip, sound_beside(path).name)
            if clip.sound is not None:
                with files.atomic_path(sound_beside(path)) as beside:
                    write_wav(beside, clip.sound)
        return count
    with (
        files.atomic_path(path) as temporary,
        tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=".") as name,
    ):
        stage, sound = Path(name) / f"{path.stem}.usdc", Path(name) / "sound.wav"
        count = _write_stage(stage, path, clip, sound.name)
        if clip.sound is not None:
            write_wav(sound, clip.sound)
        package = stage.with_suffix(".usdz")
        if not UsdUtils.CreateNewUsdzPackage(str(stage), str(package)):
            raise UserError(f"Cannot write {path}: the package could not be made.", "Use a name that ends in .usdc.")
        shutil.move(package, temporary)
    return count


def _write_stage(temporary: Path, final: Path, clip: Clip, sound_name: str) -> int:
    from pxr import Usd, UsdGeom, UsdVol

    told = stated(clip.facts, y_up=True, quaternions="real part first")
    stage = Usd.Stage.CreateNew(str(temporary))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetTimeCodesPerSecond(clip.fps)
    stage.SetFramesPerSecond(clip.fps)
    layer = stage.GetRootLayer()
    layer.customLayerData = {"splatalk": dict(told)}
    layer.documentation = f"{told.get('synthetic', 'avatar')}; consent: {told.get('consent', 'none recorded')}"
    root = UsdGeom.Xform.Define(stage, "/Avatar")
    stage.SetDefaultPrim(root.GetPrim())
    Usd.ModelAPI(root).SetKind("component")
    field = UsdVol.ParticleField3DGaussianSplat.Define(stage, PRIM)
    Usd.ColorSpaceAPI.Apply(field.GetPrim()).CreateColorSpaceNameAttr("srgb_rec709_scene")
    if clip.sound is not None:
        _add_sound(stage, sound_name)
    count = 0
    for splats in clip.frames:
        _sample(field, half_turn(splats), count)
        count += 1
        if count == 1:
            layer.Save()
            files.require_space(final, temporary.stat().st_size * (clip.n_frames - 1) // 2)
        elif count % _SAVE_EVERY == 0:
            layer.Save()
        clip.step()
    if not count:
        raise UserError(f"There is no frame to write into {final}.", "Give a longer sound.")
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(count - 1)
    camera = camera_of(clip.facts)
    if camera is not None:
        _add_camera(stage, camera)
    layer.Save()
    return count


def _sample(field: Any, splats: Splats, frame: int) -> None:
    """Set every attribute at ``frame``, and at the first one its default value too."""
    from pxr import Usd, UsdGeom, Vt

    prim = field.GetPrim()
    quats = splats.quats.double()
    xyzw = (quats / quats.norm(dim=-1, keepdim=True))[:, [1, 2, 3, 0]]  # the order in memory, real part last
    values = {
        "positions": Vt.Vec3fArray.FromNumpy(_numpy(splats.means)),
        "orientations": Vt.QuatfArray.FromNumpy(_numpy(xyzw)),
        "scales": Vt.Vec3fArray.FromNumpy(_numpy(splats.scales)),
        "opacities": Vt.FloatArray.FromNumpy(_numpy(splats.opacities)),
        "radiance:sphericalHarmonicsCoefficients": Vt.Vec3fArray.FromNumpy(_numpy(splats.sh.reshape(-1, 3))),
        "extent": Vt.Vec3fArray.FromNumpy(_numpy(_extent(splats))),
    }
    if not all(np.isfinite(np.asarray(value)).all() for value in values.values()):
        raise UserError("The avatar holds values that are not finite.", "Train it again.")
    if frame == 0:
        degree = {1: 0, 4: 1, 9: 2, 16: 3}[splats.sh.shape[1]]
        prim.GetAttribute("radiance:sphericalHarmonicsDegree").Set(degree)
        UsdGeom.Boundable(prim).CreateExtentAttr()
    for name, value in values.items():
        attribute = prim.GetAttribute(name)
        if frame == 0:
            attribute.Set(value)
        attribute.Set(value, Usd.TimeCode(frame))


def _extent(splats: Splats) -> np.ndarray:
    """(2, 3) corners of a box that holds every Gaussian to three standard deviations."""
    means = _numpy(splats.means)
    reach = 3.0 * _numpy(splats.scales).max(1, keepdims=True)
    return np.stack(((means - reach).min(0), (means + reach).max(0)))


def _numpy(values: Any) -> np.ndarray:
    return np.ascontiguousarray(values if isinstance(values, np.ndarray) else values.detach().cpu().numpy(), np.float32)


def _add_camera(stage: Any, camera: Camera) -> None:
    """The capture camera, so that every program can show the view that was recorded."""
    from pxr import Gf, UsdGeom

    prim = UsdGeom.Camera.Define(stage, "/Avatar/CaptureCamera")
    to_world = HALF_TURN @ np.linalg.inv(camera.world_to_camera) @ HALF_TURN  # USD cameras look along -z, y up
    prim.AddTransformOp().Set(Gf.Matrix4d(*to_world.T.ravel().tolist()))  # USD multiplies rows
    across, down = _APERTURE / camera.fx, _APERTURE / camera.fy  # millimetres a pixel at a focal length of 36
    prim.CreateFocalLengthAttr(_APERTURE)
    prim.CreateHorizontalApertureAttr(camera.width * across)
    prim.CreateVerticalApertureAttr(camera.height * down)
    prim.CreateHorizontalApertureOffsetAttr((camera.width / 2 - camera.cx) * across)
    prim.CreateVerticalApertureOffsetAttr((camera.cy - camera.height / 2) * down)
    prim.CreateClippingRangeAttr(Gf.Vec2f(0.01, 100.0))


def _add_sound(stage: Any, name: str) -> None:
    """The voice, everywhere alike; it starts at time 0, which is the schema's own default."""
    from pxr import Sdf, UsdMedia

    sound = UsdMedia.SpatialAudio.Define(stage, "/Avatar/Voice")
    sound.CreateFilePathAttr(Sdf.AssetPath(f"./{name}"))
    sound.CreateAuralModeAttr(UsdMedia.Tokens.nonSpatial)
    sound.CreatePlaybackModeAttr(UsdMedia.Tokens.onceFromStart)
