"""What stays at its place of the picture while the camera turns is on the windscreen."""

from __future__ import annotations

import numpy as np
import pytest

from offline import motion, motioncodes
from offline.corners import FEWEST, STANDARD_FOV_DEG, Tracked
from offline.preprocessing import PLANE_HEIGHT, PLANE_WIDTH
from offline.windscreen import TURNED_PX, Windscreen

from .lamps import picture

SPOTS = np.array([[-40.0, -10.0], [-10.0, 20.0], [25.0, -20.0]])
OUTSIDE = np.array([[50.0 + 3.0 * k, 5.0 * k - 20.0] for k in range(8)])


def corners(outside_px: float, spots: np.ndarray = SPOTS, spots_px: float = 0.0) -> Tracked:
    before = np.concatenate([spots, OUTSIDE])
    moved = np.zeros_like(before)
    moved[: len(spots), 0], moved[len(spots) :, 0] = spots_px, outside_px
    return Tracked(before, before + moved, 5.0)


def leaves_all(windscreen: Windscreen) -> bool:
    every = corners(0.1)
    return windscreen.cleared(every) is every


def test_corners_that_stayed_while_the_camera_turned_are_left_out() -> None:
    windscreen = Windscreen()
    windscreen.watch(corners(-6.0), -6.0)
    assert leaves_all(windscreen)
    windscreen.watch(corners(4.0), 4.0)
    # Half a pixel beside, too: corners are found to no better.
    cleared = windscreen.cleared(corners(0.2, SPOTS + 0.8))
    assert cleared is not None
    assert np.array_equal(cleared.before, OUTSIDE)
    assert cleared.driven_m == 5.0


def test_straight_on_nothing_is_learnt_because_far_things_stay_too() -> None:
    windscreen = Windscreen()
    for _ in range(20):
        windscreen.watch(corners(0.1), 0.9 * TURNED_PX)
    assert leaves_all(windscreen)


def test_a_creeping_vehicle_teaches_nothing() -> None:
    """Everything stays; what seems a turn is traffic that crosses."""
    windscreen = Windscreen()
    for _ in range(5):
        still = corners(5.0)
        windscreen.watch(Tracked(still.before, still.after, 0.15), 5.0)
    assert leaves_all(windscreen)


def test_what_moves_behind_a_dirty_place_is_kept() -> None:
    windscreen = Windscreen()
    for _ in range(5):
        windscreen.watch(corners(5.0), 5.0)
    moving = corners(5.0, spots_px=4.0)
    assert windscreen.cleared(moving) is moving


def test_a_place_where_corners_stayed_seldom_is_no_dirt() -> None:
    """A vehicle ahead was there for a moment."""
    windscreen = Windscreen()
    for k in range(20):
        windscreen.watch(corners(5.0, spots_px=0.0 if k < 3 else 5.0), 5.0)
    assert leaves_all(windscreen)


def test_too_few_corners_outside_are_no_measurement() -> None:
    windscreen = Windscreen()
    for _ in range(3):
        windscreen.watch(corners(5.0), 5.0)
    few = FEWEST - 1
    left = Tracked(
        np.concatenate([SPOTS, OUTSIDE[:few]]), np.concatenate([SPOTS, OUTSIDE[:few]]), 5.0
    )
    assert windscreen.cleared(left) is None


def dirt(count: int) -> np.ndarray:
    """A windscreen's spots, seen far better than the lamps behind them."""
    rng = np.random.default_rng(3)
    spots = np.zeros((PLANE_HEIGHT, PLANE_WIDTH), np.uint8)
    for row, column in zip(rng.integers(10, 86, count), rng.integers(5, 155, count), strict=True):
        spots[row : row + 2, column : column + 2] = 120
    return spots


