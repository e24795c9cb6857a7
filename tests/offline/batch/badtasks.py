"""Tasks that behave badly, in a module that worker processes can import."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from offline.errors import InputError, StoreError


@dataclass(frozen=True)
class Job:
    """What one task does, and where it notes that it was tried."""

    trip_path: str
    does: str
    notes: str
    fingerprint: str = "f"


def run(job: Job) -> str:
    """Note the attempt, then do as told."""
    note = Path(job.notes) / f"{Path(job.trip_path).name}.{os.getpid()}.{time.monotonic_ns()}"
    note.touch()
    attempts = len(list(Path(job.notes).glob(f"{Path(job.trip_path).name}.*")))
    match job.does:
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "crash once" if attempts == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(60)
        case "eat":
            hoard = [b"x" * 10_000_000 for _ in range(100)]
            time.sleep(60)
            del hoard
        case "bad input":
            raise InputError("the video is\na text file")
        case "bug":
            raise ZeroDivisionError("division by zero")
        case "full disk":
            raise StoreError("no space left on device")
        case "unpicklable":
            return lambda: None  # type: ignore[return-value]
    return job.does
