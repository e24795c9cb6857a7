"""Rendered roads: the same road every time, a set that goes on where it stopped."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.spatial import cKDTree

from offline import preprocessing
from offline.cli import group
from offline.corners import focal_px
from offline.errors import InputError
from offline.training import looks, roadframes, roadset, scenery, sources, springs, synth
from offline.training.lens import draw_lens
from offline.training.meshes import Material
from offline.training.roadset import RoadSet
from onboard.stills import BETWEEN

HEADS = {
    "slope": ("level", "uphill", "downhill"),
    "course": ("straight", "curve", "left_turn", "right_turn"),
}


ROLLING = """
from dataclasses import replace
import cv2
import numpy as np
from offline.training import looks, scenery, synth
from offline.training.drives import Movement
from offline.training.renderer import Renderer
from offline.training.roadset import RoadSet

road = synth.drawn(RoadSet(5), 3)
network, drive, rng = road.network, road.drive, road.place
look = looks.draw_look(rng, network)
mesh, _ = scenery.build(rng, network, drive.path)
ahead = -drive.rotation[70, 2]


def picture(renderer, moved_m, turned_rad):
    movement = Movement.none(drive.s_m.size)
    movement.moved_m[:] = moved_m * ahead
    movement.turned_rad[:, 2] = turned_rad
    light = renderer.draw(replace(drive, movement=movement), 70, [])
    return (255.0 * np.nan_to_num(light).clip(0, 1).mean(axis=2) ** 0.5).astype(np.uint8)


with Renderer() as renderer:
    renderer.load(network, look, mesh, [])
    cases = ((0.0, 0.0), (0.0, 0.06), (0.6, 0.0))
    still, turning, driving = (picture(renderer, *case) for case in cases)
corners = cv2.goodFeaturesToTrack(still, 400, 0.01, 4)
x, y = corners[:, 0].T - np.array([[160], [90]])
for later, aside in ((turning, 0), (driving, 40)):
    found, status, _ = cv2.calcOpticalFlowPyrLK(still, later, corners, None, winSize=(9, 9))
    dx = (found - corners)[:, 0, 0]
    seen = (status[:, 0] > 0) & (np.abs(x) >= aside)
    for rows in (y < -30, y > 30):
        print(np.median((dx if aside == 0 else dx / x)[seen & rows]))
