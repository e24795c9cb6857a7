"""The task of a batch: score one trip and stage its result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import cv2

from offline.classifier import Classifier
from offline.errors import InputError, StoreError
from offline.eventstills import stills_of
from offline.pipeline import score_trip
from offline.policy import Policy, load_policy, policy_for_class
from offline.results.files import ResultFiles
from offline.results.staging import StagedResult, stage
from offline.results.writing import utc_day
from offline.vehicleprofile import VehicleProfile, find_profile
from offline.verdicts import TripResult
from onboard.recovery import recover
from onboard.trip import Trip

FIRST_DAY = date(2015, 1, 1)
"""Before any recording of ours: an earlier clock has lost its battery."""


@dataclass(frozen=True, slots=True)
class ScoreTask:
    """Which trip to score, with what, and where its files go.

    Attributes
    ----------
    fingerprint : str
        `planning.Settings.fingerprint`.
    results_root : str
        Path or fsspec URL that the worker can write to.
    policy : str or None
        Name or file; None for the shipped policy of the vehicle's class.
    profiles : str or None
        Folder of the vehicles' profiles.
    undated : bool
        Score a trip whose clock is plainly wrong, without a date.
    """

    trip_path: str
    fingerprint: str
    results_root: str
    model_folder: str
    policy: str | None = None
    road_context: bool = True
    profiles: str | None = None
    undated: bool = False


def score_task(task: ScoreTask) -> StagedResult:
    """Recover the trip if it was cut short, score it, and write its files.

    Raises
    ------
    TripError, InputError, ModelError, PolicyError, StoreError
        As the steps do; also `InputError` where the trip's clock is plainly wrong.
    """
    # A worker is one core, and on pictures this small OpenCV's threads cost more than they help.
    cv2.setNumThreads(1)
    recover(task.trip_path)
    with Trip.open(task.trip_path) as trip:
        policy = _policy(task.policy, trip.info.vehicle_class)
        result = score_trip(
            task.trip_path,
            classifier=_classifier(task.model_folder) if task.road_context else None,
            policy=policy,
            road_context=task.road_context,
            profile=_profile(task.profiles, trip.info.vehicle),
        )
        files = ResultFiles(task.results_root)
        return stage(_dated(result, task.undated), files, stills_of(trip, result), policy)


def _profile(folder: str | None, vehicle: str) -> VehicleProfile | None:
    if folder is None:
        return None
    if not Path(folder).is_dir():
        # On another machine of a cluster, say: its trips would be scored as if none were asked for.
        raise StoreError(f"{folder}: the folder of profiles is not there")
    try:
        return find_profile(Path(folder), vehicle)
    except InputError as problem:
        # No fault of the trip: it is not set aside.
        raise StoreError(str(problem)) from None


def _dated(result: TripResult, undated: bool) -> TripResult:
    """Refuse or take off a date that is plainly wrong: it would land in the wrong month."""
    day = utc_day(result.started_utc_ns)
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    if day is None or FIRST_DAY <= day <= tomorrow:
        return result
    if undated:
        return replace(result, started_utc_ns=None)
    raise InputError(
        f"{result.trip_path}: its clock says {day}; give --undated to score it without a date"
    )


# One interpreter and one policy a process, for all of its tasks.
@lru_cache(maxsize=1)
def _classifier(model_folder: str) -> Classifier:
    return Classifier(Path(model_folder), threads=1)


@lru_cache(maxsize=8)
def _policy(policy: str | None, vehicle_class: str) -> Policy:
    return load_policy(policy) if policy else policy_for_class(vehicle_class)
