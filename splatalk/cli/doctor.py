"""splatalk doctor: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal

import click

from splatalk import assets
from splatalk.cli.common import report, shared_options

MEDIAPIPE_VERSION = "0.10.31"
REINSTALL = "Install splatalk again: pip install -c constraints.txt ."
PACKAGES = {  # import name → distribution
    "numpy": "numpy", "cv2": "opencv-python-headless", "librosa": "librosa", "ctranslate2": "ctranslate2",
    "safetensors": "safetensors", "plyfile": "plyfile",
}  # fmt: skip
EXPORT_EXTRA = "pip install 'splatalk[export]'"
OPTIONAL = {  # import name → what its absence costs, how to get it
    "gsplat": (
        "rasterization on NVIDIA GPUs through gsplat; the CPU kernels do the work meanwhile",
        "On a machine with CUDA: pip install 'splatalk[gpu]'",
    ),
    "tinycudann": (
        "little: where splatalk's own CUDA kernels are missing, it looks up hash planes on a GPU from the same tables",
        "Not on the package index: build NVIDIA's tiny-cuda-nn (bindings/torch) on the GPU machine",
    ),
    "lpips": (
        "nothing: LPIPS is measured by splatalk's own equal implementation; the package only cross-checks it",
        "pip install 'splatalk[lpips]', where torchvision matches torch",
    ),
    "espeakng_loader": ("speaking text with --text", "pip install 'splatalk[text]'"),
    "transformers": ("HuBERT and wav2vec 2.0 features (--set speech=hubert)", "pip install 'splatalk[hubert]'"),
    "pxr": ("export --to usd", EXPORT_EXTRA),
    "fourdgs": ("export --to 4dgs", EXPORT_EXTRA),
    "splats4d": ("export --to splat4d", EXPORT_EXTRA),
    "sounddevice": ("driving by a microphone in a terminal", "pip install sounddevice; on Linux also libportaudio2"),
}

Status = Literal["ok", "absent", "problem"]
MARKS = {"ok": ("✓", "green"), "absent": ("–", "yellow"), "problem": ("✗", "red")}


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``problem`` means that enrolment or playback will not work."""

    group: str
    name: str
    status: Status
    detail: str
    fix: str = ""


@click.command("doctor", short_help="What works on this machine, and what to do about the rest.")
@shared_options
def command(as_json: bool) -> None:
    """Say what is installed, which backends run, and what to do about what is missing.

    Exit code 0 when avatars can be made and played here, 1 otherwise. Nothing is downloaded.

    \b
    splatalk doctor
    splatalk doctor --json
    """
    findings = [finding for check in CHECKS for finding in _safely(check)]
    works = not any(f.status == "problem" for f in findings)
    facts = {"command": "doctor", "works": works, "findings": [dataclasses.asdict(f) for f in findings]}
    report(as_json, facts, _text(findings, works))
    if not works:
        raise click.exceptions.Exit(1)


