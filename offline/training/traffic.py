"""Other vehicles on a rendered road: some lead, some come the other way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offline.training import meshes
from offline.training.drives import Drive
from offline.training.roads import RoadNetwork


class Traffic:
    """Vehicles drawn for a drive.

    Attributes
    ----------
    vehicles : list of Mesh
    """

    def __init__(self, rng: np.random.Generator, network: RoadNetwork, drive: Drive) -> None:
        self._path, self._began_m = network.line, float(drive.line_m[0])
        count = int(rng.choice([0, 2, 4, 8, 12], p=[0.25, 0.25, 0.2, 0.2, 0.1]))
        self.vehicles: list[meshes.Mesh] = []
        self._oncoming: list[bool] = []
        self._start, self._speed, self._lateral = [], [], []
        zero = np.zeros(1)
        lane = 2.0 * network.half_width_m / network.lanes
        for _ in range(count):
            mesh = meshes.Mesh()
            meshes.cars(mesh, rng, zero, zero, zero, zero)
            oncoming = bool(rng.random() < 0.6) and network.lanes == 2
            self.vehicles.append(mesh)
            self._oncoming.append(oncoming)
            speed = float(rng.uniform(5, 20))
            # Those that come the other way are met anywhere along the drive.
            farthest = drive.line_m[-1] - drive.line_m[0] + speed * float(drive.t_s[-1])
            self._start.append(float(rng.uniform(60, farthest) if oncoming
                                     else rng.uniform(9, 70)))  # fmt: skip
            self._speed.append(speed)
            own = drive.lane_m
            # Whoever comes the other way keeps to the other side; who leads keeps the lane.
            away = -np.sign(own if own else 1.0) * lane * 0.5
            other_lane = network.lanes > 2 and rng.random() < 0.6
            self._lateral.append(away if oncoming else own - np.sign(own) * lane * other_lane)

    def matrices(self, drive: Drive, index: int) -> list[NDArray[np.float64]]:
        """Model matrix of each vehicle, shape (4, 4), at one picture of the drive."""
        result = []
        s_own, t = float(drive.line_m[index]), float(drive.t_s[index])
        for oncoming, start, speed, lateral in zip(
            self._oncoming, self._start, self._speed, self._lateral, strict=True
        ):
            if oncoming:
                s = self._began_m + start - speed * t
            else:
                s = s_own + start + 4.0 * np.sin(0.2 * t + start)
            hidden = not 0.0 < s < self._path.length_m
            s = float(np.clip(s, 0.0, self._path.length_m))
            at = np.array([s])
            heading = float(self._path.at(at, self._path.heading)[0])
            grade = float(self._path.at(at, self._path.grade)[0])
            x = float(self._path.at(at, self._path.x)[0]) - np.sin(heading) * lateral
            y = float(self._path.at(at, self._path.y)[0]) + np.cos(heading) * lateral
            z = float(self._path.at(at, self._path.z)[0]) - 100.0 * hidden
            c, s_ = np.cos(heading), np.sin(heading)
            facing = -1.0 if oncoming else 1.0
            matrix = np.eye(4)
            matrix[:3, 0] = np.array([c, s_, grade]) * facing
            matrix[:3, 1] = np.array([-s_, c, 0.0]) * facing
            matrix[:3, 3] = [x, y, z]
            result.append(matrix)
        return result
