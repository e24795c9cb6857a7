"""Policies: what ships, and what is refused."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from click.testing import CliRunner

from offline.cli import group
from offline.commands.policy import command
from offline.errors import PolicyError
from offline.policy import VEHICLE_CLASSES, load_policy, parse_policy, policy_for_class
from offline.results import ResultStore
from offline.verdicts import EventKind


def shipped_text(name: str = "car") -> str:
    return (resources.files("offline") / "policies" / f"{name}.toml").read_text("utf-8")


@pytest.mark.parametrize("name", VEHICLE_CLASSES)
def test_shipped_policies_are_complete(name: str):
    policy = load_policy(name)
    assert policy.vehicle_class == policy.name == name
    assert set(policy.score.prior.severity_rate) == set(EventKind)
    assert {rule.event for rule in policy.rules} >= {
        EventKind.OVER_REVVING,
        EventKind.SUSTAINED_PULL,
        EventKind.HARSH_BRAKING,
    }


@pytest.mark.parametrize("name", VEHICLE_CLASSES)
def test_no_shipped_rule_excuses_a_jump_in_speed(name: str):
    assert load_policy(name).rules_for(EventKind.HARSH_ACCELERATION) == ()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("format = 1", "format = 2", "format"),
        ("[events.idling]", "[events.idling]\nlimit_kmh = 3.0", "limit_kmh"),
        ("leave_rpm = 3200.0", "leave_rpm = 3600.0", "leave_rpm must be below enter_rpm"),
        ("points = 3.0", "points = -3.0", "points"),
        ("points = 3.0", "", "points"),
        ('verdict = "exonerated"', 'verdict = "kept"', "verdict"),
        ("{seconds:.0f}", "{name}", "why"),
        ('id = "pull-uphill"', 'id = "high-rpm-uphill"', "same id"),
        ("a = 90.0", "a = 10.0", "fall"),
        ("coasting = 0.2", "", "coasting"),
    ],
)
def test_bad_policies_are_refused_in_one_line(old: str, new: str, told: str):
    text = shipped_text()
    assert old in text
    with pytest.raises(PolicyError) as problem:
        parse_policy(text.replace(old, new, 1), source="fleet.toml")
    assert told in str(problem.value)
    assert "\n" not in str(problem.value)


def test_comments_and_order_do_not_change_the_hash_but_values_do():
    text = shipped_text()
    bare = "\n".join(line.split("#")[0] for line in text.splitlines())
    assert parse_policy(bare, source="x").sha256 == load_policy("car").sha256
    other = text.replace("points = 3.0", "points = 3.5", 1)
    assert parse_policy(other, source="x").sha256 != load_policy("car").sha256


def test_every_threshold_states_its_source():
    for name in VEHICLE_CLASSES:
        lines = shipped_text(name).splitlines()
        for line in lines:
            if line.startswith(("enter_", "limit_kmh")):
                assert "#" in line, f"{name}: {line}"
        assert tomllib.loads("\n".join(lines))["name"] == name


def test_an_unknown_class_says_what_to_do():
    with pytest.raises(PolicyError, match="--policy"):
        policy_for_class("tractor")
    with pytest.raises(PolicyError, match="car, van, truck, bus"):
        load_policy("no-such-policy")


def test_a_fleet_starts_from_show_and_is_checked(tmp_path: Path):
    runner = CliRunner()
    shown = runner.invoke(command, ["show", "van"])
    own = tmp_path / "fleet.toml"
    own.write_text(shown.output.replace('name = "van"', 'name = "fleet"', 1), "utf-8")
    checked = runner.invoke(command, ["check", str(own), "--json"])
    assert json.loads(checked.output)[0]["name"] == "fleet"
    differs = runner.invoke(command, ["diff", "van", str(own)], standalone_mode=False)
    assert differs.return_value == 1
    assert differs.output == "name: van -> fleet\n"


def test_the_command_line_refuses_a_bad_policy(tmp_path: Path, capsys):
    bad = tmp_path / "bad.toml"
    bad.write_text(shipped_text().replace("points = 3.0", "pionts = 3.0", 1), "utf-8")
    assert group.run(["policy", "check", str(bad)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "over_revving" in told


def test_the_prior_of_a_fleet_is_fitted_to_its_trips(tmp_path: Path, make_result, capsys):
    car = load_policy("car")
    results = tmp_path / "results"
    with ResultStore.open(None, results) as store:
        for number in range(31):
            made = make_result(number)
            by_kind = {kind.value: 0.2 for kind in EventKind if kind is not EventKind.COASTING}
            store.put(
                replace(
                    made,
                    exposure=replace(made.exposure, by_kind=by_kind),
                    # The last was scored with another policy.
                    provenance=replace(
                        made.provenance, policy_sha256=car.sha256 if number < 30 else "other"
                    ),
                )
            )
    assert group.run(["policy", "prior", "car", "--results", str(results)]) == 0
    fitted = tomllib.loads(capsys.readouterr().out)["score"]["prior"]
    # One braking of 4 points a trip, at 4 points each, over a fifth of the reference exposure.
    assert car.events.of(EventKind.HARSH_BRAKING).points == 4.0
    assert fitted["severity_rate"]["harsh_braking"] == 5.0
    assert fitted["severity_rate"]["idling"] == 0.0
    assert fitted["severity_rate"]["coasting"] == car.score.prior.severity_rate[EventKind.COASTING]
    assert (
        parse_policy(
            shipped_text().replace("harsh_braking = 0.8", "harsh_braking = 5.0"), source="x"
        ).score.prior.severity_rate[EventKind.HARSH_BRAKING]
        == 5.0
    )
    assert group.run(["policy", "prior", "van", "--results", str(results)]) == 2
    assert "error: only 0 trips" in capsys.readouterr().err.splitlines()[0]
