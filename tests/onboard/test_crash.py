"""Kill -9 at ten random moments, through the benchmark that does it two hundred times."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
def test_ten_kills_lose_nothing(tmp_path: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, ROOT / "benchmarks" / "crash.py", "--trials", "10"),
            *("--seed", "7", "--json", tmp_path / "crash.json"),
        ],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    figures = json.loads((tmp_path / "crash.json").read_text())["figures"]
    assert figures["recovered"] == figures["trials"] == 10
    assert figures["wrong_values"] == 0
    # The picture that is being written at the kill may go with it, and no other.
    assert figures["frames_lost"] <= figures["trials"]
    assert figures["trials_with_video"] >= 3
