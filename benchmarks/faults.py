"""Break everything the logger depends on, one thing at a time, and report what it recorded.

The real program runs with a real MJPEG server (ffmpeg) as its camera and an emulated adapter.
For each fault: how long after its end the first good row came, what was recorded meanwhile, and
what the journal says. Every recorded value is compared with what the adapter sent at that moment.

    python benchmarks/faults.py --json faults.json

The clock is stepped for the logger alone, by a library laid over the C library's clock_gettime
(compiled here, so it needs a C compiler): the machine's own clock is not this script's to move. A
suspended machine is imitated by stopping all of the logger's processes. The full disk is a tmpfs,
for which the script must run as root.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from onboard.emulator import Elm327, Fault, TcpAdapter, Vehicle
from onboard.trip import Trip, find_trips

GOAL_S = 6.0
STEPPED_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *now)
{
    static int (*own)(clockid_t, struct timespec *);
    if (!own)
        own = dlsym(RTLD_NEXT, "clock_gettime");
    int result = own(id, now);
    if (id == CLOCK_REALTIME && getenv("CLOCK_OFFSET_FILE")) {
        FILE *file = fopen(getenv("CLOCK_OFFSET_FILE"), "r");
        long offset_s = 0;
        if (file) {
            if (fscanf(file, "%ld", &offset_s) == 1)
                now->tv_sec += offset_s;
            fclose(file);
        }
    }
    return result;
}
"""


@dataclass
class Source:
    """A vehicle whose every answer is known afterwards."""

    answers: list[tuple[int, float, float]] = field(default_factory=list)

    def __call__(self) -> dict[str, float]:
        k = len(self.answers)
        rpm, speed = 800 + (k * 7) % 5000 + 0.25 * (k % 4), float((k * 3) % 200)
        self.answers.append((time.monotonic_ns(), rpm, speed))
        return {"rpm": rpm, "speed_kmh": speed, "coolant_temp_c": 85.0, "throttle_percent": 20.0}


class Plug:
    """An adapter on a TCP port that stays the same when it is pulled out and put back."""

    def __init__(self, vehicle: Vehicle, delay_s: float = 0.03):
        self._vehicle, self._delay_s = vehicle, delay_s
        self.elm = Elm327(vehicle, delay_s=delay_s)
        self._adapter: TcpAdapter | None = TcpAdapter(self.elm)
        self.url = self._adapter.url
        self._port = self._adapter.port

    def pull(self) -> None:
        """Pull the adapter out."""
        if self._adapter is not None:
            self._adapter.stop()
            self._adapter = None

    def put_back(self) -> None:
        """Put it back, without memory of its settings."""
        self.elm = Elm327(self._vehicle, delay_s=self._delay_s)
        self._adapter = TcpAdapter(self.elm, port=self._port)


class FfmpegCamera:
    """A network camera served by ffmpeg, which starts again whenever its viewer leaves."""

    def __init__(self, folder: Path):
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/"
        self._size = "640x360"
        self._on = threading.Event()
        self._on.set()
        self._stopping = False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stopping:
            if not self._on.wait(0.2):
                continue
            picture = f"testsrc2=size={self._size}:rate=30"
            read = ["-re", "-f", "lavfi", "-i", picture]
            encode = ["-c:v", "mjpeg", "-q:v", "6", "-pix_fmt", "yuvj420p", "-f", "mpjpeg"]
            self._process = subprocess.Popen(
                ["ffmpeg", "-loglevel", "quiet", *read, *encode, "-listen", "1", self.url],
                stdin=subprocess.DEVNULL,
            )
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send the server a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def switch_off(self) -> None:
        """Take the camera's power away."""
        self._on.clear()
        self.signal(signal.SIGKILL)

    def switch_on(self, size: str = "640x360") -> None:
        """Give it back, perhaps with another picture size."""
        self._size = size
        self._on.set()

    def stop(self) -> None:
        """End it for good."""
        self._stopping = True
        self.switch_off()


@dataclass
class Case:
    """One fault in one recording: when it was there, and what it concerns."""

    name: str
    what: str
    begin_ns: int
    end_ns: int


