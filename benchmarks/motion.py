"""How well a drive's pictures show the camera's mounting and turns, and how long that takes.

Surveys rendered roads of the test split, whose truth is known, by their pictures alone; beside each
error stands that of the guess one has without a survey: a camera mounted straight, a road that goes
on as it is. Needs a set made by `gradewise-offline synth`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from offline.training.roadset import RoadSet


def truth_of(roads: RoadSet, road: int, fov_deg: float) -> tuple[float, float]:
    """Where the direction of travel lies on the plane: pixels right and down of its middle."""
    from offline.corners import focal_px
    from offline.training.synth import drawn

    mounting = drawn(roads, road).drive.mounting
    focal = focal_px(fov_deg)
    right, down = (focal * float(np.tan(angle)) for angle in (mounting.yaw_rad, mounting.pitch_rad))
    return right, down


def measure(folder: Path, count: int, *, told: bool, between: bool) -> dict[str, float]:
    """Survey `count` drives of a synthetic set, told the camera's field of view or not."""
    from offline import motioncodes
    from offline.roadpitch import Standing
    from offline.rotation import STILL
    from offline.training import roadframes, roadset, synth
    from offline.uprights import NONE

    roads = roadset.read_set(folder)
    drives = list(roadset.whole_drives(folder, "test").items())[:count]
    if not drives:
        raise SystemExit(f"{folder} holds no drive of the test split: render more")
    column = {name: k for k, name in enumerate(motioncodes.CODES)}
    off, straight, pitch, yaw_known = [], [], [], []
    heading, grade, summed = [], [], []
    cpu_s, pictures = 0.0, 0
    for drive, files in drives:
        stretches = [roadframes.read_road(file) for file in files]
        first = stretches[0]
        right, down = truth_of(roads, roads.roads_of(drive)[0], first.horizontal_fov_deg)
        t_s, driven_m, speed_mps, heading_deg, grade_percent, camera_pitch_deg = (
            np.concatenate(each)
            for each in zip(
                *(
                    (
                        road.began_s + road.t_s,
                        road.began_m + roadframes.driven_m(road.speed_mps),
                        road.speed_mps,
                        road.heading_change_deg,
                        road.grade_percent,
                        road.camera_pitch_deg,
                    )
                    for road in stretches
                ),
                strict=True,
            )
        )
        if not told:
            stretches = [replace(road, told_fov_deg=None) for road in stretches]
        pictures_between = None
        if between:
            beside = [roadframes.beside_road(file) for file in files]
            if not all(file.exists() for file in beside):
                raise SystemExit(
                    f"drive {drive} of {folder} has no pictures between its frames: render them "
                    "(`gradewise-offline synth`) or leave them out (--no-between)"
                )
            pictures_between = [roadframes.read_between(file) for file in beside]
        began = time.process_time()
        survey = synth.surveyed(stretches, pictures_between)
        surveyed = survey.finish()
        mounting, codes = surveyed.mounting, surveyed.codes
        cpu_s += time.process_time() - began
        pictures += t_s.size
        straight.append((right, down))
        if mounting is None:
            off.append((np.nan, np.nan))
            continue
        off.append((mounting.right_px - right, mounting.down_px - down))
        rises = np.diff(camera_pitch_deg)
        measured = [None if turn is None else turn.pitch_deg for turn in survey.turns]
        # What lies between two stretches was not pictured.
        moving = (speed_mps[:-1] > 1.0) & (np.diff(t_s) < 1.0)
        pitch.append(np.stack([rises, np.asarray(measured, float)], axis=1)[moving])
        # Such a roll tells nothing.
        turns = [
            turn if turn is STILL or turn is None else replace(turn, roll_sd_deg=1e3)
            for turn in survey.turns
        ]
        nothing = Standing([NONE] * t_s.size, mounting, 0.0)
        known = codes[:, column["heading_known"]] > 128
        yaw_known.append(known.mean())
        seen = (codes[:, column["heading"]].astype(float) - 128.0) / motioncodes.SIGNED["heading"]
        heading.append(np.stack([heading_deg[known], seen[known]], axis=1))
        for kept, found in (
            (grade, codes),
            (summed, motioncodes.codes(t_s, driven_m, turns, nothing)),
        ):
            near = found[:, column["near_grade"]].astype(float) - 128.0
            kept.append(np.stack([grade_percent, near / motioncodes.SIGNED["near_grade"]], axis=1))
    errors, true_px, steps = np.asarray(off), np.asarray(straight), np.concatenate(pitch)
    ahead, slopes, alone = (np.concatenate(each) for each in (heading, grade, summed))
    held = ~np.isnan(errors[:, 0])
    measured = ~np.isnan(steps[:, 1])

    def typical(values: np.ndarray) -> float:
        return float(1.4826 * np.median(np.abs(values)))

    return {
        "drives": float(len(drives)),
        "mounting_known": float(held.mean()),
        "mounting_down_px": float(np.sqrt((errors[held, 1] ** 2).mean())),
        "mounting_down_px_baseline": float(np.sqrt((true_px[:, 1] ** 2).mean())),
        "mounting_right_px": float(np.sqrt((errors[held, 0] ** 2).mean())),
        "mounting_right_px_baseline": float(np.sqrt((true_px[:, 0] ** 2).mean())),
        "pitch_known": float(measured.mean()),
        "pitch_deg": typical(steps[measured, 1] - steps[measured, 0]),
        "pitch_deg_baseline": typical(steps[:, 0]),
        "heading_known": float(np.mean(yaw_known)),
        "heading_deg": typical(ahead[:, 1] - ahead[:, 0]),
        "heading_deg_baseline": float(np.sqrt((ahead[:, 0] ** 2).mean())),
        "heading_correlation": float(np.corrcoef(ahead.T)[0, 1]),
        "grade_percent": float(np.sqrt(((slopes[:, 1] - slopes[:, 0]) ** 2).mean())),
        "grade_percent_baseline": float(np.sqrt((slopes[:, 0] ** 2).mean())),
        "grade_correlation": float(np.corrcoef(slopes.T)[0, 1]),
        "grade_percent_summed": float(np.sqrt(((alone[:, 1] - alone[:, 0]) ** 2).mean())),
        "grade_correlation_summed": float(np.corrcoef(alone.T)[0, 1]),
        "ms_per_picture": 1000.0 * cpu_s / pictures,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--set", type=Path, default=Path("~/.cache/gradewise/synth").expanduser(),
                        help="synthetic set (default: %(default)s)")  # fmt: skip
    parser.add_argument("--untold", action="store_true",
                        help="as if nobody had told the camera's field of view")  # fmt: skip
    parser.add_argument("--no-between", action="store_true",
                        help="as a logger without motion stills records: two pictures a "
                        "second")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="5 drives instead of all, at most 100")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    figures = measure(
        arguments.set,
        5 if arguments.quick else 100,
        told=not arguments.untold,
        between=not arguments.no_between,
    )
    print(f"{'figure':<28}{'measured':>10}{'without':>10}")
    for name, value in figures.items():
        if not name.endswith("_baseline"):
            without = figures.get(f"{name}_baseline")
            print(f"{name:<28}{value:>10.3f}{'' if without is None else f'{without:10.3f}'}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"figures": figures}, indent=2) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
