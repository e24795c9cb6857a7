"""A chain of unknowns along a drive: a few at each place, tied to those of the places beside it.

Least squares in such a chain take time in proportion to its length (Rue and Held, "Gaussian Markov
random fields", 2005, 2.4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rough:
    """An unknown that wanders (an Ornstein-Uhlenbeck process over distance).

    Attributes
    ----------
    sd : float
    length_m : float
        Over which it is forgotten; 0: at once.
    """

    sd: float
    length_m: float
    places = 1

    @property
    def variance(self) -> Array:
        """Where nothing else is known, shape (1, 1)."""
        return np.array([[self.sd**2]])

    def forward(self, apart_m: Array) -> Array:
        """What is expected some metres on, shape (n, 1, 1)."""
        decay = np.exp(-apart_m / self.length_m) if self.length_m > 0.0 else np.zeros(apart_m.size)
        return np.asarray(decay[:, None, None])


@dataclass(frozen=True)
class Smooth:
    """An unknown that changes smoothly (Matérn's covariance of order 3/2 over distance).

    Rasmussen and Williams, "Gaussian processes for machine learning", 2006, 4.2.1 and B.2.

    Attributes
    ----------
    sd : float
    length_m : float
    """

    sd: float
    length_m: float
    places = 2

    @property
    def variance(self) -> Array:
        """Of it and its change per metre where nothing else is known, shape (2, 2)."""
        return np.diag([self.sd, self.sd * math.sqrt(3.0) / self.length_m]) ** 2

    def forward(self, apart_m: Array) -> Array:
        """What is expected some metres on, shape (n, 2, 2)."""
        rate = math.sqrt(3.0) / self.length_m
        decay, one = np.exp(-rate * apart_m), np.ones(apart_m.size)
        rows = [[one + rate * apart_m, apart_m], [-(rate**2) * apart_m, one - rate * apart_m]]
        return np.asarray(decay[:, None, None] * np.moveaxis(np.array(rows), 2, 0))


@dataclass(frozen=True)
class Equations:
    """Linear equations in the unknowns at single places, or at two that follow each other.

    Attributes
    ----------
    of : ndarray, shape (m, q, u) or (m, q, 2 u)
        Coefficients of q equations a place, or a pair of places.
    seen : ndarray, shape (m, q, c)
        What they come to, in c columns.
    """

    of: Array
    seen: Array

    def weighted(self, weight: Array) -> Equations:
        """With weights, shape (m, q): one over variances."""
        root = np.sqrt(weight)[:, :, None]
        return Equations(root * self.of, root * self.seen)

    def left(self, found: Array) -> Array:
        """What unknowns, shape (n, u, c), leave of what was seen, shape (m, q, c)."""
        if self.of.shape[2] > found.shape[1]:
            found = np.concatenate([found[:-1], found[1:]], axis=1)
        return np.asarray(self.seen - self.of @ found)


@dataclass(frozen=True)
class Chain:
    """Normal equations of a chain.

    Attributes
    ----------
    inside : ndarray, shape (n, u, u)
    between : ndarray, shape (n - 1, u, u)
        Rows are the former place's unknowns.
    """

    inside: Array
    between: Array

    @classmethod
    def drawn_back(cls, apart_m: Array, unknowns: Sequence[Rough | Smooth]) -> Chain:
        """Unknowns that are drawn to nothing, each for itself.

        Parameters
        ----------
        apart_m : ndarray, shape (n - 1,), positive
        unknowns : sequence of Rough or Smooth
            Of a smooth one, its change per metre is the next unknown.
        """
        count = sum(each.places for each in unknowns)
        inside = np.zeros((apart_m.size + 1, count, count))
        between = np.zeros((apart_m.size, count, count))
        k = 0
        for each in unknowns:
            own = slice(k, k + each.places)
            variance, forward = each.variance, each.forward(apart_m)
            gained = variance - forward @ variance @ np.swapaxes(forward, 1, 2)
            stiffness = np.linalg.inv(gained)
            pulled = stiffness @ forward
            inside[0, own, own] = np.linalg.inv(variance)
            inside[1:, own, own] = stiffness
            inside[:-1, own, own] += np.swapaxes(forward, 1, 2) @ pulled
            between[:, own, own] = -np.swapaxes(pulled, 1, 2)
            k += each.places
        return cls(inside, between)

    def knowing(self, *known: Equations) -> Chain:
        """With what equations tell."""
        inside, between = self.inside.copy(), self.between.copy()
        count = inside.shape[1]
        for each in known:
            product = np.swapaxes(each.of, 1, 2) @ each.of
            if each.of.shape[2] > count:
                inside[:-1] += product[:, :count, :count]
                inside[1:] += product[:, count:, count:]
                between += product[:, :count, count:]
            else:
                inside += product
        return Chain(inside, between)

    def solve(self, *known: Equations) -> Array:
        """Unknowns, shape (n, u, c), that fit equations (which the chain knows of) best."""
        places, count, _ = self.inside.shape
        columns = known[0].seen.shape[2]
        right = np.zeros((places, count, columns))
        for each in known:
            pull = np.swapaxes(each.of, 1, 2) @ each.seen
            if each.of.shape[2] > count:
                right[:-1] += pull[:, :count]
                right[1:] += pull[:, count:]
            else:
                right += pull
        last = 2 * count - 1
        band = np.zeros((last + 1, places * count))
        for i in range(count):
            for j in range(count):
                if j >= i:
                    band[last + i - j, j::count] = self.inside[:, i, j]
                band[last + i - j - count, count + j :: count] = self.between[:, i, j]
        solved = solveh_banded(band, right.reshape(-1, columns), check_finite=False)
        return np.asarray(solved).reshape(places, count, columns)

    def variances(self) -> Array:
        """Of each unknown, shape (n, u), by what the chain knows (Rauch, Tung and Striebel)."""
        places, count, _ = self.inside.shape
        from_before = np.empty_like(self.inside)
        from_before[0] = self.inside[0]
        for k in range(1, places):
            tie = self.between[k - 1]
            from_before[k] = self.inside[k] - tie.T @ np.linalg.solve(from_before[k - 1], tie)
        found = np.empty((places, count))
        covariance = np.linalg.inv(from_before[-1])
        found[-1] = np.diag(covariance)
        inverse = np.linalg.inv(from_before)
        gain = inverse[:-1] @ self.between
        for k in range(places - 2, -1, -1):
            covariance = inverse[k] + gain[k] @ covariance @ gain[k].T
            found[k] = np.diag(covariance)
        return found
