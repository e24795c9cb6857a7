"""What a fitter sees on the day of installation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onboard.emulator import Fault


def test_all_well(engine_bay, camera_file: Path, tmp_path: Path, onboard_program) -> None:
    done = onboard_program(
        *("check", "--camera", camera_file, "--obd", engine_bay.url),
        *("--to", tmp_path / "trips", "--json"),
    )
    found = {f["device"]: f for f in json.loads(done.stdout)}
    assert list(found) == ["clock", "disk", "camera", "adapter"]
    for device in ("disk", "adapter"):
        assert found[device]["good"], found[device]
    assert "320x180" in found["camera"]["found"]
    assert "1500 rpm" in found["adapter"]["found"]
    assert "a replay, no vehicle" in found["adapter"]["found"]
    assert list((tmp_path / "trips").iterdir()) == []


def test_each_failure_says_what_to_do(engine_bay, tmp_path: Path, onboard_program) -> None:
    engine_bay.elm.fault = Fault.NO_DATA
    (tmp_path / "file").touch()
    done = onboard_program(
        *("check", "--camera", "/dev/video77", "--obd", engine_bay.url),
        *("--to", tmp_path / "file" / "trips"),
    )
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    for device, advice in (("disk", "install -d"), ("camera", "plugged in"), ("adapter", "")):
        (at,) = [k for k, line in enumerate(lines) if line.startswith(f"FAILED  {device}")]
        assert lines[at + 1].startswith("        -> ")
        assert advice in lines[at + 1]


@pytest.mark.parametrize("fov_deg", [None, 71.0])
def test_a_field_of_view_is_asked_for(
    fov_deg: float | None, camera_file: Path, tmp_path: Path, onboard_program
) -> None:
    config = tmp_path / "onboard.toml"
    told = "" if fov_deg is None else f"fov_deg = {fov_deg}\n"
    config.write_text(f"[camera]\nfps = 15\n{told}")
    done = onboard_program(
        *("check", "--config", config, "--camera", camera_file, "--to", tmp_path / "trips"),
        "--json",
    )
    (camera,) = (f for f in json.loads(done.stdout) if f["device"] == "camera")
    assert camera["good"]
    assert ("`fov_deg`" in camera["advice"]) == (fov_deg is None)


def test_a_camera_that_gives_no_mjpeg_to_keep(
    camera_file: Path, tmp_path: Path, onboard_program
) -> None:
    config = tmp_path / "onboard.toml"
    config.write_text("[camera]\nfps = 15\ncopy_mjpeg = true\n")
    done = onboard_program(
        *("check", "--config", config, "--camera", camera_file, "--to", tmp_path / "trips")
    )
    assert "copy_mjpeg" in done.stdout


def test_nothing_is_set(tmp_path: Path, onboard_program) -> None:
    done = onboard_program("check", "--to", tmp_path)
    assert done.returncode == 1
    assert "set `source` in [camera]" in done.stdout
    assert "set `port` in [obd]" in done.stdout
