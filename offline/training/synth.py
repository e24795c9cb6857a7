"""Synthetic roads: frames rendered twice a second along drives, labelled from geometry.

A synthetic set is a folder with one `roads/road_NNNNN.npz` a road and `set.json`. Road number k
of seed S is always the same road, whatever else is rendered, so sets can be extended and an
interrupted rendering goes on where it stopped. A road belongs to one split only.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from offline import motion, preprocessing
from offline.corners import focal_px
from offline.errors import InputError
from offline.mounting import Mounting
from offline.roadscene import HEADING_WINDOW_M
from offline.training import lens as lenses
from offline.training import looks, scenery
from offline.training.drives import FRAME_INTERVAL_S, Drive, draw_drive
from offline.training.paths import geometry_ahead
from offline.training.renderer import Renderer
from offline.training.roads import RoadNetwork, build_network
from offline.training.traffic import Traffic

SET_FILE: Final = "set.json"
ROADS_FOLDER: Final = "roads"
VERSION: Final = "synthetic-roads-8"
SPLITS: Final = ("train", "train", "train", "train", "train", "train", "train", "train",
                 "validation", "test")  # fmt: skip
"""Road k is in split k % 10."""
TOLD_SD: Final = 0.03
UNTOLD_SHARE: Final = 0.1
ENDS: Final = 4
"""Places a road at which its recording might have ended, half of them in turns if it has any."""


@dataclass(frozen=True)
class Ends:
    """Frames as they would be if the recording ended soon after them.

    Recordings end, and cameras fail, in the middle of a turn as elsewhere; what the pictures do not
    show any more must be told from what they do.

    Attributes
    ----------
    frame : ndarray of int64, shape (m,)
        Which of the road's frames.
    last : ndarray of int64, shape (m,)
        The last frame recorded, within a stack's reach.
    codes : ndarray of uint8, shape (m, 12)
    """

    frame: NDArray[np.int64]
    last: NDArray[np.int64]
    codes: NDArray[np.uint8]


@dataclass(frozen=True)
class RoadFrames:
    """The frames of one road, in order of time.

    Attributes
    ----------
    planes : ndarray of uint8, shape (n, 96, 160)
    t_s, speed_mps, grade_percent, heading_change_deg, curvature_per_m : ndarray, shape (n,)
    camera_pitch_deg : ndarray, shape (n,)
        How far above the horizon the camera looks, the vehicle's own pitch included.
    horizontal_fov_deg : float
        In the picture's middle.
    told_fov_deg : float or None
        What the survey is told.
    mounting : Mounting or None
    codes : ndarray of uint8, shape (n, 12)
        Measured from the planes, as a trip's are (`offline.motion`).
    ends : Ends
    slope, course : list of str
        Labels from geometry.
    setting : str
    """

    planes: NDArray[np.uint8]
    t_s: NDArray[np.float64]
    speed_mps: NDArray[np.float64]
    grade_percent: NDArray[np.float64]
    heading_change_deg: NDArray[np.float64]
    curvature_per_m: NDArray[np.float64]
    camera_pitch_deg: NDArray[np.float64]
    horizontal_fov_deg: float
    told_fov_deg: float | None
    mounting: Mounting | None
    codes: NDArray[np.uint8]
    ends: Ends
    slope: list[str]
    course: list[str]
    setting: str

    @property
    def horizon(self) -> NDArray[np.float64]:
        """Row of the true horizon, in half heights below the middle of the levelled plane."""
        down_px = focal_px(self.horizontal_fov_deg) * np.tan(np.radians(self.camera_pitch_deg))
        if self.mounting is not None:
            zoom = focal_px() / self.mounting.focal_px
            down_px = zoom * (down_px - self.mounting.down_px)
        return down_px / (preprocessing.PLANE_HEIGHT / 2)

    @property
    def levelled(self) -> NDArray[np.uint8]:
        """Planes with the direction of travel in their middle, where it is known."""
        return self.planes if self.mounting is None else self.mounting.levelled(self.planes)

    @property
    def stack_indices(self) -> NDArray[np.int64]:
        return preprocessing.stack_indices(self.t_s, driven_m(self.speed_mps))

    @property
    def ended_stack_indices(self) -> NDArray[np.int64]:
        """Stacks of the frames of `ends`, shape (m, 5)."""
        s_m = driven_m(self.speed_mps)
        stacks = np.empty((self.ends.frame.size, len(preprocessing.STACK_DISTANCES_M)), np.int64)
        for last in np.unique(self.ends.last):
            rows = self.ends.last == last
            within = preprocessing.stack_indices(self.t_s[: last + 1], s_m[: last + 1])
            stacks[rows] = within[self.ends.frame[rows]]
        return stacks


def driven_m(speed_mps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Metres driven at each frame: a drive goes on from a frame with the speed it has there."""
    return np.cumsum(speed_mps * FRAME_INTERVAL_S) - speed_mps * FRAME_INTERVAL_S


