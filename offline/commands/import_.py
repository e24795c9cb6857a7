"""`gradewise-offline import`: a trip from a dashcam's video and a phone app's log."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from rich.console import Console
from rich.progress import Progress

from offline.commands.fieldofview import fov_option
from offline.fusion.grade import MEASURED_BY
from offline.importing.assembly import Request, import_trip


class _Zone(click.ParamType):
    name = "zone"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> ZoneInfo:
        if isinstance(value, ZoneInfo):
            return value
        try:
            return ZoneInfo(str(value))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail(f"{value!r} is no time zone such as Europe/Berlin or UTC", param, ctx)


@click.command()
@click.option(
    "--obd",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV log of Torque Pro, OBD Fusion, Car Scanner, carOBD, or plain columns "
    "t_s,rpm,speed_kmh,coolant_c.",
)
@click.option(
    "--video",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Video of the front camera, in any format FFmpeg reads.",
)
@click.option("--vehicle", required=True, help="The vehicle's name.")
@click.option("--driver", default="", help="Who drove.")
@click.option(
    "--vehicle-class",
    type=click.Choice(["car", "van", "truck", "bus"]),
    default="car",
    show_default=True,
    help="Whose limits apply.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("trips"),
    show_default=True,
    help="Folder of trips; the new one goes to OUT/VEHICLE/START-ID.",
)
@click.option(
    "--offset",
    "offset_s",
    type=float,
    help="Seconds from the video's first picture to the log's first row; negative if the log "
    "began before.  [default: by the clocks of both]",
)
@fov_option(
    "Horizontal field of view of the camera in degrees, from its data sheet: slopes and bends are "
    "measured better.  [default: not known]"
)
@click.option(
    "--timezone",
    "zone",
    type=_Zone(),
    help="Time zone of a log that names none, such as Europe/Berlin.",
)
@click.option(
    "--speed-unit",
    type=click.Choice(["km/h", "mph"]),
    help="Unit of the log's speed, against its header.  [default: the header's, else km/h]",
)
@click.option(
    "--temperature-unit",
    type=click.Choice(["C", "F"], case_sensitive=False),
    help="Unit of the log's temperatures, against its header.  [default: the header's, else C]",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
def command(
    obd: Path | None,
    video: Path | None,
    vehicle: str,
    driver: str,
    vehicle_class: str,
    out: Path,
    offset_s: float | None,
    fov_deg: float | None,
    zone: ZoneInfo | None,
    speed_unit: str | None,
    temperature_unit: str | None,
    as_json: bool,
) -> None:
    """Make a trip from a video file and a CSV log, or from one of them.

    A trip without video has road context only where altitude or inertia measured the slope; one
    without a log is labelled and not scored. Video and log are aligned by their clocks where both
    carry one, else by --offset. Nothing is sent anywhere, and sound is left out.
    """
    if fov_deg is not None and video is None:
        raise click.UsageError("--fov is the camera's: it needs --video")
    request = Request(
        obd=obd,
        video=video,
        vehicle=vehicle,
        driver=driver,
        vehicle_class=vehicle_class,
        offset_s=offset_s,
        zone=zone,
        speed_unit=speed_unit,
        temperature_unit=temperature_unit,
        fov_deg=fov_deg,
    )
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, object] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)  # type: ignore[arg-type]

        made = import_trip(request, out, progress=show)
    if as_json:
        print(json.dumps(asdict(made) | {"path": str(made.path)}, indent=2))
        return
    for note in made.notes:
        print(f"note: {note}", file=sys.stderr)
    if made.frames:
        parts = [f"{made.frames} frames"]
    elif set(MEASURED_BY) & set(made.samples):
        parts = ["no video: road context only where the slope can be measured"]
    else:
        parts = ["no video: no road context"]
    if made.samples:
        counts = ", ".join(f"{name} {count}" for name, count in made.samples.items())
        parts.append(f"{made.layout} log ({counts})")
    else:
        parts.append("no log: it can be labelled, not scored")
    print(f"{made.path}: {'; '.join(parts)}")
