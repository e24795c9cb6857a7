"""How long a network's mistakes last: the next frame shows almost the same picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LAG_EDGES_M: Final = (0.5, 7.5, 12.5, 17.5, 25.0, 35.0, 50.0, 70.0, 100.0, 140.0)
"""A vehicle that stands sees one picture, however many are taken."""
SHARES: Final = np.arange(0.05, 1.001, 0.05)
LENGTHS_M: Final = np.arange(5.0, 200.1, 5.0)
FEWEST_PAIRS: Final = 200

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Persistence:
    """How alike the mistakes of two frames are, by how far apart they were taken.

    Attributes
    ----------
    share : float
        Correlation of two frames of nearly the same place; the rest is each frame's own.
    length_m : float
        Over which it falls to 1/e.
    measured : list of dict
        `metres` apart, and the `correlation` measured there.
    """

    share: float
    length_m: float
    measured: list[dict[str, float]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def persistence(
    wrong: NDArray[np.bool_], stratum: NDArray[np.int64], groups: Sequence[str], driven_m: Array
) -> Persistence | None:
    """Measure how long mistakes last.

    A mistake counts as far as it is not expected of its stratum, so that a long hill that is hard
    to see makes no long mistake by itself.

    Parameters
    ----------
    wrong : ndarray of bool, shape (n,)
    stratum : ndarray of int64, shape (n,)
        Frames of which mistakes are expected equally often.
    groups : sequence of str, length n
        Drives; frames of one are compared with each other only.
    driven_m : ndarray, shape (n,)
        Distance along the drive.

    Returns
    -------
    Persistence or None
        None where there are too few mistakes or drives to tell.
    """
    _, stratum = np.unique(stratum, return_inverse=True)
    rate = np.bincount(stratum, weights=wrong) / np.maximum(np.bincount(stratum), 1)
    unexpected = wrong - rate[stratum]
    spread = np.sqrt(rate * (1.0 - rate))[stratum]
    bins = len(LAG_EDGES_M) - 1
    products, scale, lag, pairs = np.zeros((4, bins))
    names = np.asarray(groups)
    for name in dict.fromkeys(groups):
        rows = np.flatnonzero(names == name)
        rows = rows[np.argsort(driven_m[rows], kind="stable")]
        place = driven_m[rows]
        for step in range(1, rows.size):
            apart = place[step:] - place[:-step]
            if apart.min() >= LAG_EDGES_M[-1]:
                break
            inside = (apart >= LAG_EDGES_M[0]) & (apart < LAG_EDGES_M[-1])
            bin_of = np.digitize(apart[inside], LAG_EDGES_M) - 1
            a, b = rows[:-step][inside], rows[step:][inside]
            products += np.bincount(bin_of, unexpected[a] * unexpected[b], bins)
            scale += np.bincount(bin_of, spread[a] * spread[b], bins)
            lag += np.bincount(bin_of, apart[inside], bins)
            pairs += np.bincount(bin_of, minlength=bins)
    if pairs.min() < FEWEST_PAIRS or scale.min() <= 0.0:
        return None
    lag, correlation = lag / pairs, products / scale
    share, length_m = _fitted(lag, correlation)
    measured = [
        {"metres": round(float(m), 1), "correlation": round(float(c), 3)}
        for m, c in zip(lag, correlation, strict=True)
    ]
    return Persistence(share, length_m, measured)


def _fitted(lag_m: Array, correlation: Array) -> tuple[float, float]:
    """Share and length of share·exp(-lag/length) nearest to what was measured."""
    tried = [(float(s), float(m)) for s in SHARES for m in LENGTHS_M]
    off = [float(((s * np.exp(-lag_m / m) - correlation) ** 2).sum()) for s, m in tried]
    share, length_m = tried[int(np.argmin(off))]
    return round(share, 2), length_m