def told_fov_deg(rng: np.random.Generator, fov_deg: float) -> float | None:
    """Field of view as a fitter would tell it, from a data sheet; None where nobody did."""
    told = fov_deg * float(np.clip(rng.normal(1.0, TOLD_SD), 0.9, 1.1))
    return told if rng.random() >= UNTOLD_SHARE else None


def split_of(road: int) -> str:
    """Split a road belongs to, by its number."""
    return SPLITS[road % len(SPLITS)]


def drawn(seed: int, road: int) -> tuple[RoadNetwork, Drive, np.random.Generator]:
    """A road and the drive along it, and the generator that draws how they look."""
    rng = np.random.default_rng([seed, road])
    network = build_network(rng)
    return network, draw_drive(rng, network), rng


def render_road(
    renderer: Renderer, seed: int, road: int, stills: list[NDArray[np.uint8]] | None = None
) -> RoadFrames:
    """Build, drive and render one road.

    Parameters
    ----------
    stills : list, optional
        Receives the 320x180 stills, for people to look at.
    """
    network, drive, rng = drawn(seed, road)
    look = looks.draw_look(rng, network)
    mesh, _ = scenery.build(rng, network, drive.path)
    traffic = Traffic(rng, network, drive)
    renderer.load(network, look, mesh, traffic.vehicles)
    sheet_deg = math.degrees(drive.mounting.horizontal_fov_rad)
    lens = lenses.draw_lens(rng, sheet_deg)
    told_deg = told_fov_deg(rng, sheet_deg)
    planes, gain = [], 0.0
    for index in range(drive.s_m.size):
        light = lenses.bend(lens, renderer.draw(drive, index, traffic.matrices(index)))
        still, gain = lenses.expose(lens, rng, light, gain, float(drive.t_s[index]))
        planes.append(preprocessing.plane(still))
        if stills is not None:
            stills.append(still)
    ahead = geometry_ahead(drive.path, drive.s_m)
    shown = np.asarray(planes, np.uint8)
    lasts = draw_ends(rng, ahead.courses())
    mounting, codes, ends = survey(shown, drive.t_s, driven_m(drive.speed_mps), told_deg, lasts)
    return RoadFrames(
        planes=shown,
        t_s=drive.t_s,
        speed_mps=drive.speed_mps,
        grade_percent=ahead.grade_percent,
        heading_change_deg=ahead.heading_change_deg,
        curvature_per_m=ahead.curvature_per_m,
        camera_pitch_deg=np.degrees(np.arcsin(-drive.rotation[:, 2, 2])),
        horizontal_fov_deg=lenses.middle_fov_deg(lens, sheet_deg),
        told_fov_deg=told_deg,
        mounting=mounting,
        codes=codes,
        ends=ends,
        slope=ahead.slopes(),
        course=ahead.courses(),
        setting=network.setting,
    )


