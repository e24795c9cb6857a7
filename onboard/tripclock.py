"""From the recording computer's monotonic time to UTC, after the fact."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

STEP_NS: Final = 500_000_000
"""A change of the UTC offset between two rows beyond this is a step of the clock, not drift."""
FIRST_PLAUSIBLE_UTC_NS: Final = 1_577_836_800_000_000_000
"""2020-01-01: a computer that says less has no battery for its clock and no network yet."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Readings of three clocks at the same moments, once a second.

    Attributes
    ----------
    t_mono_ns, boottime_ns, utc_ns : ndarray of int64, shape (n,)
        CLOCK_MONOTONIC, CLOCK_BOOTTIME (which goes on while suspended) and UTC since 1970.
    boot_id : list of str
        The kernel's name for the boot these readings belong to.
    """

    t_mono_ns: NDArray[np.int64]
    boottime_ns: NDArray[np.int64]
    utc_ns_read: NDArray[np.int64]
    boot_id: list[str]

    def utc_ns(self, t_mono_ns: ArrayLike) -> NDArray[np.int64] | None:
        """UTC of monotonic times, or None where no plausible reading exists.

        UTC is tied to boot time, which suspension does not stop. Where UTC was stepped (NTP,
        GPS, a person), the readings fall into plateaus of constant offset; the longest plateau
        counts, the later one of equals, and a straight line through it takes the drift out.
        """
        times = np.asarray(t_mono_ns, dtype=np.int64)
        plausible = self.utc_ns_read >= FIRST_PLAUSIBLE_UTC_NS
        if not plausible.any():
            return None
        mono = self.t_mono_ns[plausible]
        offset = (self.utc_ns_read - self.boottime_ns)[plausible]
        plateau = np.concatenate([[0], np.cumsum(np.abs(np.diff(offset)) > STEP_NS)])
        counts = np.bincount(plateau)
        longest = counts.size - 1 - int(np.argmax(counts[::-1]))
        chosen = plateau == longest
        base = int(offset[chosen][0])
        x = (mono[chosen] - mono[chosen][0]) / 1e9
        y = (offset[chosen] - base).astype(np.float64)
        if x.size >= 10:
            slope, level = np.polyfit(x, y, 1)
        else:
            slope, level = 0.0, float(np.median(y))
        drift = level + slope * (times - mono[chosen][0]) / 1e9
        return times + self._suspended_ns(times) + base + np.round(drift).astype(np.int64)

    def _suspended_ns(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Boot time minus monotonic time at each moment: how long the computer had slept."""
        asleep = self.boottime_ns - self.t_mono_ns
        before = np.searchsorted(self.t_mono_ns, times, side="right") - 1
        return asleep[np.clip(before, 0, asleep.size - 1)]


def read_clocks() -> tuple[int, int, int]:
    """Monotonic, boot time and UTC of the same moment, in nanoseconds.

    Read between two readings of the monotonic clock; of three tries the tightest counts.
    """
    best: tuple[int, int, int, int] | None = None
    for _ in range(3):
        before = time.monotonic_ns()
        boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        utc = time.time_ns()
        after = time.monotonic_ns()
        if best is None or after - before < best[0]:
            best = (after - before, (before + after) // 2, boot, utc)
    assert best is not None
    return best[1:]
