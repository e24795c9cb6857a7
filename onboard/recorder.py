"""The logger itself: waits for the engine, records trips, watches over every part."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from onboard.camera import CameraRequest, is_file
from onboard.disk import Limits, free_bytes, make_room, sweep
from onboard.emulator import DESCRIPTION
from onboard.errors import TripError
from onboard.health import Health, Rates, ServiceManager, write_prometheus, write_status
from onboard.ignition import Ignition
from onboard.obdlink import ObdLink, ObdRequest
from onboard.recovery import recover
from onboard.settings import Settings
from onboard.trip import find_trips
from onboard.tripclock import read_clocks
from onboard.tripgaps import SAMPLE_GAP_S
from onboard.tripwriter import TripWriteError, TripWriter
from onboard.videorecorder import VideoOptions, VideoRecorder

TICK_S: Final = 0.2
DISK_EVERY_S: Final = 5.0
MAIN: Final = "recorder"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What one run is asked for beyond the configuration."""

    now: bool = False
    once: bool = False
    duration_s: float | None = None
    real_time: bool = True


class Recorder:
    """Records trips until it is told to stop."""

    def __init__(self, settings: Settings, options: RunOptions):
        self._settings = settings
        self._options = options
        self._health = Health()
        self._service = ServiceManager()
        self._stop_why: str | None = None
        self._writer: TripWriter | None = None
        self._video: VideoRecorder | None = None
        self._vin = ""
        self._device = ""
        self._refused = False
        self._driver = ""
        self._latest: dict[str, tuple[int, float]] = {}
        self._rates = Rates()
        trip = settings.trip
        self._ignition = Ignition(
            trip.end_after_off_s, trip.end_after_stopped_s, trip.end_after_lost_s
        )
        self._link: ObdLink | None = None
        if settings.obd.port:
            self._link = ObdLink(
                ObdRequest(
                    settings.obd.port,
                    settings.obd.baudrate,
                    settings.obd.protocol,
                    settings.obd.signals,
                ),
                self._on_reading,
                self._on_device,
                self._on_vehicle,
                self._journal,
                self._health,
            )
        storage = settings.storage
        self._limits = Limits(
            storage.keep_days * 86400, storage.keep_gb * 1e9, storage.delete_below_mb * 1e6
        )
        self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def stop(self, why: str) -> None:
        """Ask for the end; may be called from a signal handler."""
        self._stop_why = why

    def run(self) -> None:
        """Record until stopped.

        Raises
        ------
        TripError
            If the storage folder cannot be written.
        """
        folder = self._settings.storage.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sweep(folder)
        except OSError as problem:
            raise TripError(f"trips cannot be kept in {folder}: {problem.strerror}") from problem
        recovering = threading.Thread(target=self._recover_old, name="recovery", daemon=True)
        recovering.start()
        if self._link is not None:
            self._link.start()
        self._health.beat(MAIN)
        self._service.notify("READY=1")
        begun = time.monotonic()
        trips = 0
        disk_due = second_due = 0.0
        try:
            if self._options.now:
                self._begin("asked to")
            while self._stop_why is None:
                time.sleep(TICK_S)
                now = time.monotonic()
                self._health.beat(MAIN)
                if self._writer is None:
                    if self._ignition.running(now):
                        self._begin("the engine runs")
                else:
                    self._commit()
                    why = self._why_ended(now)
                    if why:
                        self._end(why)
                        trips += 1
                        if self._options.once:
                            break
                if now >= second_due:
                    second_due = max(second_due + 1.0, now)
                    self._each_second()
                if now >= disk_due:
                    disk_due = now + DISK_EVERY_S
                    self._watch_disk()
                if self._options.duration_s and now - begun >= self._options.duration_s:
                    self.stop("time is up")
        finally:
            self._service.notify("STOPPING=1")
            if self._writer is not None:
                self._end(self._stop_why or "the recorder failed")
            if self._link is not None:
                self._link.stop()
            self._write_status(ended=True)
            # Recovery leaves a trip as it found it when it is cut off.
            recovering.join(1.0)

    # Trips.

    def _begin(self, why: str) -> None:
        settings = self._settings
        self._driver = self._signed_in()
        camera = settings.camera
        self._writer = TripWriter.create(
            settings.storage.folder,
            vehicle=settings.vehicle.name or self._vin or "vehicle",
            driver=self._driver,
            camera=camera.source,
            fov_deg=camera.fov_deg if camera.source else None,
            vehicle_class=settings.vehicle.vehicle_class,
            origin=self._origin(),
        )
        # Camera and adapter must not wait while a slow disk syncs.
        self._writer.committed_elsewhere = True
        if self._vin:
            self._writer.set_vin(self._vin)
        self._journal(MAIN, f"trip {self._writer.trip_id} begins: {why}")
        self._add_clock()
        if self._link is not None:
            self._link.ask_anew()
        if camera.source:
            self._video = VideoRecorder(
                CameraRequest(
                    camera.source,
                    camera.width,
                    camera.height,
                    camera.fps,
                    camera.copy_h264,
                    camera.copy_mjpeg,
                    self._options.real_time,
                ),
                VideoOptions(camera.segment_s, camera.still_every_s, camera.motion_stills),
                self._writer,
                self._journal,
                self._health,
            )
            self._watch_disk()
            self._video.start()
        self._write_status()

    def _why_ended(self, now_s: float) -> str | None:
        if self._video is not None and self._video.source_ended and not self._settings.obd.port:
            return "the video ended"
        return self._ignition.why_ended(now_s)

    def _end(self, why: str) -> None:
        writer = self._writer
        assert writer is not None
        if self._video is not None:
            self._video.stop()
            self._video = None
        self._add_clock()
        self._journal(MAIN, f"trip {writer.trip_id} ends: {why}")
        self._writer = None
        self._ignition.forget()
        closing = threading.Thread(target=self._close, args=(writer, why), name="closing")
        closing.start()
        # Remuxing hours of video takes a minute; the watchdog must see that all is well.
        while closing.is_alive():
            self._health.beat(MAIN)
            self._feed_watchdog()
            closing.join(0.5)

    def _close(self, writer: TripWriter, why: str) -> None:
        try:
            writer.close(why)
            self._health.count("trips_closed")
        except (OSError, TripError) as problem:
            writer.abandon()
            self._journal(MAIN, f"{writer.path.name} cannot be closed now: {problem}")

    def _recover_old(self) -> None:
        for path in find_trips(self._settings.storage.folder):
            if self._stop_why is not None:
                return
            try:
                report = recover(path)
            except (TripError, OSError) as problem:
                if "still being recorded" not in str(problem):
                    self._journal("recovery", str(problem))
                continue
            if not report.was_closed:
                self._health.count("trips_recovered")
                self._journal(
                    "recovery",
                    f"{path.name}: closed, {report.samples} samples, {report.frames} frames",
                )

    # What comes in.

    def _on_reading(
        self, t_mono_ns: int, name: str, value: float | None, status: str, rt_ms: float | None
    ) -> None:
        if name == "rpm":
            self._ignition.heard(time.monotonic(), value, status)
        writer = self._writer
        if value is None:
            self._health.count("obd_missing")
        else:
            before_ns = self._latest.get(name, (t_mono_ns, value))[0]
            if name == "rpm" and writer and t_mono_ns - before_ns > SAMPLE_GAP_S * 1e9:
                self._health.count("obd_gaps")
            self._latest[name] = (t_mono_ns, value)
            self._health.count("obd_readings")
        if writer is not None:
            writer.add_sample(t_mono_ns, name, value, status, rt_ms)

    def _on_device(self, description: str) -> None:
        changed, self._device = description != self._device, description
        if self._writer is not None and changed:
            self._writer.set_origin(self._origin())

    def _origin(self) -> dict[str, str]:
        """Where the data come from: a replaying camera or adapter must not pass for a vehicle."""
        source = self._settings.camera.source
        video = "none" if not source else "replayed" if is_file(source) else "recorded"
        obd = "measured" if self._settings.obd.port else "none"
        note = ""
        if self._device.startswith(DESCRIPTION):
            obd, _, note = self._device.removeprefix(DESCRIPTION).partition("; ")
            video = "replayed" if source else "none"
        return {"video": video, "obd": obd, "note": note}

    def _on_vehicle(self, vehicle: dict[str, Any]) -> None:
        if vehicle["vin"]:
            self._vin = vehicle["vin"]
            if self._writer is not None:
                self._writer.set_vin(self._vin)

    def _journal(self, source: str, message: str) -> None:
        # systemd keeps standard error with its own time.
        print(f"{source}: {message}", file=sys.stderr, flush=True)
        writer = self._writer
        if writer is not None:
            writer.add_journal(time.monotonic_ns(), source, message)

    # What comes round.

    def _commit(self) -> None:
        writer = self._writer
        assert writer is not None
        try:
            writer.commit()
        except TripWriteError as problem:
            self._health.count("commit_failures")
            if not self._refused:
                self._refused = True
                self._journal(MAIN, f"THE DISK REFUSES ROWS, they wait in memory: {problem}")
        else:
            if self._refused:
                self._refused = False
                self._journal(MAIN, "the disk takes rows again")

    def _each_second(self) -> None:
        if self._writer is not None:
            self._add_clock()
            driver = self._signed_in()
            if driver != self._driver:
                self._driver = driver
                self._writer.set_driver(driver)
                self._journal(MAIN, f"driver: {driver or 'signed out'}")
        self._write_status()
        self._feed_watchdog()

    def _feed_watchdog(self) -> None:
        stuck = self._health.stuck()
        if stuck:
            self._try(MAIN, lambda: self._service.notify(f"STATUS=stuck: {', '.join(stuck)}"))
        else:
            self._try(MAIN, lambda: self._service.notify("WATCHDOG=1"))

    def _watch_disk(self) -> None:
        storage = self._settings.storage
        for line in make_room(storage.folder, self._limits):
            self._journal("disk", line)
            self._health.count("trips_deleted")
        free = free_bytes(storage.folder)
        if self._video is not None:
            enough = free >= storage.stop_video_below_mb * 1e6
            if self._video.allow(enough):
                self._journal(
                    "disk",
                    f"{free / 1e6:.0f} MB left: video goes on"
                    if enough
                    else f"ONLY {free / 1e6:.0f} MB LEFT: video stops, sensors go on",
                )

    def _add_clock(self) -> None:
        assert self._writer is not None
        mono, boot, utc = read_clocks()
        self._writer.add_clock(mono, boot, utc, self._boot_id)

    def _signed_in(self) -> str:
        try:
            text = self._settings.driver_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return ""
        return " ".join(text.split())[:200]

    def _write_status(self, *, ended: bool = False) -> None:
        now_ns = time.monotonic_ns()
        snapshot = self._health.snapshot()
        counters = snapshot["counters"]
        status = {
            "t_mono_ns": now_ns,
            "ended": ended,
            "recording": self._writer is not None,
            "trip": None if self._writer is None else str(self._writer.path),
            "vehicle": self._settings.vehicle.name or self._vin,
            "driver": self._driver or self._signed_in(),
            "disk_free_bytes": free_bytes(self._settings.storage.folder),
            "frames_per_s": self._rates.update("frames", counters.get("frames", 0)),
            "obd_per_s": self._rates.update("obd", counters.get("obd_readings", 0)),
            "readings": {
                name: {"value": value, "age_s": round((now_ns - at) / 1e9, 2)}
                for name, (at, value) in list(self._latest.items())
            },
            **snapshot,
        }
        service = self._settings.service
        self._try("status", lambda: write_status(service.state_folder, status))
        if service.prometheus_file is not None:
            target = service.prometheus_file
            self._try("status", lambda: write_prometheus(target, status))

    def _try(self, part: str, action: Callable[[], None]) -> None:
        """Do what recording does not depend on; say once a change of why it fails."""
        try:
            action()
        except OSError as problem:
            self._health.count(f"{part}_failures")
            self._health.say(part, str(problem))
