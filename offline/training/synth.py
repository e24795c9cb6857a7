"""Synthetic roads: frames rendered twice a second along drives, labelled from geometry."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from offline import motion, motioncodes, preprocessing
from offline.errors import InputError
from offline.roadscene import HEADING_WINDOW_M
from offline.training import lens as lenses
from offline.training import looks, scenery
from offline.training.drives import Drive, draw_drive
from offline.training.paths import geometry_ahead
from offline.training.renderer import Renderer
from offline.training.roadframes import (
    Ends,
    RoadFrames,
    beside_road,
    between_file,
    driven_m,
    measured_now,
    read_between,
    read_road,
    road_file,
    write_between,
    write_road,
)
from offline.training.roads import RoadNetwork, build_network
from offline.training.roadset import RoadSet, start_set, whole_drives
from offline.training.traffic import Traffic
from onboard.stills import BETWEEN

TOLD_SD: Final = 0.03
UNTOLD_SHARE: Final = 0.1
ENDS: Final = 4
"""Places a road at which its recording might have ended, half of them in turns if it has any."""
UNSEEN_S: Final = (20.0, 120.0)
UNSEEN_MPS: Final = (8.0, 20.0)
"""Time and speed between two stretches of a drive."""
PASS_SHARE: Final = 0.25
PASS_SD: Final = 0.02
"""Drives of several stretches that climb or descend as a whole: how many, and the spread of what
is added to every grade, rise over run."""


def told_fov_deg(rng: np.random.Generator, fov_deg: float) -> float | None:
    """Field of view as a fitter would tell it, from a data sheet; None where nobody did."""
    told = fov_deg * float(np.clip(rng.normal(1.0, TOLD_SD), 0.9, 1.1))
    return told if rng.random() >= UNTOLD_SHARE else None


@dataclass(frozen=True)
class Drawn:
    """A road and how it is driven, and what draws the rest.

    Attributes
    ----------
    place, vehicle, day : Generator
        Draw the surroundings and whatever happens; the lens; light and weather.
    unseen_s, unseen_m : float
        Before it, on a drive of several stretches.
    """

    network: RoadNetwork
    drive: Drive
    place: np.random.Generator
    vehicle: np.random.Generator
    day: np.random.Generator
    unseen_s: float = 0.0
    unseen_m: float = 0.0


def drawn(roads: RoadSet, road: int) -> Drawn:
    """Draw a road of a set and how it is driven."""
    if roads.stretches == 1:
        rng = np.random.default_rng([roads.seed, road])
        network = build_network(rng)
        return Drawn(network, draw_drive(rng, network), rng, rng, rng)
    # What stays the same over a drive is drawn anew, and alike, for each of its stretches.
    kind, drive_number = [roads.seed, roads.stretches], roads.drive_of(road)
    vehicle, day, route = (np.random.default_rng([*kind, drive_number, k]) for k in range(3))
    place = np.random.default_rng([*kind, road, 3])
    passing = route.random() < PASS_SHARE
    network = build_network(place, vehicle, passing * route.normal(0.0, PASS_SD))
    unseen_s = float(place.uniform(*UNSEEN_S))
    unseen_m = unseen_s * float(place.uniform(*UNSEEN_MPS))
    drive = draw_drive(place, network, vehicle)
    return Drawn(network, drive, place, vehicle, day, unseen_s, unseen_m)


class _View:
    """A road's scene as its drive's camera sees it; draws pictures of it."""

    def __init__(self, renderer: Renderer, road: Drawn) -> None:
        network, drive = road.network, road.drive
        look = looks.draw_look(road.place, network, road.day)
        mesh, _ = scenery.build(road.place, network, drive.path)
        self._traffic = Traffic(road.place, network, drive)
        renderer.load(network, look, mesh, self._traffic.vehicles)
        self._renderer = renderer
        self.fov_deg = math.degrees(drive.mounting.horizontal_fov_rad)
        self.lens = lenses.draw_lens(road.vehicle, self.fov_deg)
        self.told_fov_deg = told_fov_deg(road.vehicle, self.fov_deg)

    def light(self, drive: Drive, index: int) -> NDArray[np.float32]:
        moving = self._traffic.matrices(drive, index)
        return lenses.bend(self.lens, self._renderer.draw(drive, index, moving))


def render_road(
    renderer: Renderer, road: Drawn, stills: list[NDArray[np.uint8]] | None = None
) -> RoadFrames:
    """Build, drive and render one road; its motion is not measured yet.

    Parameters
    ----------
    stills : list, optional
        Receives the 320x180 stills, for people to look at.
    """
    drive, view = road.drive, _View(renderer, road)
    planes, gain = [], 0.0
    for index in range(drive.s_m.size):
        still, gain = lenses.expose(
            view.lens, road.place, view.light(drive, index), gain, float(drive.t_s[index])
        )
        planes.append(preprocessing.plane(still))
        if stills is not None:
            stills.append(still)
    ahead = geometry_ahead(drive.path, drive.s_m)
    return RoadFrames(
        began_s=0.0,
        began_m=0.0,
        planes=np.asarray(planes, np.uint8),
        t_s=drive.t_s,
        speed_mps=drive.speed_mps,
        grade_percent=ahead.grade_percent,
        heading_change_deg=ahead.heading_change_deg,
        curvature_per_m=ahead.curvature_per_m,
        camera_pitch_deg=np.degrees(np.arcsin(-drive.rotation[:, 2, 2])),
        horizontal_fov_deg=lenses.middle_fov_deg(view.lens, view.fov_deg),
        told_fov_deg=view.told_fov_deg,
        mounting=None,
        codes=np.zeros((len(planes), len(motioncodes.CODES)), np.uint8),
        ends=Ends.unmeasured(draw_ends(road.place, ahead.courses())),
        slope=ahead.slopes(),
        course=ahead.courses(),
        setting=road.network.setting,
    )


def render_between(renderer: Renderer, road: Drawn, planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Render the pictures between a road's frames, which only the survey sees.

    Parameters
    ----------
    road : Drawn
        Drawn anew: what draws noise here is not what drew that of the frames.
    planes : ndarray of uint8, shape (n, 96, 160)
        Of the frames; a picture between two is as bright as both on average.

    Returns
    -------
    ndarray of uint8, shape (n - 1, len(BETWEEN), 96, 160)
    """
    between = road.drive.between
    count = max(len(planes) - 1, 0)
    found = np.zeros((count, len(BETWEEN), *planes.shape[1:]), np.uint8)
    if between is None:
        return found
    view, noise = _View(renderer, road), road.place.spawn(1)[0]
    grey = planes[:, preprocessing.PADDING_ROWS : -preprocessing.PADDING_ROWS].mean(axis=(1, 2))
    greys = np.interp(between.t_s, road.drive.t_s, grey)
    for index, place in enumerate(np.ndindex(count, len(BETWEEN))):
        still = lenses.expose_like(
            view.lens, noise, view.light(between, index), greys[index], float(between.t_s[index])
        )
        found[place] = preprocessing.plane(still)
    return found


