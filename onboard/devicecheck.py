"""Tries camera, adapter, disk and clock in turn, as a fitter does on the day of installation."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from onboard.camera import CameraRequest, Picture, open_camera
from onboard.disk import free_bytes
from onboard.errors import DeviceError
from onboard.health import Health
from onboard.obdlink import ObdLink, ObdRequest
from onboard.settings import Settings
from onboard.stills import decoded_small
from onboard.tripclock import FIRST_PLAUSIBLE_UTC_NS

WATCH_CAMERA_S: Final = 3.0
WAIT_FOR_VEHICLE_S: Final = 30.0
DARK: Final = 12.0
"""Mean brightness (of 255) under which a picture shows nothing: lens cap, or night in a garage."""
SLOWEST_DISK_MB_S: Final = 5.0
_STA_UNSYNC: Final = 0x0040


@dataclass(frozen=True, slots=True)
class Finding:
    """What one trial showed.

    Attributes
    ----------
    advice : str
        What to do about it; empty where all is well.
    """

    device: str
    good: bool
    found: str
    advice: str = ""


def check_all(settings: Settings) -> Iterator[Finding]:
    """Try every device the settings name, one after the other."""
    yield check_clock()
    yield check_disk(settings)
    if settings.camera.source:
        yield check_camera(settings)
    else:
        yield Finding("camera", False, "none is set", "set `source` in [camera], or --camera")
    if settings.obd.port:
        yield check_adapter(settings)
    else:
        yield Finding("adapter", False, "none is set", "set `port` in [obd], or --obd")


def check_clock() -> Finding:
    """Whether UTC is plausible and kept by something."""
    if time.time_ns() < FIRST_PLAUSIBLE_UTC_NS:
        return Finding(
            "clock",
            False,
            f"it is said to be {time.strftime('%Y-%m-%d', time.gmtime())}",
            "set the time (`timedatectl set-time …`) and check the battery of the clock; trips "
            "are recorded all the same, and dated once the time is known",
        )
    if _unsynchronised():
        return Finding(
            "clock",
            True,
            "the time is plausible, and no time service keeps it",
            "enable one when there is a network: `timedatectl set-ntp true`",
        )
    return Finding("clock", True, "the time is kept by a time service")


def _unsynchronised() -> bool:
    # struct timex begins with `modes` and is 208 bytes long on Linux x86-64; with modes = 0
    # adjtimex(2) only reads. `status` follows four longs.
    buffer = ctypes.create_string_buffer(256)
    if ctypes.CDLL(None).adjtimex(buffer) < 0:
        return True
    status = int.from_bytes(buffer.raw[40:44], "little")
    return bool(status & _STA_UNSYNC)


def check_disk(settings: Settings) -> Finding:
    """Whether trips can be written, fast enough and for long enough."""
    folder = settings.storage.folder
    trial = folder / ".check"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        with trial.open("wb") as file:
            file.write(os.urandom(4_000_000))
            file.flush()
            os.fsync(file.fileno())
        rate_mb_s = 4.0 / (time.monotonic() - begun)
        trial.unlink()
    except OSError as problem:
        return Finding(
            "disk",
            False,
            f"{folder} cannot be written: {problem.strerror}",
            f"make it, and give it to the logger's user: `install -d -o gradewise {folder}`",
        )
    free_mb = free_bytes(folder) / 1e6
    found = f"{folder}: {free_mb / 1000:.1f} GB free, writes {rate_mb_s:.0f} MB/s"
    if free_mb < settings.storage.delete_below_mb:
        return Finding(
            "disk",
            False,
            found,
            f"under {settings.storage.delete_below_mb:.0f} MB closed trips are deleted: offload "
            "them, or take a larger disk",
        )
    if rate_mb_s < SLOWEST_DISK_MB_S:
        return Finding("disk", False, found, "too slow for video: replace the disk")
    return Finding("disk", True, found)


def check_camera(settings: Settings) -> Finding:
    """Whether pictures come, how many, and whether they show anything."""
    camera = settings.camera
    request = CameraRequest(
        camera.source, camera.width, camera.height, camera.fps, copy_mjpeg=camera.copy_mjpeg
    )
    try:
        opened = open_camera(request)
    except DeviceError as problem:
        return Finding("camera", False, str(problem), _camera_advice(camera.source))
    times: list[int] = []
    size, brightness, own_mjpeg = "", 255.0, False
    try:
        end = time.monotonic() + WATCH_CAMERA_S
        for picture in opened.pictures():
            times.append(picture.t_mono_ns)
            own_mjpeg = picture.jpeg is not None
            if picture.jpeg is not None:
                size = f"{picture.jpeg.width}x{picture.jpeg.height} MJPEG"
            elif picture.frame is not None:
                size = f"{picture.frame.width}x{picture.frame.height}"
            if len(times) % 10 == 1:
                brightness = _brightness(picture, brightness)
            if time.monotonic() > end:
                break
    except DeviceError as problem:
        return Finding("camera", False, str(problem), _camera_advice(camera.source))
    finally:
        opened.close()
    if len(times) < 2:
        return Finding("camera", False, "no pictures", _camera_advice(camera.source))
    rate = (len(times) - 1) / ((times[-1] - times[0]) / 1e9)
    found = f"{camera.source}: {size}, {rate:.1f} pictures/s"
    if brightness < DARK:
        return Finding("camera", False, f"{found}, all dark", "take the lens cap off")
    if camera.copy_mjpeg and not own_mjpeg:
        return Finding(
            "camera",
            True,
            found,
            "it gives no MJPEG to be kept (`copy_mjpeg`): its pictures will be encoded",
        )
    if rate < 0.8 * camera.fps:
        return Finding(
            "camera",
            True,
            found,
            f"{camera.fps} were asked for; in the dark many cameras slow down, otherwise try a "
            "smaller picture or another USB port",
        )
    if camera.fov_deg is None:
        return Finding(
            "camera",
            True,
            found,
            "set `fov_deg` in [camera], its horizontal field of view by the data sheet: slopes and "
            "bends are measured better",
        )
    return Finding("camera", True, found)


def _brightness(picture: Picture, otherwise: float) -> float:
    if picture.jpeg is not None:
        bgr = decoded_small(picture.jpeg)
        return otherwise if bgr is None else float(bgr.mean())
    if picture.frame is not None:
        return float(np.mean(picture.frame.to_ndarray(format="gray")))
    return otherwise


def _camera_advice(source: str) -> str:
    if source.startswith("/dev/"):
        return (
            "is it plugged in (`ls /dev/video*`)? may this user use it (`usermod -aG video "
            "gradewise`)? does another program hold it (`fuser /dev/video0`)?"
        )
    if "://" in source:
        return "does the address answer (`ping`)? are user, password and path right?"
    return "is this the path of a video file?"


def check_adapter(settings: Settings) -> Finding:
    """Whether the adapter answers, the vehicle behind it, and with what."""
    port = settings.obd.port
    if port.startswith("/dev/"):
        if not Path(port).exists():
            return Finding(
                "adapter",
                False,
                f"{port} does not exist",
                "USB: is it plugged in (`ls /dev/ttyUSB* /dev/ttyACM*`)? Bluetooth: pair it and "
                "bind it (`rfcomm bind 0 <address>`)",
            )
        if not os.access(port, os.R_OK | os.W_OK):
            return Finding(
                "adapter",
                False,
                f"{port} may not be opened by this user",
                "`usermod -aG dialout gradewise`, then start the logger again",
            )
    heard = _listen_to_adapter(settings)
    vehicle = heard.get("vehicle")
    rpm = heard.get("rpm")
    if vehicle is None:
        words = heard["says"] or "nothing heard"
        if "vehicle does not" in words:
            advice = "switch the ignition on; does the plug sit firmly in the OBD-II socket?"
        elif "no adapter" in words:
            advice = "is the address right, and the adapter powered by the OBD-II socket?"
        else:
            advice = "pull the adapter out and put it back; is the baud rate right?"
        return Finding("adapter", False, f"{port}: {words}", advice)
    found = (
        f"{port}: bus {vehicle['protocol']}, VIN {vehicle['vin'] or 'not given'}, "
        f"{len(vehicle['supported'])} signals, {vehicle['batch']} at a time, "
        f"{heard['rate']:.1f} questions/s"
    )
    if rpm is None:
        return Finding("adapter", False, f"{found}, no engine speed", "start the engine once")
    if "GRADEWISE" in heard["device"]:
        found += " (a replay, no vehicle)"
    return Finding("adapter", True, f"{found}, {rpm:g} rpm")


def _listen_to_adapter(settings: Settings) -> dict[str, Any]:
    heard: dict[str, Any] = {"says": "", "device": "", "answers": 0}
    enough = threading.Event()
    begun = [0.0]

    def reading(t: int, name: str, value: float | None, status: str, rt: float | None) -> None:
        if name == "rpm" and value is not None:
            heard["rpm"] = value
            heard["answers"] += 1
            if heard["answers"] >= 20:
                enough.set()

    def vehicle(found: dict[str, Any]) -> None:
        heard["vehicle"] = found
        begun[0] = time.monotonic()

    obd = settings.obd
    link = ObdLink(
        ObdRequest(obd.port, obd.baudrate, obd.protocol, obd.signals),
        reading,
        lambda device: heard.update(device=device),
        vehicle,
        lambda _, words: heard.update(says=words),
        Health(),
    )
    link.start()
    enough.wait(WAIT_FOR_VEHICLE_S)
    link.stop()
    lasted = time.monotonic() - begun[0]
    heard["rate"] = heard["answers"] / lasted if "vehicle" in heard else 0.0
    return heard
