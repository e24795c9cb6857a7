"""The configuration file: one TOML, validated whole, unknown keys refused.

Every key is described in docs/onboard.md; a test compares the two.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from onboard.errors import SettingsError
from onboard.signals import ALWAYS, SIGNALS
from onboard.stills import FOV_RANGE_DEG

DEFAULT_FILE: Final = Path("/etc/gradewise/onboard.toml")
OBD_SIGNALS: Final = tuple(name for name, signal in SIGNALS.items() if signal.pid is not None)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VehicleSettings(_Section):
    """`[vehicle]`"""

    name: str = Field(default="", description="What people call it; its VIN, where empty.")
    vehicle_class: str = Field(default="car", description="Class whose limits the scoring applies.")


class CameraSettings(_Section):
    """`[camera]`"""

    source: str = Field(
        default="",
        description="`/dev/video0`, `rtsp://…`, `http://…` (MJPEG) or a video file; none.",
    )
    width: Annotated[int, Field(ge=160, le=4096)] = Field(
        default=1280, description="Pixels, V4L2 only."
    )
    height: Annotated[int, Field(ge=90, le=2160)] = Field(
        default=720, description="Pixels, V4L2 only."
    )
    fps: Annotated[int, Field(ge=1, le=120)] = Field(default=30, description="Pictures a second.")
    fov_deg: Annotated[float, Field(ge=FOV_RANGE_DEG[0], le=FOV_RANGE_DEG[1])] | None = Field(
        default=None,
        description="Horizontal field of view, from the camera's data sheet: slopes and bends are "
        "measured better.",
    )
    copy_h264: bool = Field(
        default=True, description="Keep a network camera's own H.264 instead of encoding again."
    )
    copy_mjpeg: bool = Field(
        default=False, description="Keep the camera's own MJPEG instead of encoding H.264."
    )
    segment_s: Annotated[float, Field(ge=2, le=3600)] = Field(
        default=60.0, description="Length of one video file."
    )
    still_every_s: Annotated[float, Field(ge=0.1, le=10)] = Field(
        default=0.5, description="Time between stills; the scoring expects 0.5."
    )
    motion_stills: bool = Field(
        default=True,
        description="Keep two small grey pictures between two stills: slopes and bends are "
        "measured better.",
    )


class ObdSettings(_Section):
    """`[obd]`"""

    port: str = Field(
        default="", description="`/dev/ttyUSB0`, `/dev/rfcomm0` or `socket://host:port`; none."
    )
    baudrate: Annotated[int, Field(ge=1200, le=2_000_000)] | None = Field(
        default=None, description="Found by trying, where not given."
    )
    protocol: str | None = Field(
        default=None,
        pattern="^[1-9]$",
        description="ELM327's number of the bus; searched, if not given.",
    )
    signals: tuple[str, ...] = Field(
        default=OBD_SIGNALS, description="What is asked for, where the vehicle supports it."
    )

    @field_validator("signals")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(names) - set(OBD_SIGNALS))
        if unknown:
            raise ValueError(f"no such signal: {', '.join(unknown)}")
        missing = [name for name in ALWAYS if name not in names]
        if missing:
            raise ValueError(f"no trip can be scored without {', '.join(missing)}")
        return names


class TripSettings(_Section):
    """`[trip]`"""

    end_after_off_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=10.0, description="The adapter answers, the vehicle does not: ignition off."
    )
    end_after_stopped_s: Annotated[float, Field(ge=1, le=36000)] = Field(
        default=300.0, description="The vehicle answers 0 rpm; longer than any start-stop pause."
    )
    end_after_lost_s: Annotated[float, Field(ge=1, le=36000)] = Field(
        default=600.0, description="Nobody answers: adapter pulled out or without power."
    )


class StorageSettings(_Section):
    """`[storage]`"""

    folder: Path = Field(
        default=Path("/var/lib/gradewise/trips"), description="Where trips are kept."
    )
    keep_days: Annotated[float, Field(gt=0)] = Field(
        default=90.0, description="Older closed trips are deleted, once sent."
    )
    keep_gb: Annotated[float, Field(gt=0)] = Field(
        default=200.0,
        description="Closed trips beyond this are deleted, oldest first, sent ones first.",
    )
    delete_below_mb: Annotated[float, Field(ge=0)] = Field(
        default=2000.0,
        description="Free space under which closed trips are deleted, sent ones first.",
    )
    stop_video_below_mb: Annotated[float, Field(ge=0)] = Field(
        default=500.0, description="Free space under which only sensors and stills are recorded."
    )


class ServiceSettings(_Section):
    """`[service]`"""

    state_folder: Path = Field(
        default=Path("/run/gradewise"), description="Where status and driver sign-in are kept."
    )
    driver_file: Path | None = Field(
        default=None,
        description="File that holds the driver's name; in `state_folder`, if not given.",
    )
    prometheus_file: Path | None = Field(
        default=None, description="Written once a second for node_exporter's textfile collector."
    )


class OffloadSettings(_Section):
    """`[offload]`"""

    to: str = Field(
        default="", description="Folder, `sftp://user@host/path` or `s3://bucket/path`."
    )
    mb_per_s: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Upper limit of the rate; none."
    )


class Settings(_Section):
    """The whole file; every section and key may be left out."""

    vehicle: VehicleSettings = VehicleSettings()
    camera: CameraSettings = CameraSettings()
    obd: ObdSettings = ObdSettings()
    trip: TripSettings = TripSettings()
    storage: StorageSettings = StorageSettings()
    service: ServiceSettings = ServiceSettings()
    offload: OffloadSettings = OffloadSettings()

    @property
    def driver_file(self) -> Path:
        """Where the name of the driver is read from."""
        return self.service.driver_file or self.service.state_folder / "driver"


def load_settings(path: Path | None) -> Settings:
    """Read and check a configuration file.

    Parameters
    ----------
    path : Path or None
        None reads `/etc/gradewise/onboard.toml` where it exists, and takes defaults otherwise.

    Raises
    ------
    SettingsError
        If it is missing, no TOML, or holds an unknown key or a bad value.
    """
    if path is None:
        if not DEFAULT_FILE.exists():
            return Settings()
        path = DEFAULT_FILE
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise SettingsError(f"{path} cannot be read: {problem.strerror}") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{path} is no TOML: {problem}") from problem
    return checked_settings(document, str(path))


def checked_settings(document: dict, source: str) -> Settings:
    """Check settings given as plain data.

    Raises
    ------
    SettingsError
        Naming every unknown key and bad value.
    """
    try:
        return Settings.model_validate(document)
    except ValidationError as problem:
        faults = "; ".join(
            f"{'.'.join(map(str, error['loc']))}: "
            + ("no such key" if error["type"] == "extra_forbidden" else error["msg"])
            for error in problem.errors()
        )
        raise SettingsError(f"{source}: {faults}") from problem
