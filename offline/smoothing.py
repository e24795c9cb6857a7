"""Speed and acceleration from whole kilometres an hour: a Rauch-Tung-Striebel smoother.

The state at a grid point is speed and acceleration; acceleration is a random walk with
spectral density `ACCEL_DENSITY`. A sample between two grid points is a measurement of the one
before it, moved by the acceleration. The smoothed mean of this linear Gaussian model is the
solution of one banded system, which equals the forward and backward passes of the textbook
smoother (Rauch, Tung and Striebel 1965) and is solved by LAPACK; its covariance does not
depend on the measured values and is found by the two passes in information form, over many
overlapping blocks at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from onboard.signals import KMH_PER_MPS

ACCEL_DENSITY = 0.5
"""Spectral density of the jerk, (m/s²)²/s: least error on 1 km/h speeds at 1 to 10 Hz."""
QUANTIZATION_VARIANCE = (1.0 / KMH_PER_MPS) ** 2 / 12.0
"""Variance of a rounded whole km/h, (m/s)²."""
WEAK = 1e-6
"""Information that keeps a segment with a single sample solvable."""
BLOCK = 128
WARM_UP_S = 15.0
"""Overlap of the covariance blocks: the smoother forgets within about 3 s."""


@dataclass(frozen=True)
class SmoothedSpeed:
    """Smoothed values on the grid, NaN in gaps; all of shape (n,)."""

    speed_mps: NDArray[np.float64]
    speed_sd_mps: NDArray[np.float64]
    accel_mps2: NDArray[np.float64]
    accel_sd_mps2: NDArray[np.float64]


def smooth_speed(
    sample_s: NDArray[np.float64],
    speed_kmh: NDArray[np.float64],
    grid_s: NDArray[np.float64],
    *,
    rate_hz: float,
    max_gap_s: float,
) -> SmoothedSpeed:
    """Smooth speed samples onto a grid.

    Parameters
    ----------
    sample_s, speed_kmh : ndarray, shape (m,)
        Samples in order of time, no NaN.
    grid_s : ndarray, shape (n,)
        Grid that starts at 0 with step `1 / rate_hz`.
    rate_hz : float
        Grid rate.
    max_gap_s : float
        Two samples further apart leave a gap between them: nothing is estimated there.

    Returns
    -------
    SmoothedSpeed
    """
    n = grid_s.size
    nan = np.full(n, np.nan)
    if sample_s.size == 0:
        return SmoothedSpeed(nan, nan.copy(), nan.copy(), nan.copy())
    dt = 1.0 / rate_hz
    intervals = np.diff(sample_s)
    within = intervals[(intervals <= max_gap_s) & (intervals > 0)]
    # A rounded value repeats its error from sample to sample: scaled by the sample rate, the
    # variance makes a second of samples worth the same at any rate.
    sample_rate_hz = 1.0 / float(np.median(within)) if within.size else 1.0
    information = 1.0 / (QUANTIZATION_VARIANCE * max(sample_rate_hz, 0.25))

    node = np.clip(np.floor(sample_s * rate_hz + 1e-9).astype(np.int64), 0, n - 1)
    tau = sample_s - grid_s[node]
    speed_mps = speed_kmh / KMH_PER_MPS
    weight = np.full(sample_s.size, information)

    def gathered(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(node, weights=values, minlength=n).astype(np.float64)

    h_vv, h_va, h_aa = gathered(weight), gathered(weight * tau), gathered(weight * tau**2)
    y_v, y_a = gathered(weight * speed_mps), gathered(weight * tau * speed_mps)

    inside, linked = _segments(node, sample_s, n, max_gap_s)
    q = ACCEL_DENSITY
    # Inverse of the process noise [[dt³/3, dt²/2], [dt²/2, dt]] q of one grid step.
    w_vv, w_va, w_aa = 12.0 / (q * dt**3), -6.0 / (q * dt**2), 4.0 / (q * dt)
    # The step from i to i+1 costs |x(i+1) - F x(i)|² in that metric, with F = [[1, dt], [0, 1]].
    step = linked.astype(np.float64)
    after = np.concatenate([[0.0], step])
    before = np.concatenate([step, [0.0]])
    a_vv = h_vv + WEAK + after * w_vv + before * w_vv
    a_va = h_va + after * w_va + before * (dt * w_vv + w_va)
    a_aa = h_aa + WEAK + after * w_aa + before * (dt**2 * w_vv + 2 * dt * w_va + w_aa)
    # Off-diagonal block between i (row) and i+1 (column): -Fᵀ W.
    b_vv, b_va = -step * w_vv, -step * w_va
    b_av, b_aa = -step * (dt * w_vv + w_va), -step * (dt * w_va + w_aa)

    mean = _solve(a_vv, a_va, a_aa, b_vv, b_va, b_av, b_aa, y_v, y_a)
    var_v, var_a = _variances(
        a_vv, a_va, a_aa, b_vv, b_va, b_av, b_aa, warm_up=int(WARM_UP_S * rate_hz)
    )
    # Between stops the speed is never negative; the smoother may undershoot a standstill.
    speed = np.where(inside, np.maximum(mean[0::2], 0.0), np.nan)
    accel = np.where(inside, mean[1::2], np.nan)
    return SmoothedSpeed(
        speed,
        np.where(inside, np.sqrt(var_v), np.nan),
        accel,
        np.where(inside, np.sqrt(var_a), np.nan),
    )


def _segments(
    node: NDArray[np.int64], sample_s: NDArray[np.float64], n: int, max_gap_s: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Grid points between samples that are near enough, and the steps that join them."""
    breaks = np.flatnonzero(np.diff(sample_s) > max_gap_s)
    first = node[np.concatenate([[0], breaks + 1])]
    last = node[np.concatenate([breaks, [node.size - 1]])]
    edge = np.zeros(n + 1, dtype=np.int64)
    np.add.at(edge, first, 1)
    np.add.at(edge, last + 1, -1)
    inside = np.cumsum(edge[:-1]) > 0
    joint = np.zeros(n + 1, dtype=np.int64)
    np.add.at(joint, first, 1)
    np.add.at(joint, last, -1)
    linked = np.cumsum(joint[:-1])[:-1] > 0
    return inside, linked