class Campaign:
    """One recording in which faults come and go."""

    def __init__(self, folder: Path, *, extra: dict[str, str] | None = None, config: str = ""):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.source = Source()
        self.plug = Plug(Vehicle(self.source))
        self.camera = FfmpegCamera(folder)
        self.cases: list[Case] = []
        settings = folder / "faults.toml"
        settings.write_text(f'[service]\nstate_folder = "{folder}/state"\n{config}')
        self.trips = folder / "trips"
        options = ["--now", "--config", str(settings), "--to", str(self.trips)]
        options += ["--camera", self.camera.url, "--obd", self.plug.url]
        with (folder / "stderr.txt").open("w") as said:
            self.logger = subprocess.Popen(
                [sys.executable, "-m", "onboard.cli", "record", *options],
                env={**os.environ, **(extra or {})},
                stderr=said,
            )

    def settle(self, seconds: float = 12.0) -> None:
        """Let the recording run without a fault."""
        time.sleep(seconds)

    def fault(
        self,
        name: str,
        what: str,
        begin: Callable[[], None],
        end: Callable[[], None],
        lasts_s: float = 8.0,
    ) -> None:
        """Let a fault come, last and go."""
        print(name, file=sys.stderr, flush=True)
        begin()
        begin_ns = time.monotonic_ns()
        time.sleep(lasts_s)
        end()
        self.cases.append(Case(name, what, begin_ns, time.monotonic_ns()))
        time.sleep(10.0)

    def adapter_fault(self, fault: Fault) -> None:
        """One of the emulated adapter's own faults."""

        def become(value: Fault) -> Callable[[], None]:
            return lambda: setattr(self.plug.elm, "fault", value)

        self.fault(f"adapter {fault.value}", "rpm", become(fault), become(Fault.NONE))

    def finish(self) -> Path:
        """Stop the logger and return its one trip."""
        self.logger.send_signal(signal.SIGTERM)
        self.logger.wait(60)
        self.plug.pull()
        self.camera.stop()
        (path,) = find_trips(self.trips)
        said = (self.folder / "stderr.txt").read_text()
        if not (path / "manifest.json").exists():
            raise SystemExit(f"{path} was not closed: {said}")
        with Trip.open(path) as trip:
            if "rpm" not in trip.samples():
                raise SystemExit(f"{path} has no readings: {said}")
        return path


def report(campaign: Campaign, path: Path) -> tuple[list[tuple[str, float, str]], int]:
    """For each fault: its name, seconds to the first good row, and what was recorded."""
    rows = []
    with Trip.open(path) as trip:
        trip.verify()
        samples = trip.samples()
        rpm = samples["rpm"]
        good = rpm.t_mono_ns[np.isfinite(rpm.value)]
        frames = trip.frames().t_mono_ns
        for case in campaign.cases:
            times = good if case.what == "rpm" else frames
            after = times[times > case.end_ns]
            recovery_s = (after[0] - case.end_ns) / 1e9 if after.size else float("inf")
            inside = (rpm.t_mono_ns > case.begin_ns) & (rpm.t_mono_ns < case.end_ns)
            kept = int(np.isfinite(rpm.value[inside]).sum())
            missing = int(inside.sum()) - kept
            pictures = int(((frames > case.begin_ns) & (frames < case.end_ns)).sum())
            said = [
                f"{entry.source}: {entry.message}"
                for entry in trip.journal()
                if case.begin_ns <= entry.t_mono_ns <= case.end_ns + 8e9
            ]
            rows.append(
                (
                    case.name,
                    float(recovery_s),
                    f"meanwhile {kept} rpm readings, {missing} marked missing, "
                    f"{pictures} frames; journal: {' | '.join(said) or 'nothing'}",
                )
            )
        wrong = wrong_values(trip, campaign.source)
    return rows, wrong


def wrong_values(trip: Trip, source: Source) -> int:
    """Values that the adapter never sent at that moment, and pictures that do not match rows."""
    answers = np.array([a[0] for a in source.answers], dtype=np.int64)
    wrong = 0
    for column, name in ((1, "rpm"), (2, "speed_kmh")):
        series = trip.samples()[name]
        for t_mono_ns, value, trip_ms in zip(
            series.t_mono_ns, series.value, series.round_trip_ms, strict=True
        ):
            if not np.isfinite(value):
                continue
            half_ns = 0 if np.isnan(trip_ms) else int(trip_ms * 5e5) + 1
            lo = np.searchsorted(answers, t_mono_ns - half_ns)
            hi = np.searchsorted(answers, t_mono_ns + half_ns, side="right")
            wrong += value not in [source.answers[k][column] for k in range(lo, hi)]
    for name in ("coolant_temp_c", "throttle_percent"):
        values = trip.samples()[name].value
        constant = 85.0 if name == "coolant_temp_c" else 20.0
        wrong += int((np.abs(values[np.isfinite(values)] - constant) > 0.01).sum())
    frames = trip.frames()
    wrong += int((np.diff(frames.t_mono_ns) <= 0).sum())
    for file in trip.video_files():
        rows = frames.pts[frames.segment == int(file.stem)].tolist()
        with av.open(str(file)) as video:
            wrong += [frame.pts for frame in video.decode(video=0)] != rows
    return wrong


