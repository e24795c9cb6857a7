"""A hidden Markov model of the road: slope and course together, over distance.

A state is a slope and a course (3 x 4 = 12). Roads change at random with known mean lengths;
the posterior of every cell comes from the forward-backward recursion (Rabiner 1989).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offline.policy import FusionRule
from offline.roadscene import COURSES, SLOPES

SLOPE_PRIOR = np.array([0.6, 0.2, 0.2])
COURSE_PRIOR = np.array([0.74, 0.2, 0.03, 0.03])


def transition(rule: FusionRule) -> NDArray[np.float64]:
    """Matrix of one cell's step, shape (12, 12), rows sum to 1; slope is the slow index."""
    step: NDArray[np.float64] = np.kron(
        _chain(SLOPE_PRIOR, rule.cell_m / rule.slope_length_m),
        _chain(COURSE_PRIOR, rule.cell_m / rule.course_length_m),
    ).astype(np.float64)
    return step


def _chain(prior: NDArray[np.float64], change: float) -> NDArray[np.float64]:
    """Stay, or with chance `change` draw anew from the prior, which so stays the prior."""
    change = min(change, 1.0)
    return (1.0 - change) * np.eye(prior.size) + change * np.tile(prior, (prior.size, 1))


def posterior(
    log_likelihood: NDArray[np.float64], after_gap: NDArray[np.bool_], rule: FusionRule
) -> NDArray[np.float64]:
    """Probability of every state in every cell.

    Parameters
    ----------
    log_likelihood : ndarray, shape (k, 12)
        Evidence of each cell.
    after_gap : ndarray of bool, shape (k,)
        Cells that start anew from the prior.
    rule : FusionRule
        Lengths.

    Returns
    -------
    ndarray, shape (k, 12)
    """
    k = log_likelihood.shape[0]
    step = transition(rule)
    prior = np.kron(SLOPE_PRIOR, COURSE_PRIOR)
    likelihood = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    # One small product a cell and direction: what matters is to make few numpy calls.
    ones = np.ones(prior.size)
    gaps = after_gap.tolist()
    forward = np.empty_like(likelihood)
    state = prior
    for i in range(k):
        state = prior * likelihood[i] if i == 0 or gaps[i] else (state @ step) * likelihood[i]
        state *= 1.0 / state.dot(ones)
        forward[i] = state
    backward = np.empty_like(likelihood)
    back, back_step = ones, np.ascontiguousarray(step.T)
    for i in range(k - 1, -1, -1):
        backward[i] = back
        back = ones if gaps[i] else (likelihood[i] * back) @ back_step
        back = back * (1.0 / back.dot(ones))
    found = forward * backward
    return found / found.sum(axis=1, keepdims=True)


def heads(states: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Split the joint posterior into slope, shape (k, 3), and course, shape (k, 4)."""
    joint = states.reshape(-1, len(SLOPES), len(COURSES))
    return joint.sum(axis=2), joint.sum(axis=1)
