"""Runs tasks in processes of this machine, each on its own: a bad one costs only itself.

Every worker has a pebble pool of its own. One pool with several workers shares its pipe and its
locks between them, and a worker killed at the wrong moment takes the lock with it; alone, the
worst it can lose is its own pipe, which is thrown away with it.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from signal import SIGKILL, Signals
from typing import Any, Final

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from offline.batch.attempt import (
    EXIT_MEMORY,
    KILLED_ATTEMPTS,
    Failure,
    Limits,
    Outcome,
    attempt,
    failure,
    start_worker,
)

BACKLOG: Final = 256
"""Results that may wait for their consumer before workers are given no more work."""


class _Slot:
    """One worker process and the pool that restarts it."""

    def __init__(self, context: Any, limits: Limits) -> None:
        self._context = context
        self._limits = limits
        self._pool: ProcessPool | None = None
        self._lock = threading.Lock()
        self._enders: list[threading.Thread] = []

    def start(self, function: Callable[[Any], Any], task: Any) -> ProcessFuture:
        for _ in range(2):
            if self._pool is None:
                self._pool = ProcessPool(
                    max_workers=1,
                    initializer=start_worker,
                    initargs=(self._limits.memory_mb,),
                    context=self._context,
                )
            with suppress(RuntimeError):
                return self._pool.schedule(
                    attempt, args=(function, task), timeout=self._limits.timeout_s
                )
            # Its idle worker was killed.
            self.abandon()
        raise RuntimeError("a new process pool takes no task")

    def abandon(self) -> None:
        """Throw the pool away without waiting: its pipe may be broken for good."""
        self._end_pool()

    def close(self) -> None:
        """End the pool, and wait for those thrown away before."""
        for ender in self._end_pool():
            ender.join()

    def _end_pool(self) -> list[threading.Thread]:
        """Begin to end the pool, if there is one; the threads that end pools."""
        # A pool that is being closed breaks off its task, whose callback then abandons it from
        # a thread of its own. Two threads that close one pipe get in each other's way.
        with self._lock:
            pool, self._pool = self._pool, None
            if pool is not None:
                self._enders = [ender for ender in self._enders if ender.is_alive()]
                self._enders.append(threading.Thread(target=_end, args=(pool,), daemon=True))
                self._enders[-1].start()
            return self._enders.copy()


def _end(pool: ProcessPool) -> None:
    pool.stop()
    pool.join()


class LocalPool:
    """Worker processes with a time-out, a memory limit and bounded retries.

    Parameters
    ----------
    workers : int
    limits : Limits
    preload : sequence of str
        Modules that every worker needs: imported once, in the process the workers are forked
        from, so that a worker starts in milliseconds and shares their memory.
    """

    def __init__(self, workers: int, limits: Limits, preload: Iterable[str] = ()) -> None:
        self.workers = workers
        self._limits = limits
        # A fork of this process would inherit its threads' locks.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        # One core a worker: libraries must not start threads of their own.
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        self.crashes = 0

    def run(
        self, function: Callable[[Any], Any], tasks: Iterable[Any]
    ) -> Generator[Outcome, None, None]:
        """Run tasks and give their outcomes as they come, in no order.

        Parameters
        ----------
        function : callable
            Of a module, so that the workers find it; takes a task and returns its value.
        """
        batch = _Batch(
            function, tasks, [_Slot(self._context, self._limits) for _ in range(self.workers)],
            self._limits,
        )  # fmt: skip
        try:
            yield from batch.outcomes()
        finally:
            self.crashes += batch.crashes
            batch.close()


class _Batch:
    """The state of one `LocalPool.run`; slots are fed from the pools' own threads."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        tasks: Iterable[Any],
        slots: list[_Slot],
        limits: Limits,
    ) -> None:
        self._function = function
        self._fresh: Iterator[Any] = iter(tasks)
        self._again: deque[tuple[Any, int]] = deque()
        self._idle = slots.copy()
        self._slots = slots
        self._limits = limits
        self._lock = threading.RLock()
        self._done: SimpleQueue[Outcome | BaseException] = SimpleQueue()
        self._running = 0
        self._closed = False
        self.crashes = 0

    def outcomes(self) -> Iterator[Outcome]:
        self._feed()
        while True:
            with self._lock:
                if self._running == 0 and self._done.empty():
                    return
            item = self._done.get()
            if isinstance(item, BaseException):
                raise item
            self._feed()
            yield item

    def close(self) -> None:
        with self._lock:
            self._closed = True
        enders = [threading.Thread(target=slot.close, daemon=True) for slot in self._slots]
        for ender in enders:
            ender.start()
        deadline_s = time.monotonic() + 5.0
        for ender in enders:
            # A pool whose pipe broke in the middle of a message cannot be joined.
            ender.join(max(deadline_s - time.monotonic(), 0.0))

    def _next(self) -> tuple[Any, int] | None:
        for task in self._fresh:
            return task, 1
        # A task that failed waits for all others, so that what killed it may have passed.
        return self._again.popleft() if self._again else None

    def _feed(self) -> None:
        with self._lock:
            while self._idle and not self._closed and self._done.qsize() < BACKLOG:
                try:
                    entry = self._next()
                    if entry is None:
                        return
                    slot = self._idle.pop()
                    task, number = entry
                    future = slot.start(self._function, task)
                except BaseException as problem:  # noqa: BLE001  (raised where outcomes are read)
                    self._done.put(problem)
                    return
                self._running += 1
                future.add_done_callback(partial(self._settle, slot, task, number))

    def _settle(self, slot: _Slot, task: Any, number: int, future: ProcessFuture) -> None:
        value, problem = None, None
        try:
            value, problem = future.result()
        except TimeoutError:
            problem = failure("time", f"took more than {self._limits.timeout_s:.0f} s")
        except ProcessExpired as died:
            problem = self._death(died.exitcode)
            slot.abandon()
        except BrokenProcessPool:
            problem = self._death(-SIGKILL)
            slot.abandon()
        except CancelledError:
            return
        with self._lock:
            if problem is not None and problem.kind in ("crash", "time", "memory"):
                self.crashes += 1
            if problem is not None and number < problem.allowed_attempts:
                self._again.append((task, number + 1))
            else:
                self._done.put(Outcome(task, value, problem, number))
            self._running -= 1
            self._idle.append(slot)
            self._feed()

    def _death(self, exitcode: int | None) -> Failure:
        if exitcode == EXIT_MEMORY:
            return failure("memory", f"took more than {self._limits.memory_mb:.0f} MB of memory")
        if exitcode == -SIGKILL:
            return Failure("crash", "its worker was killed (SIGKILL)", KILLED_ATTEMPTS)
        if exitcode is not None and exitcode < 0:
            return failure("crash", f"its worker crashed ({Signals(-exitcode).name})")
        return failure("crash", f"its worker ended with exit code {exitcode}")
