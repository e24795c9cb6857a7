"""The fault campaigns of benchmarks/batch_faults.py in their short form."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[3] / "benchmarks" / "batch_faults.py"


@pytest.mark.parametrize(
    "campaign", ["kill_workers", "poison", "kill_coordinator", "full_disk", "dask_cluster"]
)
def test_nothing_is_lost_doubled_or_torn(campaign: str, tmp_path: Path) -> None:
    figures_file = tmp_path / "figures.json"
    run = subprocess.run(
        [sys.executable, PROGRAM, "--quick", "--only", campaign, "--json", figures_file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    figures = json.loads(figures_file.read_text())["figures"]
    assert figures[f"{campaign}.wrong"] == 0
    # The harm was done: it did not come too late.
    done = {
        "kill_workers": figures.get("kill_workers.kills", 0) >= 2,
        "poison": figures.get("poison.set_aside") == 6,
        "kill_coordinator": 0
        < figures.get("kill_coordinator.stored_before_restart", 0)
        < figures.get("kill_coordinator.trips", 0),
        "full_disk": figures.get("full_disk.stored_when_full", 99) < 10,
        "dask_cluster": figures.get("dask_cluster.stored_at_kill", 99) < 16,
    }
    assert done[campaign], figures
