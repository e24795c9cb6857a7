"""Logs as the apps write them: headers, times and quirks of real files, values made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from offline.errors import InputError
from offline.importing.columns import recognize, split_header
from offline.importing.layouts import Log, read_log
from offline.importing.moments import read_date
from onboard.signals import SIGNALS, Status

TORQUE = """\
GPS Time, Device Time, Longitude, Latitude,GPS Speed (Meters/second), Horizontal Dilution of \
Precision, Altitude, Bearing, G(x), G(y), G(z), G(calibrated),Speed (OBD)(km/h),Engine RPM(rpm),\
Engine Coolant Temperature(°C),Engine Load(%),Throttle Position(Manifold)(%)
Sun Oct 05 14:22:01 PDT 2026,05-Oct-2026 14:22:01.100,-118.1,34.2,10,4.0,500,0.0,0,0,0,0,36,2100,\
88,40.4,18.5
Sun Oct 05 14:22:01 PDT 2026,05-Oct-2026 14:22:01.600,-118.1,34.3,10.5,4.0,501,0,0,0,0,0,38,2200,\
88,-,25
GPS Time, Device Time, Longitude, Latitude,GPS Speed (Meters/second), Horizontal Dilution of \
Precision, Altitude, Bearing, G(x), G(y), G(z), G(calibrated),Speed (OBD)(km/h),Engine RPM(rpm),\
Engine Coolant Temperature(°C),Engine Load(%),Throttle Position(Manifold)(%)
Sun Oct 05 14:22:02 PDT 2026,05-Oct-2026 14:22:02.100,-,-,-,-,-,-,0,0,0,0,40,2300,89,41,-
"""
FUSION = """\
# StartTime = 03/27/2026 06:54:01.3973 PM
Time (sec),Engine RPM (RPM),Vehicle speed (MPH),Engine coolant temperature (°F),\
Intake manifold absolute pressure (kPa)
4.406,1074,50,212,48
4.812,1080,,212,48
5.218,1090,51,212,49
"""
SCANNER_LONG = """\
"SECONDS";"PID";"VALUE";"UNITS";"LATITUDE";"LONGTITUDE";
"69590.49";"Engine RPM";"651";"rpm";"47.5469";"-122.2307";
"69590.49";"Vehicle speed";"10";"mph";"47.5469";"-122.2307";
"69590.51";"Speed (GPS)";"0.14";"mph";"47.5469";"-122.2307";
"69590.60";"Engine coolant temperature";"83";"°C";"47.5470";"-122.2307";
"69591.00";"Vehicle speed";"11";"mph";"47.5471";"-122.2307";
"69591.20";"Calculated engine load value";"31.4";"%";"47.5471";"-122.2307";
"""
SCANNER_WIDE = """\
time;[ECM] Engine RPM (rpm);Vehicle speed (km/h);Engine coolant temperature (℃);
23:59:58,500;850;0;88;
23:59:59,500;1500;20,5;89;
00:00:00,500;1600;25;89;
"""
CAROBD_HEADER = "ENGINE_RUN_TINE (),ENGINE_RPM (),VEHICLE_SPEED (),THROTTLE (),ENGINE_LOAD (),\
COOLANT_TEMPERATURE (),INTAKE_MANIFOLD_PRESSURE (),FUEL_TANK (),INTAKE_AIR_TEMP ()"
PLAIN = "t_s,rpm,speed_kmh,coolant_c\n0.5,800,0,20\n1.5,1500,12,21\n2.5,1600,20,22\n"


def log_of(tmp_path: Path, text: str, name: str = "log.csv", **units: str) -> Log:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_log(path, **units)


def values(log: Log, signal: str) -> list[float | None]:
    return [None if v is None else round(v, 4) for v in log.readings[signal].value]


def test_torque_pro(tmp_path: Path) -> None:
    log = log_of(tmp_path, TORQUE)
    assert log.layout == "Torque Pro"
    assert log.readings["speed_kmh"].t_s.tolist() == [0.0, 0.5, 1.0]
    assert values(log, "speed_kmh") == [36, 38, 40]
    assert values(log, "rpm") == [2100, 2200, 2300]
    # A dash is no reading: neither 0 nor a failed one.
    assert values(log, "load_percent") == [40.4, 41]
    assert values(log, "throttle_percent") == [18.5, 25]
    assert values(log, "gps_altitude_m") == [500, 501]
    assert values(log, "gps_latitude_deg") == [34.2, 34.3]
    # Milliseconds from the device's clock, the zone from the GPS column.
    assert log.started == datetime(2026, 10, 5, 14, 22, 1, 100_000, timezone(timedelta(hours=-7)))


def test_torque_pro_in_french_and_in_miles(tmp_path: Path) -> None:
    text = TORQUE.replace("Oct-2026", "oct.-2026").replace("(km/h)", "(mph)")
    text = text.replace("(°C)", "(Â°F)")
    log = log_of(tmp_path, text)
    assert values(log, "speed_kmh") == [57.9364, 61.1551, 64.3738]
    assert values(log, "coolant_temp_c")[0] == pytest.approx((88 - 32) / 1.8, abs=1e-3)
    assert log.started is not None
    assert log.started.month == 10


def test_obd_fusion(tmp_path: Path) -> None:
    log = log_of(tmp_path, FUSION)
    assert log.layout == "OBD Fusion"
    assert values(log, "speed_kmh") == [80.4672, 82.0765]
    assert log.readings["speed_kmh"].t_s.tolist() == pytest.approx([0.0, 0.812])
    assert values(log, "coolant_temp_c") == [100, 100, 100]
    assert values(log, "map_kpa") == [48, 48, 49]
    # The head dates time 0; the first row came 4.406 s later.
    assert log.started == datetime(2026, 3, 27, 18, 54, 5, 803_300)


def test_car_scanner_long(tmp_path: Path) -> None:
    log = log_of(tmp_path, SCANNER_LONG, "2026-08-16 19-19-50.csv")
    assert log.layout == "Car Scanner"
    assert values(log, "speed_kmh") == [16.0934, 17.7028]
    assert log.readings["speed_kmh"].t_s.tolist() == pytest.approx([0.0, 0.51])
    assert values(log, "load_percent") == [31.4]
    assert values(log, "coolant_temp_c") == [83]
    assert values(log, "gps_latitude_deg") == [47.5469, 47.5469, 47.547, 47.5471, 47.5471]
    assert log.started == datetime(2026, 8, 16, 19, 19, 50)


def test_car_scanner_wide_over_midnight_with_decimal_commas(tmp_path: Path) -> None:
    log = log_of(tmp_path, SCANNER_WIDE, "2026-08-16 23-59-58.csv")
    assert values(log, "speed_kmh") == [0, 20.5, 25]
    assert values(log, "rpm") == [850, 1500, 1600]
    assert log.readings["rpm"].t_s.tolist() == [0.0, 1.0, 2.0]
    assert log.started == datetime(2026, 8, 16, 23, 59, 58)


def carobd(polls: int = 400, rows_per_poll: int = 4, row_s: float = 0.46) -> str:
    """Every value repeated until the next poll, the run time cut to whole seconds."""
    lines = [CAROBD_HEADER] + ["0.0, 0.0, 0.0, 17.6, 0.0, 24.0, 101.0, 52.5, 25.0,"] * 12
    for poll in range(polls):
        run_s = int(1 + poll * rows_per_poll * row_s)
        speed = 40 + 20 * np.sin(poll / 20)
        lines += [f"{run_s}, {1500 + poll}, {speed:.1f}, 20, 30, 80, 40, 50, 25,"] * rows_per_poll
    return "\n".join(lines) + "\n"


def test_carobd_is_dated_by_its_run_time(tmp_path: Path) -> None:
    log = log_of(tmp_path, carobd())
    assert log.layout == "carOBD"
    speed = log.readings["speed_kmh"]
    # Repeats of one poll are one reading: 400 polls and the stretch before the start.
    assert speed.t_s.size == 401
    step = np.diff(speed.t_s[1:])
    assert step == pytest.approx(np.full(step.size, 4 * 0.46), abs=0.05)
    assert any("no clock" in note for note in log.notes)
    assert set(log.readings) == {
        "run_time_s", "rpm", "speed_kmh", "throttle_percent", "load_percent", "coolant_temp_c",
        "map_kpa", "fuel_level_percent", "intake_temp_c",
    }  # fmt: skip


def test_plain_columns_and_the_tidy_logs(tmp_path: Path) -> None:
    log = log_of(tmp_path, PLAIN)
    assert log.layout == "plain columns"
    assert values(log, "coolant_temp_c") == [20, 21, 22]
    tidy = "t_s,rpm,speed_kmh,coolant_c,throttle_pct,load_pct,run_time_s\n1,800,5,24,19.6,23,1\n"
    log = log_of(tmp_path, tidy + "2.8,900,6,24,19.6,24,3\n")
    assert set(log.readings) == {
        "rpm", "speed_kmh", "coolant_temp_c", "throttle_percent", "load_percent", "run_time_s"
    }  # fmt: skip
    assert log.duration_s == pytest.approx(1.8)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_separators_and_encodings(tmp_path: Path, separator: str, encoding: str) -> None:
    text = "Time (ms),Vehicle speed (km/h),Engine coolant temperature (°F)\n0,10,32\n500,11,212\n"
    path = tmp_path / "log.csv"
    path.write_bytes(text.replace(",", separator).encode(encoding))
    log = read_log(path)
    assert log.readings["speed_kmh"].t_s.tolist() == [0.0, 0.5]
    assert values(log, "coolant_temp_c") == [0, 100]


def test_units_given_by_the_user_win(tmp_path: Path) -> None:
    log = log_of(tmp_path, PLAIN, speed_unit="mph", temperature_unit="F")
    assert values(log, "speed_kmh") == [0, 19.3121, 32.1869]
    assert values(log, "coolant_temp_c")[0] == pytest.approx((20 - 32) / 1.8, abs=1e-3)


def test_epoch_times_date_the_log(tmp_path: Path) -> None:
    for factor in (1, 1000):
        log = log_of(
            tmp_path,
            f"timestamp,speed_kmh,rpm\n{1_790_000_000 * factor},1,800\n"
            f"{1_790_000_001 * factor},2,900\n",
        )
        assert log.started == datetime.fromtimestamp(1_790_000_000, UTC)
        assert log.duration_s == 1.0


def test_text_where_a_number_belongs_is_a_failed_reading(tmp_path: Path) -> None:
    log = log_of(tmp_path, PLAIN + "3.5,ERR,30,23\n")
    assert values(log, "rpm") == [800, 1500, 1600, None]
    assert log.readings["rpm"].status[-1] is Status.MALFORMED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t_s,rpm,coolant_c\n0,800,20\n1,900,21\n", "no column with the vehicle's speed"),
        ("t_s,rpm,speed_kmh\n0,800,-\n1,900,-\n", "no column with the vehicle's speed"),
        ("rpm,speed_kmh,coolant_c\n800,0,20\n", "no time column"),
        ("t_s,rpm,speed_kmh\n", "no CSV log"),
        ("Dear diary, today I drove.\nIt was nice.\n", "no CSV log|no time column"),
        ("", "is empty"),
        ("t_s,rpm,speed_kmh\nnever,1,2\nsoon,2,3\n", "cannot be read"),
        (PLAIN + "0.1,800,0,20\n", "time runs backwards at data row 4"),
        ("\x00\x01\x02binary" * 9, "no text file"),
    ],
)
def test_what_is_no_log_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        log_of(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_log(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Speed (OBD)(mph)", ("speed obd", "mph")),
        ("GPS Speed (Meters/second)", ("gps speed", "Meters/second")),
        ("ECU(7EA): Engine Coolant Temperature(°C)", ("engine coolant temperature", "°C")),
        ("[ECM] Engine RPM (rpm)", ("engine rpm", "rpm")),
        ("coolant_temp_f", ("coolant temp", "f")),
        ("speed_kmh", ("speed", "kmh")),
        ("ENGINE_RUN_TINE ()", ("engine run tine", "")),
        ("Throttle Position(Manifold)(%)", ("throttle position manifold", "%")),
    ],
)
def test_headers_split_into_name_and_unit(header: str, expected: tuple[str, str]) -> None:
    assert split_header(header) == expected


@pytest.mark.parametrize("name", SIGNALS)
def test_every_signal_of_the_vocabulary_reads_its_own_name(name: str) -> None:
    column = recognize(name)
    assert column is not None
    assert column.signal == name
    assert column.convert(41.5) == 41.5


@pytest.mark.parametrize(
    "header", ["GPS Speed (km/h)", "Speed (GPS)", "Catalyst Temperature (°C)", "Bearing", "Trip"]
)
def test_other_columns_are_left_out(header: str) -> None:
    assert recognize(header) is None


def test_a_column_in_an_impossible_unit_is_left_out() -> None:
    assert recognize("Vehicle speed (°C)") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-10-05T14:22:01Z", datetime(2026, 10, 5, 14, 22, 1, tzinfo=UTC)),
        ("05-oct.-2026 14:22:01.5", datetime(2026, 10, 5, 14, 22, 1, 500_000)),
        ("03/27/2026 12:54:01 AM", datetime(2026, 3, 27, 0, 54, 1)),
        (
            "Sun Oct 05 14:22:01 GMT+05:30 2026",
            datetime(2026, 10, 5, 14, 22, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        ),
        ("yesterday", None),
        ("31-Feb-2026 10:00:00", None),
    ],
)
def test_dates(text: str, expected: datetime | None) -> None:
    assert read_date(text) == expected
