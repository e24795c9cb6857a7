"""From a trip to its result, in one call.

`score_samples` works on arrays alone and touches no file; `score_trip` reads the trip, labels
its frames and adds where everything came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import onboard
from offline.classifier import Classifier
from offline.context import judge
from offline.events import detect
from offline.fusion import fuse
from offline.ideal import add_ideal
from offline.labelling import label_trip
from offline.policy import Policy
from offline.scenelabels import SceneLabels
from offline.score import measure_exposure, score
from offline.timeline import RATE_HZ, ClockTable, SampleSeries, build_timeline
from offline.vehicleprofile import VehicleProfile
from offline.verdicts import (
    CAMERA,
    MEASURED_SLOPE,
    NO_VIDEO,
    SWITCHED_OFF,
    Exposure,
    Provenance,
    Score,
    TripResult,
    Verdict,
)
from onboard.trip import Trip

SOFTWARE = f"gradewise {onboard.__version__}"


@dataclass(frozen=True)
class Scored:
    """All that follows from samples, labels and policy alone."""

    timeline: pd.DataFrame
    verdicts: tuple[Verdict, ...]
    exposure: Exposure
    score: Score
    score_without_context: Score


def score_samples(
    samples: Mapping[str, SampleSeries],
    clock: ClockTable | None,
    labels: SceneLabels | None,
    policy: Policy,
    *,
    road_context: bool = True,
    rate_hz: float = RATE_HZ,
    frame_t_mono_ns: NDArray[np.int64] | None = None,
    profile: VehicleProfile | None = None,
) -> Scored:
    """Score arrays: timeline, fusion, events, verdicts, score.

    Parameters
    ----------
    samples : mapping of str to samples
        As `onboard.trip.Trip.samples` gives them.
    clock : optional
        As `onboard.trip.Trip.clock` gives it.
    labels : SceneLabels or None
        None where there is no video.
    policy : Policy
        Limits, rules and weights.
    road_context : bool
        False scores as if nothing of the road were known; the labels are not even looked at.
    rate_hz : float
        The timeline's grid.
    frame_t_mono_ns : ndarray of int64, optional
        Times of all frames, labelled or not, so that the timeline starts at the same moment
        with road context and without; the labels' own by default.
    profile : VehicleProfile, optional
        What the vehicle's other trips taught.

    Raises
    ------
    InputError
        If there is neither a sample nor a frame.
    """
    used = labels if road_context and labels is not None and len(labels) else None
    if frame_t_mono_ns is None and labels is not None:
        frame_t_mono_ns = labels.t_mono_ns
    timeline = build_timeline(
        samples,
        clock,
        frame_t_mono_ns=frame_t_mono_ns,
        rate_hz=rate_hz,
        gear_ratios=None if profile is None else profile.ratios,
    )
    powertrain = None if profile is None else profile.powertrain
    fused = fuse(timeline, used, policy, powertrain, road_context=road_context)
    timeline = add_ideal(fused, policy)
    verdicts = tuple(judge(detect(timeline, policy), timeline, used, policy))
    exposure = measure_exposure(timeline, verdicts, policy)
    return Scored(
        timeline=timeline,
        verdicts=verdicts,
        exposure=exposure,
        score=score(verdicts, exposure, policy),
        score_without_context=score(verdicts, exposure, policy, road_context=False),
    )


def score_trip(
    path: Path | str,
    *,
    classifier: Classifier | None,
    policy: Policy,
    road_context: bool = True,
    profile: VehicleProfile | None = None,
) -> TripResult:
    """Read, label and score a closed trip.

    Parameters
    ----------
    path : path
        Trip folder.
    classifier : Classifier or None
        Without one only a measured slope gives road context.
    policy : Policy
        Of the trip's vehicle class or fleet.
    road_context : bool
        False leaves the frames unlabelled.
    profile : VehicleProfile, optional
        What the vehicle's other trips taught.

    Raises
    ------
    TripError
        If the folder is no usable trip.
    InputError
        If the trip holds neither samples nor frames, or its video cannot be read.
    """
    with Trip.open(path) as trip:
        labels = None
        if classifier is not None and road_context:
            labels = label_trip(trip, classifier)
        info, samples, clock = trip.info, trip.samples(), trip.clock()
        scored = score_samples(
            samples,
            clock,
            labels,
            policy,
            road_context=road_context,
            frame_t_mono_ns=trip.frames().t_mono_ns,
            profile=profile,
        )
        seen = labels is not None and len(labels) > 0
        if seen:
            context = CAMERA
        elif scored.timeline["p_uphill"].notna().any():
            context = MEASURED_SLOPE
        else:
            context = NO_VIDEO if road_context and classifier is not None else SWITCHED_OFF
        return TripResult(
            trip_id=f"{info.vehicle}/{Path(path).resolve().name}",
            trip_path=str(Path(path)),
            vehicle=info.vehicle,
            vehicle_class=info.vehicle_class,
            driver=info.driver,
            started_utc_ns=info.started_utc_ns,
            origin=dict(info.origin),
            road_context=context,
            exposure=scored.exposure,
            verdicts=scored.verdicts,
            score=scored.score,
            score_without_context=scored.score_without_context,
            provenance=Provenance(
                trip_sha256=trip.sha256(),
                model_name=labels.model_name if labels is not None and seen else "",
                model_sha256=labels.model_sha256 if labels is not None and seen else "",
                policy_name=policy.name,
                policy_sha256=policy.sha256,
                software=SOFTWARE,
                profile_sha256="" if profile is None else profile.sha256,
            ),
            timeline=scored.timeline,
            labels=labels if seen else None,
        )
