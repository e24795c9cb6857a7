"""Corners followed from still to still through the pictures between."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from scipy.spatial.transform import Rotation as SpatialRotation

from offline import motion, preprocessing
from offline.corners import Tracked, focal_px, motion_field, track
from offline.following import Follower, Step
from offline.mounting import Mounting
from offline.rotation import TOGETHER, Rotation, rotation, rotations

from .lamps import picture

STRAIGHT = Mounting(0.0, 0.0, 0.5, focal_px())


def stepped(
    forward_m: list[float],
    pitch_deg: list[float],
    yaw_deg: list[float],
    driven_m: list[float] | None = None,
) -> Step | None:
    """From the first picture to the last through all between."""
    driven_m = driven_m or forward_m
    pictures = [
        picture(*each) for each in zip(forward_m, pitch_deg, yaw_deg, strict=True)
    ]  # fmt: skip
    follower = Follower(pictures[0], driven_m[0])
    for plane, at_m in zip(pictures[1:-1], driven_m[1:-1], strict=True):
        follower.follow(plane, at_m)
        follower.renew()
    return follower.finish(pictures[-1], driven_m[-1])


def test_far_apart_pictures_are_followed_where_they_alone_show_too_little() -> None:
    """At 120 km/h, and more: hardly a lamp is in both pictures."""
    places = [0.0, 10.0, 20.0, 30.0]
    direct = track(picture(places[0]), picture(places[-1]), places[-1])
    step = stepped(places, [0.0] * 4, [0.0] * 4)
    assert step is not None
    assert [part.driven_m for part in step.parts] == pytest.approx([10.0] * 3)
    shown = 0 if direct is None else len(direct.before)
    assert min(len(part.before) for part in step.parts) > 2 * shown


def test_new_corners_take_the_place_of_those_that_left() -> None:
    step = stepped([0.0, 6.0, 12.0, 18.0], [0.0] * 4, [0.0] * 4)
    assert step is not None
    assert step.whole is not None
    assert len(step.whole.before) < 0.7 * len(step.parts[-1].before)
    # Those followed all the way began where the first picture has corners, and end in the last.
    assert step.whole.driven_m == pytest.approx(18.0)
    away = np.linalg.norm(step.whole.after, axis=1) - np.linalg.norm(step.whole.before, axis=1)
    assert np.median(away) > 0.0


def test_parts_make_up_the_turn_of_the_whole() -> None:
    pitch, yaw = [0.0, 1.0, 0.5, 1.5], [0.0, 5.0, 9.0, 14.0]
    # Over so long a way no turn makes the camera slip aside: it turns on the spot.
    step = stepped([0.0, 1.5, 3.0, 4.5], pitch, yaw, [0.0, 1e6, 2e6, 3e6])
    assert step is not None
    assert len(step.parts) == 3
    for each in (step, Step(None, step.parts)):
        found = rotation(each, Mounting(0.0, 0.0, 0.5, focal_px()))
        assert found is not None
        assert found.followed
        assert found.yaw_deg == pytest.approx(14.0, abs=0.8)
        assert found.pitch_deg == pytest.approx(1.5, abs=0.3)


def test_turns_one_after_another_are_no_sum() -> None:
    """Up and then to the left is another turn than to the left and then up: it rolls as well."""
    up, left = np.radians(6.0), np.radians(8.0)
    rng = np.random.default_rng(3)
    before = rng.uniform((-60, -35), (60, 35), (80, 2))
    first = before + motion_field(before, focal_px()) @ np.array([up, 0.0, 0.0])
    second = before + motion_field(before, focal_px()) @ np.array([0.0, left, 0.0])
    far = 1e6
    parts = (Tracked(before, first, far), Tracked(before, second, far))
    found = rotation(Step(None, parts), STRAIGHT)
    assert found is not None
    # Axes are right, up and backward; a camera's own turns are those of the world the other way.
    true = SpatialRotation.from_rotvec([0.0, -left, 0.0]) * SpatialRotation.from_rotvec(
        [-up, 0.0, 0.0]
    )
    pitch, yaw, roll = true.as_rotvec(degrees=True)
    assert found.pitch_deg == pytest.approx(-pitch, abs=0.25)
    assert found.yaw_deg == pytest.approx(-yaw, abs=0.25)
    assert found.roll_deg == pytest.approx(roll, abs=0.1)
    assert abs(roll) > 0.3


def test_a_blank_picture_between_leaves_what_the_two_show() -> None:
    blank = np.zeros((96, 160), np.uint8)
    follower = Follower(picture(0.0), 0.0)
    follower.follow(blank, 2.0)
    follower.renew()
    step = follower.finish(picture(4.0), 4.0)
    direct = track(picture(0.0), picture(4.0), 4.0)
    assert step is not None
    assert direct is not None
    assert step.parts == ()
    assert step.whole is not None
    assert np.array_equal(step.whole.before, direct.before)
    follower = Follower(blank, 0.0)
    follower.follow(blank, 2.0)
    follower.renew()
    assert follower.finish(blank, 4.0) is None


def test_a_step_without_pictures_between_is_that_of_two() -> None:
    tracked = track(picture(0.0), picture(4.0, 1.0), 4.0)
    assert tracked is not None
    found = rotation(Step(tracked), STRAIGHT)
    assert found is not None
    assert not found.followed


def drive(*, between: bool, apart_m: float = 16.0) -> motion.Survey:
    """An hour's worth of motorway in a minute: 115 km/h, and a bend."""
    survey, yaw = motion.Survey(65.0), 0.0
    for k in range(60):
        turn = 1.5 if 30 <= k < 40 else 0.0
        survey.add(picture(apart_m * k % 300.0, -2.0, yaw), 0.5 * k, apart_m * k)
        for share in (1 / 3, 2 / 3) if between else ():
            forward = (apart_m * k) % 300.0 + share * apart_m
            plane = picture(forward, -2.0, yaw + share * turn)
            survey.add_between(plane, 0.5 * (k + share), apart_m * (k + share))
        yaw += turn
    return survey


