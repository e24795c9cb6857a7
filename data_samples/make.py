"""Makes the sample trips: `python -m data_samples.make --source DIR`.

DIR holds the SR-92 drive as `sr92_a.mp4`, `sr92_a.csv`, `sr92_b.mp4`, `sr92_b.csv`; see
`data_samples/README.md` for where it comes from. The same source and seed give the same trips.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import numpy as np

from data_samples.drives import CITY_CAR, Driven, Plan, Stretch, drive_path, drive_video
from data_samples.simulator.drive import STEP_S
from data_samples.simulator.road import STEP_M
from data_samples.simulator.sensors import SensorSuite, sample_drive
from data_samples.simulator.vehicle import CAR
from offline.importing.footage import Encoding, add_video
from onboard.trip import TripWriter

TRIPS: Final = Path(__file__).resolve().parent / "trips"
SEED: Final = 20161117
ROAD_SEED: Final = 8371
"""A street with four turns, to the left and to the right, then 200 m down; training uses other
seeds."""
END_M: Final = 20.0
"""The synthetic road is left out of sight behind its last metres."""
BOOT_ID: Final = "sample"

SR92_NOTE: Final = (
    "Video: real, SR-92 at Half Moon Bay, Udacity self-driving car data set (MIT). OBD log: "
    "simulated by a vehicle model on that road; it begins before the video. Date: made up."
)
RENDERED_NOTE: Final = (
    "Nothing here was driven: the video is rendered, the OBD log simulated by a vehicle model on "
    "the same road. Date: made up."
)


ADAPTER: Final = SensorSuite()


@dataclass(frozen=True)
class Sample:
    """One sample trip."""

    name: str
    trip_id: str
    vehicle: str
    driver: str
    started: datetime
    origin: Mapping[str, str]
    plan: Plan
    crf: int = 23
    suite: SensorSuite = ADAPTER
    fov_deg: float | None = None


SR92_A: Final = Sample(
    name="sr92_a",
    trip_id="20261116T081200Z-sr92a",
    vehicle="demo-01",
    driver="Driver A (sample)",
    started=datetime(2026, 11, 16, 8, 12, tzinfo=UTC),
    origin={"video": "recorded", "obd": "simulated", "note": SR92_NOTE},
    crf=30,
    plan=Plan(
        CAR,
        lead_m=70.0,
        wait_s=72.0,
        coolant_start_c=17.0,
        limit_kmh=61.0,
        grade_percent=5.0,
        spares_cold_engine=False,
        stretches=(
            # Pulls away hard with a cold engine,
            Stretch(-1.0, 0.5, limit_kmh=52.0, shift_up_rpm=3300.0, accel_mps2=1.7),
            Stretch(0.5, 12.0, limit_kmh=52.0),
            # and brakes late for the bend after the long straight.
            Stretch(72.0, 90.5, limit_kmh=71.0, accel_mps2=1.6),
            Stretch(82.0, 93.0, brake_mps2=4.6),
        ),
        seed=SEED,
    ),
)
SR92_B: Final = Sample(
    name="sr92_b",
    trip_id="20261116T094000Z-sr92b",
    vehicle="demo-02",
    driver="Driver B (sample)",
    started=datetime(2026, 11, 16, 9, 40, tzinfo=UTC),
    origin={"video": "recorded", "obd": "simulated", "note": SR92_NOTE},
    crf=25,
    # A phone's barometer beside the adapter.
    suite=SensorSuite(signals=(*ADAPTER.signals, "baro_pressure_kpa")),
    plan=Plan(
        CITY_CAR,
        lead_m=1400.0,
        wait_s=4.0,
        coolant_start_c=86.0,
        limit_kmh=57.5,
        grade_percent=6.5,
        stretches=(Stretch(-1.0, -0.5, accel_mps2=0.7),),
        seed=SEED + 6,
    ),
)
RENDERED: Final = Sample(
    name="rendered",
    trip_id="20261117T163000Z-render",
    vehicle="demo-01",
    driver="Driver B (sample)",
    started=datetime(2026, 11, 17, 16, 30, tzinfo=UTC),
    origin={"video": "rendered", "obd": "simulated", "note": RENDERED_NOTE},
    crf=33,
    fov_deg=62.0,
    plan=Plan(
        CAR,
        lead_m=0.0,
        wait_s=3.0,
        coolant_start_c=88.0,
        limit_kmh=42.0,
        grade_percent=0.0,
        # On the descent the engine brakes in a low gear.
        stretches=(
            Stretch(409.0, 687.0, limit_kmh=52.0, accel_mps2=1.4, brake_mps2=2.2),
            Stretch(459.0, 672.0, shift_up_rpm=4300.0),
        ),
        lateral_mps2=2.6,
        seed=SEED + 2,
    ),
)
SAMPLES: Final = (SR92_A, SR92_B, RENDERED)


def make_sr92(sample: Sample, source: Path, out: Path) -> Path:
    """Make one trip of the real drive; returns its folder."""
    driven = drive_video(source / f"{sample.name}.csv", sample.plan)
    # One thread: what x264 writes depends on their number.
    encoding = Encoding(crf=sample.crf, preset="medium", threads=1)
    return _write(sample, driven, source / f"{sample.name}.mp4", encoding, out)


def make_rendered(sample: Sample, out: Path) -> Path:
    """Render and make the synthetic trip; returns its folder."""
    # Needs OpenGL and the extra `synth`, which the other trips do not.
    from data_samples.rendering import driven_path, network_of, render_video

    network = network_of(ROAD_SEED)
    path = driven_path(network)
    start_m = network.margin_m - 20.0
    places = np.arange(start_m, path.length_m - END_M, STEP_M)
    curvature, grade = path.at(places, path.curvature), path.at(places, path.grade)
    driven = drive_path(curvature, 100.0 * grade, sample.plan)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "rendered.mp4"
        drive = driven.drive
        # The simulator puts a car that pulls away beyond the stop at once; the camera rolls.
        s_m = start_m + np.cumsum(drive.speed_mps) * STEP_S
        render_video(video, network, ROAD_SEED, drive.t_s, s_m, crf=sample.crf)
        return _write(sample, driven, video, None, out)


def _write(
    sample: Sample, driven: Driven, video: Path, encoding: Encoding | None, out: Path
) -> Path:
    with tempfile.TemporaryDirectory() as folder:
        writer = TripWriter.create(
            folder,
            vehicle=sample.vehicle,
            driver=sample.driver,
            camera="front",
            fov_deg=sample.fov_deg,
            vehicle_class=sample.plan.vehicle.vehicle_class,
            origin=sample.origin,
            started_utc_ns=round(sample.started.timestamp() * 1e9),
            trip_id=sample.trip_id,
        )
        start_utc_ns = round(sample.started.timestamp() * 1e9)
        for second in range(int(driven.end_s) + 1):
            t_ns = second * 1_000_000_000
            writer.add_clock(t_ns, t_ns, start_utc_ns + t_ns, BOOT_ID)
        rng = np.random.default_rng(sample.plan.seed)
        readings = sample_drive(driven.drive, sample.suite, rng, road=driven.road, start_ns=0)
        rows = [
            (t_ns, signal, value, status, trip_ms)
            for signal, found in readings.items()
            for t_ns, value, status, trip_ms in zip(
                found.t_mono_ns.tolist(),
                found.value.tolist(),
                found.status,
                found.round_trip_ms.tolist(),
                strict=True,
            )
        ]
        for row in sorted(rows, key=lambda row: row[0]):
            writer.add_sample(*row)
        add_video(
            writer,
            video,
            start_mono_ns=round(driven.video_start_s * 1e9),
            encoding=encoding,
        )
        writer.close("end of the sample")
        target = out / writer.path.relative_to(folder)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(writer.path, target)
        (target / "README.md").write_text(f"# {sample.name}\n\n{sample.origin['note']}\n")
    return target


@click.command()
@click.option(
    "--source",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with the SR-92 drive; without it only the rendered trip is made.",
)
@click.option(
    "--only",
    type=click.Choice([sample.name for sample in SAMPLES]),
    multiple=True,
    help="Make only these.  [default: all]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=TRIPS,
    show_default=True,
    help="Folder of trips.",
)
def main(source: Path | None, only: tuple[str, ...], out: Path) -> None:
    """Make the sample trips from their sources and seeds."""
    for sample in SAMPLES:
        if only and sample.name not in only:
            continue
        if sample is RENDERED:
            click.echo(make_rendered(sample, out))
        elif source is not None:
            click.echo(make_sr92(sample, source, out))


if __name__ == "__main__":
    main()
