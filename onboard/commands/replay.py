"""`gradewise-onboard replay`: play a recorded trip as a camera and an OBD-II adapter."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from onboard.emulator import Elm327, PtyAdapter, TcpAdapter, Vehicle
from onboard.errors import TripError
from onboard.replay import ReplayCamera, ReplayedReadings, Timeline, timeline_of
from onboard.trip import Trip


@click.command()
@click.argument("trip", type=click.Path(path_type=Path))
@click.option("--camera-port", default=8090, show_default=True, help="TCP port of the camera.")
@click.option("--obd-port", default=35000, show_default=True, help="TCP port of the adapter.")
@click.option(
    "--obd-link",
    type=click.Path(path_type=Path),
    help="Make the adapter a serial device under this name instead.",
)
@click.option(
    "--delay-ms",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Time the adapter takes for a reply.",
)
def command(
    trip: Path, camera_port: int, obd_port: int, obd_link: Path | None, delay_ms: float
) -> None:
    """Play the closed TRIP once, as real devices: an MJPEG camera and an ELM327 adapter.

    Prints where they are, for `gradewise-onboard record --camera … --obd …`. Time begins to run
    once both are in use; after the end the ignition is off. What is recorded this way says that
    it was replayed.
    """
    with Trip.open(trip) as opened:
        timeline = timeline_of(opened)
        vehicle = Vehicle(ReplayedReadings(opened, timeline))
        if opened.info.vin:
            vehicle.vin = opened.info.vin
        origin = opened.info.origin["obd"]
        describes = "replayed" if origin == "measured" else origin
        elm = Elm327(
            vehicle,
            delay_s=delay_ms / 1e3,
            describes=f"{describes}; replay of {opened.info.trip_id}",
        )
        adapter: TcpAdapter | PtyAdapter
        try:
            if obd_link is not None:
                adapter = PtyAdapter(elm, obd_link)
                address = str(obd_link)
            else:
                adapter = TcpAdapter(elm, port=obd_port)
                address = adapter.url
        except OSError as problem:
            raise TripError(f"the adapter cannot be made: {problem}") from problem
        camera = None
        if opened.frames().t_mono_ns.size:
            camera = ReplayCamera(opened, timeline, port=camera_port)
        click.echo(f"--obd {address}" + (f" --camera {camera.url}" if camera else ""))
        try:
            _watch(timeline)
            # The ignition stays off for as long as a recorder needs to notice.
            time.sleep(15)
        finally:
            adapter.stop()
            if camera is not None:
                camera.stop()


def _watch(timeline: Timeline) -> None:
    length_s = (timeline.end_ns - timeline.start_ns) / 1e9
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("waiting for a recorder", total=length_s)
        while not timeline.over:
            played_s = (timeline.now_ns() - timeline.start_ns) / 1e9
            bar.update(
                task,
                completed=played_s,
                description="replaying" if played_s > 0 else "waiting for a recorder",
            )
            time.sleep(0.2)
