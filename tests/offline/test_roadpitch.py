"""The road's pitch summed from a camera's, and what is told apart from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.spatial.transform import Rotation as SpatialRotation

from offline import roadpitch
from offline.corners import focal_px
from offline.mounting import Mounting
from offline.roadpitch import LASTING, Standing, road_pitch
from offline.rotation import STILL, Rotation
from offline.training.drives import camera_axes
from offline.uprights import NONE, Edges

APART_M = 6.0
FOCAL_PX = focal_px()
FOCAL_SD = 0.1
EXPECTED_SD = np.array(roadpitch.EXPECTED_SD)
EXPECTED_SD[LASTING.index("focal")] = FOCAL_SD


def no_edges(count: int, mounted_deg: float = 0.0) -> Standing:
    """Pictures in which nothing stands upright, of a camera pitched up."""
    down_px = FOCAL_PX * np.tan(np.radians(mounted_deg))
    return Standing([NONE] * count, Mounting(0.0, float(down_px), 0.9, FOCAL_PX), 0.03)


def rotated(pitch_deg: float, yaw_deg: float, roll_deg: float, by_down: float = 0.0) -> Rotation:
    return Rotation(float(pitch_deg), float(yaw_deg), float(roll_deg), 0.03, 0.1, by_down)


def drive(
    road_deg: np.ndarray,
    *,
    down_px: float = 0.0,
    squat: float = 0.0,
    roll_deg: float = 0.0,
    mounted_deg: float = 0.0,
    speed_mps: np.ndarray | None = None,
    yaw_deg: np.ndarray | None = None,
    lost: slice = slice(0),
) -> roadpitch.RoadPitch:
    """What is made of a drive whose truth is known."""
    count = road_deg.size
    speed = np.full(count, 2.0 * APART_M) if speed_mps is None else speed_mps
    driven_m = np.concatenate([[0.0], np.cumsum(speed[:-1] * 0.5)])
    yaw = np.zeros(count - 1) if yaw_deg is None else yaw_deg
    acceleration = np.gradient(speed, 0.5)
    by_down = -0.07
    camera_deg = mounted_deg + road_deg + squat * acceleration
    tipped_px = down_px + FOCAL_PX * np.radians(squat * acceleration)
    seen = np.diff(camera_deg) - np.radians(yaw) * roll_deg
    # The direction of travel was taken to lie higher than it does.
    seen = seen - by_down * (tipped_px[:-1] + tipped_px[1:]) / 2.0
    roll = np.radians(yaw) * (camera_deg[:-1] + camera_deg[1:]) / 2.0
    steps: list[Rotation | None] = [
        rotated(pitch, turn, lean, by_down)
        for pitch, turn, lean in zip(seen, yaw, roll, strict=True)
    ]
    steps[lost] = [None] * len(steps[lost])
    standing = no_edges(count, mounted_deg)
    return road_pitch(0.5 * np.arange(count), driven_m, steps, 60.0, standing)


def hill(count: int = 200) -> np.ndarray:
    road = np.zeros(count)
    road[80:120] = 3.0
    return np.convolve(np.pad(road, 2, mode="edge"), np.full(5, 0.2), "valid")


def lasting(found: roadpitch.RoadPitch, name: str) -> float:
    return float(found.lasting[LASTING.index(name)])


def test_a_hill_is_found_where_it_is() -> None:
    found = drive(hill())
    grade = found.grade_percent(np.array([50, 100, 170]) * APART_M)
    assert grade[1] == pytest.approx(5.2, abs=1.5)
    # The whole is pulled to level, so a hill lowers the road beside it a little.
    assert abs(grade[0]) < 1.2
    assert abs(grade[2]) < 1.2


def test_a_direction_of_travel_taken_too_high_makes_no_endless_hill() -> None:
    found = drive(hill(), down_px=1.0)
    assert lasting(found, "down_px") == pytest.approx(1.0, abs=0.35)
    assert np.abs(found.pitch_deg - drive(hill()).pitch_deg).max() < 0.5


def test_squatting_is_no_hill() -> None:
    speed = 12.0 + 2.0 * np.sin(np.arange(200) / 2.5)
    found = drive(np.zeros(200), squat=0.5, speed_mps=speed)
    # Drawn to what cars do as a rule, but seen.
    assert 0.36 < lasting(found, "squat") < 0.6
    assert np.abs(found.grade_percent(found.place_m))[5:-5].max() < 0.7


def test_a_leaning_camera_that_turns_does_not_climb() -> None:
    yaw = np.where(np.arange(199) % 40 < 8, 10.0, 0.0)
    found = drive(np.zeros(200), roll_deg=1.5, yaw_deg=yaw)
    straight = drive(np.zeros(200), yaw_deg=yaw)
    assert lasting(found, "roll") > lasting(straight, "roll") + 0.5
    assert np.abs(found.pitch_deg).max() < 0.8


BENDS = np.where(np.arange(239) % 30 < 6, 15.0, 0.0) * np.where(np.arange(239) % 60 < 30, 1, -1)
"""Right angles to either side in turns."""


@pytest.mark.parametrize("mounted_deg", [-4.0, 0.0, 3.0])
@pytest.mark.parametrize("climb_deg", [-4.0, 4.0])
def test_bends_tell_a_climb_whose_beginning_was_not_seen(
    climb_deg: float, mounted_deg: float
) -> None:
    road = np.where(np.arange(240) < 120, 0.0, climb_deg)
    seen = [
        drive(road, mounted_deg=mounted_deg, yaw_deg=yaw, lost=slice(118, 122))
        for yaw in (BENDS, np.zeros(239))
    ]
    bends, straight = (np.median(e.pitch_deg[150:]) - np.median(e.pitch_deg[:90]) for e in seen)
    assert bends == pytest.approx(0.85 * climb_deg, abs=0.4)
    assert abs(straight) < 0.1
    assert np.median(seen[0].pitch_sd_deg) < np.median(seen[1].pitch_sd_deg)
    level = drive(np.zeros(240), mounted_deg=mounted_deg, yaw_deg=BENDS)
    assert lasting(level, "turned") == pytest.approx(0.0, abs=0.1)


def test_a_vehicle_tipped_up_on_its_springs_does_not_travel_where_its_camera_looks() -> None:
    """What that changes of the pitch measured would pass for a slope of some degrees."""
    speed = 12.0 + 8.0 * np.sin(np.arange(200) / 10.0)
    found = drive(np.zeros(200), squat=0.3, speed_mps=speed)
    assert np.abs(found.pitch_deg)[5:-5].max() < 0.25


@pytest.mark.parametrize("pictures", [2, 4, 20])
def test_stops_make_no_slope(pictures: int) -> None:
    """A vehicle that stops dives before and squats after."""
    speed = [np.full(20, 12.0)]
    for _ in range(6):
        speed += [np.arange(11.0, 0.4, -1.0), np.zeros(pictures), np.arange(1.0, 12.0, 1.0)]
        speed.append(np.full(20, 12.0))
    found = drive(np.zeros(sum(map(len, speed))), squat=0.3, speed_mps=np.concatenate(speed))
    assert np.abs(found.grade_percent(found.place_m)).max() < 0.35


@dataclass(frozen=True)
class Drawn:
    """A drive drawn from what the estimator takes for true, by exact rotations."""

    road_deg: np.ndarray
    lasting: np.ndarray
    found: roadpitch.RoadPitch


def drawn(seed: int, count: int = 260) -> Drawn:
    rng = np.random.default_rng(seed)
    truth = np.array(roadpitch.EXPECTED) + rng.uniform(-2, 2, len(LASTING)) * EXPECTED_SD
    value = dict(zip(LASTING, truth.tolist(), strict=True))
    speed = 12.0 + 4.0 * np.sin(np.arange(count) / rng.uniform(3.0, 6.0))
    driven_m = np.concatenate([[0.0], np.cumsum(speed[:-1] * 0.5)])
    acceleration = np.gradient(speed, 0.5)

    def drawn_back(sd: float, length_m: float) -> np.ndarray:
        values = [rng.normal(0, sd)]
        for decay in np.exp(-np.diff(driven_m) / length_m):
            values.append(decay * values[-1] + rng.normal(0, sd * np.sqrt(1.0 - decay**2)))
        return np.array(values)

    far = np.sqrt(3.0) * np.abs(driven_m[:, None] - driven_m) / 60.0
    alike = roadpitch.GRADE_SD_DEG**2 * (1.0 + far) * np.exp(-far)
    road = rng.multivariate_normal(np.zeros(count), alike) + value["climb"]
    springs = rng.normal(0, roadpitch.SPRINGS_SD_DEG, count)
    turn_deg = np.where(np.arange(count) % 24 < 8, 8.0, 0.0) * np.sign(np.sin(np.arange(count)))
    turn_deg = np.repeat(turn_deg[::8], 8)[:count]
    yaw_rate = np.gradient(np.cumsum(turn_deg), 0.5)
    lateral = speed * np.radians(yaw_rate)
    tipped = springs + value["squat"] * acceleration
    # In its middle a lens that bends has a longer focal length than its edges tell.
    longer = float(np.exp(value["focal"] + roadpitch.BENT_FOCAL * value["bent"]))
    pixel_deg = float(np.degrees(1.0 / FOCAL_PX))
    mounted_deg = float(rng.normal(0.0, 6.0))
    pitch = mounted_deg + road + tipped + value["down_px"] * pixel_deg
    roll = value["roll"] + value["body_roll"] * lateral
    roll += drawn_back(roadpitch.ROLL_SD_DEG, roadpitch.ROLL_M)
    mount_seen_deg = float(np.degrees(np.arctan(longer * np.tan(np.radians(mounted_deg)))))
    axes = camera_axes(*np.radians([np.cumsum(turn_deg), pitch, roll]))
    by_down = -0.07
    # The direction of travel lies lower than the mounting tells, and lower still while tipped up.
    lower_px = value["down_px"] + (tipped[:-1] + tipped[1:]) / 2.0 / pixel_deg
    steps: list[Rotation | None] = []
    for k in range(count - 1):
        down, right, roll_deg = np.degrees(
            SpatialRotation.from_matrix(axes[k + 1] @ axes[k].T).as_rotvec()
        )
        roll_deg -= np.radians(-right) * value["turned"]
        # Yaw, mounting and the roll they make are all seen through the same focal length.
        roll_deg += np.radians(-right) * (longer * mount_seen_deg - mounted_deg)
        by_bent = -0.05 * -right
        roll_deg -= by_bent * value["bent"]
        steps.append(
            Rotation(
                float(longer * -down - by_down * lower_px[k] + rng.normal(0, 0.09)),
                float(longer * -right),
                float(roll_deg + rng.normal(0, 0.18)),
                0.03,
                0.1,
                by_down,
                roll_per_bent=float(by_bent),
            )
        )
    bent, focal = value["bent"], FOCAL_PX * longer
    shown = np.radians(pitch + value["plumb"] + value["shutter"] * speed)
    shown_roll = np.radians(roll + value["skew"] * yaw_rate)
    edges = []
    for k in range(count):
        x, y = rng.uniform(-75, 75, 12), rng.uniform(-40, 20, 12)
        tilt = x / focal * shown[k] / (1.0 + y / focal * shown[k]) + shown_roll[k]
        tilt += -2e-5 * x * y * bent + rng.normal(0, 0.02, 12)
        edges.append(Edges(x, y, tilt, np.full(12, 0.02)))
    mounting = Mounting(0.0, float(focal * np.tan(np.radians(mounted_deg))), 0.9, FOCAL_PX)
    standing = Standing(edges, mounting, FOCAL_SD)
    found = road_pitch(0.5 * np.arange(count), driven_m, steps, 60.0, standing)
    return Drawn(road, truth, found)


@pytest.fixture(scope="module")
def drives() -> list[Drawn]:
    return [drawn(seed) for seed in range(24)]


@pytest.mark.parametrize(
    ("name", "least"),
    {
        "down_px": 0.8, "squat": 0.8, "roll": 0.8, "body_roll": 0.8, "shutter": 0.5,
        "skew": 0.85, "turned": 0.35, "bent": 0.8, "focal": 0.5,
    }.items(),
)  # fmt: skip
def test_what_lasts_is_told_apart(drives: list[Drawn], name: str, least: float) -> None:
    k = LASTING.index(name)
    both = np.array([[each.lasting[k], each.found.lasting[k]] for each in drives])
    assert np.corrcoef(both.T)[0, 1] > least
    assert np.polyfit(*both.T, 1)[0] > 0.0


def test_the_estimate_knows_how_uncertain_it_is(drives: list[Drawn]) -> None:
    off = np.array([each.found.pitch_deg - each.road_deg for each in drives])
    told = np.array([each.found.pitch_sd_deg for each in drives])
    # What lasts was drawn twice as wide as is expected.
    assert 0.9 < np.sqrt(np.mean((off / told) ** 2)) < 1.25
    assert np.sqrt(np.mean(off**2)) < 0.8


@pytest.mark.parametrize("mounted_deg", [-8.0, 8.0])
@pytest.mark.parametrize("longer", [0.7, 1.4])
def test_a_focal_length_nobody_told_is_told_by_uprights(mounted_deg: float, longer: float) -> None:
    count, focal = 120, FOCAL_PX * longer
    rng = np.random.default_rng(3)
    edges = []
    for _ in range(count):
        x, y = rng.uniform(-75, 75, 12), rng.uniform(-40, 20, 12)
        shown = np.radians(mounted_deg + 0.4)
        tilt = x / focal * shown / (1.0 + y / focal * shown) + rng.normal(0, 0.02, 12)
        edges.append(Edges(x, y, tilt, np.full(12, 0.02)))
    mounting = Mounting(0.0, float(focal * np.tan(np.radians(mounted_deg))), 0.9, FOCAL_PX)
    steps = [rotated(0.0, 0.0, 0.0)] * (count - 1)
    driven_m = APART_M * np.arange(count)
    standing = Standing(edges, mounting, 0.25)
    found = road_pitch(0.5 * np.arange(count), driven_m, steps, 60.0, standing)
    assert found.focal_ratio == pytest.approx(longer, rel=0.14)
    assert np.abs(found.pitch_deg).max() < 1.0


def test_nothing_upright_on_a_long_drive_leaves_the_lens_as_expected() -> None:
    rng = np.random.default_rng(5)
    steps = [
        Rotation(
            pitch, yaw, roll, 0.03, 0.1, -0.07, roll_per_bent=0.03 * yaw + rng.normal(0.0, 0.002)
        )
        for pitch, yaw, roll in rng.normal(0.0, [0.4, 0.5, 0.4], (2999, 3))
    ]  # fmt: skip
    driven_m = APART_M * np.arange(3000)
    found = road_pitch(0.5 * np.arange(3000), driven_m, steps, 40.0, no_edges(3000))
    bent = LASTING.index("bent")
    sd = float(np.sqrt(found.lasting_covariance[bent, bent]))
    assert abs(lasting(found, "bent") - roadpitch.EXPECTED[bent]) < 2.0 * sd
    assert 0.97 < found.focal_ratio < 1.06


def test_standing_fades_no_slope() -> None:
    road = np.concatenate([np.zeros(60), np.full(30, 3.0)])
    apart_m = np.full(89, APART_M)
    apart_m[55:83] = np.abs(np.linspace(-APART_M, APART_M, 28))
    driven_m = np.concatenate([[0.0], np.cumsum(apart_m)])
    steps = [rotated(p, 0.0, 0.0) for p in np.diff(road)]
    t_s = 0.5 * np.arange(90)
    moving = road_pitch(t_s, driven_m, steps, 60.0, no_edges(90))
    # The same drive with ten minutes at a light on the hill.
    wait = 1200
    still = [STILL] * wait
    waited = road_pitch(
        0.5 * np.arange(90 + wait),
        np.concatenate([driven_m[:70], np.full(wait, driven_m[69]), driven_m[70:]]),
        [*steps[:69], *still, *steps[69:]],
        60.0,
        no_edges(90 + wait),
    )
    assert waited.place_m.size == moving.place_m.size
    assert waited.pitch_deg == pytest.approx(moving.pitch_deg, abs=0.4)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_drive_of_hardly_a_picture_is_level(count: int) -> None:
    steps = [None] * (count - 1)
    found = road_pitch(0.5 * np.arange(count), 6.0 * np.arange(count), steps, 60.0, no_edges(count))
    assert found.grade_percent(np.zeros(1))[0] == pytest.approx(0.0, abs=1e-3)