def draw_ends(rng: np.random.Generator, course: list[str]) -> NDArray[np.int64]:
    """Draw after which frames a recording might have ended."""
    turning = np.flatnonzero([name.endswith("_turn") for name in course])
    lasts = rng.integers(0, len(course), ENDS)
    if turning.size:
        lasts[: ENDS // 2] = rng.choice(turning, ENDS // 2)
    return np.unique(lasts)


def render_drive(
    renderer: Renderer, roads: RoadSet, drive: int, stills: list[NDArray[np.uint8]] | None = None
) -> list[RoadFrames]:
    """Render a drive's stretches one after another, and measure its motion by its frames alone.

    Parameters
    ----------
    stills : list, optional
        As for `render_road`.
    """
    stretches: list[RoadFrames] = []
    end_s = end_m = 0.0
    for number in roads.roads_of(drive):
        road = drawn(roads, number)
        frames = render_road(renderer, road, stills)
        if stretches:
            end_s, end_m = end_s + road.unseen_s, end_m + road.unseen_m
        stretches.append(replace(frames, began_s=end_s, began_m=end_m))
        end_s += float(frames.t_s[-1])
        end_m += float(driven_m(frames.speed_mps)[-1])
    return measured(stretches)


def surveyed(
    stretches: Sequence[RoadFrames], between: Sequence[NDArray[np.uint8]] | None = None
) -> motion.Survey:
    """Survey a drive as a trip is.

    Parameters
    ----------
    between : sequence of ndarray of uint8, shape (n - 1, len(BETWEEN), 96, 160), optional
        Pictures between each stretch's frames.
    """
    survey = motion.Survey(stretches[0].told_fov_deg)
    for number, frames in enumerate(stretches):
        t_s = frames.began_s + frames.t_s
        s_m = frames.began_m + driven_m(frames.speed_mps)
        for k, plane in enumerate(frames.planes):
            survey.add(plane, float(t_s[k]), float(s_m[k]))
            if between is None or k + 1 == len(t_s):
                continue
            for then, share in zip(between[number][k], BETWEEN, strict=True):
                at_s, at_m = (each[k] + share * (each[k + 1] - each[k]) for each in (t_s, s_m))
                survey.add_between(then, float(at_s), float(at_m))
    return survey


def measured(
    stretches: Sequence[RoadFrames], between: Sequence[NDArray[np.uint8]] | None = None
) -> list[RoadFrames]:
    """Measure a drive's motion as a trip's is, and as if it had ended at places.

    Parameters
    ----------
    between : sequence of ndarray of uint8, optional
        As for `surveyed`.
    """
    survey = surveyed(stretches, between)
    whole = survey.finish()
    found, first = [], 0
    for frames in stretches:
        s_m = driven_m(frames.speed_mps)
        frame, last, codes = [], [], []
        for each in np.unique(frames.ends.last).tolist():
            reach_m = s_m[each] - HEADING_WINDOW_M
            before = np.arange(np.searchsorted(s_m, reach_m, "right"), each + 1)
            frame.append(before)
            last.append(np.full(before.size, each))
            codes.append(survey.ended(first + each)[first + before])
        ends = Ends(np.concatenate(frame), np.concatenate(last), np.concatenate(codes))
        own = whole.codes[first : first + s_m.size]
        found.append(
            replace(
                frames, mounting=whole.mounting, codes=own, ends=ends, densely=between is not None
            )
        )
        first += s_m.size
    return found


def render_set(
    folder: Path, roads: RoadSet, wanted: range, *, between: bool = True, preview: bool = False
) -> Iterator[int]:
    """Render roads that are not there yet; yields each road's number when it is on disk.

    Parameters
    ----------
    wanted : range
        Whole drives.
    between : bool
        Also render the pictures between the frames, and measure motion with their help; those of
        roads that are there without are rendered as well.

    Raises
    ------
    InputError
        The folder holds other roads, or not all roads of a drive are wanted.
    """
    drives = _drives(roads, wanted)
    start_set(folder, roads)

    def lacks(drive: int) -> bool:
        if not roads.is_rendered(folder, drive):
            return True
        return between and not roads.has_between(folder, drive)

    missing = [drive for drive in drives if lacks(drive)]
    if not missing:
        return
    with Renderer() as renderer:
        for drive in missing:
            # Another process may have rendered it meanwhile.
            if not lacks(drive):
                continue
            if not roads.is_rendered(folder, drive):
                stills: list[NDArray[np.uint8]] | None = [] if preview else None
                rendered = render_drive(renderer, roads, drive, stills)
                shown = iter(stills or [])
                for road, frames in zip(roads.roads_of(drive), rendered, strict=True):
                    write_road(road_file(folder, road), frames)
                    # A road's stills are as many as its planes.
                    for index, still in enumerate(islice(shown, frames.t_s.size)):
                        picture = folder / "preview" / f"road_{road:05d}_{index:03d}.jpg"
                        picture.parent.mkdir(exist_ok=True)
                        cv2.imwrite(os.fspath(picture), still)
            if between:
                for road in roads.roads_of(drive):
                    target = between_file(folder, road)
                    if not target.exists():
                        frames = read_road(road_file(folder, road), measured_before=True)
                        planes = render_between(renderer, drawn(roads, road), frames.planes)
                        write_between(target, planes)
                measure_drive([road_file(folder, road) for road in roads.roads_of(drive)])
            yield from roads.roads_of(drive)


def stale_drives(folder: Path) -> list[list[Path]]:
    """Files of rendered drives that were not measured as they would be now, whole drives only.

    Raises
    ------
    InputError
        The folder is no synthetic set, or a road is damaged.
    """
    return [files for files in whole_drives(folder).values() if is_stale(files)]


def is_stale(files: Sequence[Path]) -> bool:
    """Whether a drive's roads were not measured as they would be now, with all its pictures."""
    densely = all(beside_road(file).exists() for file in files)
    return not all(measured_now(file, densely=densely) for file in files)


def measure_drive(files: Sequence[Path]) -> None:
    """Measure a rendered drive's motion again, and write it in its roads' place."""
    stretches = [read_road(file, measured_before=True) for file in files]
    beside = [beside_road(file) for file in files]
    between = [read_between(file) for file in beside] if all(f.exists() for f in beside) else None
    for file, frames in zip(files, measured(stretches, between), strict=True):
        write_road(file, frames)


def _drives(roads: RoadSet, wanted: range) -> range:
    if wanted.start % roads.stretches or wanted.stop % roads.stretches:
        raise InputError(
            f"a drive has {roads.stretches} stretches and is rendered as a whole: choose multiples "
            f"of {roads.stretches} for --first and --roads"
        )
    return range(wanted.start // roads.stretches, wanted.stop // roads.stretches)
