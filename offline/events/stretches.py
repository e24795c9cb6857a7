"""Stretches of a signal beyond a limit: hysteresis, gaps, merging, shortest duration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Stretch:
    """Grid points `first` to `last`, both included, and how many of them were measured."""

    first: int
    last: int
    measured: int


def stretches(
    enter: NDArray[np.bool_],
    stay: NDArray[np.bool_],
    known: NDArray[np.bool_],
    *,
    rate_hz: float,
    min_duration_s: float,
    merge_gap_s: float,
) -> list[Stretch]:
    """Find where a signal enters a condition and stays in it.

    A stretch begins and ends where `stay` holds and needs at least one point of `enter`. A
    gap in the data belongs to no stretch, but joins two whole ones beside it, for nobody knows
    that they were two: a gap can shorten an event or swallow one, and never makes one.

    Parameters
    ----------
    enter, stay : ndarray of bool, shape (n,)
        The limit passed, and the weaker one that ends a stretch; `enter` implies `stay`.
    known : ndarray of bool, shape (n,)
        Where the signals were measured.
    rate_hz : float
        Grid rate.
    min_duration_s : float
        Shorter stretches are dropped, after merging; only measured time counts.
    merge_gap_s : float
        Two stretches no further apart are one.
    """
    stay = (stay | enter) & known
    edges = np.diff(np.concatenate([[0], stay.astype(np.int8), [0]]))
    firsts = np.flatnonzero(edges == 1).tolist()
    lasts = (np.flatnonzero(edges == -1) - 1).tolist()
    unknown_before = np.concatenate([[0], np.cumsum(~known)])
    merge_points = merge_gap_s * rate_hz
    least = min_duration_s * rate_hz - 1e-6

    merged: list[Stretch] = []
    for first, last in zip(firsts, lasts, strict=True):
        if not enter[first : last + 1].any():
            continue
        run = Stretch(first, last, last - first + 1)
        if merged:
            before = merged[-1]
            between = first - before.last - 1
            whole = unknown_before[first] == unknown_before[before.last + 1]
            if whole and between <= merge_points:
                merged[-1] = Stretch(before.first, last, before.measured + run.measured)
                continue
        merged.append(run)
    found: list[Stretch] = []
    for run in merged:
        if run.measured < least:
            continue
        if found and _may_be_one(found[-1], run, known, stay, merge_points):
            before = found[-1]
            found[-1] = Stretch(before.first, run.last, before.measured + run.measured)
        else:
            found.append(run)
    return found


def _may_be_one(
    before: Stretch,
    after: Stretch,
    known: NDArray[np.bool_],
    stay: NDArray[np.bool_],
    merge_points: float,
) -> bool:
    """Whether only gaps, and pauses short enough to merge, lie between two stretches."""
    between = slice(before.last + 1, after.first)
    if known[between].all():
        return False
    # Where the condition holds on is no pause, even if the limit itself is not passed there.
    pausing = known[between] & ~stay[between]
    pauses = np.diff(np.flatnonzero(np.concatenate([[True], ~pausing, [True]]))) - 1
    return bool(pauses.max() <= merge_points)
