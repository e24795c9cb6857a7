"""The signal vocabulary: names, ranges and what becomes of impossible values."""

from __future__ import annotations

import math

import pytest

from onboard.signals import ALWAYS, SIGNALS, Status, checked


@pytest.mark.parametrize("name", sorted(SIGNALS))
def test_limits_are_themselves_possible(name: str) -> None:
    signal = SIGNALS[name]
    assert checked(name, signal.low) == (signal.low, Status.OK)
    assert checked(name, signal.high) == (signal.high, Status.OK)
    assert checked(name, math.nextafter(signal.high, math.inf)) == (None, Status.OUT_OF_RANGE)
    assert checked(name, math.nextafter(signal.low, -math.inf)) == (None, Status.OUT_OF_RANGE)


def test_missing_is_missing_never_zero() -> None:
    assert checked("rpm", None) == (None, Status.NO_DATA)
    assert checked("rpm", math.nan) == (None, Status.NO_DATA)
    assert checked("speed_kmh", 0.0) == (0.0, Status.OK)


def test_an_unknown_signal_is_refused() -> None:
    with pytest.raises(KeyError):
        checked("speed", 3.0)


def test_names_end_in_their_unit_and_pids_are_asked_once() -> None:
    pids = [signal.pid for signal in SIGNALS.values() if signal.pid is not None]
    assert len(pids) == len(set(pids))
    assert all(name in SIGNALS for name in ALWAYS)
    units = {"km/h": "_kmh", "°C": "_c", "%": "_percent", "s": "_s", "m": "_m", "°": "_deg"}
    for name, signal in SIGNALS.items():
        if signal.unit in units:
            assert name.endswith(units[signal.unit]), name