def test_a_survey_follows_through_pictures_between() -> None:
    followed, direct = drive(between=True), drive(between=False)
    for survey in (followed, direct):
        assert survey.finish().codes.shape[0] == 60
    sure = [sum(t is not None and t.followed for t in s.turns) for s in (followed, direct)]
    assert sure[0] > 40
    assert sure[1] == 0


def test_pictures_denser_than_a_trips_are_between_of_themselves() -> None:
    """A recording of ten pictures a second needs nobody to say which lie between."""
    survey = motion.Survey(65.0)
    for k in range(200):
        survey.add(picture(0.8 * k, -2.0, 0.0), 0.1 * k, 0.8 * k)
    found = survey.finish()
    assert found.codes.shape[0] == 200
    assert found.mounting is not None
    assert sum(turn is not None and turn.followed for turn in survey.turns) >= 35
    assert (found.codes[:5] == found.codes[0]).all()


def test_turns_measured_together_are_those_measured_one_by_one() -> None:
    """Of steps with many corners and few, with parts and without, and of some that tell nothing."""
    steps = []
    for k in range(TOGETHER + 5):
        tracked = track(picture(0.0), picture(3.0 + k % 4, 0.3 * (k % 3), 1.0 - k % 5), 4.0)
        assert tracked is not None
        fewer = tracked.only(np.arange(len(tracked.before)) % (1 + k % 3) == 0)
        part = tracked.only(np.arange(len(tracked.before)) % 2 == 0)
        assert fewer is not None
        assert part is not None
        nowhere = Tracked(np.zeros((6, 2)), np.zeros((6, 2)), 1.0)
        whole = None if k % 7 == 3 else nowhere if k % 7 == 5 else fewer
        steps.append(Step(whole, (part, fewer) if k % 2 else ()))
    together = rotations(steps, STRAIGHT)
    assert [turn is None for turn in together] == [
        step.whole is None or not step.whole.before.any() if not step.parts else False
        for step in steps
    ]
    for turn, step in zip(together, steps, strict=True):
        alone = rotation(step, STRAIGHT)
        if turn is None or alone is None:
            assert turn is alone
            continue
        assert alone.followed == turn.followed
        assert astuple(turn)[:-1] == pytest.approx(astuple(alone)[:-1], abs=1e-9)


def test_a_recording_is_followed_in_every_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    t_s = np.arange(0.0, 14.0, 0.1)
    planes = np.stack([picture(8.0 * t, -2.0, 0.0) for t in t_s])
    parts: list[int] = []
    real = motion.rotations

    def counted(steps: list[Step], mounting: Mounting) -> list[Rotation | None]:
        parts.extend(len(step.parts) for step in steps)
        return real(steps, mounting)

    monkeypatch.setattr(motion, "rotations", counted)
    mounting, codes = motion.survey_recorded([motion.Drive(planes, t_s, 8.0 * t_s)], 65.0)
    assert mounting is not None
    assert codes[0].any(axis=1).all()
    assert parts
    assert set(parts) == {3}


def test_a_standing_or_a_lost_vehicle_follows_nothing() -> None:
    survey = motion.Survey(65.0)
    for k in range(20):
        survey.add(picture(4.0 * k), 0.5 * k, 4.0 * k)
    settled = motion.settle([survey], 65.0)
    assert settled is not None
    here_s, here_m = 9.5, 76.0

    def goes_on(between: list[tuple[float, float]], then: tuple[float, float]) -> bool:
        """Whether pictures so many seconds and metres on helped to follow to the last of them."""
        nonlocal here_s, here_m
        for after_s, after_m in between:
            survey.add_between(picture(here_m + after_m), here_s + after_s, here_m + after_m)
        here_s, here_m = here_s + then[0], here_m + then[1]
        survey.add(picture(here_m), here_s, here_m)
        turn = survey.turns[-1]
        return turn is not None and turn.followed

    assert goes_on([(0.17, 1.3), (0.33, 2.7)], (0.5, 4.0))
    # One that stands, one from before, and one long after: none belongs to the step.
    assert not goes_on([(0.17, 0.01)], (0.5, 4.0))
    assert not goes_on([(-0.17, 1.3)], (0.5, 4.0))
    assert not goes_on([(1.2, 3.0)], (1.0, 4.0))
    assert goes_on([(0.2, 1.6), (0.3, 2.4)], (0.5, 4.0))


@pytest.mark.parametrize("rate_hz", [10, 12, 15, 20, 25, 30])
def test_every_motion_still_of_any_camera_is_used(rate_hz: int) -> None:
    t_s = np.arange(0.0, 8.0, 1.0 / rate_hz)
    stills = np.unique(np.abs(t_s - np.arange(0.0, 7.6, 0.5)[:, None]).argmin(axis=1))
    following = preprocessing.between(t_s, stills, 1.1)
    assert following.size == 2 * (stills.size - 1)
    survey = motion.Survey(65.0)
    for row in np.sort(np.concatenate([stills, following])).tolist():
        take = survey.add if row in stills else survey.add_between
        take(picture(8.0 * t_s[row]), float(t_s[row]), 8.0 * float(t_s[row]))
    steps = [step for step in survey._steps if isinstance(step, Step)]
    assert [len(step.parts) for step in steps] == [3] * (stills.size - 1)
