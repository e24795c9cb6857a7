"""Raw replies, as adapters print them, to readings or to the reason why there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.decoders import (
    ReplyError,
    current_data,
    engine_address,
    engine_message,
    messages,
    reading,
    request,
    supported,
    vin,
)
from onboard.signals import SIGNALS, Status

RPM, SPEED, COOLANT = 0x0C, 0x0D, 0x05


def read(lines: list[str], pids: list[int], can_id_digits: int = 3) -> dict[str, float | None]:
    found = messages(lines, can_id_digits=can_id_digits)
    message = engine_message(found, engine_address(found))
    return {
        name: value
        for name, value, _ in (reading(*item) for item in current_data(message, pids).items())
    }


@pytest.mark.parametrize(
    ("line", "pid", "name", "value"),
    [
        ("7E804410C1AF8", 0x0C, "rpm", 1726.0),
        ("7E804410C1AF8000000", 0x0C, "rpm", 1726.0),
        ("7E804410C0000555555", 0x0C, "rpm", 0.0),
        ("7E804410CFFFF", 0x0C, "rpm", 16383.75),
        ("7E803410D00", 0x0D, "speed_kmh", 0.0),
        ("7E8 03 41 0D FF", 0x0D, "speed_kmh", 255.0),
        ("7E8034105 00", 0x05, "coolant_temp_c", -40.0),
        ("7E80341057B", 0x05, "coolant_temp_c", 83.0),
        ("7E8034104FF", 0x04, "load_percent", 100.0),
        ("7E803411180", 0x11, "throttle_percent", 128 * 100 / 255),
        ("7E804411001F4", 0x10, "maf_g_s", 5.0),
        ("7E803410B65", 0x0B, "map_kpa", 101.0),
        ("7E803410F3C", 0x0F, "intake_temp_c", 20.0),
        ("7E803414628", 0x46, "ambient_temp_c", 0.0),
        ("7E803412F80", 0x2F, "fuel_level_percent", 128 * 100 / 255),
        ("7E804411F0E10", 0x1F, "run_time_s", 3600.0),
    ],
)
def test_whole_replies(line: str, pid: int, name: str, value: float) -> None:
    assert read([line], [pid]) == {name: value}


@pytest.mark.parametrize(
    ("lines", "digits"),
    [
        (["18DAF11004410C1AF8"], 8),
        (["486B10410C1AF8D3"], 0),
        (["SEARCHING...", "7E804410C1AF8"], 3),
        (["SEARCHING...7E804410C1AF8"], 3),
        (["7E904410C0000", "7E804410C1AF8"], 3),
        (["\x007E804410C1AF8"], 3),
    ],
)
def test_other_buses_and_several_units(lines: list[str], digits: int) -> None:
    assert read(lines, [RPM], digits) == {"rpm": 1726.0}


def test_several_parameters_in_one_reply() -> None:
    assert read(["7E806410C1AF80D32"], [RPM, SPEED]) == {"rpm": 1726.0, "speed_kmh": 50.0}
    long = ["7E81008410C1AF80D32", "7E821057B0000000000"]
    assert read(long, [RPM, SPEED, COOLANT]) == {
        "rpm": 1726.0,
        "speed_kmh": 50.0,
        "coolant_temp_c": 83.0,
    }
    # The vehicle may answer in its own order and leave out what it has not.
    assert read(["7E806410D320C1AF8"], [RPM, SPEED, COOLANT]) == {
        "speed_kmh": 50.0,
        "rpm": 1726.0,
    }


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        # Truncated on the way to the computer.
        (["7E804410C1A"], Status.MALFORMED),
        (["7E804410C1AF"], Status.MALFORMED),
        (["7E804410C"], Status.MALFORMED),
        (["7E80441"], Status.MALFORMED),
        (["7E8"], Status.MALFORMED),
        (["7E"], Status.MALFORMED),
        # A byte lost out of a padded frame: the padding must not become data.
        (["7E804410CF8000000"], Status.MALFORMED),
        # Truncated by the vehicle.
        (["7E803410C1A"], Status.MALFORMED),
        (["7E802410C"], Status.MALFORMED),
        (["7E800"], Status.MALFORMED),
        # Meant for another question.
        (["7E803410D32"], Status.MALFORMED),
        (["7E804420C1AF8"], Status.MALFORMED),
        (["7E804610C1AF8"], Status.MALFORMED),
        (["7E805410C1AF800"], Status.MALFORMED),
        (["7E807410C1AF80C1AF8"], Status.MALFORMED),
        # Transport.
        (["7E804410C1AF8", "7E804410C1AF8"], Status.MALFORMED),
        (["7E821057B0000000000"], Status.MALFORMED),
        (["7E81008410C1AF80D32"], Status.MALFORMED),
        (["7E81008410C1AF80D32", "7E822057B0000000000"], Status.MALFORMED),
        (["7E81008410C1AF80D32", "7E82105"], Status.MALFORMED),
        (["7E81008410C1AF80D32", "7E821057B00000000"], Status.MALFORMED),
        (
            ["7E81008410C1AF80D32", "7E821057B0000000000", "7E8220000000000000"],
            Status.MALFORMED,
        ),
        # The adapter's own words.
        (["NO DATA"], Status.NO_DATA),
        (["UNABLE TO CONNECT"], Status.NO_DATA),
        (["CAN ERROR"], Status.NO_DATA),
        (["BUS INIT: ...ERROR"], Status.NO_DATA),
        (["7E87F0112"], Status.MALFORMED),
        (["7E8037F0112"], Status.NO_DATA),
        (["?"], Status.MALFORMED),
        (["STOPPED"], Status.MALFORMED),
        (["BUFFER FULL"], Status.MALFORMED),
        (["7E804410C1AF8<DATA ERROR"], Status.MALFORMED),
        (["7E804410C1AF8", "NO DATA"], Status.MALFORMED),
        (["7E8G4410C1AF8"], Status.MALFORMED),
        ([], Status.TIMEOUT),
        (["", " "], Status.TIMEOUT),
        (["SEARCHING..."], Status.TIMEOUT),
    ],
)
def test_anything_else_is_no_reading(lines: list[str], status: Status) -> None:
    with pytest.raises(ReplyError) as caught:
        read(lines, [RPM])
    assert caught.value.status is status


@given(st.integers(0, 65535), st.data())
def test_no_cut_of_a_reply_is_a_reading(raw: int, data: st.DataObject) -> None:
    whole = f"7E804410C{raw:04X}" + data.draw(st.sampled_from(["", "000000", "AAAAAA"]))
    cut = data.draw(st.integers(0, len(whole) - 1))
    if cut == len("7E804410C0000"):
        # What is cut is the padding alone.
        assert read([whole[:cut]], [RPM]) == {"rpm": raw / 4}
    else:
        with pytest.raises(ReplyError):
            read([whole[:cut]], [RPM])


@given(st.lists(st.text("0123456789ABCDEF >\rNODATA?.", max_size=40), max_size=4))
def test_garbage_never_fails_otherwise(lines: list[str]) -> None:
    for digits in (0, 3, 8):
        try:
            values = read(lines, [RPM, SPEED], digits)
        except ReplyError:
            continue
        for name, value in values.items():
            assert value is not None
            assert SIGNALS[name].low <= value <= SIGNALS[name].high


def test_supported_parameters() -> None:
    # SAE J1979's own example: BE 1F B8 10.
    found = supported(0x00, bytes.fromhex("BE1FB810"))
    assert {0x04, 0x05, 0x0C, 0x0D, 0x10, 0x11, 0x1C} <= found
    assert 0x02 not in found
    assert supported(0x20, bytes.fromhex("80000001")) == {0x21, 0x40}


def test_vehicle_identification_number() -> None:
    lines = ["7E81014490201575657", "7E8215A5A5A314B5A41", "7E82257313233343536"]
    assert vin(messages(lines, can_id_digits=3)[0x7E8]) == "WVWZZZ1KZAW123456"
    legacy = [
        "486B10490201000000575A",
        "486B10490202565A5A5A5A",
        "486B10490203314B5A415A",
        "486B104902045731323300",
        "486B10490205343536375A",
    ]
    with pytest.raises(ReplyError):
        # `WVZZZ…`: 17 characters, of which one is missing at the end.
        vin(messages(legacy[:4], can_id_digits=0)[0x10])
    assert vin(messages(legacy, can_id_digits=0)[0x10]) == "WVZZZ1KZAW1234567"
    with pytest.raises(ReplyError, match="no vehicle"):
        vin(b"\x49\x02\x01OOOOOOOOOOOOOOOOO")


def test_another_unit_never_stands_in_for_the_engine() -> None:
    found = messages(["7E904410C1AF8"], can_id_digits=3)
    with pytest.raises(ReplyError) as caught:
        engine_message(found, 0x7E8)
    assert caught.value.status is Status.NO_DATA


def test_requests() -> None:
    assert request([RPM]) == b"010C"
    assert request([RPM, SPEED, COOLANT]) == b"010C0D05"
