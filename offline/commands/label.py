"""`gradewise-offline label`: frame labels from a trip's own altitude, yaw rate or track."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click
import numpy as np
import pandas as pd

from offline import roadscene
from offline.errors import InputError


@click.command()
@click.argument("trip", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True,
              help="Folder for the stills and labels.csv; a data source for `train`.")  # fmt: skip
@click.option("--gpx", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="GPX track recorded beside the trip.")  # fmt: skip
@click.option("--confidence", type=click.FloatRange(0.5, 1.0), default=0.9, show_default=True,
              help="A label less certain than this is left blank.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
def command(trip: Path, out: Path, gpx: Path | None, confidence: float, as_json: bool) -> None:
    """Label TRIP's stills from what its sensors say about the road.

    Slope comes from barometer, GPS altitude or the GPX track, course from yaw rate or positions.
    labels.csv holds, for every still, the speed, the labels, their probabilities, and grade and
    heading change with standard deviations. A label that the sensors cannot tell for sure stays
    blank.
    """
    from offline.training import roadlabels
    from onboard.trip import Trip

    opened = Trip.open(trip)
    stills = list(opened.stills())
    if not stills:
        raise InputError(f"{trip}: holds no stills to label")
    t_ns = np.array([still.t_mono_ns for still in stills], np.int64)
    start_ns = int(t_ns[0])
    for series in opened.samples().values():
        if series.t_mono_ns.size:
            start_ns = min(start_ns, int(series.t_mono_ns[0]))
    ahead = roadlabels.road_ahead(opened, (t_ns - start_ns) / 1e9, start_ns, gpx)
    slope, course = roadlabels.label_probabilities(ahead)
    out.mkdir(parents=True, exist_ok=True)
    names = []
    for still in stills:
        name = f"{opened.info.trip_id}_{still.frame_index:06d}.jpg"
        (out / name).write_bytes(still.jpeg)
        names.append(name)
    table = pd.DataFrame(
        {
            "file": names,
            "sequence": opened.info.trip_id,
            "t_s": (t_ns - t_ns[0]) / 1e9,
            "speed_mps": ahead.speed_mps,
            "fov_deg": opened.info.fov_deg,
            "slope": _labels(slope, roadscene.SLOPES, confidence),
            "course": _labels(course, roadscene.COURSES, confidence),
            "p_slope": np.nan_to_num(slope).max(axis=1),
            "p_course": np.nan_to_num(course).max(axis=1),
            "grade_percent": ahead.grade_percent,
            "grade_sd_percent": ahead.grade_sd_percent,
            "heading_change_deg": ahead.heading_change_deg,
            "heading_sd_deg": ahead.heading_sd_deg,
            "curvature_per_m": ahead.curvature_per_m,
            "curvature_sd_per_m": ahead.curvature_sd_per_m,
        }
    )
    target = out / "labels.csv"
    partial = target.with_suffix(".partial")
    table.to_csv(partial, index=False, float_format="%.4f")
    partial.replace(target)
    counts = {
        head: dict(sorted(Counter(v for v in table[head] if v).items()))
        for head in ("slope", "course")
    }
    if as_json:
        click.echo(json.dumps({"labels": str(target), "stills": len(stills), "counts": counts}))
        return
    click.echo(f"{target}: {len(stills)} stills")
    for head, found in counts.items():
        text = ", ".join(f"{count} {name}" for name, count in found.items()) or "none sure enough"
        click.echo(f"  {head}: {text}")


def _labels(p: np.ndarray, classes: tuple[str, ...], confidence: float) -> list[str]:
    best = np.nan_to_num(p).argmax(axis=1)
    sure = np.nan_to_num(p).max(axis=1) >= confidence
    return [classes[k] if ok else "" for k, ok in zip(best, sure, strict=True)]
