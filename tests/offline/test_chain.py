"""A chain of unknowns against dense linear algebra."""

from __future__ import annotations

import numpy as np
import pytest

from offline.chain import Chain, Equations, Rough, Smooth

UNKNOWNS = (Rough(1.6, 60.0), Rough(0.25, 0.0), Rough(0.8, 20.0))


def dense(chain: Chain) -> np.ndarray:
    places, count, _ = chain.inside.shape
    whole = np.zeros((places * count, places * count))
    for k in range(places):
        here = slice(k * count, (k + 1) * count)
        whole[here, here] = chain.inside[k]
        if k + 1 < places:
            there = slice((k + 1) * count, (k + 2) * count)
            whole[here, there] = chain.between[k]
            whole[there, here] = chain.between[k].T
    return whole


def rows(each: Equations, places: int) -> tuple[np.ndarray, np.ndarray]:
    """Equations written out: coefficients of all unknowns, and what was seen."""
    m, q, width = each.of.shape
    out = np.zeros((m * q, places * 3))
    for k in range(m):
        out[k * q : (k + 1) * q, 3 * k : 3 * k + width] = each.of[k]
    return out, each.seen.reshape(m * q, -1)


@pytest.fixture
def equations() -> tuple[Equations, Equations]:
    rng = np.random.default_rng(1)
    pairs = Equations(rng.normal(size=(11, 2, 6)), rng.normal(size=(11, 2, 4)))
    places = Equations(rng.normal(size=(12, 3, 3)), rng.normal(size=(12, 3, 4)))
    return pairs.weighted(rng.uniform(0.1, 3.0, (11, 2))), places


def test_an_unknown_that_is_drawn_back_varies_as_told() -> None:
    apart_m = np.array([1.0, 8.0, 30.0, 200.0])
    covariance = np.linalg.inv(dense(Chain.drawn_back(apart_m, UNKNOWNS)))
    place = np.concatenate([[0.0], np.cumsum(apart_m)])
    for k, each in enumerate(UNKNOWNS):
        far = np.abs(place[:, None] - place)
        expected = each.sd**2 * (np.exp(-far / each.length_m) if each.length_m else np.eye(5))
        assert covariance[k::3, k::3] == pytest.approx(expected)


def test_a_smooth_unknown_varies_as_told_and_knows_its_change() -> None:
    apart_m = np.array([1.0, 8.0, 30.0, 0.05, 200.0])
    chain = Chain.drawn_back(apart_m, (Rough(0.5, 10.0), Smooth(1.6, 40.0)))
    covariance = np.linalg.inv(dense(chain))
    place = np.concatenate([[0.0], np.cumsum(apart_m)])
    far = np.sqrt(3.0) * np.abs(place[:, None] - place) / 40.0
    # Matérn's covariance of order 3/2.
    assert covariance[1::3, 1::3] == pytest.approx(1.6**2 * (1.0 + far) * np.exp(-far), rel=1e-3)
    slope = 1.6 * np.sqrt(3.0) / 40.0
    assert np.diag(covariance)[2::3] == pytest.approx(slope**2, rel=1e-3)
    # What it is some metres on follows its change here.
    onward = covariance[4, 2] / covariance[2, 2]
    assert onward == pytest.approx(1.0 * np.exp(-np.sqrt(3.0) / 40.0), rel=1e-3)
    assert np.abs(covariance[0::3, 1::3]).max() < 1e-9


def test_it_is_least_squares(equations: tuple[Equations, Equations]) -> None:
    chain = Chain.drawn_back(np.linspace(2.0, 20.0, 11), UNKNOWNS)
    prior = dense(chain)
    a, b = (np.concatenate(each) for each in zip(*(rows(e, 12) for e in equations), strict=True))
    knowing = chain.knowing(*equations)
    assert dense(knowing) == pytest.approx(prior + a.T @ a)
    expected = np.linalg.solve(prior + a.T @ a, a.T @ b)
    found = knowing.solve(*equations)
    assert found.reshape(36, 4) == pytest.approx(expected)
    left = np.concatenate([each.left(found).reshape(-1, 4) for each in equations])
    assert left == pytest.approx(b - a @ expected)
    variances = np.diag(np.linalg.inv(prior + a.T @ a)).reshape(12, 3)
    assert knowing.variances() == pytest.approx(variances)


def test_one_place_alone_is_no_chain() -> None:
    chain = Chain.drawn_back(np.zeros(0), UNKNOWNS)
    assert chain.variances()[0] == pytest.approx([each.sd**2 for each in UNKNOWNS])
