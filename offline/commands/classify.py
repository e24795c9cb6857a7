"""`gradewise-offline classify`: road scene labels as CSV."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress

import models
from offline import frames, runtime
from offline.classifier import Classifier
from offline.commands.fieldofview import fov_option
from offline.errors import InputError, ModelError
from offline.labelling import FrameLabels, label_frames, scene_names
from offline.roadscene import UNDETERMINED
from onboard.trip import Trip

ROAD_SCENE_COLUMNS: Final = (
    "p_level",
    "p_uphill",
    "p_downhill",
    "p_course_straight",
    "p_course_curve",
    "p_course_left_turn",
    "p_course_right_turn",
)
TRIP_DATABASE: Final = "trip.sqlite"


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default="-",
    show_default="standard output",
    help="Where to write the labels.",
)
@click.option(
    "--fps",
    type=click.FloatRange(min=0, min_open=True, max=240),
    help="Labels a second of a trip or video; for a folder, the rate at which its stills were "
    f"taken.  [default: {frames.DEFAULT_RATE_HZ:g}; for a trip, every still]",
)
@fov_option(
    "Horizontal field of view of a video's or folder's camera in degrees.  [default: not known; "
    "for a trip, as recorded]"
)
@click.option(
    "--model",
    "model",
    default="road_scene",
    show_default=True,
    help="A released model's name, or a folder that holds a model.json.",
)
@click.option(
    "--runtime",
    "runtime_name",
    type=click.Choice([runtime.AUTO, *runtime.RUNTIMES]),
    default=runtime.AUTO,
    show_default=True,
    help="What runs the network.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=lambda: len(os.sched_getaffinity(0)),
    show_default="all cores",
    help="Threads of the network.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
def command(
    path: Path,
    csv_path: Path,
    fps: float | None,
    fov_deg: float | None,
    model: str,
    runtime_name: str,
    threads: int,
    as_json: bool,
) -> None:
    """Label the road scene along PATH: a trip, a video, or a folder of stills in name order.

    Writes one row a labelled frame: source,frame,t_s,label,confidence and the probability of
    every class. A label is `undetermined` where a head that decides it is less sure than the
    model's card asks for, or where the picture is unreadable (then the numbers are empty).

    The network also looks at the pictures of the next 25 m: of a trip by its recorded speed, else
    as if driven at 43 km/h.

    Stills whose names agree up to their last number are taken as one drive at --fps; others
    are labelled each on its own.
    """
    if as_json and str(csv_path) == "-":
        raise click.UsageError("--json prints to standard output: give --csv a file")
    if str(csv_path) != "-" and not csv_path.absolute().parent.is_dir():
        raise InputError(f"cannot write {csv_path}: there is no folder {csv_path.parent}")
    source = open_source(path, fps, fov_deg)
    classifier = Classifier(model_folder(model), threads=threads, runtime=runtime_name)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"Labelling {path.name}", total=source.count)
        found = label_frames(
            source, classifier, progress=lambda done, _: bar.update(task, completed=done)
        )
    labels, confidence = names_of(found, classifier)
    rows = _rows(found, labels, confidence, classifier, source.start_ns)
    if str(csv_path) == "-":
        _write(sys.stdout, rows)
        return
    _write_file(csv_path, rows)
    counts = dict(Counter(labels).most_common())
    if as_json:
        summary: dict[str, Any] = {
            "csv": str(csv_path),
            "frames": len(labels),
            "labels": counts,
            "model": {
                "name": classifier.name,
                "version": classifier.version,
                "sha256": classifier.sha256,
            },
            "runtime": classifier.runtime,
        }
        print(json.dumps(summary, indent=2))
    else:
        shares = ", ".join(f"{name} {count}" for name, count in counts.items())
        print(f"{len(labels)} frames labelled ({shares}): {csv_path}", file=sys.stderr)


def model_folder(name_or_folder: str) -> Path:
    """Folder of a model given by its released name or by its path.

    Raises
    ------
    ModelError
        It is neither.
    """
    if Path(name_or_folder).is_dir():
        return Path(name_or_folder)
    try:
        return models.locate(name_or_folder)
    except FileNotFoundError as missing:
        raise ModelError(f"{missing}; nor is it a folder") from missing


def open_source(path: Path, fps: float | None, fov_deg: float | None = None) -> frames.FrameSource:
    """Open what the user gave, a trip, a video or a folder of stills.

    Raises
    ------
    InputError
        It does not exist or holds no pictures.
    TripError
        It is a trip that cannot be read.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if (path / TRIP_DATABASE).exists():
        source = frames.of_trip(Trip.open(path), rate_hz=fps)
        if source is None:
            raise InputError(f"trip {path} has neither stills nor video: nothing to label")
        if fov_deg is not None:
            source.fov_deg = fov_deg
        return source
    rate_hz = fps if fps is not None else frames.DEFAULT_RATE_HZ
    if path.is_dir():
        return frames.FolderFrames(path, rate_hz=rate_hz, fov_deg=fov_deg)
    return frames.VideoFrames(path, rate_hz=rate_hz, fov_deg=fov_deg)


def names_of(found: FrameLabels, classifier: Classifier) -> tuple[list[str], np.ndarray]:
    """Label and confidence of every frame.

    For a network with other heads than the road scene's, the label joins the heads' most
    probable classes with `+`; its confidence is their product.
    """
    p = found.probabilities
    if classifier.reads_road_scene:
        return scene_names(
            p["slope"],
            p["course"],
            classifier.heads["slope"].undetermined_below,
            classifier.heads["course"].undetermined_below,
        )
    confidence = np.ones(len(found.frame))
    sure = np.ones(len(found.frame), np.bool_)
    parts = []
    for name, head in classifier.heads.items():
        best = p[name].max(axis=1)
        sure &= best >= head.undetermined_below
        confidence = confidence * best
        parts.append([head.classes[k] for k in np.nan_to_num(p[name]).argmax(axis=1)])
    joined = ["+".join(names) for names in zip(*parts, strict=True)]
    return [n if s else UNDETERMINED for n, s in zip(joined, sure, strict=True)], confidence


def _columns(classifier: Classifier) -> list[str]:
    if classifier.reads_road_scene:
        return list(ROAD_SCENE_COLUMNS)
    if len(classifier.heads) == 1:
        return [f"p_{name}" for head in classifier.heads.values() for name in head.classes]
    return [f"p_{head.name}_{name}" for head in classifier.heads.values() for name in head.classes]


def _rows(
    found: FrameLabels,
    labels: list[str],
    confidence: np.ndarray,
    classifier: Classifier,
    start_ns: int,
) -> Iterator[list[str]]:
    yield ["source", "frame", "t_s", "label", "confidence", *_columns(classifier)]
    values = np.concatenate([found.probabilities[name] for name in classifier.heads], axis=1)
    for row, label in enumerate(labels):
        yield [
            found.source[row],
            str(found.frame[row]),
            f"{(int(found.t_ns[row]) - start_ns) / 1e9:.3f}",
            label,
            _number(confidence[row]),
            *(_number(value) for value in values[row]),
        ]


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.4f}"


def _write(stream: IO[str], rows: Iterator[list[str]]) -> None:
    csv.writer(stream, lineterminator="\n").writerows(rows)


def _write_file(path: Path, rows: Iterator[list[str]]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            _write(stream, rows)
        partial.replace(path)
    except OSError as problem:
        partial.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {problem.strerror}") from problem