def devices(folder: Path, quick: bool) -> Campaign:
    """Faults of adapter and camera, and a machine that sleeps."""
    run = Campaign(folder)
    run.settle()
    faults = [fault for fault in Fault if fault is not Fault.NONE]
    for fault in faults[:3] if quick else faults:
        run.adapter_fault(fault)
    run.fault("adapter unplugged", "rpm", run.plug.pull, run.plug.put_back)
    if not quick:
        run.fault("adapter unplugged 30 s", "rpm", run.plug.pull, run.plug.put_back, 30.0)
        run.fault("adapter restarted", "rpm", run.plug.pull, run.plug.put_back, 0.5)
        run.fault(
            "adapter lost its settings", "rpm", lambda: run.plug.elm.power_cycle(), lambda: None, 0
        )
    camera = run.camera
    stop, go = signal.SIGSTOP, signal.SIGCONT
    run.fault("camera stalled", "frames", lambda: camera.signal(stop), lambda: camera.signal(go))
    run.fault("camera gone", "frames", camera.switch_off, camera.switch_on)
    run.fault(
        "camera changed resolution",
        "frames",
        camera.switch_off,
        lambda: camera.switch_on("1280x720"),
        1.0,
    )
    if not quick:
        for what in ("rpm", "frames"):
            run.fault(
                f"machine suspended ({what})",
                what,
                lambda: [os.kill(pid, stop) for pid in pids_now(run)] and None,
                lambda: [os.kill(pid, go) for pid in pids_now(run)] and None,
            )
    return run


def pids_now(run: Campaign) -> list[int]:
    """The logger and what it has started."""
    return [run.logger.pid, *children(run.logger.pid)]


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return found


@contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[Path]:
    """A disk of its own, of a few megabytes."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def full_disk(folder: Path) -> tuple[list[tuple[str, float, str]], int]:
    """A disk that fills up to the last byte, and later has room again."""
    with small_disk(folder, 60) as disk:
        run = Campaign(disk, config="[storage]\ndelete_below_mb = 0\nstop_video_below_mb = 1\n")
        run.settle()
        filler = disk / "filler"

        def fill() -> None:
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"\0" * 4096)
                except OSError:
                    pass

        for what in ("rpm", "frames"):
            run.fault(f"disk full ({what})", what, fill, filler.unlink)
        return report(run, run.finish())


def stepped_clock(folder: Path) -> tuple[list[tuple[str, float, str]], int]:
    """UTC steps by an hour, forth and back further, while recording."""
    folder.mkdir(parents=True)
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(STEPPED_CLOCK)
    compile_it = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(compile_it, check=True)
    offset = folder / "offset"
    offset.write_text("0")
    run = Campaign(
        folder,
        extra={"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(offset)},
    )
    run.settle(25.0)
    for name, text in (("an hour forward", "3600"), ("an hour back", "-3600")):
        for what in ("rpm", "frames"):
            run.fault(
                f"clock {name} ({what})",
                what,
                lambda text=text: offset.write_text(text) and None,
                lambda: offset.write_text("0") and None,
                4.0,
            )
    path = run.finish()
    rows, wrong = report(run, path)
    with Trip.open(path) as trip:
        clock = trip.clock()
        fitted = clock.utc_ns(clock.t_mono_ns)
        truth = time.time_ns() - time.monotonic_ns()
        assert fitted is not None
        error_s = float(np.abs(fitted - clock.t_mono_ns - truth).max() / 1e9)
        steps = int((np.abs(np.diff(clock.utc_ns_read - clock.t_mono_ns)) > 1e9).sum())
    rows.append(
        ("clock stepped: error of fitted UTC, s", error_s, f"{steps} steps seen by the recorder")
    )
    return rows, wrong


def main() -> None:
    """Run the campaign and print one report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="A few faults only.")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=("devices", "disk", "clock"), help="One part of it.")
    arguments = parser.parse_args()
    parts = [arguments.only] if arguments.only else ["devices", "disk", "clock"]
    if os.geteuid() != 0:
        print("disk full: not tried, needs root", file=sys.stderr)
        parts = [part for part in parts if part != "disk"]
    if shutil.which("cc") is None:
        print("clock: not tried, needs a C compiler", file=sys.stderr)
        parts = [part for part in parts if part != "clock"]
    rows: list[tuple[str, float, str]] = []
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        for part in ["devices"] if arguments.quick else parts:
            folder = Path(name) / part
            if part == "devices":
                run = devices(folder, arguments.quick)
                found, bad = report(run, run.finish())
            else:
                found, bad = (full_disk if part == "disk" else stepped_clock)(folder)
            rows += found
            wrong += bad
            for title, recovery_s, words in found:
                late = "" if recovery_s <= GOAL_S else f"   MISSED, goal <= {GOAL_S}"
                print(f"{title:36} {recovery_s:7.2f} s{late}\n    {words}", flush=True)
    figures = {
        "faults": float(len(rows)),
        "wrong_values": float(wrong),
        "worst_recovery_s": max(row[1] for row in rows),
        **{f"recovery_s: {row[0]}": row[1] for row in rows},
    }
    print(f"wrong values: {wrong}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"figures": figures}, indent=1))


if __name__ == "__main__":
    main()
