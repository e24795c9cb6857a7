"""A vehicle's body on its springs: how it bounces from picture to picture."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

BOUNCE_HZ: Final = 1.5
BOUNCE_LASTS_S: Final = 0.35
"""A car's body on its springs (Gillespie, ch. 5)."""
BOUNCE_RAD_S: Final = 2.0 * math.pi * BOUNCE_HZ
"""Rate of a swing of one radian."""
SHAKING_SHARE: Final = 0.2
"""Of the bouncing's variance, what wheels and engine shake faster than any picture follows."""

Array = NDArray[np.float64]


def drawn(rng: np.random.Generator, t_s: Array, known: Array, then_s: Array) -> Array:
    """Draw what a bouncing vehicle's angle was at other times than those at which it is known.

    A Gaussian process whose correlation is a damped oscillation of `BOUNCE_HZ`, which at the times
    of a trip's pictures leaves next to none, and `SHAKING_SHARE` of noise.

    Parameters
    ----------
    t_s, known : ndarray, shape (n,)
    then_s : ndarray, shape (m,)
    """

    def correlation(a: Array, b: Array) -> Array:
        apart = np.abs(a[:, None] - b[None, :])
        swing = np.exp(-apart / BOUNCE_LASTS_S) * np.cos(2.0 * math.pi * BOUNCE_HZ * apart)
        return np.asarray((1.0 - SHAKING_SHARE) * swing + SHAKING_SHARE * (apart == 0.0))

    spread = max(float(np.sqrt(np.mean(known**2))), 1e-12)
    carried = np.linalg.solve(correlation(t_s, t_s), correlation(t_s, then_s)).T
    left = correlation(then_s, then_s) - carried @ correlation(t_s, then_s)
    drawn = np.linalg.cholesky(left) @ rng.normal(0, spread, then_s.size)
    return np.asarray(carried @ known + drawn)
