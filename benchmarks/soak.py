"""Record for a long time at 1280x720, 30 fps, and watch for drops, growth and load.

The real program runs as a user would start it, with a network camera (ffmpeg serving MJPEG over
HTTP, which the logger decodes and encodes as H.264) and an emulated adapter over TCP. Camera and
adapter run in processes of their own and are not counted; CPU is the processor time of the
logger and its OBD process over wall time, so another load on the machine does not count, though
it may slow the caches.

    python benchmarks/soak.py --minutes 30 --json soak.json
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from onboard.emulator import Elm327, TcpAdapter, Vehicle
from onboard.trip import Trip, find_trips

GOALS = {"dropped_frames": 0, "growth_mb": 5.0, "cpu_share": 0.45, "rss_mb": 250.0}
FPS = 30
SETTLED_S = 300.0


def main() -> None:
    """Run the soak and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--quick", action="store_true", help="One minute.")
    parser.add_argument("--video", type=Path, help="Played as the camera; a test picture, if none.")
    parser.add_argument(
        "--copy-mjpeg", action="store_true", help="Keep the camera's MJPEG instead of encoding it."
    )
    parser.add_argument("--port", type=int, default=18080, help="TCP port of the camera.")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    minutes = 1.0 if arguments.quick else arguments.minutes
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        figures = soak(
            Path(folder), minutes * 60, arguments.video, arguments.port, arguments.copy_mjpeg
        )
    for name, value in figures.items():
        goal = GOALS.get(name)
        print(f"{name:24} {value:10.3f}" + (f"   goal <= {goal}" if goal is not None else ""))
    if arguments.json:
        arguments.json.write_text(json.dumps({"figures": figures}, indent=1))


def camera_file(folder: Path, video: Path | None) -> Path:
    """Make the MJPEG the camera sends, once, so that serving it costs almost nothing."""
    made = folder / "camera.mkv"
    picture = (
        ["-stream_loop", "-1", "-i", str(video)]
        if video
        else ["-f", "lavfi", "-i", f"testsrc2=size=1280x720:rate={FPS},noise=alls=6:allf=t"]
    )
    scale = f"fps={FPS},scale=1280:720:force_original_aspect_ratio=increase,crop=1280:720"
    read = [*picture, "-t", "30", "-an"]
    encode = ["-vf", scale, "-c:v", "mjpeg", "-q:v", "5", "-pix_fmt", "yuvj420p"]
    subprocess.run(["ffmpeg", "-loglevel", "error", "-y", *read, *encode, str(made)], check=True)
    return made


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return found


def cpu_and_rss(pid: int) -> tuple[float, float]:
    """Processor seconds and resident megabytes of a process."""
    # Fields 14 and 15 of stat, counted after the name, which may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def soak(
    folder: Path, length_s: float, video: Path | None, port: int, copy_mjpeg: bool
) -> dict[str, float]:
    """Record for `length_s` and return the figures."""
    source = camera_file(folder, video)
    url = f"http://127.0.0.1:{port}/"
    read = ["-re", "-stream_loop", "-1", "-i", str(source)]
    camera = subprocess.Popen(
        ["ffmpeg", "-loglevel", "error", *read, "-c", "copy", "-f", "mpjpeg", "-listen", "1", url],
        stdin=subprocess.DEVNULL,
    )
    started = time.monotonic()

    def readings() -> dict[str, float]:
        t = time.monotonic() - started
        return {
            "rpm": 1800 + 900 * math.sin(t / 7),
            "speed_kmh": 60 + 40 * math.sin(t / 23),
            "coolant_temp_c": 88.0,
            "load_percent": 40.0,
            "throttle_percent": 25.0,
            "maf_g_s": 12.0,
            "intake_temp_c": 24.0,
        }

    adapter = TcpAdapter(Elm327(Vehicle(readings), delay_s=0.03))
    config = folder / "soak.toml"
    config.write_text(
        f'[service]\nstate_folder = "{folder}/state"\n'
        f"[camera]\ncopy_mjpeg = {str(copy_mjpeg).lower()}\n"
    )
    time.sleep(1.0)
    options = ["--config", str(config), "--now", "--camera", url, "--obd", adapter.url]
    options += ["--vehicle", "soak", "--to", str(folder / "trips")]
    logger = subprocess.Popen([sys.executable, "-m", "onboard.cli", "record", *options])
    rows: list[tuple[float, float, float]] = []
    cpu_of: dict[int, float] = {}
    begun = time.monotonic()
    last_said = begun
    try:
        while (now := time.monotonic()) - begun < length_s and logger.poll() is None:
            rss = 0.0
            for pid in [logger.pid, *children(logger.pid)]:
                try:
                    cpu_of[pid], used = cpu_and_rss(pid)
                except OSError:
                    continue
                rss += used
            rows.append((now - begun, sum(cpu_of.values()), rss))
            if now - last_said > 60:
                last_said = now
                print(f"{now - begun:7.0f} s  {rss:6.1f} MB", file=sys.stderr, flush=True)
            time.sleep(1.0)
        status = json.loads((folder / "state" / "status.json").read_text())
        logger.send_signal(signal.SIGTERM)
        code = logger.wait(120)
    finally:
        logger.kill()
        camera.kill()
        camera.wait()
        adapter.stop()
    (path,) = find_trips(folder / "trips")
    with Trip.open(path) as trip:
        trip.verify()
        frames = trip.frames().t_mono_ns
        video_bytes = sum(file.stat().st_size for file in trip.video_files())
        span_s = (frames[-1] - frames[0]) / 1e9
        rpm = trip.samples()["rpm"].t_mono_ns
        longest_gap_s = float((frames[1:] - frames[:-1]).max() / 1e9)
    settled = [row for row in rows if row[0] >= min(SETTLED_S, length_s / 3)]
    tenth = max(1, len(settled) // 10)
    early = sum(row[2] for row in settled[:tenth]) / tenth
    late = sum(row[2] for row in settled[-tenth:]) / tenth
    return {
        "minutes": length_s / 60,
        "exit_code": float(code),
        "dropped_frames": float(status["counters"].get("frames_dropped", 0)),
        "frames": float(frames.size),
        "frames_per_s": (frames.size - 1) / span_s,
        "video_gb_per_hour": video_bytes / 1e9 / (span_s / 3600),
        "longest_frame_gap_s": longest_gap_s,
        "rpm_readings_per_s": (rpm.size - 1) / ((rpm[-1] - rpm[0]) / 1e9),
        "growth_mb": late - early,
        "rss_mb": max(row[2] for row in rows),
        "cpu_share": (settled[-1][1] - settled[0][1]) / (settled[-1][0] - settled[0][0]),
        "obd_restarts": float(status["counters"].get("obd_restarts", 0)),
    }


if __name__ == "__main__":
    main()
