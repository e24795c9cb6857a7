"""Readers of labelled frames: synthetic sets, labelled videos, tables and folders of pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offline import motion, preprocessing, roadscene
from offline.errors import InputError
from offline.odometer import Odometer
from offline.training import roadframes, roadset, tables
from offline.training.config import (
    FolderSource,
    Source,
    SynthSource,
    TableSource,
    VideoSource,
)
from offline.training.framesets import FrameSet, one_hot
from offline.training.labelledvideo import read_video
from onboard.stills import FOV_RANGE_DEG

Split = Literal["train", "validation", "test"]
Ended = Literal["left out", "also", "only"]
"""Whether frames are read as they would be had the recording ended soon after them
(`roadframes.Ends`)."""
PICTURES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
AUXILIARY: Final = ("grade", "heading", "curvature", "horizon")
GRADE_UNIT_PERCENT: Final = 5.0
"""Real targets that synthetic frames carry: mean grade ahead / 5 %, heading change / 45 degrees,
mean curvature ahead / (1/30 m), row of the true horizon / 0.2 half heights below the middle. A
slope is where the road points against the horizon, a turn the heading over a distance: each is
learnt sooner when its parts are."""
HORIZON_UNIT: Final = 0.2
ENDED_DRAWN: Final = 4
"""Training draws a frame before an end so many times as often as another: they are few."""
GRADE_SOFTNESS_PERCENT: Final = 0.4
HEADING_SOFTNESS_DEG: Final = 1.5
CURVATURE_SOFTNESS_PER_M: Final = 0.0012

Heads = Mapping[str, Sequence[str]]


def read(source: Source, heads: Heads, split: Split, seed: int) -> list[FrameSet]:
    """Read one split of a source; an empty list where the source has no such split.

    Raises
    ------
    InputError
        Something is missing, unreadable or labelled with an unknown class.
    """
    if isinstance(source, SynthSource):
        ended: Ended = "also" if split == "train" else "left out"
        return read_synth(source.path, heads, split, source.roads, ended)
    if isinstance(source, VideoSource):
        stretches = {"train": source.train_s, "validation": source.validation_s}.get(split, [])
        if not stretches:
            return []
        frames = read_video(source.path, source.labels, heads, stretches, source.trust,
                            source.fov_deg)  # fmt: skip
        return [frames] if len(frames) else []
    if isinstance(source, TableSource):
        table, base = tables.read_table(source.path), source.path.parent
    else:
        table, base = list_folders(source.path, heads), source.path
    chosen = table[_split_column(table, source, seed) == split]
    return [read_pictures(chosen, base, heads, str(source.path))] if len(chosen) else []


def read_synth(
    folder: Path,
    heads: Heads,
    split: str | None,
    roads: int | None = None,
    ended: Ended = "left out",
) -> list[FrameSet]:
    """Frames of a synthetic set, all roads of a split in one `FrameSet`.

    Targets are soft near the geometry rules' thresholds, where a label is a coin's toss.
    """
    tables.require_road_heads(heads, str(folder))
    files = roadset.road_files(folder, split)
    if roads is not None:
        files = [(road, file) for road, file in files if road < roads]
    if not files:
        return []
    held = [(road, roadframes.read_road(file)) for road, file in files]
    starts = np.cumsum([0] + [frames.planes.shape[0] for _, frames in held])
    rows, stacks, codes, groups, names = [], [], [], [], []
    for (road, f), start in zip(held, starts[:-1].tolist(), strict=True):
        whole = np.arange(f.planes.shape[0])
        parts = [(whole, f.stack_indices, f.codes, "")] * (ended != "only")
        parts += [(f.ends.frame, f.ended_stack_indices, f.ends.codes, ", ends")] * (
            ENDED_DRAWN if ended == "also" else ended == "only"
        )
        for frame, stack, code, how in parts:
            rows.append(frame + start)
            stacks.append(stack + start)
            codes.append(code)
            groups += [f"road {road}"] * frame.size
            names += [f"road {road} t={t:.1f} s{how}" for t in f.t_s[frame]]
    row = np.concatenate(rows)

    def along(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(f, name) for _, f in held])[row]

    along_drive = np.concatenate([roadframes.driven_m(f.speed_mps) for _, f in held])
    grade, heading = along("grade_percent"), along("heading_change_deg")
    curvature, horizon = along("curvature_per_m"), along("horizon")
    course = np.concatenate([np.asarray(f.course) for _, f in held])[row].tolist()
    targets = {"slope": soft_slope(grade), "course": soft_course(heading, curvature, course)}
    return [
        FrameSet(
            name=f"synthetic {split or 'all'}",
            planes=np.concatenate([f.levelled for _, f in held]),
            stacks=np.concatenate(stacks),
            targets={head: targets[head] for head in heads},
            weights={head: np.ones(row.size, np.float32) for head in heads},
            codes=np.concatenate(codes),
            reals={
                "grade": np.clip(grade / GRADE_UNIT_PERCENT, -2.5, 2.5).astype(np.float32),
                "heading": np.clip(heading / 45.0, -2.5, 2.5).astype(np.float32),
                "curvature": np.clip(curvature * 30.0, -2.5, 2.5).astype(np.float32),
                "horizon": np.clip(horizon / HORIZON_UNIT, -4.0, 4.0).astype(np.float32),
            },
            groups=groups,
            names=names,
            # What is seen twice is no drive.
            driven_m=along_drive[row] if ended == "left out" else None,
        )
    ]


def soft_slope(grade_percent: NDArray[np.float64]) -> NDArray[np.float32]:
    """Probabilities of `roadscene.SLOPES`; half at the threshold."""
    up = _logistic((grade_percent - roadscene.SLOPE_THRESHOLD_PERCENT) / GRADE_SOFTNESS_PERCENT)
    down = _logistic((-grade_percent - roadscene.SLOPE_THRESHOLD_PERCENT) / GRADE_SOFTNESS_PERCENT)
    return np.stack([1.0 - up - down, up, down], axis=1).astype(np.float32)


def soft_course(
    heading_change_deg: NDArray[np.float64],
    curvature_per_m: NDArray[np.float64],
    courses: Sequence[str],
) -> NDArray[np.float32]:
    """Probabilities of `roadscene.COURSES`; never contradicts the label `courses`."""
    swing = np.abs(heading_change_deg)
    bend = np.maximum(
        _logistic((swing - roadscene.CURVE_HEADING_CHANGE_DEG) / HEADING_SOFTNESS_DEG),
        _logistic(
            (np.abs(curvature_per_m) - roadscene.CURVE_CURVATURE_PER_M) / CURVATURE_SOFTNESS_PER_M
        ),
    )
    turn = _logistic((swing - roadscene.TURN_HEADING_CHANGE_DEG) / (2.0 * HEADING_SOFTNESS_DEG))
    result = np.zeros((len(courses), 4))
    for row, name in enumerate(courses):
        if name.endswith("_turn"):
            share = max(float(turn[row]), 0.5)
            result[row, roadscene.COURSES.index(name)] = share
            result[row, 1] = 1.0 - share
        else:
            result[row, 1], result[row, 0] = bend[row], 1.0 - bend[row]
    return result.astype(np.float32)


def _logistic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -60, 60))))


def list_folders(folder: Path, heads: Heads) -> pd.DataFrame:
    """List a folder a class as a table with columns file and label.

    Raises
    ------
    InputError
        The folder is missing, or a class has no folder or no picture.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; it must hold one folder a class")
    (classes,) = heads.values()
    known = set(classes)
    rows: list[tuple[str, str]] = []
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        if each.name.startswith("."):
            continue
        if each.name not in known:
            raise InputError(
                f"{each}: {each.name!r} is not one of the classes {', '.join(classes)}"
            )
        rows += [
            (f"{each.name}/{picture.name}", each.name)
            for picture in sorted(each.iterdir())
            if picture.suffix.lower() in PICTURES
        ]
    for name in classes:
        if not any(label == name for _, label in rows):
            raise InputError(f"{folder / name}: class {name!r} is empty: add pictures of it")
    return pd.DataFrame(rows, columns=["file", "label"])