def _solve(
    a_vv: NDArray[np.float64],
    a_va: NDArray[np.float64],
    a_aa: NDArray[np.float64],
    b_vv: NDArray[np.float64],
    b_va: NDArray[np.float64],
    b_av: NDArray[np.float64],
    b_aa: NDArray[np.float64],
    y_v: NDArray[np.float64],
    y_a: NDArray[np.float64],
) -> NDArray[np.float64]:
    n = a_vv.size
    band = np.zeros((4, 2 * n))  # lower form: band[k, j] = A[j + k, j]
    band[0, 0::2], band[0, 1::2] = a_vv, a_aa
    band[1, 0::2] = a_va
    band[1, 1:-1:2] = b_av
    band[2, 0:-2:2], band[2, 1:-2:2] = b_vv, b_aa
    band[3, 0:-2:2] = b_va
    right = np.empty(2 * n)
    right[0::2], right[1::2] = y_v, y_a
    return np.asarray(solveh_banded(band, right, lower=True, check_finite=False))


def _variances(
    a_vv: NDArray[np.float64],
    a_va: NDArray[np.float64],
    a_aa: NDArray[np.float64],
    b_vv: NDArray[np.float64],
    b_va: NDArray[np.float64],
    b_av: NDArray[np.float64],
    b_aa: NDArray[np.float64],
    *,
    warm_up: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Diagonal of the inverse of the block-tridiagonal information matrix.

    With S(i) the information at i from the left and T(i) that from the right, the covariance
    at i is the inverse of S(i) + T(i) - A(i). Both recursions forget their start within
    seconds, so blocks with a warm-up run side by side.
    """
    n = a_vv.size
    blocks = -(-n // BLOCK)
    length = BLOCK + 2 * warm_up
    index = np.arange(blocks)[:, None] * BLOCK - warm_up + np.arange(length)[None, :]
    outside = (index < 0) | (index >= n)
    index = np.clip(index, 0, n - 1)
    cut = (index < 1) | outside
    before = np.clip(index - 1, 0, n - 2) if n > 1 else index

    def block(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values[index].T.copy()

    def join(values: NDArray[np.float64]) -> NDArray[np.float64]:
        if n == 1:
            return np.zeros((length, blocks))
        return np.where(cut, 0.0, values[before]).T.copy()

    d_vv, d_va, d_aa = block(a_vv), block(a_va), block(a_aa)
    j_vv, j_va, j_av, j_aa = join(b_vv), join(b_va), join(b_av), join(b_aa)

    def reduced(
        s: tuple[NDArray[np.float64], ...], b: tuple[NDArray[np.float64], ...]
    ) -> tuple[NDArray[np.float64], ...]:
        """Bᵀ S⁻¹ B, the information that a neighbour's uncertainty takes away."""
        s_vv, s_va, s_aa = s
        p, q, r, t = b  # [[p, q], [r, t]]
        det = s_vv * s_aa - s_va * s_va
        i_vv, i_va, i_aa = s_aa / det, -s_va / det, s_vv / det
        x_v, x_a = i_vv * p + i_va * r, i_va * p + i_aa * r
        z_v, z_a = i_vv * q + i_va * t, i_va * q + i_aa * t
        return p * x_v + r * x_a, p * z_v + r * z_a, q * z_v + t * z_a

    left = [np.empty_like(d_vv) for _ in range(3)]
    for k in range(length):
        here = (d_vv[k], d_va[k], d_aa[k])
        if k:
            less = reduced(
                (left[0][k - 1], left[1][k - 1], left[2][k - 1]),
                (j_vv[k], j_va[k], j_av[k], j_aa[k]),
            )
            here = (here[0] - less[0], here[1] - less[1], here[2] - less[2])
        left[0][k], left[1][k], left[2][k] = here
    var_v, var_a = np.empty_like(d_vv), np.empty_like(d_vv)
    right = (d_vv[-1], d_va[-1], d_aa[-1])
    for k in range(length - 1, -1, -1):
        if k < length - 1:
            b = (j_vv[k + 1], j_av[k + 1], j_va[k + 1], j_aa[k + 1])
            less = reduced(right, b)
            right = (d_vv[k] - less[0], d_va[k] - less[1], d_aa[k] - less[2])
        s_vv = left[0][k] + right[0] - d_vv[k]
        s_va = left[1][k] + right[1] - d_va[k]
        s_aa = left[2][k] + right[2] - d_aa[k]
        det = s_vv * s_aa - s_va * s_va
        var_v[k], var_a[k] = s_aa / det, s_vv / det
    inner = slice(warm_up, warm_up + BLOCK)
    return var_v[inner].T.reshape(-1)[:n], var_a[inner].T.reshape(-1)[:n]
