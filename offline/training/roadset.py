"""A synthetic set on disk: a folder with one `roads/road_NNNNN.npz` a road and `set.json`.

Road number k of a set of seed S and so many stretches a drive is always the same road, whatever
else is rendered, so sets can be extended and an interrupted rendering goes on where it stopped.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from offline.errors import InputError
from offline.training.drives import FRAME_INTERVAL_S
from offline.training.roadframes import ROADS_FOLDER, between_file, measured_now, road_file

SET_FILE: Final = "set.json"
VERSION: Final = "synthetic-roads-8"
SPLITS: Final = ("train", "train", "train", "train", "train", "train", "train", "train",
                 "validation", "test")  # fmt: skip
"""Drive k is in split k % 10."""


@dataclass(frozen=True)
class RoadSet:
    """Which roads a set holds.

    Attributes
    ----------
    seed : int
    stretches : int
        Roads a drive: driven by one vehicle with one camera on one day, with some time between them
        of which there are no pictures.
    """

    seed: int
    stretches: int = 1

    def drive_of(self, road: int) -> int:
        """Drive a road belongs to, by its number."""
        return road // self.stretches

    def roads_of(self, drive: int) -> range:
        """Roads of a drive."""
        return range(drive * self.stretches, (drive + 1) * self.stretches)

    def is_rendered(self, folder: Path, drive: int) -> bool:
        """Whether all roads of a drive are on disk."""
        return all(road_file(folder, road).exists() for road in self.roads_of(drive))

    def has_between(self, folder: Path, drive: int) -> bool:
        """Whether the pictures between the frames of all its roads are on disk, and measured."""
        roads = self.roads_of(drive)
        return all(
            between_file(folder, road).exists()
            and measured_now(road_file(folder, road), densely=True)
            for road in roads
        )

    def split_of(self, road: int) -> str:
        """Split a road belongs to: drives are never split."""
        return SPLITS[self.drive_of(road) % len(SPLITS)]


def start_set(folder: Path, roads: RoadSet) -> None:
    """Create a set's folder, or check that it holds these roads.

    Raises
    ------
    InputError
        The folder holds a set of another seed or of drives of another length.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / SET_FILE
    if file.exists():
        held = read_set(folder)
        if held != roads:
            raise InputError(
                f"{folder} holds a synthetic set of another seed or of drives of another length "
                f"(--seed {held.seed} --stretches {held.stretches}): choose another folder"
            )
        return
    description = {"version": VERSION, "frame_interval_s": FRAME_INTERVAL_S, **asdict(roads)}
    # Several processes may start one set at once.
    partial = file.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(description) + "\n", encoding="utf-8")
    partial.replace(file)


def read_set(folder: Path) -> RoadSet:
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
    # Sets made before drives had several stretches do not say how many.
    seed, stretches = description.get("seed"), description.get("stretches", 1)
    if not isinstance(seed, int) or not isinstance(stretches, int) or stretches < 1:
        raise InputError(
            f"{folder / SET_FILE} does not say which roads these are (seed, stretches): choose "
            "another folder"
        )
    return RoadSet(seed, stretches)


def whole_drives(folder: Path, split: str | None = None) -> dict[int, list[Path]]:
    """Files of the drives all of whose roads are on disk, by number, optionally of one split."""
    roads, files = read_set(folder), dict(road_files(folder, split))
    return {
        drive: [files[road] for road in roads.roads_of(drive)]
        for drive in sorted({roads.drive_of(road) for road in files})
        if all(road in files for road in roads.roads_of(drive))
    }


def road_files(folder: Path, split: str | None = None) -> list[tuple[int, Path]]:
    """Roads on disk, by number, optionally of one split only."""
    roads = read_set(folder)
    found = []
    for file in sorted((folder / ROADS_FOLDER).glob("road_*.npz")):
        road = int(file.stem.removeprefix("road_"))
        if split is None or roads.split_of(road) == split:
            found.append((road, file))
    return found
