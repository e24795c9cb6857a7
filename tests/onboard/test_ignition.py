"""When trips begin and end."""

from __future__ import annotations

from onboard.ignition import Ignition


def drive(ignition: Ignition, until_s: int = 60) -> None:
    for second in range(until_s):
        ignition.heard(second, 2000.0, "ok")


def new() -> Ignition:
    return Ignition(end_after_off_s=10, end_after_stopped_s=300, end_after_lost_s=600)


def test_the_engine_starts_a_trip_and_zero_rpm_does_not() -> None:
    ignition = new()
    ignition.heard(0, 0.0, "ok")
    assert not ignition.running(0)
    assert ignition.why_ended(1000) is None
    ignition.heard(5, 750.0, "ok")
    assert ignition.running(6)
    assert not ignition.running(8)


def test_ignition_off_ends_it_after_ten_seconds() -> None:
    ignition = new()
    drive(ignition)
    for second in range(60, 70):
        ignition.heard(second, None, "no_data")
        assert ignition.why_ended(second) is None
    ignition.heard(70, None, "no_data")
    assert ignition.why_ended(70) == "ignition off"


def test_a_vehicle_that_answers_again_goes_on() -> None:
    ignition = new()
    drive(ignition)
    ignition.heard(60, None, "no_data")
    ignition.heard(69, 800.0, "ok")
    ignition.heard(75, None, "no_data")
    assert ignition.why_ended(75) is None


def test_start_stop_at_a_light_does_not_end_it() -> None:
    ignition = new()
    drive(ignition)
    for second in range(60, 359):
        ignition.heard(second, 0.0, "ok")
        assert ignition.why_ended(second) is None
    ignition.heard(359, 0.0, "ok")
    assert ignition.why_ended(359) == "engine stopped"


def test_a_faulty_adapter_ends_it_late() -> None:
    ignition = new()
    drive(ignition)
    for second in range(60, 659):
        ignition.heard(second, None, "timeout" if second % 2 else "malformed")
        assert ignition.why_ended(second) is None
    assert ignition.why_ended(659) == "adapter lost"
