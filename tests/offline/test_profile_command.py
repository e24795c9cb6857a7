"""`gradewise-offline profile` on real scored trips, and `score` and `verify` with what it wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from offline.batch.scoring import ScoreTask, score_task
from offline.cli import group
from offline.errors import StoreError
from offline.results import ResultStore
from offline.vehicleprofile import find_profile

SAMPLES = Path(__file__).parents[2] / "data_samples" / "trips"
TRIP_ID = "demo-01/20261116T081200Z-sr92a"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = group.run([*map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out + said.err


def test_a_vehicle_is_learned_used_and_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SAMPLES / "demo-01", tmp_path / "trips" / "demo-01")
    assert run(capsys, "score", "trips", "--workers", 1)[0] == 0
    code, said = run(capsys, "profile")
    assert (code, "demo-01" in said, "load_percent" in said) == (0, True, True)
    first = find_profile(tmp_path / "profiles", "demo-01")
    assert first is not None
    assert first.trips == 2

    # A profile alone scores nothing anew; asked to, the result names it.
    assert "0 scored" in run(capsys, "score", "trips", "--profiles", "profiles")[1]
    code, _ = run(capsys, "score", "trips", "--profiles", "profiles", "--rescore", "--workers", 1)
    assert code == 0
    with ResultStore.open(None, "results", read_only=True) as store:
        assert store.trip(TRIP_ID).provenance.profile_sha256 == first.sha256
    assert "identical" in run(capsys, "verify", f"trips/{TRIP_ID}")[1]

    # The profile of an older result is kept when a newer one replaces it.
    run(capsys, "profile", "--trips", 2)
    second = find_profile(tmp_path / "profiles", "demo-01")
    assert second is not None
    assert second.sha256 != first.sha256
    assert find_profile(tmp_path / "profiles", "demo-01", first.sha256) is not None
    assert "identical" in run(capsys, "verify", f"trips/{TRIP_ID}")[1]
    (tmp_path / "profiles" / f"demo-01.{first.sha256[:12]}.json").unlink()
    code, said = run(capsys, "verify", f"trips/{TRIP_ID}")
    assert (code, f"holds no profile {first.sha256[:12]}" in said) == (2, True)


def test_trips_of_a_vehicle_may_have_other_signals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Air flow in two trips, load in one: each is read with the columns that it has."""
    results, out = tmp_path / "r", tmp_path / "p"
    trips, one = SAMPLES / "demo-01", SAMPLES / "demo-02"
    assert run(capsys, "score", trips, one, "--results", results, "--workers", 1)[0] == 0
    for file in (results / "timelines" / "demo-01").iterdir():
        timeline = pd.read_parquet(file)
        flow = timeline["load_percent"] * timeline["rpm"] * 1e-4
        timeline = timeline.drop(columns=["load_percent", "throttle_percent"], errors="ignore")
        timeline.assign(maf_g_s=flow).to_parquet(file)
    code, said = run(capsys, "profile", "--results", results, "--out", out)
    assert (code, "maf_g_s" in said) == (0, True)
    # A trip counts once, however often its vehicle is named.
    code, said = run(capsys, "profile", "demo-02", "demo-02", "--results", results, "--out", out)
    assert (code, said) == (1, "demo-02: 1 trip teaches too little, no profile\n")


def test_a_damaged_profile_is_no_fault_of_a_trip(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, profiles = tmp_path / "r", tmp_path / "p"
    profiles.mkdir()
    (profiles / "demo-02.json").write_text("null")
    wanted = ("score", SAMPLES / "demo-02", "--results", results, "--workers", 1)
    code, said = run(capsys, *wanted, "--profiles", profiles)
    assert (code, "demo-02.json: no vehicle profile" in said) == (2, True)
    with ResultStore.open(None, results, read_only=True) as store:
        assert store.failed() == []
    task = ScoreTask(
        trip_path=str(SAMPLES / TRIP_ID), fingerprint="", results_root=str(results),
        model_folder="", road_context=False, profiles=str(tmp_path / "elsewhere"),
    )  # fmt: skip
    with pytest.raises(StoreError, match="elsewhere: the folder of profiles is not there"):
        score_task(task)


def test_what_cannot_be_learned_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trips, results = SAMPLES / "demo-02", tmp_path / "r"
    assert run(capsys, "score", trips, "--results", results, "--workers", 1)[0] == 0
    code, said = run(capsys, "profile", "--results", results, "--out", tmp_path / "p")
    assert (code, said) == (1, "demo-02: 1 trip teaches too little, no profile\n")
    assert not (tmp_path / "p").exists()
    code, said = run(capsys, "profile", "van-9", "--results", results, "--out", tmp_path / "p")
    assert (code, "no trip of vehicle van-9" in said) == (2, True)
