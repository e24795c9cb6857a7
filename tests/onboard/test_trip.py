"""The trip format: written, read back, killed, cut, and mistaken for something else."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onboard.errors import TripError
from onboard.recovery import recover
from onboard.signals import SIGNALS
from onboard.trip import SCHEMA_VERSION, Trip, TripWriter, find_trips
from onboard.tripgaps import find_gaps

SECOND = 1_000_000_000


def make_trip(root: Path, *, seconds: int = 20, skip: range = range(0), **more: object) -> Path:
    """A closed trip with rpm, speed and a clock, ten rows a second."""
    writer = TripWriter.create(root, vehicle="B-GW 1", driver="Jo", trip_id="drive", **more)
    for k in range(seconds * 10):
        if k not in skip:
            writer.add_sample(k * SECOND // 10, "rpm", 800 + k, "ok", 12.5)
            writer.add_sample(k * SECOND // 10 + 1, "speed_kmh", k % 100)
    for k in range(seconds):
        writer.add_clock(k * SECOND, k * SECOND, 1_700_000_000 * SECOND + k * SECOND, "boot")
    writer.add_journal(0, "test", "made by a test")
    writer.close("ignition off")
    return writer.path


def test_a_field_of_view_is_kept_and_trips_without_one_are_read(tmp_path: Path) -> None:
    told = make_trip(tmp_path / "told", fov_deg=71.5)
    assert Trip.open(told).info.fov_deg == 71.5
    untold = make_trip(tmp_path / "untold")
    assert Trip.open(untold).info.fov_deg is None
    # As it was recorded before there was a column for it.
    writer = TripWriter.create(tmp_path / "old", vehicle="B-GW 1", driver="", trip_id="old")
    writer.abandon()
    with sqlite3.connect(writer.path / "trip.sqlite") as database:
        database.execute("ALTER TABLE trip DROP COLUMN fov_deg")
    database.close()
    recover(writer.path)
    assert Trip.open(writer.path).info.fov_deg is None


def test_a_trip_reads_back_as_it_was_written(tmp_path: Path) -> None:
    writer = TripWriter.create(
        tmp_path,
        vehicle="B-GW 1",
        driver="",
        camera="dash",
        vehicle_class="van",
        origin={"obd": "simulated", "note": "a test"},
        started_utc_ns=1_700_000_000 * SECOND,
    )
    writer.set_driver("Jo")
    writer.set_vin("WVWZZZ1JZXW000001")
    writer.add_frame(0, 0, 0, 5)
    writer.add_frame(1, 0, 3000, 33_333_338)
    writer.add_still(1, b"\xff\xd8jpeg")
    writer.add_frame(2, 0, 6000, 66_666_671)
    writer.add_motion_still(2, b"\xff\xd8small")
    writer.add_sample(10, "rpm", 801.25, "ok", 20.5)
    writer.add_sample(11, "rpm", None, "timeout")
    writer.add_sample(12, "rpm", 99999.0)
    writer.add_sample(13, "coolant_temp_c", float("nan"))
    writer.add_clock(1, 2, 3, "boot")
    writer.add_journal(9, "obd", "silent")
    writer.close("ignition off")

    assert writer.path.parent == tmp_path / "B-GW_1"
    assert writer.path.name.startswith("20231114T221320Z-")
    with Trip.open(writer.path) as trip:
        info = trip.info
        assert (info.vehicle, info.vehicle_class, info.driver) == ("B-GW 1", "van", "Jo")
        assert (info.camera, info.vin) == ("dash", "WVWZZZ1JZXW000001")
        assert info.ended_why == "ignition off"
        assert info.origin == {"video": "recorded", "obd": "simulated", "note": "a test"}
        assert info.schema_version == SCHEMA_VERSION
        rpm = trip.samples()["rpm"]
        assert rpm.t_mono_ns.tolist() == [10, 11, 12]
        np.testing.assert_array_equal(rpm.value, [801.25, np.nan, np.nan])
        assert rpm.status == ["ok", "timeout", "out_of_range"]
        np.testing.assert_array_equal(rpm.round_trip_ms, [20.5, np.nan, np.nan])
        assert trip.samples()["coolant_temp_c"].status == ["no_data"]
        frames = trip.frames()
        assert frames.pts.tolist() == [0, 3000, 6000]
        assert frames.t_mono_ns.tolist() == [5, 33_333_338, 66_666_671]
        (still,) = trip.stills()
        assert (still.frame_index, still.t_mono_ns, still.jpeg) == (1, 33_333_338, b"\xff\xd8jpeg")
        assert trip.still(1) == b"\xff\xd8jpeg"
        assert trip.still(0) is None
        (small,) = trip.motion_stills()
        assert (small.frame_index, small.t_mono_ns, small.jpeg) == (2, 66_666_671, b"\xff\xd8small")
        assert trip.still(2) is None
        assert trip.clock().boot_id == ["boot"]
        (entry,) = trip.journal()
        assert (entry.t_mono_ns, entry.source, entry.message) == (9, "obd", "silent")
        trip.verify()


def test_a_trip_of_a_logger_without_motion_stills_has_none(tmp_path: Path) -> None:
    path = make_trip(tmp_path)
    with sqlite3.connect(path / "trip.sqlite") as database:
        database.execute("DROP TABLE motion_stills")
    database.close()
    with Trip.open(path) as trip:
        assert list(trip.motion_stills()) == []


def test_a_closed_trip_is_two_plain_files_and_reading_adds_none(tmp_path: Path) -> None:
    path = make_trip(tmp_path)
    before = {p.name: p.stat().st_mtime_ns for p in path.iterdir()}
    assert set(before) == {"trip.sqlite", "manifest.json", "video"}
    path.chmod(0o555)
    try:
        with Trip.open(path) as trip:
            assert len(trip.samples()["rpm"].status) == 200
    finally:
        path.chmod(0o755)
    assert {p.name: p.stat().st_mtime_ns for p in path.iterdir()} == before


def test_the_hash_names_the_content(tmp_path: Path) -> None:
    one = Trip.open(make_trip(tmp_path / "a", seconds=3, started_utc_ns=1)).sha256()
    same = Trip.open(make_trip(tmp_path / "b", seconds=3, started_utc_ns=1)).sha256()
    other = Trip.open(make_trip(tmp_path / "c", seconds=4, started_utc_ns=1)).sha256()
    assert one == same != other


@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 2**62),
            st.sampled_from(sorted(SIGNALS)),
            st.one_of(st.none(), st.floats(width=64)),
        ),
        max_size=30,
    )
)
@settings(max_examples=25, deadline=None)
def test_no_impossible_value_is_ever_stored(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, float | None]]
) -> None:
    writer = TripWriter.create(tmp_path_factory.mktemp("trips"), vehicle="v", driver="d")
    for t_mono_ns, name, value in rows:
        writer.add_sample(t_mono_ns, name, value)
    writer.close("test")
    with Trip.open(writer.path) as trip:
        read = trip.samples()
    assert sum(len(s.status) for s in read.values()) == len(rows)
    for name, samples in read.items():
        present = np.isfinite(samples.value)
        assert [s == "ok" for s in samples.status] == present.tolist()
        assert (samples.value[present] >= SIGNALS[name].low).all()
        assert (samples.value[present] <= SIGNALS[name].high).all()


def test_an_unknown_signal_or_status_is_refused(tmp_path: Path) -> None:
    with TripWriter.create(tmp_path, vehicle="v", driver="d") as writer:
        with pytest.raises(KeyError):
            writer.add_sample(0, "warp_factor", 9)
        with pytest.raises(KeyError):
            writer.add_sample(0, "warp_factor", None, "timeout")
        with pytest.raises(ValueError, match="great"):
            writer.add_sample(0, "rpm", 9, "great")


KILLED = """
import sys, time
from onboard.trip import TripWriter
writer = TripWriter.create(sys.argv[1], vehicle="v", driver="d")
k = 0
while True:
    now = time.monotonic_ns()
    writer.add_sample(now, "rpm", k % 8000)
    writer.add_clock(now, now, now, "boot")
    print(now, flush=True)
    k += 1
    time.sleep(0.002)
