"""Which trips are scored, and which are left out."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from offline.batch.planning import plan, require_trips
from offline.batch.settings import Settings, make_settings
from offline.errors import InputError, ModelError, PolicyError
from offline.results import ResultStore
from offline.results.retention import MARK
from offline.results.rows import FailedTrip
from offline.verdicts import TripResult
from onboard.manifest import read_manifest

MakeTrip = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ResultStore]:
    with ResultStore.open(None, tmp_path / "results") as opened:
        yield opened


@pytest.fixture(scope="module")
def settings() -> Settings:
    return make_settings("road_scene", None, road_context=True)


def stored(result: TripResult, trip: Path, settings: Settings) -> TripResult:
    """The result as this trip would have given it with these settings."""
    return replace(
        result,
        trip_path=str(trip),
        provenance=replace(
            result.provenance,
            trip_sha256=read_manifest(trip).sha256(),
            model_sha256=settings.model_sha256,
            policy_sha256=settings.policy_sha256("car") or "",
            software=settings.software,
        ),
    )


def test_a_trip_is_scored_again_only_if_its_result_could_change(
    tmp_path: Path,
    store: ResultStore,
    settings: Settings,
    make_trip: MakeTrip,
    make_result: Callable[..., TripResult],
) -> None:
    trips = [make_trip(tmp_path / "trips", n, seconds=2, stills=False) for n in range(3)]
    result = stored(make_result(0), trips[0], settings)
    store.put(result)

    def wanted(**changed: object) -> list[str]:
        rescore = bool(changed.pop("rescore", False))
        now = replace(settings, **changed)  # type: ignore[arg-type]
        found = plan([tmp_path / "trips"], store, now, rescore=rescore)
        return [Path(trip.path).name[-1] for trip in found.to_score]

    assert wanted() == ["1", "2"]
    assert plan([tmp_path], store, settings).unchanged == [result.trip_id]
    assert wanted(software="gradewise 99") == ["0", "1", "2"]
    assert wanted(model_sha256="other") == ["0", "1", "2"]
    assert wanted(policy_sha256=lambda _: "other") == ["0", "1", "2"]
    assert wanted(road_context=False) == ["0", "1", "2"]
    assert wanted(rescore=True) == ["0", "1", "2"]
    # A copy in another place is the same trip.
    shutil.copytree(trips[1], tmp_path / "trips" / "copies" / trips[1].name)
    assert wanted() == ["1", "2"]


def test_a_trip_set_aside_waits_until_something_changes_or_it_is_named(
    tmp_path: Path, store: ResultStore, settings: Settings, make_trip: MakeTrip
) -> None:
    trip = make_trip(tmp_path / "trips", 1, seconds=2, stills=False)
    (first,) = plan([tmp_path / "trips"], store, settings).to_score
    store.set_aside(FailedTrip(str(trip), "standard", "crash", "killed", 3, 1, first.fingerprint))
    assert plan([tmp_path / "trips"], store, settings).set_aside == [str(trip)]
    assert plan([trip], store, settings).to_score == [first]
    assert plan([tmp_path / "trips"], store, settings, rescore=True).to_score == [first]
    newer = replace(settings, software="gradewise 99")
    assert len(plan([tmp_path / "trips"], store, newer).to_score) == 1


def test_open_purged_erased_and_old_trips_are_left_out(
    tmp_path: Path, store: ResultStore, settings: Settings, make_trip: MakeTrip
) -> None:
    root = tmp_path / "trips"
    cut_short = make_trip(root, 1, seconds=2, stills=False, close=False)
    lock = os.open(cut_short, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert plan([root], store, settings).recording == [str(cut_short)]
    os.close(lock)
    assert [trip.path for trip in plan([root], store, settings).to_score] == [str(cut_short)]
    # It may be on its way here still.
    assert plan([root], store, settings, settle_s=60).recording == [str(cut_short)]
    shutil.rmtree(cut_short)

    purged = make_trip(root, 2, seconds=2, stills=False)
    (purged / MARK).write_text(json.dumps({}))
    assert plan([root], store, settings).purged == 1
    assert plan([root], store, settings, since=date(2026, 1, 2)).purged == 0


def test_a_folder_without_trips_is_bad_input(
    tmp_path: Path, store: ResultStore, settings: Settings
) -> None:
    with pytest.raises(InputError, match="holds no trip"):
        require_trips([tmp_path])
    assert plan([tmp_path], store, settings).to_score == []
    with pytest.raises(InputError, match="is no folder"):
        plan([tmp_path / "nowhere"], store, settings)


def test_a_bad_model_or_policy_stops_before_any_trip(tmp_path: Path, model_folder: str) -> None:
    with pytest.raises(ModelError, match="nor is it a folder"):
        make_settings("no_such_model", None, road_context=True)
    half = tmp_path / "half"
    shutil.copytree(model_folder, half)
    network = next(half.glob("*.tflite"))
    network.write_bytes(network.read_bytes()[: network.stat().st_size // 2])
    with pytest.raises(ModelError):
        make_settings(str(half), None, road_context=True)
    with pytest.raises(PolicyError):
        make_settings("road_scene", str(tmp_path / "none.toml"), road_context=True)
