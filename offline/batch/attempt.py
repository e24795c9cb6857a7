"""One attempt at a task inside a worker process, and what can become of it."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from offline.errors import OfflineError, StoreError
from onboard.errors import TripError

EXIT_MEMORY: Final = 77
EXIT_TIME: Final = 78
ATTEMPTS: Final = {"input": 1, "store": 1, "error": 2, "memory": 2, "time": 2, "crash": 3}
"""How often a task is tried by the way it failed. A trip that cannot be read never can be;
`store` is no fault of the trip and ends the batch."""
KILLED_ATTEMPTS: Final = 6
"""For a worker killed from outside (SIGKILL), which says little about the trip."""
_WATCH_EVERY_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task has no result.

    Attributes
    ----------
    kind : str
        A key of `ATTEMPTS`.
    reason : str
        One line for people.
    """

    kind: str
    reason: str
    allowed_attempts: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a task, after all its attempts.

    Attributes
    ----------
    task : object
        As it was given to the engine.
    value : object
        What the function returned; None where it failed.
    failure : Failure or None
    attempts : int
    """

    task: Any
    value: Any
    failure: Failure | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What one task may take.

    Attributes
    ----------
    timeout_s : float
        Wall-clock time of one attempt.
    memory_mb : float
        Resident memory of its worker, libraries included.
    """

    timeout_s: float = 1800.0
    memory_mb: float = 2000.0


def failure(kind: str, reason: str) -> Failure:
    """Make a failure with the attempts its kind is worth."""
    return Failure(kind, " ".join(reason.split()), ATTEMPTS[kind])


def attempt(function: Callable[[Any], Any], task: Any) -> tuple[Any, Failure | None]:
    """Run a task and return its value or its failure; errors never travel as exceptions.

    An exception may not survive pickling, and would take the worker's channel with it.
    """
    try:
        return function(task), None
    except StoreError as problem:
        return None, failure("store", str(problem))
    except (OfflineError, TripError) as problem:
        return None, failure("input", str(problem))
    except MemoryError:
        return None, failure("memory", "ran out of memory")
    except Exception as problem:  # noqa: BLE001  (a trip costs only itself, whatever it does)
        return None, failure("error", f"{type(problem).__name__}: {problem}")


class Watchdog:
    """Ends a worker process that takes too much memory or time, or has lost its parent.

    A thread of the worker: where the work holds Python's lock for good, only a time-out from
    outside helps, which the local pool has.
    """

    def __init__(self, memory_mb: float) -> None:
        self.memory_bytes = memory_mb * 2**20
        self._deadline_s: float | None = None
        self._parent = os.getppid()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def allow(self, timeout_s: float | None) -> None:
        """Give the work of this process so much time from now; None for no limit."""
        self._deadline_s = None if timeout_s is None else time.monotonic() + timeout_s

    def _watch(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        statm = Path("/proc/self/statm")
        while True:
            resident = int(statm.read_text().split()[1]) * page
            if resident > self.memory_bytes:
                self._end(EXIT_MEMORY, f"takes {resident / 2**20:.0f} MB")
            deadline_s = self._deadline_s
            if deadline_s is not None and time.monotonic() > deadline_s:
                self._end(EXIT_TIME, "takes too long")
            if os.getppid() != self._parent:
                # The coordinator was killed: nobody is left to take the result.
                os._exit(1)
            time.sleep(_WATCH_EVERY_S)

    @staticmethod
    def _end(code: int, why: str) -> None:
        print(f"gradewise worker {os.getpid()} {why}: ended", file=sys.stderr, flush=True)
        os._exit(code)


_watchdog: Watchdog | None = None


def watch_process(memory_mb: float) -> Watchdog:
    """Start the process's one watchdog, or change the limit of the one it has."""
    global _watchdog
    if _watchdog is None:
        _watchdog = Watchdog(memory_mb)
    _watchdog.memory_bytes = memory_mb * 2**20
    return _watchdog


def start_worker(memory_mb: float) -> None:
    """Initialize a worker of the local pool."""
    watch_process(memory_mb)
