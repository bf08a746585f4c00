"""Make ``splatalk/speech/listener.safetensors``: teach a causal network what is heard in a whole recording.

    python -m benchmarks.make_listener WORK [--clips 80] [--real-clips 24] [--steps 1500] [--go-on] [--keep 0]

WORK keeps the lessons, so that a second run only trains. They are synthesised (``benchmarks/listener_lessons.py``):
sentences of Python's own documentation read by eSpeak NG and flite in many voices, rooms and noises. What the network
is to say: visemes and the curves of ``benchmarks/dominance.py`` from the phonemes' times, which are known; ``prosody``;
the shipped prior's articulation; and whether it is speech, for which it also hears sounds that are none
(``benchmarks/other_sounds.py``). No face, no truth, no recording of anybody.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from benchmarks.listener_lessons import LENGTH, School, at_offsets, inputs, linear, write
from splatalk.files import atomic_path
from splatalk.speech import PROSODY, listener
from splatalk.speech.lip_reading import CLOSED, CURVES
from splatalk.speech.mel import N_BANDS
from splatalk.speech.prior import ARTICULATION
from splatalk.speech.visemes import VISEMES

W = listener.WIDTH
BATCH = 10
RATE, RISES, FALLS = 2e-3, 40, 0.4
"""Of learning: at most, steps until it is there, and the share of all steps over whose course it falls to nothing."""
VISEMES_COUNT = 1.2
"""What the cross-entropy of the visemes counts beside the mean squared error of everything else."""
WARM_UP = 4
"""Steps of a piece at whose beginning nothing is asked."""
FALSE_ALARMS = 0.02
LOOKAHEADS = (0, 4, 8, 16)
SPEAKING_COUNTS = 1.0
"""What the cross-entropy of whether somebody speaks counts."""
_N, _OFFSETS = len(listener.OUTPUTS), len(listener.OFFSETS)


class Network(nn.Module):
    """``listener.hear`` and ``listener.estimates`` for whole sounds, with gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Linear(2 * N_BANDS, W)
        self.conv = nn.ModuleList(nn.Linear(3 * W, W) for _ in listener.DILATIONS)
        self.mix = nn.ModuleList(nn.Linear(W, W) for _ in listener.DILATIONS)
        self.head = nn.Linear(W, _OFFSETS * _N)
        for layer in self.mix:
            nn.init.normal_(layer.weight, std=0.3 / W**0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, 160) -> (B, T, offsets, outputs)."""
        h, steps = F.relu(self.input(x)), x.shape[1]
        for dilation, conv, mix in zip(listener.DILATIONS, self.conv, self.mix):
            past = F.pad(h, (0, 0, 2 * dilation, 0))
            taps = torch.cat((past[:, :steps], past[:, dilation : dilation + steps], h), -1)
            h = h + mix(F.relu(conv(taps)))
        return self.head(h).unflatten(-1, (_OFFSETS, _N))

    def layers(self) -> dict[str, nn.Linear]:
        named = {"input": self.input}
        for k, (conv, mix) in enumerate(zip(self.conv, self.mix)):
            named |= {f"conv{k}": conv, f"mix{k}": mix}
        return named

    def take(self, tensors: dict[str, np.ndarray], unit: Tensor) -> None:
        """Go on from what ``tensors`` gave."""
        found = {name: torch.from_numpy(array.astype(np.float32)) for name, array in tensors.items()}
        with torch.no_grad():
            for name, layer in self.layers().items():
                layer.weight.copy_(found[f"{name}.weight"].T)
                layer.bias.copy_(found[f"{name}.bias"])
            self.head.weight.copy_((found["head.weight"] / unit).flatten(1).T)
            self.head.bias.copy_((found["head.bias"] / unit).flatten())

    def tensors(self, unit: Tensor, typical: np.ndarray) -> dict[str, np.ndarray]:
        """As ``listener`` reads them; the head in the features' own units."""
        found = {"typical": torch.from_numpy(typical)}
        for name, layer in self.layers().items():
            found |= {f"{name}.weight": layer.weight.T, f"{name}.bias": layer.bias}
        found["head.weight"] = self.head.weight.T.unflatten(1, (_OFFSETS, _N)) * unit
        found["head.bias"] = self.head.bias.unflatten(0, (_OFFSETS, _N)) * unit
        return {n: np.ascontiguousarray(t.detach().numpy().astype(np.float16)) for n, t in found.items()}


def unit(school: School) -> Tensor:
    """(outputs,) what 1 at the network's end is worth."""
    return torch.from_numpy(np.concatenate((np.ones(len(VISEMES), np.float32), school.scale)))


def weights() -> Tensor:
    """What an error of each output between visemes and speaking counts: the lips' opening most, then the other lips."""
    counts = {"opening": 3.0, "width": 1.5, "activity": 2.0} | dict.fromkeys(ARTICULATION[2:], 1.0)
    return torch.tensor([counts.get(name, 0.4) for name in (*CURVES, *PROSODY, *ARTICULATION)])


