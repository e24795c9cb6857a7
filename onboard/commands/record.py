"""`gradewise-onboard record`: record trips until told to stop."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click

from onboard.errors import OnboardError
from onboard.manifest import write_atomically
from onboard.recorder import Recorder, RunOptions
from onboard.settings import Settings, checked_settings, load_settings


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Configuration file.  [default: /etc/gradewise/onboard.toml, if it exists]",
)
@click.option("--camera", help="Camera: /dev/video0, rtsp://…, http://… (MJPEG) or a video file.")
@click.option("--obd", help="Adapter: /dev/ttyUSB0, /dev/rfcomm0 or socket://host:port.")
@click.option("--vehicle", help="Name of the vehicle.")
@click.option("--driver", help="Sign this driver in.")
@click.option("--to", type=click.Path(path_type=Path), help="Folder of all trips.")
@click.option("--now", is_flag=True, help="Start at once instead of with the engine.")
@click.option("--once", is_flag=True, help="Leave after the first trip.")
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), help="Leave after seconds."
)
@click.option("--fast", is_flag=True, help="Read a video file as fast as possible.")
def command(
    config: Path | None,
    camera: str | None,
    obd: str | None,
    vehicle: str | None,
    driver: str | None,
    to: Path | None,
    now: bool,
    once: bool,
    duration: float | None,
    fast: bool,
) -> None:
    """Record trips: the camera and OBD-II on one clock, until told to stop.

    A trip begins when the engine runs and ends some seconds after the ignition went off.
    Options given here go before the configuration file. Trips that an earlier run could not
    close are recovered first.
    """
    configured = load_settings(config)
    settings = _with_options(
        configured,
        {
            "camera": {"source": camera},
            "obd": {"port": obd},
            "vehicle": {"name": vehicle},
            "storage": {"folder": to},
        },
    )
    if configured.camera.source not in ("", settings.camera.source):
        # What the file tells of its own camera does not hold for another.
        unknown = settings.camera.model_copy(update={"fov_deg": None})
        settings = settings.model_copy(update={"camera": unknown})
    if not settings.camera.source and not settings.obd.port:
        raise click.UsageError("nothing to record: name a --camera or an --obd adapter")
    if not settings.obd.port and not now:
        raise click.UsageError("without --obd the engine is not known: add --now")
    if driver is not None:
        try:
            settings.driver_file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(settings.driver_file, f"{driver}\n")
        except OSError as problem:
            raise OnboardError(f"{settings.driver_file}: {problem.strerror}") from problem
    recorder = Recorder(
        settings, RunOptions(now=now, once=once, duration_s=duration, real_time=not fast)
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda n, _: recorder.stop(f"stopped by {signal.Signals(n).name}"))
    recorder.run()


def _with_options(settings: Settings, options: dict[str, dict[str, Any]]) -> Settings:
    document = settings.model_dump()
    for section, keys in options.items():
        document[section].update({k: v for k, v in keys.items() if v is not None})
    return checked_settings(document, "command line")