def draw_ends(rng: np.random.Generator, course: list[str]) -> NDArray[np.int64]:
    """Draw after which frames a recording might have ended."""
    turning = np.flatnonzero([name.endswith("_turn") for name in course])
    lasts = rng.integers(0, len(course), ENDS)
    if turning.size:
        lasts[: ENDS // 2] = rng.choice(turning, ENDS // 2)
    return np.unique(lasts)


def survey(
    planes: NDArray[np.uint8],
    t_s: NDArray[np.float64],
    s_m: NDArray[np.float64],
    fov_deg: float | None,
    lasts: NDArray[np.int64],
) -> tuple[Mounting | None, NDArray[np.uint8], Ends]:
    """Measure a drive's motion as a trip's is, and as if it had ended at places."""
    surveyed = motion.Survey(fov_deg)
    for plane, at_s, at_m in zip(planes, t_s.tolist(), s_m.tolist(), strict=True):
        surveyed.add(plane, at_s, at_m)
    whole = surveyed.finish()
    frame, last, codes = [], [], []
    for each in lasts.tolist():
        before = np.arange(np.searchsorted(s_m, s_m[each] - HEADING_WINDOW_M, "right"), each + 1)
        frame.append(before)
        last.append(np.full(before.size, each))
        codes.append(surveyed.ended(each)[before])
    return (
        whole.mounting,
        whole.codes,
        Ends(np.concatenate(frame), np.concatenate(last), np.concatenate(codes)),
    )


def road_file(folder: Path, road: int) -> Path:
    return folder / ROADS_FOLDER / f"road_{road:05d}.npz"


def write_road(folder: Path, road: int, frames: RoadFrames) -> None:
    """Write a road's frames in one step."""
    target = road_file(folder, road)
    target.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(
        buffer,
        planes=frames.planes,
        t_s=frames.t_s,
        speed_mps=frames.speed_mps,
        grade_percent=frames.grade_percent,
        heading_change_deg=frames.heading_change_deg,
        curvature_per_m=frames.curvature_per_m,
        camera_pitch_deg=frames.camera_pitch_deg,
        horizontal_fov_deg=np.asarray(frames.horizontal_fov_deg),
        told_fov_deg=np.array([] if frames.told_fov_deg is None else [frames.told_fov_deg]),
        mounting=np.array(astuple(frames.mounting) if frames.mounting is not None else ()),
        codes=frames.codes,
        ends_frame=frames.ends.frame,
        ends_last=frames.ends.last,
        ends_codes=frames.ends.codes,
        slope=np.asarray(frames.slope),
        course=np.asarray(frames.course),
        setting=np.asarray(frames.setting),
    )
    partial = target.with_suffix(".partial")
    partial.write_bytes(buffer.getvalue())
    partial.replace(target)


def read_road(file: Path) -> RoadFrames:
    """Read a road's frames back.

    Raises
    ------
    InputError
        The file is damaged or was written by another version.
    """
    try:
        # NumPy leaves the file open when it is no whole archive.
        if not zipfile.is_zipfile(file):
            raise ValueError("incomplete archive")
        with np.load(file) as held:
            return RoadFrames(
                planes=held["planes"],
                t_s=held["t_s"],
                speed_mps=held["speed_mps"],
                grade_percent=held["grade_percent"],
                heading_change_deg=held["heading_change_deg"],
                curvature_per_m=held["curvature_per_m"],
                camera_pitch_deg=held["camera_pitch_deg"],
                horizontal_fov_deg=float(held["horizontal_fov_deg"]),
                told_fov_deg=float(held["told_fov_deg"][0]) if held["told_fov_deg"].size else None,
                mounting=Mounting(*known) if (known := held["mounting"].tolist()) else None,
                codes=held["codes"],
                ends=Ends(held["ends_frame"], held["ends_last"], held["ends_codes"]),
                slope=[str(v) for v in held["slope"]],
                course=[str(v) for v in held["course"]],
                setting=str(held["setting"]),
            )
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(
            f"{file}: no road of a synthetic set ({error}); render it again"
        ) from error


def render_set(folder: Path, seed: int, roads: range, preview: bool = False) -> Iterator[int]:
    """Render roads that are not there yet; yields each road's number when it is on disk.

    Raises
    ------
    InputError
        The folder holds a set of another seed.
    """
    start_set(folder, seed)
    missing = [road for road in roads if not road_file(folder, road).exists()]
    if not missing:
        return
    with Renderer() as renderer:
        for road in missing:
            stills: list[NDArray[np.uint8]] | None = [] if preview else None
            write_road(folder, road, render_road(renderer, seed, road, stills))
            if stills:
                for index, still in enumerate(stills):
                    picture = folder / "preview" / f"road_{road:05d}_{index:03d}.jpg"
                    picture.parent.mkdir(exist_ok=True)
                    cv2.imwrite(os.fspath(picture), still)
            yield road


def start_set(folder: Path, seed: int) -> None:
    """Create a set's folder, or check that it is of this seed."""
    folder.mkdir(parents=True, exist_ok=True)
    description = {"version": VERSION, "seed": seed, "frame_interval_s": FRAME_INTERVAL_S}
    file = folder / SET_FILE
    if file.exists():
        if read_set(folder) != description:
            raise InputError(
                f"{folder} holds a synthetic set of another seed: choose another folder"
            )
        return
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(description) + "\n", encoding="utf-8")
    partial.replace(file)


def read_set(folder: Path) -> dict[str, object]:
    """Read `set.json`.

    Raises
    ------
    InputError
        The folder is no synthetic set, or one of another version.
    """
    try:
        description = json.loads((folder / SET_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder} is no synthetic set (no readable {SET_FILE}): make one with "
            "`gradewise-offline synth --out DIR`"
        ) from error
    if not isinstance(description, dict) or description.get("version") != VERSION:
        raise InputError(
            f"{folder} holds roads of another version than {VERSION}: render them again into "
            "another folder (`gradewise-offline synth --out DIR`)"
        )
    return description


def road_files(folder: Path, split: str | None = None) -> list[tuple[int, Path]]:
    """Roads on disk, by number, optionally of one split only."""
    read_set(folder)
    found = []
    for file in sorted((folder / ROADS_FOLDER).glob("road_*.npz")):
        road = int(file.stem.removeprefix("road_"))
        if split is None or split_of(road) == split:
            found.append((road, file))
    return found
