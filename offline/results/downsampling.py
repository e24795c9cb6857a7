"""Fewer points for the eye: extremes stay, gaps stay gaps."""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tsdownsample import MinMaxLTTBDownsampler

MAX_POINTS: Final = 2000
"""Most points of a trace in a drawing: redraws stay under 0.2 s, and no screen shows more."""


def thin(
    t: NDArray[np.floating], y: NDArray[np.floating], limit: int = MAX_POINTS
) -> NDArray[np.int64]:
    """Choose the points of a trace to draw (MinMaxLTTB; Van Der Donckt et al. 2023).

    Parameters
    ----------
    t : ndarray, shape (n,)
        Times, ascending.
    y : ndarray, shape (n,)
        Values, NaN where missing.
    limit : int
        Most points to choose, at least 16.

    Returns
    -------
    ndarray of int64, shape (m,), m <= limit
        Ascending indices into `t`: the shape of the trace with its highest and lowest point, and
        for each gap one missing point with its two neighbours, so that a line drawn through
        them breaks there. Of more than `limit / 12` gaps only the longest are kept open.
    """
    known = np.flatnonzero(np.isfinite(y))
    if y.size <= limit:
        # A gap needs one missing point only, yet a short trace is drawn as it is.
        return np.arange(y.size, dtype=np.int64)
    if known.size == 0:
        return np.zeros(0, dtype=np.int64)
    steps = np.diff(known)
    after = np.flatnonzero(steps > 1)
    most = limit // 12
    if after.size > most:
        after = np.sort(after[np.argsort(-steps[after], kind="stable")[:most]])
    edges = np.concatenate(
        [
            known[after],
            known[after] + 1,
            known[after + 1],
            # The method favours extremes but promises none; a peak is what a reader looks for.
            known[[int(y[known].argmin()), int(y[known].argmax())]],
        ]
    )
    room = limit - edges.size
    if known.size > room:
        chosen = known[
            MinMaxLTTBDownsampler()
            .downsample(
                np.ascontiguousarray(t[known], dtype=np.float64),
                np.ascontiguousarray(y[known], dtype=np.float64),
                n_out=room,
            )
            .astype(np.int64)
        ]
    else:
        chosen = known
    return np.unique(np.concatenate([chosen, edges])).astype(np.int64)


def runs(
    t: NDArray[np.floating], names: NDArray[np.object_], limit: int = 400
) -> list[tuple[float, float, str]]:
    """Join equal neighbours of a categorical trace into stretches.

    Where there are more than `limit` stretches the trip is cut into as many equal parts and each
    takes the name that most of its points bear, as a screen or a printed page would show it.

    Parameters
    ----------
    t : ndarray, shape (n,)
        Times, ascending.
    names : ndarray of str, shape (n,)
        Empty where nothing is known; such stretches are left out.

    Returns
    -------
    list of tuple of float, float and str
        Start, end and name, ascending. A stretch ends where the next one starts.
    """
    if t.size == 0:
        return []
    index, codes = pd.factorize(names)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(index)) + 1])
    step = float(np.median(np.diff(t))) if t.size > 1 else 0.0
    if starts.size > limit:
        edges = np.linspace(0, t.size, limit + 1).astype(int)
        majority = [np.bincount(index[a:b]).argmax() for a, b in itertools.pairwise(edges)]
        keep = np.concatenate([[0], np.flatnonzero(np.diff(majority)) + 1])
        starts, named = edges[keep], np.asarray(majority)[keep]
    else:
        named = index[starts]
    ends = np.concatenate([t[starts[1:]], [t[-1] + step]])
    return [
        (float(t[start]), float(end), str(codes[code]))
        for start, end, code in zip(starts, ends, named, strict=True)
        if codes[code]
    ]