def read_pictures(table: pd.DataFrame, base: Path, heads: Heads, where: str) -> FrameSet:
    """Read a table's pictures.

    Raises
    ------
    InputError
        A picture cannot be read, or a label is no class.
    """
    table = table.reset_index(drop=True)
    names = tables.labels_by_head(table, heads, where)
    targets, weights = {}, {}
    for head, classes in heads.items():
        targets[head], weights[head] = one_hot(names[head], classes, where)
    planes = np.asarray([read_plane(base / str(file)) for file in table["file"]], np.uint8)
    stacks, codes = _along_drives(table, planes)
    group = "group" if "group" in table else "source" if "source" in table else None
    frames = FrameSet(
        name=where,
        planes=planes,
        stacks=stacks,
        targets=targets,
        weights=weights,
        codes=codes,
        groups=[str(v) for v in table[group]] if group else ["pictures"] * len(table),
        names=[str(v) for v in table["file"]],
    )
    return frames.subset(np.flatnonzero(sum(weights.values()) > 0))


def _along_drives(
    table: pd.DataFrame, planes: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Stacks and motion of a table's pictures, whose planes are levelled in place.

    Pictures with times are drives by their column `sequence`, else `source`; drives that share a
    value of `camera` share its mounting. A column `fov_deg` tells its horizontal field of view.
    """
    stacks = np.repeat(np.arange(len(table))[:, None], len(preprocessing.STACK_DISTANCES_M), axis=1)
    codes = np.zeros((len(table), preprocessing.CODE_BYTES), np.uint8)
    if "t_s" not in table:
        return stacks, codes
    key = "sequence" if "sequence" in table and table["sequence"].notna().any() else "source"
    drive = table[key].astype(str) if key in table else pd.Series("", index=table.index)
    camera = table["camera"].fillna(drive).astype(str) if "camera" in table else drive
    for _, of_camera in table.groupby(camera, sort=False):
        places, drives = [], []
        for _, rows in of_camera.groupby(drive.loc[of_camera.index], sort=False):
            rows = rows[rows["t_s"].notna()].sort_values("t_s")
            ordered, times = rows.index.to_numpy(), rows["t_s"].to_numpy(float)
            driven_m = times * preprocessing.ASSUMED_SPEED_MPS
            if "speed_mps" in rows:
                known_m = Odometer(times * 1e9, rows["speed_mps"].to_numpy(float))
                driven_m = known_m.driven_m(times * 1e9)
            stacks[ordered] = ordered[preprocessing.recorded_stack_indices(times, driven_m)]
            places.append(ordered)
            drives.append(motion.Drive(planes[ordered], times, driven_m))
        mounting, found = motion.survey_recorded(drives, _field_of_view(of_camera))
        for ordered, each in zip(places, found, strict=True):
            codes[ordered] = each
            if mounting is not None:
                planes[ordered] = mounting.levelled(planes[ordered])
    return stacks, codes


def _field_of_view(of_camera: pd.DataFrame) -> float | None:
    """Of one camera's pictures, as the table tells it."""
    if "fov_deg" not in of_camera:
        return None
    told = pd.to_numeric(of_camera["fov_deg"], errors="coerce")
    values = told.dropna().unique()
    if bool((told.isna() & of_camera["fov_deg"].notna()).any()) or len(values) > 1:
        raise InputError("column fov_deg: one camera needs one number of degrees, or none")
    if not len(values):
        return None
    low, high = FOV_RANGE_DEG
    if not low <= values[0] <= high:
        raise InputError(
            f"column fov_deg: {values[0]:g} is not between {low:g} and {high:g} degrees"
        )
    return float(values[0])


def read_plane(file: Path) -> NDArray[np.uint8]:
    """Read a picture file as the network's plane.

    Raises
    ------
    InputError
        The file is missing or no picture.
    """
    try:
        data = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error
    picture: Any = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None:
        raise InputError(f"{file}: no readable picture; remove or replace it")
    return preprocessing.plane(preprocessing.still(np.asarray(picture, np.uint8)))


def _split_column(
    table: pd.DataFrame, source: TableSource | FolderSource, seed: int
) -> NDArray[np.str_]:
    """Split of every row: as the table says, else by a hash of the sequence or the file."""
    if "split" in table:
        return table["split"].astype(str).to_numpy(str)
    by = "sequence" if "sequence" in table and table["sequence"].notna().any() else "file"

    def held_out(value: object) -> bool:
        digest = hashlib.sha256(f"{seed}:{value}".encode()).digest()
        return int.from_bytes(digest[:4], "big") / 2**32 < source.validation_share

    return np.array(["validation" if held_out(v) else "train" for v in table[by]], dtype=str)
