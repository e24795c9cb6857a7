"""A task that misbehaves costs only itself, and is told by what it did."""

from __future__ import annotations

import multiprocessing
import threading
import time
from pathlib import Path

import pytest
from badtasks import Job, run  # type: ignore[import-not-found]  # beside this file
from pebble import ProcessPool

from offline.batch.attempt import Limits
from offline.batch.localpool import LocalPool, _Slot

EXPECTED = {
    "well": (None, "", 1),
    "crash": ("crash", "its worker crashed (SIGSEGV)", 3),
    "crash once": (None, "", 2),
    "hang": ("time", "took more than 2 s", 2),
    "eat": ("memory", "took more than 400 MB of memory", 2),
    "bad input": ("input", "the video is a text file", 1),
    "bug": ("error", "ZeroDivisionError: division by zero", 2),
    "full disk": ("store", "no space left on device", 1),
    "unpicklable": ("crash", "its worker ended with exit code 1", 3),
}


def test_every_kind_of_failure_is_contained_retried_and_named(tmp_path: Path) -> None:
    names = list(EXPECTED)
    jobs = [Job(f"/trips/{index}", does, str(tmp_path)) for index, does in enumerate(names)]
    jobs += [Job(f"/trips/{index}", "well", str(tmp_path)) for index in range(len(names), 40)]
    pool = LocalPool(3, Limits(timeout_s=2, memory_mb=400))

    outcomes = {outcome.task.trip_path: outcome for outcome in pool.run(run, jobs)}

    assert len(outcomes) == 40
    for index, does in enumerate(names):
        outcome = outcomes[f"/trips/{index}"]
        kind, reason, attempts = EXPECTED[does]
        told = outcome.failure
        assert (told and told.kind, told.reason if told else "", outcome.attempts) == (
            kind,
            reason,
            attempts,
        ), does
        assert len(list(tmp_path.glob(f"{index}.*"))) == attempts, does
    assert all(outcomes[f"/trips/{index}"].value == "well" for index in range(len(names), 40))


def test_a_pool_is_ended_by_one_thread_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Twice at once, its pipe's locks are gone under one of the two, whose traceback then stands
    # beside the one line that says what went wrong.
    slot = _Slot(multiprocessing.get_context("forkserver"), Limits())
    ended: list[ProcessPool] = []
    stop = ProcessPool.stop

    def stop_and_break_off_the_task(pool: ProcessPool) -> None:
        ended.append(pool)
        stop(pool)
        if len(ended) == 1:
            slot.abandon()

    monkeypatch.setattr(ProcessPool, "stop", stop_and_break_off_the_task)
    slot.start(run, Job("/trips/1", "hang", str(tmp_path)))
    slot.close()
    for thread in threading.enumerate():
        if thread.name.endswith("(_end)"):
            thread.join()

    assert len(ended) == 1


def test_a_pool_thrown_away_is_ended_before_the_run_is(tmp_path: Path) -> None:
    for number in range(5):
        jobs = [Job(f"/trips/{number}{job}", "crash", str(tmp_path)) for job in range(3)]
        outcomes = LocalPool(3, Limits()).run(run, jobs)
        next(outcomes)
        outcomes.close()
        assert not [thread for thread in threading.enumerate() if thread.name.endswith("(_end)")]


def test_no_worker_outlives_an_interrupted_run(tmp_path: Path) -> None:
    pool = LocalPool(2, Limits())
    outcomes = pool.run(run, [Job("/trips/1", "well", str(tmp_path))] + [
        Job(f"/trips/{index}", "hang", str(tmp_path)) for index in range(2, 9)
    ])  # fmt: skip
    next(outcomes)
    started_s = time.monotonic()
    outcomes.close()
    assert time.monotonic() - started_s < 20
    tried = len(list(tmp_path.iterdir()))
    time.sleep(0.5)
    assert len(list(tmp_path.iterdir())) == tried < 9
