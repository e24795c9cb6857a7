"""Road scene labels for every picture of a trip, a video or a folder of stills."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from offline import frames, roadscene
from offline.classifier import Classifier
from offline.frames import Frame, FrameSource
from offline.motion import Survey
from offline.mounting import Mounting
from offline.odometer import Odometer
from offline.preprocessing import STACK_DISTANCES_M, STACK_REACH_S, Image, stack_indices
from offline.scenelabels import SceneLabels
from onboard.trip import Trip

CHUNK: Final = 64
"""Frames given to the network at a time: enough to make the overhead vanish, few enough that
the next pictures are decoded meanwhile."""
KEPT: Final = 3600
"""Longest drive, in pictures, whose planes stay in memory between survey and network: half an hour
of two stills a second, 55 MB."""
Progress = Callable[[int, int], None]
"""Called with the number of frames labelled so far and the number there are."""


@dataclass(frozen=True)
class FrameLabels:
    """What a network said about every wanted frame of a source.

    Attributes
    ----------
    source : list of str
    frame, t_ns : ndarray of int64, shape (n,)
    probabilities : dict of str to ndarray of float32, shape (n, classes)
        By head; NaN where the picture was unreadable.
    """

    source: list[str]
    frame: NDArray[np.int64]
    t_ns: NDArray[np.int64]
    probabilities: dict[str, NDArray[np.float32]]


def label_frames(
    source: FrameSource, classifier: Classifier, *, progress: Progress | None = None
) -> FrameLabels:
    """Label every wanted frame of a source; decoding and network overlap.

    Pictures are needed twice: first for the camera's mounting and motion, which only the whole
    drive shows, then for the network. A short drive is kept in between, a longer one read again.
    Each is half of the progress.

    Raises
    ------
    InputError
        The source can no longer be read.
    """
    seen: list[Frame] = []
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in classifier.heads}
    done = 0
    motions, kept = _motions(source, progress)
    again = (each for each in source.frames() if not each.between) if kept is None else iter(kept)
    ahead = frames.read_ahead(_levelled(again, motions), depth=CHUNK)
    for wanted, stacks in _stacked(ahead, source.odometer):
        readable = np.array([frame.plane is not None for frame in wanted])
        codes = np.array(
            [
                motions[frame.sequence].codes_of[frame.index]
                for frame in wanted
                if frame.plane is not None
            ],
            np.uint8,
        )
        predicted = classifier.predict(stacks, codes) if len(stacks) else {}
        for name, head in classifier.heads.items():
            rows = np.full((len(wanted), len(head.classes)), np.nan, np.float32)
            if len(stacks):
                rows[readable] = predicted[name]
            parts[name].append(rows)
        # The planes are done with; what stays is where and when.
        seen.extend(
            Frame(frame.source, frame.sequence, frame.index, frame.t_ns, None) for frame in wanted
        )
        done += len(wanted)
        if progress is not None:
            progress((source.count + done) // 2, source.count)
    return FrameLabels(
        source=[frame.source for frame in seen],
        frame=np.array([frame.index for frame in seen], np.int64),
        t_ns=np.array([frame.t_ns for frame in seen], np.int64),
        probabilities={
            name: np.concatenate(rows)
            if rows
            else np.empty((0, len(classifier.heads[name].classes)), np.float32)
            for name, rows in parts.items()
        },
    )


@dataclass(frozen=True)
class _SequenceMotion:
    """Motion of one sequence: where its camera points, and codes by a frame's index."""

    mounting: Mounting | None
    codes_of: dict[int, NDArray[np.uint8]]


