"""`gradewise-offline score` as a process that waits for trips, and that is told to stop."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from offline.results import ResultStore

MakeTrip = Callable[..., Path]
PATIENCE_S = 90.0


def start(root: Path, results: Path, *options: str) -> subprocess.Popen[str]:
    # A session of its own: the signal reaches the workers too, as Ctrl-C in a terminal does.
    return subprocess.Popen(
        [sys.executable, "-m", "offline.cli", "score", str(root), "--results", str(results),
         "--workers", "1", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        # A shell starts what runs in its background with the signal ignored; a terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def stored(results: Path) -> int:
    database = results / "gradewise.sqlite"
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as c,
    ):
        return int(c.execute("SELECT count(*) FROM trips").fetchone()[0])
    return 0


def wait_for(condition: Callable[[], bool], score: subprocess.Popen[str]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition() and score.poll() is None and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert condition(), score.communicate() if score.poll() is not None else "it takes too long"


def stop(score: subprocess.Popen[str]) -> str:
    os.killpg(score.pid, signal.SIGINT)
    out, err = score.communicate(timeout=PATIENCE_S)
    assert (score.returncode, out) == (130, "")
    assert "Traceback" not in err
    return err


def whole_store_of(results: Path, trips: int) -> None:
    with ResultStore.open(None, results, read_only=True) as store:
        rows = store.trips(limit=None)
        assert len(rows) == len({row.trip_id for row in rows}) == trips
        for row in rows:
            assert len(store.timeline(row.trip_id)) > 0
            assert store.still_frames(row.trip_id)
            assert store.history(row.trip_id) == []
        assert sum(standing.trips for standing in store.drivers()) == trips


def test_ctrl_c_stores_what_is_done_and_the_next_run_goes_on(
    tmp_path: Path, make_trip: MakeTrip
) -> None:
    root, results = tmp_path / "trips", tmp_path / "results"
    # The first is short, and what follows takes seconds: Ctrl-C comes in the middle.
    for number in range(4):
        make_trip(root, number, seconds=300 if number else 10)
    score = start(root, results)
    wait_for(lambda: stored(results) >= 1, score)
    said = stop(score)
    done = stored(results)
    assert 1 <= done < 4
    assert f"interrupted: {done} trips are scored and stored" in said
    whole_store_of(results, done)

    again = start(root, results)
    out, err = again.communicate(timeout=PATIENCE_S)
    assert (again.returncode, err) == (0, "")
    assert f"{4 - done} scored" in out
    assert f"{done} unchanged" in out
    whole_store_of(results, 4)
    with ResultStore.open(None, results, read_only=True) as store:
        assert len(store.files.names()) == 3 * 4


def test_watching_scores_trips_as_they_arrive_and_only_when_they_are_whole(
    tmp_path: Path, make_trip: MakeTrip
) -> None:
    root, results, elsewhere = (tmp_path / name for name in ("trips", "results", "elsewhere"))
    root.mkdir()
    slow, quick = (make_trip(elsewhere, number, seconds=10) for number in (1, 2))
    # Its manifest and half of its database are here already.
    arriving = root / "van-1" / slow.name
    arriving.mkdir(parents=True)
    shutil.copy(slow / "manifest.json", arriving)
    content = (slow / "trip.sqlite").read_bytes()
    (arriving / "trip.sqlite").write_bytes(content[: len(content) // 2])

    score = start(root, results, "--watch", "--every", "0.2")
    wait_for((results / "gradewise.sqlite").is_file, score)
    quick.rename(root / "van-1" / quick.name)
    wait_for(lambda: stored(results) == 1, score)
    (arriving / "trip.sqlite").write_bytes(content)
    wait_for(lambda: stored(results) == 2, score)
    said = stop(score)
    assert "1 scored, 0 failed since the start" in said
    assert "interrupted: 2 trips" in said
    whole_store_of(results, 2)
