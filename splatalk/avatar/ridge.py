"""Ridge regression of a person's mouth on what is heard, its penalties found in held-out blocks of the recording."""

from __future__ import annotations

import numpy as np

_PENALTIES = 10.0 ** np.arange(-2.0, 4.5, 0.5)
_FOLDS = 5
_GAP = 8  # frames left out around a held-out block: neighbours know its sound


def ridge(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray, lips: np.ndarray, aside: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Weighted ridge regression of (N, C) on (N, P), the penalty of each output by held-out blocks.

    Args:
        weights: (N,) of the frames.
        lips: (C, 2) outputs to opening and width of the lips: what counts most in the choice.
        aside: (N, M) what else moves the outputs and is not asked for: it is fitted along, without penalty, and left at
            its median.

    Returns:
        (P, C), constant (C,), share of the opening's variance explained in the held-out blocks.
    """
    blocks = np.arange(len(x)) * _FOLDS // len(x)
    judged = np.concatenate((np.eye(y.shape[1]), lips), 1)  # codes, then opening and width
    error = np.zeros((len(_PENALTIES), judged.shape[1]))
    for fold in range(_FOLDS):
        held = blocks == fold
        near = np.convolve(held, np.ones(2 * _GAP + 1), "same") > 0
        solve = _Solver(x[~near], y[~near], weights[~near], None if aside is None else aside[~near])
        for i, penalty in enumerate(_PENALTIES):
            coefficients, constant = solve(np.full(y.shape[1], penalty))
            error[i] += (weights[held, None] * ((x[held] @ coefficients + constant - y[held]) @ judged) ** 2).sum(0)
    centre = np.average(y, 0, weights)
    total = (weights[:, None] * ((y - centre) @ judged) ** 2).sum(0) + 1e-12
    relative = error / total
    # One code alone is a noisy judge of its penalty in a short clip, and most codes hardly follow speech.
    best = np.argmin(0.5 * relative[:, :-2] + relative[:, -2:].mean(1, keepdims=True), 0)
    coefficients, constant = _Solver(x, y, weights, aside)(_PENALTIES[best])
    explained = 1.0 - float(relative[:, -2].min())
    return coefficients, constant, explained


class _Solver:
    """Ridge solutions for any penalty from one eigendecomposition.

    What goes ``aside`` is first taken out of inputs and outputs (Frisch and Waugh 1933).
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray, aside: np.ndarray | None) -> None:
        self.mean_x, self.mean_y = np.average(x, 0, weights), np.average(y, 0, weights)
        root = np.sqrt(weights)[:, None]
        x, y = (x - self.mean_x) * root, (y - self.mean_y) * root
        if aside is not None:
            mean = np.average(aside, 0, weights)
            of_x, of_y = (np.linalg.lstsq((aside - mean) * root, a, rcond=1e-6)[0] for a in (x, y))
            x, y = x - (aside - mean) * root @ of_x, y - (aside - mean) * root @ of_y
            usual = np.median(aside, 0) - mean
            self.mean_x, self.mean_y = self.mean_x + usual @ of_x, self.mean_y + usual @ of_y
        if len(x) < x.shape[1]:  # fewer frames than inputs: work in the span of the frames
            values, vectors = np.linalg.eigh(x @ x.T)
            values = np.maximum(values, 0.0)
            self.basis, self.target = x.T @ vectors, vectors.T @ y
        else:
            values, vectors = np.linalg.eigh(x.T @ x)
            values = np.maximum(values, 0.0)
            self.basis, self.target = vectors, vectors.T @ (x.T @ y)
        self.values = values

    def __call__(self, penalties: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Penalty of each output (C,) -> coefficients (P, C), constant (C,)."""
        coefficients = self.basis @ (self.target / (self.values[:, None] + penalties))
        return coefficients, self.mean_y - self.mean_x @ coefficients