def winding(pictures: int, turn_deg: float, spots: np.ndarray) -> motion.Drive:
    """Out of the way and back, again and again: there are lamps ahead only."""
    bends = turn_deg * np.array(
        [(1 if k // 10 % 2 else -1) * (k % 10 < 5) for k in range(pictures)]
    )
    yaw = np.concatenate([[0.0], np.cumsum(bends)[:-1]])
    driven_m = 4.0 * np.arange(pictures)
    seen = [picture(m, 0.0, deg) // 3 for m, deg in zip(driven_m, yaw, strict=True)]
    planes = np.asarray([np.maximum(each, spots) for each in seen])
    return motion.Drive(planes, 0.5 * np.arange(pictures), driven_m)


def heading_deg(drive: motion.Drive) -> np.ndarray:
    survey = motion.Survey(STANDARD_FOV_DEG)
    for plane, t_s, driven_m in zip(drive.planes, drive.t_s, drive.driven_m, strict=True):
        survey.add(plane, float(t_s), float(driven_m))
    return survey.finish().codes[:, motioncodes.CODES.index("heading")].astype(float) - 128.0


@pytest.mark.parametrize(("turn_deg", "count"), [(6.0, 60), (-6.0, 60), (6.0, 80)])
def test_a_bend_is_measured_through_a_dirty_windscreen(turn_deg: float, count: int) -> None:
    clean = heading_deg(winding(90, turn_deg, dirt(0)))
    bent = np.abs(clean) > 15.0
    assert bent.sum() > 30
    dirty = heading_deg(winding(90, turn_deg, dirt(count)))
    assert np.abs(dirty - clean)[bent].max() <= 3.0


def test_a_long_trip_goes_on_without_what_it_learnt_is_dirt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drive = winding(90, 6.0, dirt(60))
    settled_late = heading_deg(drive)
    monkeypatch.setattr(motion, "HELD", 60)
    early = heading_deg(drive)
    bent = np.abs(settled_late) > 15.0
    assert np.abs(early - settled_late)[bent].max() <= 3.0


def test_drives_with_one_camera_share_its_windscreen_in_any_order() -> None:
    long, short = winding(90, 6.0, dirt(75)), winding(24, 6.0, dirt(75))
    first, (of_long, of_short) = motion.survey_recorded([long, short], STANDARD_FOV_DEG)
    other, (short_first, long_last) = motion.survey_recorded([short, long], STANDARD_FOV_DEG)
    assert first is not None
    assert other is not None
    assert first.down_px == pytest.approx(other.down_px, abs=1e-3)
    assert np.abs(of_long.astype(int) - long_last).max() <= 1
    assert np.abs(of_short.astype(int) - short_first).max() <= 1


def test_a_dense_recording_learns_of_a_moment_no_more_than_a_trip_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its phases show the same moments: a vehicle ahead in one short turn would seem dirt."""
    watched: list[Windscreen] = []

    class Watched(Windscreen):
        def __init__(self) -> None:
            super().__init__()
            watched.append(self)

    monkeypatch.setattr(motion, "Windscreen", Watched)
    t_s = np.arange(0.0, 20.0, 0.1)
    yaw = np.interp(t_s, [10.0, 10.45], [0.0, 8.0])
    planes = np.asarray([picture(8.0 * t, 0.0, deg) for t, deg in zip(t_s, yaw, strict=True)])
    car = np.random.default_rng(4).integers(60, 255, (6, 8)).astype(np.uint8)
    planes[(t_s >= 8.0) & (t_s <= 12.0), 45:63, 70:94] = car.repeat(3, 0).repeat(3, 1)

    def most_places(rows: np.ndarray) -> int:
        watched.clear()
        drive = motion.Drive(planes[rows], t_s[rows], 8.0 * t_s[rows])
        motion.survey_recorded([drive], STANDARD_FOV_DEG)
        return max(np.count_nonzero(each.places) for each in watched)

    phases = motion.recorded_phases(t_s)
    assert len(phases) == 5
    assert most_places(np.arange(t_s.size)) <= max(most_places(rows) for rows in phases)