def teach(school: School, steps: int, begun: dict[str, np.ndarray] | None) -> Network:
    torch.manual_seed(0)
    network, rng, counts = Network(), np.random.default_rng(1), weights()
    if begun is not None:
        network.take(begun, unit(school))
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: min((k + 1) / RISES, (steps - k) / (FALLS * steps), 1.0)
    )
    began = time.process_time()
    for step in range(1, steps + 1):
        x, wanted, viseme = (torch.from_numpy(a) for a in school.batch(rng, BATCH))
        said = network(x)[:, WARM_UP:]
        error = said[..., len(VISEMES) : -1] - wanted[:, WARM_UP:, :, :-1]
        missed = F.cross_entropy(said[..., : len(VISEMES)].flatten(0, 2), viseme[:, WARM_UP:].flatten())
        mistaken = F.binary_cross_entropy_with_logits(said[..., -1], wanted[:, WARM_UP:, :, -1])
        loss = (error.square() * counts).mean() + VISEMES_COUNT * missed + SPEAKING_COUNTS * mistaken
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 250 == 0 or step == steps:
            took = time.process_time() - began
            print(
                f"{step} {took:.0f} s, loss {loss.item():.3f}, {missed.item():.3f}, "
                f"{mistaken.item():.3f}; {judged(network, school)}",
                flush=True,
            )
    return network


@torch.no_grad()
def judged(network: Network, school: School) -> str:
    """On what was held back, at each lookahead: correlation of both openings, and share of closed lips that is found;
    shares of speech and of other sounds that are taken for speech."""
    said, wanted, viseme = [], [], []
    for k in school.held:
        rows = school.clip(k)
        said.append(heard(network, school, school.power[rows], linear(school.mel[rows])))
        known = at_offsets(school.wanted[rows], school.viseme[rows])
        wanted.append(known[0])
        viseme.append(known[1])
    others = torch.cat([heard(network, school, *sound) for sound in school.held_sounds])
    out, true, shape = torch.cat(said), np.concatenate(wanted), np.concatenate(viseme)
    closed = out[..., : len(VISEMES)].softmax(-1)[..., CLOSED].numpy()
    values = out[..., len(VISEMES) :].numpy()
    parts = []
    for lookahead in LOOKAHEADS:
        j = listener.OFFSETS.index(-lookahead)
        columns = (0, len(CURVES) + len(PROSODY))
        curve, prior = (np.corrcoef(values[:, j, c], true[:, j, c])[0, 1] for c in columns)
        truly = shape[:, j] == CLOSED
        limit = np.quantile(closed[~truly, j], 1.0 - FALSE_ALARMS)
        speech = (values[true[:, j, -1] > 0, j, -1] > 0).mean()
        taken = (others[:, j, -1] > 0).float().mean()
        found = (closed[truly, j] > limit).mean()
        parts.append(f"{20 * lookahead} ms {curve:.3f} {prior:.3f} {found:.2f}, {speech:.3f} {taken:.3f}")
    return "; ".join(parts)


def heard(network: Network, school: School, power: np.ndarray, mel: np.ndarray) -> Tensor:
    """Power (T,) and mel power (T, 2, 80) of a sound -> (T, offsets, outputs)."""
    return network(torch.from_numpy(inputs(power[None], mel[None], school.typical)))[0]


def between(learned: dict[str, np.ndarray], begun: dict[str, np.ndarray], keep: float) -> dict[str, np.ndarray]:
    """Mean of the weights after and before: hears what is unlike the lessons better (Wortsman et al. 2022, WiSE-FT)."""
    mixed = {n: (1.0 - keep) * array.astype(np.float32) + keep * begun[n] for n, array in learned.items()}
    return {name: array.astype(np.float16) for name, array in mixed.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--clips", type=int, default=80)
    parser.add_argument("--real-clips", type=int, default=24)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--go-on", action="store_true", help="begin with the shipped network instead of a new one")
    parser.add_argument("--keep", type=float, default=0.0, help="share of what it began with that is kept, 0 to 1")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    kept = options.work / "listener_lessons.npz"
    if not kept.exists():
        write(kept, options.work, options.clips, options.real_clips)
    school = School(kept)
    print(f"{school.begin[-1] / listener.STEP_RATE / 60:.0f} min of lessons, pieces of {LENGTH} steps", flush=True)
    begun = load_file(listener.FILE) if options.go_on else None
    network = teach(school, options.steps, begun)
    tensors = network.tensors(unit(school), school.typical)
    if begun is not None:
        tensors = between(tensors, begun, options.keep)
    with atomic_path(listener.FILE) as temporary:
        save_file(tensors, str(temporary))
        temporary.chmod(0o644)


if __name__ == "__main__":
    main()
