"""Keeps the process that talks to the adapter alive, and takes in what it reads."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from onboard.health import Health
from onboard.signals import ALWAYS, SIGNALS, Status

SILENT_AFTER_S: Final = 3.0
"""Without a line for this long the process hangs in the library: it is killed."""
START_AFTER_S: Final = 20.0
"""A process that has not said its first word within this never will."""
PART: Final = "obd"


@dataclass(frozen=True, slots=True)
class ObdRequest:
    """Where the adapter is and what is asked of it.

    Attributes
    ----------
    port : str
        `/dev/ttyUSB0`, `/dev/rfcomm0` or `socket://host:port`.
    baudrate : int or None
        None to find it by trying.
    protocol : str or None
        ELM327's number of the bus, None to search.
    signals : sequence of str
        Names of `onboard.signals` with a parameter number.
    """

    port: str
    baudrate: int | None
    protocol: str | None
    signals: Sequence[str]


class ObdLink:
    """The adapter as the recorder sees it.

    Parameters
    ----------
    request : ObdRequest
    on_reading : callable
        Called with (t_mono_ns, signal, value or None, status, round_trip_ms) for each reading.
    on_device : callable
        Called with how the adapter describes itself, at each connection.
    on_vehicle : callable
        Called with what the vehicle says about itself after each connection.
    journal : callable
        Called with a line for the journal.
    health : Health
    """

    def __init__(
        self,
        request: ObdRequest,
        on_reading: Callable[[int, str, float | None, str, float | None], None],
        on_device: Callable[[str], None],
        on_vehicle: Callable[[dict[str, Any]], None],
        journal: Callable[[str, str], None],
        health: Health,
    ):
        self._request = request
        self._on_reading = on_reading
        self._on_device = on_device
        self._on_vehicle = on_vehicle
        self._journal = journal
        self._health = health
        self._protocol = request.protocol
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="obd", daemon=True)

    def start(self) -> None:
        """Start reading."""
        self._health.beat(PART)
        self._thread.start()

    def ask_anew(self) -> None:
        """Have the signals that are asked for slowly read at once: a trip begins."""
        process = self._process
        if process is not None and process.stdin is not None:
            # One that has just ended asks for everything anyway when it is started again.
            with suppress(OSError, ValueError):
                os.write(process.stdin.fileno(), b"anew\n")

    def stop(self) -> None:
        """Stop reading and end the process."""
        self._stopping.set()
        self._thread.join(10)
        self._health.retire(PART)

    def _run(self) -> None:
        while not self._stopping.is_set():
            settings = {
                "port": self._request.port,
                "baudrate": self._request.baudrate,
                "protocol": self._protocol,
                "pids": [SIGNALS[name].pid for name in self._request.signals],
                "parent": os.getpid(),
            }
            with subprocess.Popen(
                [sys.executable, "-m", "onboard.obdworker", json.dumps(settings)],
                stdout=subprocess.PIPE,
                stdin=subprocess.PIPE,
            ) as process:
                self._process = process
                try:
                    why = self._listen(process)
                finally:
                    self._process = None
                    process.kill()
            if why:
                self._journal(PART, why)
                self._health.say(PART, why)
                self._health.count("obd_restarts")
                now_ns = time.monotonic_ns()
                for name in ALWAYS:
                    self._on_reading(now_ns, name, None, Status.TIMEOUT, None)

    def _listen(self, process: subprocess.Popen[bytes]) -> str:
        """Take in lines until the process must be restarted; says why, empty if stopping."""
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        rest = b""
        heard_at = time.monotonic()
        patience_s = START_AFTER_S
        while not self._stopping.is_set():
            self._health.beat(PART)
            ready, _, _ = select.select([pipe], [], [], 0.1)
            if ready:
                data = os.read(pipe, 65536)
                if not data:
                    time.sleep(0.5)
                    return f"the OBD process ended with {process.wait()}; starting it again"
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    patience_s = self._take(json.loads(line))
                if lines:
                    heard_at = time.monotonic()
            elif time.monotonic() - heard_at > patience_s:
                return f"nothing heard for {patience_s:g} s; restarting the OBD process"
        return ""

    def _take(self, line: dict[str, Any]) -> float:
        """Take in one line; returns how long the next one may take."""
        if line.get("say"):
            self._journal(PART, line["say"])
            self._health.say(PART, line["say"])
        if "device" in line:
            self._on_device(line["device"])
        if "vehicle" in line:
            vehicle = line["vehicle"]
            # Known from now on, so that connecting again takes no search.
            self._protocol = vehicle["protocol"]
            words = f"vehicle answers on bus {vehicle['protocol']}, {vehicle['batch']} at a time"
            self._journal(PART, words)
            self._health.say(PART, words)
            self._on_vehicle(vehicle)
        for name, (value, status) in line.get("signals", {}).items():
            self._on_reading(line["t"], name, value, status, line["rt"])
        return float(line.get("grace_s", SILENT_AFTER_S))
