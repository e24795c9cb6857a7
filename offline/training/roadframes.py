"""The frames of a rendered road, and their file."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from offline import preprocessing
from offline.corners import focal_px
from offline.errors import InputError
from offline.motioncodes import CODES
from offline.mounting import Mounting
from offline.training.drives import FRAME_INTERVAL_S

ROADS_FOLDER: Final = "roads"
BETWEEN_FOLDER: Final = "between"


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

    @classmethod
    def unmeasured(cls, last: NDArray[np.int64]) -> Ends:
        """Of the last frames alone, before their motion is measured."""
        return cls(last, last, np.zeros((last.size, len(CODES)), np.uint8))


@dataclass(frozen=True)
class RoadFrames:
    """The frames of one road, in order of time.

    Attributes
    ----------
    began_s, began_m : float
        When and after how many metres of the drive the road begins.
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
        Measured from the planes of the whole drive, as a trip's are (`offline.motion`).
    densely : bool
        Whether pictures between these helped to measure them (`read_between`).
    ends : Ends
    slope, course : list of str
        Labels from geometry.
    setting : str
    """

    began_s: float
    began_m: float
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
    densely: bool = False

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


def road_file(folder: Path, road: int) -> Path:
    return folder / ROADS_FOLDER / f"road_{road:05d}.npz"


def write_road(target: Path, frames: RoadFrames) -> None:
    """Write a road's frames in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(
        buffer,
        measured=np.asarray(preprocessing.VERSION),
        began=np.array([frames.began_s, frames.began_m]),
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
        densely=np.asarray(frames.densely),
    )
    _replace(target, buffer)


def _replace(target: Path, buffer: io.BytesIO) -> None:
    # Several processes may measure one set.
    partial = target.with_suffix(f".{os.getpid()}.partial")
    partial.write_bytes(buffer.getvalue())
    partial.replace(target)


def between_file(folder: Path, road: int) -> Path:
    """File of the pictures between a road's frames."""
    return beside_road(road_file(folder, road))


def beside_road(file: Path) -> Path:
    """File of the pictures between the frames of a road's file."""
    return file.parent.parent / BETWEEN_FOLDER / file.name


def write_between(target: Path, planes: NDArray[np.uint8]) -> None:
    """Write the pictures between a road's frames in one step.

    Parameters
    ----------
    planes : ndarray of uint8, shape (n - 1, len(BETWEEN), 96, 160)
        After each frame but the last.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, planes=planes)
    _replace(target, buffer)


def read_between(file: Path) -> NDArray[np.uint8]:
    """Read the pictures between a road's frames back.

    Raises
    ------
    InputError
        The file is damaged.
    """
    with _opened(file) as held:
        return np.asarray(held["planes"], np.uint8)


@contextmanager
def _opened(file: Path) -> Iterator[NpzFile]:
    try:
        # NumPy leaves the file open when it is no whole archive.
        if not zipfile.is_zipfile(file):
            raise ValueError("incomplete archive")
        with np.load(file) as held:
            yield held
    except InputError:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{file}: no road of a synthetic set ({error}); delete it and render it again"
        ) from error


def measured_now(file: Path, *, densely: bool | None = None) -> bool:
    """Whether a road's motion was measured as it is now.

    Parameters
    ----------
    densely : bool, optional
        With or without the pictures between its frames.

    Raises
    ------
    InputError
        The file is damaged.
    """
    with _opened(file) as held:
        return _is_current(held) and densely in (None, bool(held.get("densely", False)))


def _is_current(held: NpzFile) -> bool:
    return bool(held.get("measured", "") == preprocessing.VERSION)


def read_road(file: Path, *, measured_before: bool = False) -> RoadFrames:
    """Read a road's frames back.

    Parameters
    ----------
    measured_before : bool
        Take codes of another version, too.

    Raises
    ------
    InputError
        The file is damaged or was written or measured by another version.
    """
    with _opened(file) as held:
        if not (measured_before or _is_current(held)):
            raise InputError(
                f"{file} was measured by another version than {preprocessing.VERSION}: measure the "
                f"set again (`gradewise-offline synth --measure --out {file.parent.parent}`)"
            )
        began_s, began_m = held.get("began", np.zeros(2)).tolist()
        return RoadFrames(
            began_s=began_s,
            began_m=began_m,
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
            densely=bool(held.get("densely", False)),
        )