"""


@pytest.mark.parametrize("after_s", [0.05, 0.5, 1.13])
def test_a_killed_writer_loses_less_than_a_second(tmp_path: Path, after_s: float) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    first = int(writer.stdout.readline())
    time.sleep(after_s)
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate()
    times = [first, *(int(line) for line in rest.split("\n")[:-1])]

    (path,) = find_trips(tmp_path)
    with pytest.raises(TripError, match=r"not closed.*gradewise-onboard recover"):
        Trip.open(path)
    report = recover(path)
    assert not report.was_closed
    with Trip.open(path) as trip:
        assert trip.info.ended_why == "cut short"
        rpm = trip.samples().get("rpm")
        kept = [] if rpm is None else rpm.t_mono_ns.tolist()
        if rpm is not None:
            assert rpm.value.tolist() == [float(k % 8000) for k in range(len(kept))]
    assert kept == times[: len(kept)]
    lost = [t for t in times[len(kept) :] if t < times[-1] - SECOND]
    assert lost == []
    assert recover(path).was_closed


def test_a_trip_being_recorded_is_neither_opened_nor_recovered(tmp_path: Path) -> None:
    writer = TripWriter.create(tmp_path, vehicle="v", driver="d")
    with pytest.raises(TripError, match="still being recorded"):
        recover(writer.path)
    with pytest.raises(TripError, match="not closed"):
        Trip.open(writer.path)
    writer.close("test")
    assert Trip.open(writer.path).info.ended_why == "test"


def test_a_failing_block_leaves_a_trip_to_recover(tmp_path: Path) -> None:
    def fail() -> None:
        with TripWriter.create(tmp_path, vehicle="v", driver="d") as writer:
            writer.add_sample(1, "rpm", 900)
            writer.commit()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    (path,) = find_trips(tmp_path)
    assert recover(path).samples == 1


def truncate_database(path: Path) -> None:
    database = path / "trip.sqlite"
    os.truncate(database, database.stat().st_size // 2)


def truncate_unmanifested(path: Path) -> None:
    (path / "manifest.json").unlink()
    truncate_database(path)


def empty_database(path: Path) -> None:
    (path / "trip.sqlite").write_bytes(b"")


def foreign_database(path: Path) -> None:
    (path / "trip.sqlite").unlink()
    with sqlite3.connect(path / "trip.sqlite") as database:
        database.execute("CREATE TABLE songs (name TEXT)")
    database.close()


def no_database(path: Path) -> None:
    (path / "trip.sqlite").write_bytes(b"#!/bin/sh\n" * 100)


def newer_database(path: Path) -> None:
    with sqlite3.connect(path / "trip.sqlite") as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    database.close()


def newer_manifest(path: Path) -> None:
    document = json.loads((path / "manifest.json").read_text())
    document["schema_version"] = SCHEMA_VERSION + 1
    (path / "manifest.json").write_text(json.dumps(document))


def half_manifest(path: Path) -> None:
    text = (path / "manifest.json").read_text()
    (path / "manifest.json").write_text(text[: len(text) // 2])


def nothing(path: Path) -> None:
    (path / "trip.sqlite").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate_database, "truncated: trip.sqlite has"),
        (truncate_unmanifested, "truncated: trip.sqlite has"),
        (empty_database, "is empty"),
        (foreign_database, "no trip: its trip.sqlite belongs to another program"),
        (no_database, "no trip: its trip.sqlite is no SQLite database"),
        (newer_database, "newer software.*update gradewise"),
        (newer_manifest, "newer software.*update gradewise"),
        (half_manifest, "manifest.json is damaged"),
        (nothing, "no trip: it holds no trip.sqlite"),
    ],
)
def test_bad_trips_get_one_clear_line(tmp_path: Path, damage, message: str) -> None:
    path = make_trip(tmp_path)
    damage(path)
    with pytest.raises(TripError, match=message) as caught:
        Trip.open(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_damaged_manifest_is_made_anew(tmp_path: Path) -> None:
    path = make_trip(tmp_path)
    half_manifest(path)
    assert not recover(path).was_closed
    with Trip.open(path) as trip:
        assert trip.info.ended_why == "ignition off"
        assert len(trip.samples()["rpm"].status) == 200
        trip.verify()


def test_recovery_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    path = make_trip(tmp_path)
    truncate_unmanifested(path)
    with pytest.raises(TripError, match="truncated"):
        recover(path)


def test_a_changed_byte_fails_verification(tmp_path: Path) -> None:
    path = make_trip(tmp_path)
    data = bytearray((path / "trip.sqlite").read_bytes())
    data[-1] ^= 1
    (path / "trip.sqlite").write_bytes(data)
    with Trip.open(path) as trip, pytest.raises(TripError, match="differs from its SHA-256"):
        trip.verify()


def test_find_trips_goes_to_any_depth_in_name_order(tmp_path: Path) -> None:
    late = make_trip(tmp_path / "z" / "deep" / "er", seconds=1)
    early = make_trip(tmp_path / "a", seconds=1)
    still_open = TripWriter.create(tmp_path / "m", vehicle="v", driver="d")
    (tmp_path / "m" / "v" / ".half.new").mkdir()
    (tmp_path / "m" / "v" / ".half.new" / "trip.sqlite").touch()
    assert list(find_trips(tmp_path)) == [early, still_open.path, late]
    assert list(find_trips(early)) == [early]
    still_open.abandon()
    with pytest.raises(TripError, match="no folder"):
        list(find_trips(tmp_path / "nowhere"))


def test_gaps_are_found(tmp_path: Path) -> None:
    path = make_trip(tmp_path, seconds=20, skip=range(50, 90))
    with Trip.open(path) as trip:
        gaps = {(g.what, round(g.start_s, 1), round(g.end_s, 1)) for g in find_gaps(trip)}
    assert gaps == {
        ("rpm", 4.9, 9.0),
        ("speed_kmh", 4.9, 9.0),
        ("coolant_temp_c", 0.0, 19.9),
    }


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "onboard.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_inspect_and_recover_as_programs(tmp_path: Path) -> None:
    path = make_trip(tmp_path, skip=range(50, 90))
    shown = run("inspect", path, "--verify")
    assert shown.returncode == 0, shown.stderr
    assert "Engine speed" in shown.stdout
    assert "ignition off" in shown.stdout
    found = json.loads(run("inspect", path, "--json").stdout)
    assert found["signals"]["rpm"]["readings"] == 160
    assert {g["what"] for g in found["gaps"]} == {"rpm", "speed_kmh", "coolant_temp_c"}

    (path / "manifest.json").unlink()
    refused = run("inspect", path)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "recover" in refused.stderr
    done = run("recover", tmp_path)
    assert (done.returncode, "recovered, 320 samples" in done.stdout) == (0, True)
    assert run("inspect", path).returncode == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run("recover", empty).returncode == 2


def test_rows_wait_while_the_disk_is_full(tmp_path: Path) -> None:
    # A limit on the size of files is a full disk of its own for this one process.
    code = (
        "import resource, sys\n"
        "from onboard.trip import TripWriter\n"
        "from onboard.tripwriter import TripWriteError\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "writer = TripWriter.create(sys.argv[1], vehicle='v', driver='d')\n"
        "limits = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))\n"
        "refused = 0\n"
        "for k in range(5000):\n"
        "    writer.add_sample(k, 'rpm', k % 8000)\n"
        "    if k % 1000 == 0:\n"
        "        writer.set_driver(f'driver {k}')\n"
        "        try:\n"
        "            writer.commit()\n"
        "        except TripWriteError:\n"
        "            refused += 1\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, limits)\n"
        "writer.close('test')\n"
        "print(refused)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "5\n", done.stderr
    (path,) = find_trips(tmp_path)
    with Trip.open(path) as trip:
        assert trip.samples()["rpm"].value.tolist() == [float(k % 8000) for k in range(5000)]
        assert trip.info.driver == "driver 4000"