def _safely(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """A check that fails is a finding, not the end of the examination."""
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001 (whatever a broken package raises when it is imported)
        yield Finding("checks", check.__name__.strip("_"), "problem", _brief(error), REINSTALL)


def _machine() -> Iterator[Finding]:
    version = platform.python_version()
    good = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Finding("machine", "Python", "ok" if good else "problem", version, "" if good else "Use Python 3.11 to 3.13.")
    yield Finding("machine", "system", "ok", f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU threads")
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    room = free > 2
    fix = "" if room else "Enrolment needs about 2 GB: free some space."
    yield Finding("machine", "disk", "ok" if room else "absent", f"{free:.0f} GB free here", fix)


def _torch() -> Iterator[Finding]:
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA GPU"
    yield Finding("machine", "torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads, {gpu}")


def _packages() -> Iterator[Finding]:
    for module, distribution in PACKAGES.items():
        try:
            importlib.import_module(module)
            yield Finding("packages", distribution, "ok", metadata.version(distribution))
        except Exception as error:  # noqa: BLE001
            yield Finding("packages", distribution, "problem", _brief(error), REINSTALL)


def _mediapipe() -> Iterator[Finding]:
    version = metadata.version("mediapipe")
    if version != MEDIAPIPE_VERSION:
        detail = f"{version}; only {MEDIAPIPE_VERSION} is known to report nothing to its maker"
        yield Finding("packages", "mediapipe", "problem", detail, f"pip install mediapipe=={MEDIAPIPE_VERSION}")
        return
    importlib.import_module("mediapipe")
    yield Finding("packages", "mediapipe", "ok", f"{version}, sends nothing")


def _codecs() -> Iterator[Finding]:
    import av

    missing = [f"{name} reading" for name in ("h264", "aac") if not _has_codec(name, "r")]
    missing += [f"{name} writing" for name in ("libx264", "aac") if not _has_codec(name, "w")]
    also = [name for name in ("hevc", "vp9", "av1", "opus", "mp3", "flac") if _has_codec(name, "r")]
    detail = f"PyAV {av.__version__}: H.264 and AAC in and out; also reads {', '.join(also)}"
    if missing:
        yield Finding("packages", "video", "problem", f"PyAV {av.__version__} lacks {', '.join(missing)}", REINSTALL)
    else:
        yield Finding("packages", "video", "ok", f"{detail}. No ffmpeg program is needed")


def _has_codec(name: str, mode: Literal["r", "w"]) -> bool:
    import av

    try:
        av.Codec(name, mode)
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _kernels() -> Iterator[Finding]:
    from splatalk import kernels

    if kernels.native() is not None:
        yield Finding("backends", "compiled kernels", "ok", "built and loaded")
    else:
        fix = "Install a C++ compiler (such as g++) and then splatalk again: pip install -c constraints.txt ."
        yield Finding("backends", "compiled kernels", "absent", f"{kernels.native_error()}; everything is slower", fix)


def _cuda_kernels() -> Iterator[Finding]:
    from splatalk.kernels import cuda

    nvcc = shutil.which("nvcc")
    here = f"nvcc is here: {nvcc}" if nvcc else "no nvcc here"
    missing = cuda.build_problem()
    if missing is not None:
        fix = "Only for NVIDIA GPUs: put nvcc (CUDA 12.8 or newer) on the PATH and install splatalk again."
        yield Finding("backends", "CUDA kernels", "absent", f"{missing}; {here}", fix)
        return
    built = f"built for compute capabilities {cuda.architectures()}; {here}"
    trouble = cuda.problem()
    if trouble is not None:
        yield Finding("backends", "CUDA kernels", "absent", f"{built}; no usable GPU: {trouble}")
    else:
        yield Finding("backends", "CUDA kernels", "ok", built)


def _backends() -> Iterator[Finding]:
    from splatalk.render import backends

    chosen = backends.choose("auto")
    for name, status in backends.available().items():
        works = status.startswith("ready")
        used = " (used by default)" if name == chosen else ""
        yield Finding("backends", name, "ok" if works else "absent", status + used)


def _assets() -> Iterator[Finding]:
    own = assets.own_folder()
    yield Finding(
        "model files", "folder", "ok", f"{own} and {assets.cache_folder()}" if own else str(assets.cache_folder())
    )
    for name, asset in assets.REGISTRY.items():
        size = f"{asset.bytes / 1e6:.1f} MB, {asset.licence}"
        if assets.is_cached(name):
            yield Finding("model files", name, "ok", size)
        else:
            fix = (
                f"Fetched on first use. Offline: put {asset.filename} into a folder named by ${assets.FOLDER_VARIABLE}"
            )
            yield Finding("model files", name, "absent", f"{size}, not fetched yet", fix)


def _player() -> Iterator[Finding]:
    from splatalk.errors import UserError
    from splatalk.export.player import bundle

    try:
        bundle()
        yield Finding("optional", "browser player", "ok", "built; splatalk view and export --to html work")
    except UserError as error:
        detail = f"{error.message.rstrip('.')}; costs splatalk view and export --to html"
        yield Finding("optional", "browser player", "absent", detail, error.hint)


def _optional() -> Iterator[Finding]:
    for module, (cost, fix) in OPTIONAL.items():
        if importlib.util.find_spec(module) is None:
            yield Finding("optional", module, "absent", f"not installed; costs {cost}", fix)
            continue
        try:
            importlib.import_module(module)
            yield Finding("optional", module, "ok", "installed")
        except Exception as error:  # noqa: BLE001
            yield Finding(
                "optional", module, "absent", f"installed but does not load ({_brief(error)}); costs {cost}", fix
            )


CHECKS = (
    *(_machine, _torch, _packages, _mediapipe, _codecs, _kernels, _cuda_kernels, _backends),
    *(_assets, _player, _optional),
)


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _text(findings: list[Finding], works: bool) -> str:
    width = max(len(f.name) for f in findings)
    lines, group = [], ""
    for f in findings:
        if f.group != group:
            group = f.group
            lines.append(click.style(f"\n{group}", bold=True))
        mark, colour = MARKS[f.status]
        lines.append(f"  {click.style(mark, fg=colour)} {f.name:<{width}}  {f.detail}")
        if f.fix and f.status != "ok":
            lines.append(f"    {'':<{width}}  → {f.fix}")
    verdict = "Avatars can be made and played here." if works else "Not everything that is needed works; see ✗ above."
    return "\n".join([*lines, "", click.style(verdict, fg="green" if works else "red")]).lstrip("\n")
