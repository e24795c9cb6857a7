"""Scores a plan through an engine and is the only one that writes the store."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from offline.batch.attempt import Outcome
from offline.errors import StoreError
from offline.results.rows import FailedTrip
from offline.results.staging import StagedResult
from offline.results.store import ResultStore

COMMIT_TRIPS: Final = 32
COMMIT_EVERY_S: Final = 0.5
"""Results are committed together, at most so many and so late: a commit waits for the disk."""
LOCK: Final = ".coordinator"
UNCLEAN: Final = ".unclean"
"""Exists while a run is under way; found at the start, the run before was cut short."""


class Engine(Protocol):
    """Something that runs tasks elsewhere: the local pool or a cluster.

    Attributes
    ----------
    crashes : int
        How often a task was cut short so far and may have left files behind.
    """

    crashes: int

    def run(
        self, function: Callable[[Any], Any], tasks: Iterable[Any]
    ) -> Generator[Outcome, None, None]: ...


class Task(Protocol):
    """What the coordinator must know of a task."""

    @property
    def trip_path(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...


@dataclass
class Summary:
    """What a run did.

    Attributes
    ----------
    scored : list of str
        Ids of the trips that have a new result.
    failed : list of FailedTrip
    """

    scored: list[str] = field(default_factory=list)
    failed: list[FailedTrip] = field(default_factory=list)


@contextmanager
def only_coordinator(store: ResultStore) -> Iterator[None]:
    """Hold the store for one run, and clear away what a killed run left.

    Raises
    ------
    StoreError
        If another run holds it.
    """
    folder = store.files.folder
    if folder is None:
        # An object store has no locks; its orphans cost space and nothing else.
        yield
        return
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(f"another run is scoring into {folder}: wait for it to end") from None
        if (folder / UNCLEAN).exists():
            store.sweep()
        _mark(folder / UNCLEAN)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back: a commit cut short would throw finished trips away."""
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda caught, _: came.append(caught))
        for number in (signal.SIGINT, signal.SIGTERM)
        # A program started with `nohup` or `&` ignores Ctrl-C, and goes on to.
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _mark(path: Path) -> None:
    try:
        path.touch()
    except OSError as problem:
        raise StoreError(f"cannot write to {path.parent}: {problem}") from None


def score_all(
    tasks: Iterable[Task],
    function: Callable[[Any], StagedResult],
    engine: Engine,
    store: ResultStore,
    variant: str,
    *,
    summary: Summary,
    progress: Callable[[Outcome], None] | None = None,
) -> None:
    """Run tasks, commit their results, and set aside the trips that failed.

    Parameters
    ----------
    function : callable
        Scores and stages one trip: `offline.batch.scoring.score_task`.
    summary : Summary
        Filled in as results are stored, so that it is right after an interruption too.
    progress : callable, optional
        Told of every outcome.

    Raises
    ------
    StoreError
        If a result cannot be written: the disk is full, the database gone. All results
        committed before stay.
    """
    with only_coordinator(store):
        waiting: list[StagedResult] = []
        since = time.monotonic()

        def commit() -> None:
            staged = waiting.copy()
            waiting.clear()
            if staged:
                with _undisturbed():
                    store.commit(staged)
                    summary.scored += [one.result.trip_id for one in staged]

        with closing(engine.run(function, tasks)) as outcomes:
            try:
                for outcome in outcomes:
                    if outcome.failure is None:
                        if not waiting:
                            since = time.monotonic()
                        waiting.append(outcome.value)
                    elif outcome.failure.kind == "store":
                        raise StoreError(outcome.failure.reason)
                    else:
                        failed = _failed(outcome, variant)
                        store.set_aside(failed)
                        summary.failed.append(failed)
                    if progress is not None:
                        progress(outcome)
                    late = time.monotonic() - since > COMMIT_EVERY_S
                    if len(waiting) >= COMMIT_TRIPS or late:
                        commit()
            finally:
                # Also after Ctrl-C: what is done is done.
                commit()
        if engine.crashes:
            store.sweep()
        if store.files.folder is not None:
            (store.files.folder / UNCLEAN).unlink(missing_ok=True)


def _failed(outcome: Outcome, variant: str) -> FailedTrip:
    assert outcome.failure is not None
    return FailedTrip(
        trip_path=outcome.task.trip_path,
        variant=variant,
        kind=outcome.failure.kind,
        reason=outcome.failure.reason,
        attempts=outcome.attempts,
        failed_utc_ns=time.time_ns(),
        fingerprint=outcome.task.fingerprint,
    )
