"""The OBD process against emulated adapters: one of another author, and our own with its faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from onboard.emulator import Elm327, Fault, PtyAdapter, TcpAdapter, Vehicle
from onboard.health import Health
from onboard.obdlink import ObdLink, ObdRequest
from onboard.obdworker import PollPlan

SIGNALS = ("rpm", "speed_kmh", "coolant_temp_c", "throttle_percent", "intake_temp_c")
VALUES = {"rpm": 1726.0, "speed_kmh": 51.0, "coolant_temp_c": 83.0, "throttle_percent": 20.0}


class Listener:
    """What the recorder would hear."""

    def __init__(self, port: str, protocol: str | None = "6"):
        self.readings: list[tuple[int, str, float | None, str, float | None]] = []
        self.vehicle: dict = {}
        self.device = ""
        self.said: list[str] = []
        self.link = ObdLink(
            ObdRequest(port, None, protocol, SIGNALS),
            lambda *reading: self.readings.append(reading),
            lambda device: setattr(self, "device", device),
            lambda vehicle: setattr(self, "vehicle", vehicle),
            lambda _, words: self.said.append(words),
            Health(),
        )
        self.link.start()

    def good(self, name: str, since_ns: int = 0) -> list[float]:
        return [
            v
            for t, n, v, _, _ in list(self.readings)
            if n == name and v is not None and t > since_ns
        ]

    def wait_for_good(self, name: str = "rpm", since_ns: int = 0, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not self.good(name, since_ns):
            assert time.monotonic() < end, self.said
            time.sleep(0.02)


@pytest.fixture
def emulator_of_another_author(tmp_path: Path) -> Iterator[str]:
    """ELM327-emulator (Ircama), scenario `car`, on a pseudo-terminal."""
    process = subprocess.Popen(
        [sys.executable, "-m", "elm", "-s", "car", "-b", str(tmp_path / "elm.txt")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    end = time.monotonic() + 60
    text = ""
    while "/dev/pts" not in text:
        assert time.monotonic() < end, text
        time.sleep(0.1)
        if (tmp_path / "elm.txt").exists():
            text = (tmp_path / "elm.txt").read_text()
    yield text[text.index("/dev/pts") :].split()[0]
    process.kill()
    process.wait()


def test_an_emulator_of_another_author(emulator_of_another_author: str) -> None:
    listener = Listener(emulator_of_another_author, protocol=None)
    try:
        listener.wait_for_good("rpm")
        listener.wait_for_good("speed_kmh")
        listener.wait_for_good("coolant_temp_c")
    finally:
        listener.link.stop()
    assert listener.vehicle["protocol"] == "6"
    # Its table holds one true 0 among the engine speeds, answered as `41 0C 00 00`.
    assert all(0 <= rpm < 8000 for rpm in listener.good("rpm"))
    assert all(-40 < t < 150 for t in listener.good("coolant_temp_c"))


@pytest.fixture
def elm() -> Elm327:
    return Elm327(Vehicle(lambda: VALUES), delay_s=0.005)


def test_over_tcp_several_parameters_a_question(elm: Elm327) -> None:
    adapter = TcpAdapter(elm)
    listener = Listener(adapter.url)
    try:
        listener.wait_for_good("throttle_percent")
    finally:
        listener.link.stop()
        adapter.stop()
    assert listener.vehicle == {
        "vin": elm.vehicle.vin,
        "protocol": "6",
        "supported": [0x05, 0x0C, 0x0D, 0x11],
        "batch": 6,
    }
    assert listener.device == "GRADEWISE REPLAY: EMULATED" or "emulated" in listener.device
    assert set(listener.good("rpm")) == {1726.0}
    assert set(listener.good("speed_kmh")) == {51.0}
    times = [t for t, name, *_ in listener.readings if name == "rpm"]
    assert times == sorted(times)


def test_over_a_pseudo_terminal_one_parameter_a_question(elm: Elm327, tmp_path: Path) -> None:
    elm.vehicle.batches = False
    adapter = PtyAdapter(elm, tmp_path / "ttyOBD")
    listener = Listener(str((tmp_path / "ttyOBD").readlink()))
    try:
        listener.wait_for_good("coolant_temp_c")
    finally:
        listener.link.stop()
        adapter.stop()
    assert listener.vehicle["batch"] == 1
    assert set(listener.good("rpm")) == {1726.0}


@pytest.mark.parametrize(
    "fault", [Fault.WRONG_PID, Fault.TRUNCATED, Fault.LOST_BYTE, Fault.GARBAGE, Fault.NO_DATA]
)
def test_no_fault_yields_a_value(elm: Elm327, fault: Fault) -> None:
    adapter = TcpAdapter(elm)
    listener = Listener(adapter.url)
    try:
        listener.wait_for_good("rpm")
        elm.fault = fault
        time.sleep(0.3)
        during_ns = time.monotonic_ns()
        time.sleep(0.7)
        assert listener.good("rpm", during_ns) == []
        assert {s for t, _, _, s, _ in listener.readings if t > during_ns} <= {
            "malformed",
            "no_data",
            "timeout",
        }
        elm.fault = Fault.NONE
        listener.wait_for_good("rpm", time.monotonic_ns())
    finally:
        listener.link.stop()
        adapter.stop()
    for name, value in VALUES.items():
        assert set(listener.good(name)) <= {value}


def test_a_silent_adapter_is_given_up_and_found_again(elm: Elm327) -> None:
    adapter = TcpAdapter(elm)
    listener = Listener(adapter.url)
    try:
        listener.wait_for_good("rpm")
        elm.fault = Fault.SILENT
        end = time.monotonic() + 20
        while not any("nothing heard" in words for words in listener.said):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert ("rpm", None, "timeout") in {(n, v, s) for _, n, v, s, _ in listener.readings}
        elm.fault = Fault.NONE
        listener.wait_for_good("rpm", time.monotonic_ns())
    finally:
        listener.link.stop()
        adapter.stop()


def test_an_adapter_that_is_not_there_is_waited_for(elm: Elm327, tmp_path: Path) -> None:
    adapter = TcpAdapter(elm)
    adapter.stop()
    listener = Listener(adapter.url)
    end = time.monotonic() + 60
    while not any(words.startswith("no adapter") for words in listener.said):
        assert time.monotonic() < end
        time.sleep(0.05)
    again = TcpAdapter(elm, port=adapter.port)
    try:
        listener.wait_for_good("rpm")
    finally:
        listener.link.stop()
        again.stop()


def test_the_process_ends_with_its_parent(elm: Elm327) -> None:
    adapter = TcpAdapter(elm)
    settings = {"port": adapter.url, "baudrate": None, "protocol": "6", "pids": [12, 13, 5]}
    code = (
        "import json, os, subprocess, sys, time\n"
        f"settings = {settings!r}\n"
        "settings['parent'] = os.getpid()\n"
        "child = subprocess.Popen([sys.executable, '-m', 'onboard.obdworker', "
        "json.dumps(settings)], stdout=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(1.5)
        assert Path(f"/proc/{child}").exists()
        parent.kill()
    end = time.monotonic() + 10
    while Path(f"/proc/{child}/exe").exists() and alive(child):
        assert time.monotonic() < end
        time.sleep(0.05)
    adapter.stop()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_slow_signals_are_asked_for_slowly() -> None:
    plan = PollPlan([0x0C, 0x0D, 0x05, 0x04], batch=6)
    first, second = plan.next(0.0), plan.next(0.01)
    assert set(first) == {0x0C, 0x0D, 0x05, 0x04}
    assert set(second) == {0x0C, 0x0D}
    assert 0x04 in plan.next(0.6)
    assert 0x05 in plan.next(5.1)

    plan.all_anew()
    assert 0x05 in plan.next(5.2)

    one_by_one = PollPlan([0x0C, 0x0D, 0x05, 0x04], batch=1)
    asked = [one_by_one.next(k * 0.05)[0] for k in range(200)]
    assert 80 < asked.count(0x0C) < 100
    assert asked.count(0x05) == 2
    assert set(asked) == {0x0C, 0x0D, 0x05, 0x04}


def test_lines_are_json(elm: Elm327) -> None:
    adapter = TcpAdapter(elm)
    settings = {"port": adapter.url, "baudrate": None, "protocol": "6", "pids": [12, 13]}
    worker = subprocess.Popen(
        [
            *(sys.executable, "-m", "onboard.obdworker"),
            json.dumps({**settings, "parent": os.getpid()}),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    stop = threading.Timer(60, worker.kill)
    stop.start()
    assert worker.stdout is not None
    lines = []
    while not lines or "signals" not in lines[-1]:
        lines.append(json.loads(worker.stdout.readline()))
    stop.cancel()
    worker.kill()
    worker.communicate()
    adapter.stop()
    assert lines[0] == {"say": "starting", "grace_s": 30.0}
    assert lines[-1]["signals"] == {"rpm": [1726.0, "ok"], "speed_kmh": [51.0, "ok"]}
    assert lines[-1]["rt"] >= 5.0
