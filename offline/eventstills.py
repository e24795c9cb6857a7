"""Stills of the events of a trip whose camera kept none: evidence that a click can show.

The logger's own trips hold stills of the whole drive. Of an imported video only the events are
kept: the frames that a verdict names, and those that show the road while the event lasts.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from offline import video
from offline.verdicts import TripResult
from onboard.stills import encode_still, still
from onboard.trip import Trip


def stills_of(trip: Trip, result: TripResult) -> Iterator[tuple[int, bytes]]:
    """Give a trip's stills: all that it has, else those of the events from its video.

    Yields
    ------
    tuple of int and bytes
        Frame index and JPEG of 320x180, in order of time.

    Raises
    ------
    InputError
        The video can no longer be read.
    """
    has_stills = False
    for kept in trip.stills():
        has_stills = True
        yield kept.frame_index, kept.jpeg
    if not has_stills:
        yield from _from_video(trip, event_frames(result))


def event_frames(result: TripResult) -> NDArray[np.int64]:
    """Indices of the frames that show a result's events, ascending; none without labels."""
    if result.labels is None:
        return np.empty(0, np.int64)
    wanted = {frame for verdict in result.verdicts for frame in verdict.frames}
    t_s = result.timeline["t_s"].to_numpy(np.float64)
    # What the dashboard asks for at a moment.
    shown = result.timeline["frame"].to_numpy(np.float64, na_value=np.nan)
    for verdict in result.verdicts:
        during = (t_s >= verdict.event.start_s) & (t_s <= verdict.event.end_s) & ~np.isnan(shown)
        wanted |= set(shown[during].astype(np.int64).tolist())
    return np.array(sorted(wanted), np.int64)


def _from_video(trip: Trip, wanted: NDArray[np.int64]) -> Iterator[tuple[int, bytes]]:
    if not wanted.size:
        return
    frames = trip.frames()
    for path in trip.video_files():
        row = np.flatnonzero((frames.segment == int(path.stem)) & np.isin(frames.index, wanted))
        if not row.size:
            continue
        index = video.index_video(path)
        _, positions, matched = np.intersect1d(
            index.pts, frames.pts[row], assume_unique=True, return_indices=True
        )
        number = dict(zip(positions.tolist(), frames.index[row][matched].tolist(), strict=True))
        for position, picture in video.pictures(index, positions.astype(np.int64)):
            if picture is not None:
                yield number[position], encode_still(still(picture))
