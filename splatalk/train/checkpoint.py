"""Training state on disk, so that an interrupted run goes on where it stopped. Same container as ``.avatar``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from splatalk.avatar.gaussians import Gaussians
from splatalk.files import atomic_path
from splatalk.train.densify import PullStatistics
from splatalk.train.optimizer import NamedAdam
from splatalk.train.trainer import Trainer

KEY = "splatalk_checkpoint"


def save(trainer: Trainer, path: Path, identity: dict[str, Any]) -> None:
    """Write everything that ``restore`` needs.

    Args:
        identity: JSON-able facts that must be equal for the state to be of use: preset, seed, capture.
    """
    tensors = {f"avatar/{k}": v.detach() for k, v in trainer.avatar.state_dict().items()}
    tensors |= {f"adam/{k}": v for k, v in trainer.optimizer.state_tensors().items()}
    tensors |= {"pull/total": trainer.pull.total, "pull/seen": trainer.pull.seen}
    tensors |= {f"poses/{k}": v for k, v in trainer.poses.state_dict().items()}
    tensors |= {f"depth/{k}": v for k, v in trainer.depth.state_dict().items()}
    header = {KEY: json.dumps({"step": trainer.step, "identity": identity})}
    with atomic_path(path) as temporary:
        save_file({k: v.cpu().contiguous().clone() for k, v in tensors.items()}, str(temporary), header)


def restore(trainer: Trainer, path: Path, identity: dict[str, Any]) -> bool:
    """Bring ``trainer`` to the saved state.

    Returns:
        False, with ``trainer`` untouched, when there is no checkpoint, or it is of another run or damaged.
    """
    if not path.is_file():
        return False
    try:
        with safe_open(str(path), "pt") as file:
            facts = json.loads((file.metadata() or {}).get(KEY, "{}"))
            if facts.get("identity") != identity:
                return False
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError):
        return False
    _apply(trainer, tensors, facts["step"])
    return True


def _apply(trainer: Trainer, tensors: dict[str, Tensor], step: int) -> None:
    def part(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    state = part("avatar/")
    trainer.avatar.gaussians = Gaussians.empty(state["gaussians.means"].shape[0], state["gaussians.sh"].shape[1])
    trainer.avatar.load_state_dict(state)
    trainer.avatar.to(trainer.device).forget_features()
    trainer.poses.load_state_dict(part("poses/"))
    trainer.depth.load_state_dict(part("depth/"))
    trainer.optimizer = NamedAdam(*trainer.parameters())
    trainer.optimizer.load_state_tensors(part("adam/"))
    trainer.pull = PullStatistics(len(trainer.avatar.gaussians), trainer.device)
    trainer.pull.total.copy_(tensors["pull/total"])
    trainer.pull.seen.copy_(tensors["pull/seen"])
    trainer.step = step
