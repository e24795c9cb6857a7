"""How many readings a second the logger gets, against plain polling with python-OBD.

Both ask the same emulated adapter, in turns within one run. Plain polling asks for engine speed,
vehicle speed and coolant temperature in turn through `obd.OBD.query` with the library's own
settings (`fast=True`). The logger's process asks as it does in a vehicle, through its own
connection. What is compared is how often engine speed and vehicle speed are refreshed.

    python benchmarks/obd_rate.py --json obd_rate.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import obd

from onboard.emulator import Elm327, TcpAdapter, Vehicle
from onboard.signals import SIGNALS

DELAYS_MS = (20, 50, 100)
GOAL = 2.5


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="One round of three seconds.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rounds, seconds = (1, 3.0) if arguments.quick else (arguments.rounds, arguments.seconds)
    figures: dict[str, float] = {}
    print("delay    plain, refreshes/s   logger, refreshes/s   gain")
    for delay_ms in DELAYS_MS:
        plain, ours = [], []
        for _ in range(rounds):
            plain.append(measure(delay_ms, seconds, plain_rate))
            ours.append(measure(delay_ms, seconds, logger_rate))
        figures[f"plain_at_{delay_ms}_ms"] = float(np.mean(plain))
        figures[f"logger_at_{delay_ms}_ms"] = float(np.mean(ours))
        gain = figures[f"gain_at_{delay_ms}_ms"] = float(np.mean(ours) / np.mean(plain))
        late = "" if gain >= GOAL else f"   MISSED, goal >= {GOAL}"
        print(f"{delay_ms:4} ms {np.mean(plain):20.2f} {np.mean(ours):21.2f} {gain:6.2f}{late}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"figures": figures}, indent=1))


def measure(delay_ms: int, seconds: float, rate) -> float:
    """Refreshes of engine speed and vehicle speed a second, with a fresh adapter."""
    values = {
        "rpm": 2000.0,
        "speed_kmh": 50.0,
        "coolant_temp_c": 88.0,
        "intake_temp_c": 20.0,
        "load_percent": 30.0,
        "throttle_percent": 20.0,
        "maf_g_s": 8.0,
        "run_time_s": 600.0,
    }
    adapter = TcpAdapter(Elm327(Vehicle(lambda: values), delay_s=delay_ms / 1e3))
    try:
        return rate(adapter.url, seconds)
    finally:
        adapter.stop()


def plain_rate(url: str, seconds: float) -> float:
    """Ask for the three signals in turn with the library alone."""
    connection = obd.OBD(url, 38400, "6", check_voltage=False)
    commands = (obd.commands.RPM, obd.commands.SPEED, obd.commands.COOLANT_TEMP)
    refreshed = 0
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        for command in commands:
            if not connection.query(command).is_null() and command is not commands[2]:
                refreshed += 1
    lasted = time.monotonic() - begun
    connection.close()
    return refreshed / 2 / lasted


def logger_rate(url: str, seconds: float) -> float:
    """Let the logger's own process ask, for all signals it records."""
    settings = {
        "port": url,
        "baudrate": None,
        "protocol": "6",
        "pids": [signal.pid for signal in SIGNALS.values() if signal.pid is not None],
        "parent": os.getpid(),
    }
    times: list[int] = []
    with subprocess.Popen(
        [sys.executable, "-m", "onboard.obdworker", json.dumps(settings)],
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None
        for text in worker.stdout:
            line = json.loads(text)
            signals = line.get("signals", {})
            times += [line["t"] for name in ("rpm", "speed_kmh") if signals.get(name, [None])[0]]
            if times and time.monotonic_ns() - times[0] > seconds * 1e9:
                break
        worker.kill()
    return len(times) / 2 / ((times[-1] - times[0]) / 1e9)


if __name__ == "__main__":
    main()
