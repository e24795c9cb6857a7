"""What a scoring is made with: model, policy, software."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import models
from offline.classifier import Classifier
from offline.errors import ModelError, PolicyError
from offline.pipeline import SOFTWARE
from offline.policy import load_policy, policy_for_class
from offline.results.rows import KnownResult
from offline.results.schema import NO_ROAD_CONTEXT, STANDARD


@dataclass(frozen=True, slots=True)
class Settings:
    """Equal settings give equal results.

    Attributes
    ----------
    model_folder : str
    model_sha256 : str
        Empty where no model is used.
    policy : str or None
        Name or file; None for the shipped policy of each vehicle's class.
    policy_sha256 : callable
        From a vehicle class to the hash of the policy that applies; None where there is none.
    software : str
    road_context : bool
    """

    model_folder: str
    model_sha256: str
    policy: str | None
    policy_sha256: Callable[[str], str | None]
    software: str
    road_context: bool = True

    @property
    def variant(self) -> str:
        """Which of a trip's two results this makes."""
        return STANDARD if self.road_context else NO_ROAD_CONTEXT

    def fingerprint(self, trip: str) -> str:
        """Hash of a trip and of all that its scoring depends on."""
        policy = self.policy_sha256("") if self.policy else "by class"
        parts = (trip, self.model_sha256, policy or "", self.software)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def made(self, known: KnownResult) -> bool:
        """Tell whether a stored result is what these settings would make again."""
        made_from = known.provenance
        return (
            made_from.software == self.software
            and made_from.policy_sha256 == self.policy_sha256(known.vehicle_class)
            # A trip without pictures depends on no model.
            and made_from.model_sha256 in (self.model_sha256, "")
        )


def make_settings(model: str, policy: str | None, *, road_context: bool) -> Settings:
    """Check model and policy before any trip is touched: a bad one is no fault of a trip.

    Parameters
    ----------
    model : str
        A released model's name, or a folder.
    policy : str or None
        A shipped policy's name, or a file.

    Raises
    ------
    ModelError, PolicyError
        If one cannot be used.
    """
    folder = _model_folder(model)
    model_sha256 = Classifier(folder).sha256 if road_context else ""
    if policy is None:
        return Settings(str(folder), model_sha256, None, _shipped, SOFTWARE, road_context)
    own = load_policy(policy).sha256
    # A worker may have another working folder.
    path = Path(policy)
    named = str(path.absolute()) if path.is_file() else policy
    return Settings(str(folder), model_sha256, named, lambda _: own, SOFTWARE, road_context)


@lru_cache
def _shipped(vehicle_class: str) -> str | None:
    try:
        return policy_for_class(vehicle_class).sha256
    except PolicyError:
        return None


def _model_folder(model: str) -> Path:
    folder = Path(model)
    if folder.is_dir():
        return folder.absolute()
    try:
        return models.locate(model)
    except FileNotFoundError as problem:
        raise ModelError(f"{problem}; nor is it a folder") from None
