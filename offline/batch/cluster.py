"""Runs tasks on the machines of an existing Dask cluster.

Every worker must see trips and results under the same paths, or the results in an object store.
Start workers with one thread and a nanny, `dask worker SCHEDULER --nworkers N --nthreads 1`: a
trip that hangs or eats memory ends its worker's process, and the nanny starts another.
Encryption is Dask's own (`tls://…` with `distributed.comm.tls` in its configuration).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Generator, Iterable
from itertools import islice
from typing import Any, Final

from offline.batch.attempt import (
    Failure,
    Limits,
    Outcome,
    attempt,
    failure,
    watch_process,
)
from offline.errors import RuntimeMissingError, StoreError

TASKS_A_THREAD: Final = 3
"""Tasks sent ahead for every thread of the cluster: enough that none waits for the network."""


def attempt_within(work: bytes, limits: Limits) -> tuple[Any, Failure | None]:
    """Run pickled work on a cluster's worker, which ends if it takes more than its limits.

    The work travels as bytes, so that the scheduler, which reads all that passes through it,
    need not import what scores a trip.
    """
    watchdog = watch_process(limits.memory_mb)
    watchdog.allow(limits.timeout_s)
    try:
        function, task = pickle.loads(work)
        return attempt(function, task)
    finally:
        watchdog.allow(None)


class Cluster:
    """A Dask cluster that runs already.

    Parameters
    ----------
    address : str
        Of its scheduler, `tcp://HOST:PORT` or `tls://HOST:PORT`.
    limits : Limits

    Raises
    ------
    StoreError
        If no scheduler answers.
    """

    def __init__(self, address: str, limits: Limits) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise RuntimeMissingError(
                "--scheduler needs Dask: pip install 'gradewise[cluster]'"
            ) from None
        try:
            self._client = Client(address, timeout=30)
        except (OSError, TimeoutError, ValueError, TypeError) as problem:
            raise StoreError(f"no Dask scheduler answers at {address}: {problem}") from None
        self._limits = limits
        self.crashes = 0

    def close(self) -> None:
        """Leave the cluster."""
        self._client.close()

    def run(
        self, function: Callable[[Any], Any], tasks: Iterable[Any]
    ) -> Generator[Outcome, None, None]:
        """Run tasks and give their outcomes as they come, in no order.

        Dask itself moves the tasks of a lost worker to another one, up to its
        `distributed.scheduler.allowed-failures`.
        """
        from distributed import as_completed
        from distributed.scheduler import KilledWorker

        waiting = iter(tasks)
        sent: dict[Any, tuple[Any, int]] = {}

        def send(task: Any, number: int) -> Any:
            work = pickle.dumps((function, task))
            future = self._client.submit(attempt_within, work, self._limits, pure=False)
            sent[future] = (task, number)
            return future

        ahead = max(1, sum(self._client.nthreads().values())) * TASKS_A_THREAD
        done = as_completed([send(task, 1) for task in islice(waiting, ahead)])
        lost_before = self._lost_workers()
        try:
            for future in done:
                task, number = sent.pop(future)
                value: Any = None
                problem: Failure | None
                try:
                    value, problem = future.result()
                except KilledWorker:
                    problem = failure(
                        "crash",
                        "the workers that scored it died; their logs say why",
                    )
                    # Dask has tried it on several workers already.
                    number = problem.allowed_attempts
                future.release()
                if problem is not None and number < problem.allowed_attempts:
                    done.add(send(task, number + 1))
                    continue
                for fresh in islice(waiting, 1):
                    done.add(send(fresh, 1))
                yield Outcome(task, value, problem, number)
        finally:
            self._client.cancel(list(sent))
            self.crashes += self._lost_workers() - lost_before

    def _lost_workers(self) -> int:
        lost = self._client.run_on_scheduler(_count_lost)
        return int(lost)


def _count_lost(dask_scheduler: Any) -> int:
    return sum(
        1
        for _, event in dask_scheduler.get_events("all")
        if isinstance(event, dict) and event.get("action") == "remove-worker"
    )
