"""A scored trip on its way into the store: its files written, its rows not yet.

Workers stage, in parallel and on any machine that sees the results folder; the one coordinator
commits. What travels between them is small: no timeline, no picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from offline.policy import Policy
from offline.results.files import ResultFiles, file_stem
from offline.results.schema import NO_ROAD_CONTEXT, STANDARD
from offline.roadscene import COURSES, SLOPES
from offline.scenelabels import SceneLabels
from offline.verdicts import SWITCHED_OFF, TripResult


def variant_of(result: TripResult) -> str:
    """Tell the standard result of a trip from the one scored without road context on request."""
    return NO_ROAD_CONTEXT if result.road_context == SWITCHED_OFF else STANDARD


@dataclass(frozen=True)
class StagedResult:
    """A result without its frames, and the names of the files that hold them.

    Attributes
    ----------
    result : TripResult
        With an empty timeline and no labels.
    timeline_file, labels_file, stills_file : str or None
        Relative to the results folder.
    policy : Policy or None
        What the trip was scored with; None only where the store knows it already, or its
        periods need no score.
    """

    result: TripResult
    timeline_file: str | None
    labels_file: str | None
    stills_file: str | None
    policy: Policy | None = None

    @property
    def files(self) -> list[str]:
        """Names of the files that exist."""
        return [f for f in (self.timeline_file, self.labels_file, self.stills_file) if f]


def stage(
    result: TripResult,
    files: ResultFiles,
    stills: Iterable[tuple[int, bytes]] = (),
    policy: Policy | None = None,
) -> StagedResult:
    """Write a result's files; nothing shows in the store before `ResultStore.commit`.

    Parameters
    ----------
    stills : iterable of (frame index, JPEG)
        Camera stills, in order of time.
    policy : Policy, optional
        What it was scored with.

    Raises
    ------
    StoreError
        If a file cannot be written; those written before are removed.
    """
    stem = file_stem(result.trip_id, variant_of(result))
    written: list[str] = []
    try:
        timeline = labels = None
        if len(result.timeline):
            timeline = files.write_parquet("timelines", stem, result.timeline)
            written.append(timeline)
        if result.labels is not None and len(result.labels):
            labels = files.write_parquet("labels", stem, labels_frame(result.labels))
            written.append(labels)
        pack = files.write_stills(stem, stills)
    except BaseException:
        for name in written:
            files.remove(name)
        raise
    light = replace(result, timeline=pd.DataFrame(), labels=None)
    return StagedResult(light, timeline, labels, pack, policy)


def labels_frame(labels: SceneLabels) -> pd.DataFrame:
    """Lay the labels out as a table: `t_mono_ns, frame, p_<class>…`."""
    frame = pd.DataFrame({"t_mono_ns": labels.t_mono_ns, "frame": labels.frame})
    for index, slope in enumerate(SLOPES):
        frame[f"p_{slope}"] = labels.p_slope[:, index]
    for index, course in enumerate(COURSES):
        frame[f"p_course_{course}"] = labels.p_course[:, index]
    return frame
