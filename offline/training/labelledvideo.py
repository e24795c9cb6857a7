"""Videos whose frames are labelled by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offline import motion, preprocessing
from offline.errors import InputError
from offline.odometer import Odometer
from offline.training import tables
from offline.training.framesets import FrameSet, one_hot

Heads = Mapping[str, Sequence[str]]


def read_video(
    video: Path,
    labels: Path,
    heads: Heads,
    stretches: Sequence[tuple[float, float]],
    trust: Mapping[str, float],
    fov_deg: float | None = None,
    context: Sequence[tuple[float, float]] | None = None,
) -> FrameSet:
    """Labelled frames of a video within stretches of time.

    Every frame's stack is made of the video's own frames, so that stacks have any phase, but only
    of as many a second as a trip has; which, a column `speed_mps` of the labels says where there
    is one. Nothing outside a stretch is looked at, later planes included, unless `context` names
    stretches to take the camera's motion and mounting from: a trip would show all of itself.
    """
    table = tables.read_csv(labels)
    if "t_s" not in table:
        raise InputError(f"{labels}: no column t_s")
    missing = [head for head in heads if head not in table]
    if missing:
        raise InputError(f"{labels}: no column {missing[0]}: one column a head is needed")
    context = context or stretches
    times, planes = video_planes(video, context)
    label_t = table["t_s"].to_numpy(float)
    driven_m = times * preprocessing.ASSUMED_SPEED_MPS
    if "speed_mps" in table:
        driven_m = Odometer(label_t * 1e9, table["speed_mps"].to_numpy(float)).driven_m(times * 1e9)
    drives = [np.flatnonzero((times >= start) & (times <= end)) for start, end in context]
    mounting, found = motion.survey_recorded(
        [motion.Drive(planes[rows], times[rows], driven_m[rows]) for rows in drives], fov_deg
    )
    codes = np.zeros((times.size, preprocessing.CODE_BYTES), np.uint8)
    for rows, each in zip(drives, found, strict=True):
        codes[rows] = each
    if mounting is not None:
        planes = mounting.levelled(planes)
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []
    for start, end in stretches:
        inside = np.flatnonzero((times >= start) & (times <= end))
        if inside.size == 0:
            continue
        stacks = inside[preprocessing.recorded_stack_indices(times[inside], driven_m[inside])]
        nearest = np.abs(label_t[None, :] - times[inside][:, None]).argmin(axis=1)
        near = np.abs(label_t[nearest] - times[inside]) < 0.03
        parts.append((stacks[near], nearest[near], inside[near]))
    if not parts:
        raise InputError(f"{video}: no frame within {list(stretches)} s")
    stacks, rows, frames = (np.concatenate(column) for column in zip(*parts, strict=True))
    targets, weights = {}, {}
    for head, classes in heads.items():
        names = [None if pd.isna(v) else str(v) for v in table[head].to_numpy()[rows]]
        targets[head], weights[head] = one_hot(names, classes, str(labels))
        weights[head] *= np.float32(trust.get(head, 1.0))
    labelled = np.flatnonzero(sum(weights.values()) > 0)
    groups = table["group"].astype(str).to_numpy()[rows] if "group" in table else None
    whole = FrameSet(
        name=video.stem,
        planes=planes,
        stacks=stacks,
        targets=targets,
        weights=weights,
        codes=codes[frames],
        groups=[str(v) for v in groups] if groups is not None else [video.stem] * rows.size,
        names=[f"{video.stem} t={label_t[row]:.2f} s" for row in rows],
    )
    return whole.subset(labelled)


def video_planes(
    video: Path, stretches: Sequence[tuple[float, float]]
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Capture times and planes of a video's frames within stretches."""
    times: list[float] = []
    planes: list[NDArray[np.uint8]] = []
    last = max(end for _, end in stretches)
    try:
        with av.open(str(video)) as container:
            start: float | None = None
            for frame in container.decode(video=0):
                # PyAV's stubs promise a time; a frame without a stamp has None.
                stamp: float | None = frame.time
                if stamp is None:
                    continue
                start = stamp if start is None else start
                t = stamp - start
                if t > last:
                    break
                if any(a <= t <= b for a, b in stretches):
                    picture: Any = frame.to_ndarray(format="bgr24")
                    times.append(t)
                    planes.append(preprocessing.plane(preprocessing.still(picture)))
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"{video}: cannot be read as a video ({error})") from error
    if not planes:
        raise InputError(f"{video}: no frame within {list(stretches)} s")
    return np.asarray(times), np.asarray(planes, np.uint8)
