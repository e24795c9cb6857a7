"""What a picture says is its probabilities over the shares they were calibrated under."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offline.fusion import evidence
from offline.fusion.places import cut_into_cells
from offline.policy import load_policy
from offline.timeline import build_timeline

from .recordings import labels, recording


def test_a_network_that_repeats_the_shares_says_nothing() -> None:
    rule = load_policy("car").fusion
    timeline = build_timeline(recording(60.0, speed_kmh=50.0, rpm=1800.0), None)
    cells = cut_into_cells(timeline, rule.cell_m)
    seen = labels(60.0)
    shares = (0.7, 0.2, 0.1)
    blind = replace(seen, p_slope=np.tile(np.float32(shares), (len(seen), 1)))
    naive, _ = evidence.camera(timeline, blind, cells, rule)
    assert naive[:, 0].sum() > naive[:, 1].sum() + 1.0
    honest, _ = evidence.camera(timeline, replace(blind, slope_prior=shares), cells, rule)
    assert honest == pytest.approx(np.zeros_like(honest), abs=1e-6)