"""


ROAD_3 = ("--seed", "5", "--first", "3", "--roads", "1")


def _render(folder: Path, *options: str) -> Path:
    # In a process of its own: Mesa's LLVM and TensorFlow's do not live in one.
    arguments = options or (*ROAD_3, "--no-between")
    command = [sys.executable, "-m", "offline.cli", "synth", "--out", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _render(tmp_path_factory.mktemp("set"))


def test_a_road_renders_alike_twice_and_shows_something(rendered: Path, tmp_path: Path) -> None:
    frames = roadframes.read_road(roadframes.road_file(rendered, 3))
    again = roadframes.read_road(roadframes.road_file(_render(tmp_path / "again"), 3))
    assert np.array_equal(frames.planes, again.planes)
    assert frames.course == again.course
    n = frames.planes.shape[0]
    assert n > 10
    assert frames.planes.shape == (n, preprocessing.PLANE_HEIGHT, preprocessing.PLANE_WIDTH)
    # Every frame shows a picture, and the camera moves.
    assert frames.planes.reshape(n, -1).std(axis=1).min() > 2
    moving = frames.speed_mps[1:] > 1.0
    changes = np.abs(np.diff(frames.planes.astype(int), axis=0)).mean(axis=(1, 2))
    assert changes[moving].min() > 0.3


def test_a_set_goes_on_with_what_is_missing(rendered: Path) -> None:
    assert list(synth.render_set(rendered, RoadSet(5), range(3, 4), between=False)) == []
    with pytest.raises(InputError, match="another seed"):
        list(synth.render_set(rendered, RoadSet(6), range(3, 4)))


def test_a_set_is_read_as_stacks_with_labels(rendered: Path) -> None:
    (frames,) = sources.read_synth(rendered, HEADS, "train")
    road = roadframes.read_road(roadframes.road_file(rendered, 3))
    assert len(frames) == road.planes.shape[0]
    stack = frames.pictures(np.array([5]))[0]
    assert np.array_equal(stack, np.moveaxis(road.levelled[road.stack_indices[5]], 0, -1))
    assert np.all(np.diff(road.stack_indices[5]) > 0)
    alone = frames.pictures(np.array([5]), single_frame=True)[0]
    assert np.array_equal(alone[..., 0], road.levelled[5])
    assert sources.read_synth(rendered, HEADS, "test") == []


def test_frames_before_an_end_are_seen_without_what_follows(rendered: Path) -> None:
    road = roadframes.read_road(roadframes.road_file(rendered, 3))
    assert 1 <= np.unique(road.ends.last).size <= synth.ENDS
    assert (road.ends.frame <= road.ends.last).all()
    s_m = roadframes.driven_m(road.speed_mps)
    away_m = s_m[road.ends.last] - s_m[road.ends.frame]
    assert away_m.max() < 25.0
    stacks = road.ended_stack_indices
    assert (stacks <= road.ends.last[:, None]).all()
    # The last frame recorded is seen as a lone picture.
    assert np.ptp(stacks[road.ends.frame == road.ends.last], axis=1).max() == 0
    (only,) = sources.read_synth(rendered, HEADS, "train", ended="only")
    (also,) = sources.read_synth(rendered, HEADS, "train", ended="also")
    assert len(only) == road.ends.frame.size
    assert len(also) == sources.ENDED_DRAWN * len(only) + road.planes.shape[0]
    assert np.array_equal(only.stacks, stacks)
    assert np.array_equal(only.codes, road.ends.codes)
    assert only.names[0].endswith(", ends")
    # Only frames that are held once lie along a drive.
    assert only.driven_m is None
    assert also.driven_m is None
    (frames,) = sources.read_synth(rendered, HEADS, "train")
    assert frames.driven_m is not None
    assert np.array_equal(frames.driven_m, roadframes.driven_m(road.speed_mps))
    # The label is the road's, whatever was recorded of it.
    whole = also.targets["course"][: road.planes.shape[0]]
    assert np.array_equal(only.targets["course"], whole[road.ends.frame])


def test_rows_are_read_out_one_after_another() -> None:
    # In a process of its own, as above.
    done = subprocess.run(
        [sys.executable, "-c", ROLLING], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    turned_above, turned_below, spread_above, spread_below = map(float, done.stdout.split())
    # A camera that turns to the left sees things move to the right; upper rows were seen before.
    assert turned_above < -1.5
    assert turned_below > 1.5
    # Of one that drives on, lower rows are seen from nearer.
    assert spread_above < -0.002
    assert spread_below > 0.002


def test_labels_are_of_the_way_the_camera_goes(rendered: Path) -> None:
    frames = roadframes.read_road(roadframes.road_file(rendered, 3))
    drive = synth.drawn(RoadSet(5), 3).drive
    # Whichever way the camera heads from a place to that 25 m on.
    far_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(drive.eye[:, :2], axis=0),
                                                            axis=1))])  # fmt: skip
    yaw = np.unwrap(np.arctan2(-drive.rotation[:, 2, 1], -drive.rotation[:, 2, 0]))
    inside = far_m + 25.0 < far_m[-1]
    # The vehicle heads where the road led at its rear axle, and trembles.
    turned = np.degrees(np.interp(far_m + 25.0, far_m, yaw) - yaw)[inside]
    assert np.corrcoef(turned, frames.heading_change_deg[inside])[0, 1] > 0.97
    assert np.median(np.abs(turned - frames.heading_change_deg[inside])) < 3.0


def test_nothing_is_parked_in_the_way() -> None:
    parked = 0
    for road in range(30):
        drawn = synth.drawn(RoadSet(7), road)
        if drawn.network.setting not in ("street", "suburb"):
            continue
        looks.draw_look(drawn.place, drawn.network)
        mesh, _ = scenery.build(drawn.place, drawn.network, drawn.drive.path)
        vertices = mesh.vertices()
        if Material.CAR not in vertices:
            continue
        parked += 1
        path = drawn.drive.path
        way = cKDTree(np.column_stack([path.x, path.y]))
        apart, _ = way.query(vertices[Material.CAR][:, :2])
        assert apart.min() > 1.0
    assert parked > 5


def test_a_set_of_another_version_is_refused(rendered: Path, tmp_path: Path) -> None:
    (tmp_path / "roads").mkdir()
    written = (rendered / "set.json").read_text().replace(roadset.VERSION, "synthetic-roads-1")
    (tmp_path / "set.json").write_text(written)
    with pytest.raises(InputError, match=r"another version.*render them again"):
        roadset.road_files(tmp_path)
    for unclear in ("{}", '{"seed": 1, "stretches": 0}'):
        described = {"version": roadset.VERSION, **json.loads(unclear)}
        (tmp_path / "set.json").write_text(json.dumps(described))
        with pytest.raises(InputError, match="does not say which roads"):
            roadset.road_files(tmp_path)
    (tmp_path / "set.json").write_text("[1]")
    with pytest.raises(InputError, match="another version"):
        roadset.road_files(tmp_path)


@pytest.mark.parametrize("stretches", [1, 8])
def test_splits_are_by_drive(stretches: int) -> None:
    roads = RoadSet(5, stretches)
    splits = [roads.split_of(road) for road in range(100 * stretches)]
    assert splits.count("test") == splits.count("validation") == 10 * stretches
    for drive in range(100):
        assert len({splits[road] for road in roads.roads_of(drive)}) == 1


def test_a_drive_of_several_stretches_is_one_vehicle_on_one_day() -> None:
    roads = RoadSet(7, 4)
    first, second, other = (synth.drawn(roads, road) for road in (8, 9, 12))
    assert first.drive.mounting == second.drive.mounting != other.drive.mounting
    assert first.network.left_hand_traffic == second.network.left_hand_traffic
    assert not np.array_equal(first.network.line.x, second.network.line.x)
    light = [looks.draw_look(each.place, each.network, each.day) for each in (first, second)]
    assert light[0].sun_direction == light[1].sun_direction
    assert light[0].uniforms["u_sun_color"] == light[1].uniforms["u_sun_color"]
    assert light[0].uniforms["u_asphalt"] != light[1].uniforms["u_asphalt"]
    lens = [draw_lens(each.vehicle, 60.0) for each in (first, second)]
    assert np.array_equal(lens[0].passed, lens[1].passed)
    assert lens[0].noise == lens[1].noise
    told = [synth.told_fov_deg(each.vehicle, 60.0) for each in (first, second)]
    assert told[0] == told[1]


def test_some_drives_climb_as_a_whole() -> None:
    roads = RoadSet(7, 4)
    climbs = np.array([
        np.mean([synth.drawn(roads, road).network.line.grade.mean() for road in roads.roads_of(d)])
        for d in range(24)
    ])  # fmt: skip
    assert np.abs(climbs).max() > 0.02
    assert np.median(np.abs(climbs)) < 0.01


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drives")
    return _render(folder, "--seed", "5", "--stretches", "2", "--first", "2", "--roads", "2")


def test_stretches_are_measured_as_one_drive(drive: Path) -> None:
    files = [roadframes.road_file(drive, road) for road in (2, 3)]
    first, second = stretches = [roadframes.read_road(file) for file in files]
    assert (first.began_s, first.began_m) == (0.0, 0.0)
    unseen_s = second.began_s - first.t_s[-1]
    assert synth.UNSEEN_S[0] <= unseen_s <= synth.UNSEEN_S[1]
    unseen_m = second.began_m - roadframes.driven_m(first.speed_mps)[-1]
    assert synth.UNSEEN_MPS[0] <= unseen_m / unseen_s <= synth.UNSEEN_MPS[1]
    assert first.mounting == second.mounting
    between = [roadframes.read_between(roadframes.beside_road(file)) for file in files]
    again = synth.measured(stretches, between)
    alone = synth.measured([second], between[1:])[0]
    for held, now in zip(stretches, again, strict=True):
        assert np.array_equal(held.codes, now.codes)
        assert np.array_equal(held.ends.codes, now.ends.codes)
    # What the first stretch showed of the camera counts in the second.
    assert not np.array_equal(second.codes, alone.codes)
    assert not np.array_equal(second.ends.codes, alone.ends.codes)
    assert np.array_equal(second.ends.frame, alone.ends.frame)
    # Pictures between help, those of a drive's every stretch.
    direct = synth.measured(stretches)
    for held, now in zip(stretches, direct, strict=True):
        assert held.densely
        assert not now.densely
        assert not np.array_equal(held.codes, now.codes)
        assert not np.array_equal(held.ends.codes, now.ends.codes)


def test_pictures_between_lie_between(rendered: Path, tmp_path: Path) -> None:
    shutil.copytree(rendered, tmp_path, dirs_exist_ok=True)
    alone = roadframes.read_road(roadframes.road_file(tmp_path, 3))
    assert not alone.densely
    assert not RoadSet(5).has_between(tmp_path, 3)
    # A set that has none gets them; its own pictures stay.
    _render(tmp_path, *ROAD_3)
    assert RoadSet(5).has_between(tmp_path, 3)
    road = roadframes.read_road(roadframes.road_file(tmp_path, 3))
    assert road.densely
    assert np.array_equal(road.planes, alone.planes)
    between = roadframes.read_between(roadframes.between_file(tmp_path, 3))
    assert between.shape == (len(road.planes) - 1, len(BETWEEN), *road.planes.shape[1:])
    before, after = (each.astype(float) for each in (road.planes[:-1], road.planes[1:]))
    moving = np.minimum(road.speed_mps[:-1], road.speed_mps[1:]) > 2.0
    for k, share in enumerate(BETWEEN):
        now = between[:, k].astype(float)
        expected = before.mean(axis=(1, 2)) * (1 - share) + after.mean(axis=(1, 2)) * share
        # But for what noise and windscreen make of it.
        off = np.abs(now.mean(axis=(1, 2)) - expected)
        assert np.median(off) < 4.0
        assert off.max() < 12.0
        # Of two frames it is more like the nearer one, as long as the vehicle moves.
        off = [np.abs(now - each).mean(axis=(1, 2)) for each in (before, after)]
        nearer, farther = off if share < 0.5 else off[::-1]
        assert np.mean(nearer[moving] < farther[moving]) > 0.9
    assert list(synth.render_set(tmp_path, RoadSet(5), range(3, 4))) == []
    # One that was not measured yet is measured, and not rendered again.
    roadframes.write_road(roadframes.road_file(tmp_path, 3), alone)
    assert synth.stale_drives(tmp_path) == [[roadframes.road_file(tmp_path, 3)]]
    _render(tmp_path, "--measure")
    assert np.array_equal(roadframes.read_road(roadframes.road_file(tmp_path, 3)).codes, road.codes)
    (held,) = sources.read_synth(tmp_path, HEADS, "train")
    assert np.array_equal(held.codes, road.codes)


def test_a_vehicle_bounces_between_pictures_as_at_them() -> None:
    rng = np.random.default_rng(8)
    t_s = 0.5 * np.arange(600)
    known = rng.normal(0.0, 2.0, t_s.size)
    then_s = np.sort(np.concatenate([t_s[:-1] + 0.5 * share for share in BETWEEN]))
    drawn = springs.drawn(rng, t_s, known, then_s)
    assert drawn.std() == pytest.approx(2.0, rel=0.1)
    # A sixth of a second is a quarter of a swing; a hundredth of one is next to the same place.
    near = springs.drawn(rng, t_s, known, t_s[:-1] + 0.005)
    assert np.corrcoef(near, known[:-1])[0, 1] == pytest.approx(1 - springs.SHAKING_SHARE, abs=0.05)
    half = springs.drawn(rng, t_s, known, t_s[:-1] + 1 / 3)
    assert np.corrcoef(half, known[:-1])[0, 1] < -0.15


def test_roads_measured_before_are_measured_again(drive: Path, tmp_path: Path) -> None:
    shutil.copytree(drive, tmp_path, dirs_exist_ok=True)
    file = roadframes.road_file(tmp_path, 3)
    with np.load(file) as held:
        stale = dict(held)
    np.savez(file, **{**stale, "measured": "of old", "codes": np.zeros_like(stale["codes"])})
    with pytest.raises(InputError, match=r"measured by another version.*--measure --out") as told:
        roadframes.read_road(file)
    assert "render it again" not in str(told.value)
    # A drive whose rendering was cut short is left to it.
    shutil.copy(file, roadframes.road_file(tmp_path, 4))
    arguments = ["synth", "--measure", "--out", str(tmp_path)]
    assert CliRunner().invoke(group, [*arguments, "--seed", "5"]).exit_code == 2
    done = CliRunner().invoke(group, arguments)
    assert done.exit_code == 0
    assert "2 roads measured" in done.output
    assert np.array_equal(roadframes.read_road(file).codes, stale["codes"])
    assert synth.stale_drives(tmp_path) == []
    assert sorted(path.name for path in file.parent.iterdir()) == [
        f"road_0000{road}.npz" for road in (2, 3, 4)
    ]


def test_drives_are_rendered_whole_and_not_mixed(drive: Path) -> None:
    with pytest.raises(InputError, match="multiples of 2"):
        list(synth.render_set(drive, RoadSet(5, 2), range(3, 5)))
    with pytest.raises(InputError, match=r"another length.*--stretches 2"):
        list(synth.render_set(drive, RoadSet(5), range(2, 4)))


def test_a_damaged_road_is_named(rendered: Path, tmp_path: Path) -> None:
    file = tmp_path / "road_00001.npz"
    file.write_bytes(roadframes.road_file(rendered, 3).read_bytes()[:2000])
    for read in (roadframes.read_road, roadframes.measured_now):
        with pytest.raises(InputError, match=r"road_00001\.npz.*delete it and render it again"):
            read(file)
    whole = bytearray(roadframes.road_file(rendered, 3).read_bytes())
    whole[len(whole) // 2] ^= 1
    file.write_bytes(whole)
    with pytest.raises(InputError, match=r"road_00001\.npz.*delete it and render it again"):
        roadframes.read_road(file)


def test_the_horizon_stands_where_the_camera_pitch_puts_it(rendered: Path) -> None:
    road = roadframes.read_road(roadframes.road_file(rendered, 3))
    # A camera that looks up sees the horizon below the middle; half the picture's height is
    # 48 of 80 half widths.
    half_width = np.tan(np.radians(road.horizontal_fov_deg / 2))
    expected = np.tan(np.radians(road.camera_pitch_deg)) / half_width * 80 / 48
    assert road.mounting is not None
    # Levelled, and as a camera of the standard field of view sees it.
    zoom = focal_px() / road.mounting.focal_px
    assert np.allclose(road.horizon, zoom * (expected - road.mounting.down_px / 48))
    assert np.abs(road.horizon).max() < 1.0
    # The picture is levelled by what its own pictures showed of the camera.
    frames = sources.read_synth(rendered, HEADS, None)[0]
    assert np.array_equal(frames.planes[0], road.mounting.levelled(road.planes[0]))
    assert np.array_equal(frames.codes, road.codes)
    assert road.codes[:, 0].all()
    assert set(frames.reals) == set(sources.AUXILIARY)
