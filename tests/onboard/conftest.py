"""Devices for the tests: a camera file, an emulated adapter, and the logger as a program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onboard.emulator import Elm327, TcpAdapter, Vehicle

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def camera_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds of test picture, 320x180, 15 pictures a second."""
    made = tmp_path_factory.mktemp("camera") / "camera.mp4"
    picture = "testsrc2=size=320x180:rate=15:duration=20"
    encode = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "15", str(made)]
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", picture, *encode], check=True
    )
    return made


class EngineBay:
    """An emulated adapter and a vehicle whose values a test may change at any time."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {
            "rpm": 1500.0,
            "speed_kmh": 50.0,
            "coolant_temp_c": 88.0,
            "throttle_percent": 20.0,
        }
        self.vehicle = Vehicle(lambda: dict(self.values))
        self.elm = Elm327(self.vehicle, delay_s=0.01)
        self.adapter = TcpAdapter(self.elm)

    @property
    def url(self) -> str:
        return self.adapter.url


@pytest.fixture
def engine_bay() -> Iterator[EngineBay]:
    bay = EngineBay()
    yield bay
    bay.adapter.stop()


class Logger:
    """`gradewise-onboard record` as a process of its own."""

    def __init__(self, folder: Path, *options: object, config: str = "", **environment: str):
        self.trips = folder / "trips"
        self.state = folder / "state"
        self.config = folder / "onboard.toml"
        self.config.write_text(f'[service]\nstate_folder = "{self.state}"\n{config}')
        self.said = folder / "stderr.txt"
        given = ["--config", str(self.config), "--to", str(self.trips), *map(str, options)]
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "onboard.cli", "record", *given],
                stderr=said,
                env={**ENVIRONMENT, **environment},
            )

    def wait_for(self, words: str, seconds: float = 40.0) -> None:
        """Wait until the logger has said something."""
        end = time.monotonic() + seconds
        while words not in self.said.read_text():
            assert time.monotonic() < end, f"never said {words!r}: {self.said.read_text()}"
            assert self.process.poll() is None, self.said.read_text()
            time.sleep(0.05)

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture
def start_logger(tmp_path: Path) -> Iterator[Callable[..., Logger]]:
    started: list[Logger] = []

    def start(*options: object, **more: str) -> Logger:
        logger = Logger(tmp_path, *options, **more)
        started.append(logger)
        return logger

    yield start
    for logger in started:
        if logger.process.poll() is None:
            logger.process.kill()
            logger.process.wait()


@pytest.fixture
def onboard_program() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Any command of `gradewise-onboard`, run to its end."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "onboard.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            env=ENVIRONMENT,
        )

    return run