def _motions(
    source: FrameSource, progress: Progress | None
) -> tuple[dict[str, _SequenceMotion], list[Frame] | None]:
    """Survey every sequence of a source; also its frames, None where they are too many."""
    kept: list[Frame] | None = []
    odometer = source.odometer or Odometer([], [])
    found: dict[str, _SequenceMotion] = {}
    survey, indices, sequence = Survey(source.fov_deg), list[int](), ""

    def close() -> None:
        motion = survey.finish()
        found[sequence] = _SequenceMotion(
            motion.mounting, dict(zip(indices, motion.codes, strict=True))
        )

    seen = 0
    for frame in frames.read_ahead(source.frames(), depth=CHUNK):
        if frame.between:
            if frame.plane is not None and frame.sequence == sequence:
                (driven_m,) = odometer.driven_m([frame.t_ns])
                survey.add_between(frame.plane, frame.t_ns / 1e9, float(driven_m))
            continue
        if kept is not None:
            kept.append(frame)
            # Pictures are counted, not labels: a low rate of labels needs many pictures a label.
            kept = kept if len(kept) <= KEPT else None
        if frame.sequence != sequence:
            if indices:
                close()
            survey, indices, sequence = Survey(source.fov_deg), [], frame.sequence
        if frame.plane is not None:
            (driven_m,) = odometer.driven_m([frame.t_ns])
            survey.add(frame.plane, frame.t_ns / 1e9, float(driven_m))
            indices.append(frame.index)
        seen += frame.wanted
        if progress is not None and seen % CHUNK == 0:
            progress(seen // 2, source.count)
    if indices:
        close()
    return found, kept


def _levelled(items: Iterator[Frame], motions: dict[str, _SequenceMotion]) -> Iterator[Frame]:
    """Frames whose planes show the direction of travel in their middle."""
    for frame in items:
        motion = motions.get(frame.sequence)
        if frame.plane is None or motion is None or motion.mounting is None:
            yield frame
        else:
            yield replace(frame, plane=motion.mounting.levelled(frame.plane))


def label_trip(
    trip: Trip, classifier: Classifier, *, progress: Progress | None = None
) -> SceneLabels | None:
    """Label a trip for fusion: its stills, else its video twice a second.

    Returns
    -------
    SceneLabels or None
        None where the trip has no pictures.

    Raises
    ------
    ModelError
        The network's heads are not those that fusion understands.
    InputError
        The video cannot be read.
    """
    classifier.require_road_scene()
    source = frames.of_trip(trip)
    if source is None:
        return None
    found = label_frames(source, classifier, progress=progress)
    return SceneLabels(
        t_mono_ns=found.t_ns,
        frame=found.frame,
        p_slope=found.probabilities["slope"],
        p_course=found.probabilities["course"],
        slope_threshold=classifier.heads["slope"].undetermined_below,
        course_threshold=classifier.heads["course"].undetermined_below,
        model_name=classifier.name,
        model_sha256=classifier.sha256,
        slope_prior=classifier.heads["slope"].prior,
        course_prior=classifier.heads["course"].prior,
        slope_needs_sensors=classifier.heads["slope"].needs_sensors,
    )


def scene_names(
    p_slope: NDArray[np.floating],
    p_course: NDArray[np.floating],
    slope_threshold: float,
    course_threshold: float,
) -> tuple[list[str], NDArray[np.float64]]:
    """Six-class label of every frame, `undetermined` where the network is not sure enough.

    The label is `roadscene.labels`'; it is undetermined if a head that decides it is below its
    threshold: the course always, the slope only where the road goes straight on. An unreadable
    picture is undetermined with a confidence of NaN.

    Returns
    -------
    tuple of list of str and ndarray, shape (n,)
        Labels, and the confidence of the label or of what it would have been.
    """
    readable = ~np.isnan(p_course).any(axis=1)
    names, confidence = roadscene.labels(np.nan_to_num(p_slope), np.nan_to_num(p_course))
    course_sure = p_course.max(axis=1) >= course_threshold
    slope_sure = p_slope.max(axis=1) >= slope_threshold
    bends = np.nan_to_num(p_course).argmax(axis=1) != 0
    sure = readable & course_sure & (bends | slope_sure)
    return (
        [name if s else roadscene.UNDETERMINED for name, s in zip(names, sure, strict=True)],
        np.where(readable, confidence, np.nan),
    )


def _stacked(
    items: Iterator[Frame], odometer: Odometer | None
) -> Iterator[tuple[list[Frame], Image]]:
    """Group frames into chunks, each with the stacks of its wanted and readable frames.

    Stacks reach ahead only, so a chunk waits for the planes of the next metres and needs none
    before it; as the wait ends after `STACK_REACH_S`, memory stays bounded on a drive of any
    length.
    """
    odometer = odometer or Odometer([], [])
    waiting: list[Frame] = []
    for frame in items:
        if waiting and frame.sequence != waiting[-1].sequence:
            yield from _rest(waiting, odometer)
            waiting = []
        waiting.append(frame)
        if len(waiting) > CHUNK and frame.plane is not None:
            last = waiting[CHUNK - 1].t_ns
            here_m, there_m = odometer.driven_m([last, frame.t_ns])
            late = frame.t_ns - last > STACK_REACH_S * 1e9
            if late or there_m - here_m >= STACK_DISTANCES_M[-1]:
                yield _stacks_of(waiting[:CHUNK], waiting[CHUNK:], odometer)
                del waiting[:CHUNK]
    yield from _rest(waiting, odometer)


def _rest(waiting: list[Frame], odometer: Odometer) -> Iterator[tuple[list[Frame], Image]]:
    while waiting:
        yield _stacks_of(waiting[:CHUNK], waiting[CHUNK:], odometer)
        waiting = waiting[CHUNK:]


def _stacks_of(
    chunk: list[Frame], after: list[Frame], odometer: Odometer
) -> tuple[list[Frame], Image]:
    wanted = [frame for frame in chunk if frame.wanted]
    readable = [frame for frame in chunk + after if frame.plane is not None]
    if not readable:
        return wanted, np.empty((0, 0, 0, 0), np.uint8)
    t_ns = np.array([frame.t_ns for frame in readable], np.int64)
    indices = stack_indices((t_ns - t_ns[0]) / 1e9, odometer.driven_m(t_ns))
    new = {id(frame) for frame in wanted}
    rows = indices[[id(frame) in new for frame in readable]]
    planes = np.stack([frame.plane for frame in readable if frame.plane is not None])
    return wanted, np.ascontiguousarray(np.moveaxis(planes[rows], 1, -1))
