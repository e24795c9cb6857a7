"""Small real trips, recorded as the benchmarks record theirs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import models

# Tests and worker processes import the modules beside this file, tests those of benchmarks/.
for folder in (Path(__file__).parent, Path(__file__).parents[3] / "benchmarks"):
    sys.path.insert(0, str(folder))


@pytest.fixture
def make_trip() -> Callable[..., Path]:
    """The function that records trips."""
    from synthetictrips import record_trip

    return record_trip


@pytest.fixture(scope="session")
def model_folder() -> str:
    """The released network."""
    return str(models.locate("road_scene"))
