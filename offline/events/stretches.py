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
    gap in the data belongs to no stretch, but joins the two beside it if both touch it: a gap
    can shorten an event or swallow one, and never makes one.

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
    runs = list(
        zip(
            np.flatnonzero(edges == 1).tolist(),
            (np.flatnonzero(edges == -1) - 1).tolist(),
            strict=True,
        )
    )
    unknown_before = np.concatenate([[0], np.cumsum(~known)])
    found: list[Stretch] = []
    open_first = open_last = open_measured = -1
    entered = False
    for first, last in runs:
        run_entered = bool(enter[first : last + 1].any())
        between = first - open_last - 1
        gap = int(unknown_before[first] - unknown_before[open_last + 1]) if open_last >= 0 else 0
        touches = open_last >= 0 and gap == between and between > 0
        near = open_last >= 0 and (between - gap) / rate_hz <= merge_gap_s
        # Merging counts stretches that entered; a mere approach to the limit joins nothing.
        if open_last >= 0 and (touches or (near and entered and run_entered)):
            open_last, open_measured = last, open_measured + last - first + 1
            entered = entered or run_entered
            continue
        if entered:
            found.append(Stretch(open_first, open_last, open_measured))
        open_first, open_last, open_measured = first, last, last - first + 1
        entered = run_entered
    if entered:
        found.append(Stretch(open_first, open_last, open_measured))
    least = min_duration_s * rate_hz - 1e-6
    return [stretch for stretch in found if stretch.measured >= least]
