"""The option that tells a camera's horizontal field of view."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

from onboard.stills import FOV_RANGE_DEG

Command = TypeVar("Command", bound=Callable[..., Any])


class _Degrees(click.FloatRange):
    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        # Not a number is in every range, as comparing with it says nothing.
        degrees = float(super().convert(value, param, ctx))
        if math.isnan(degrees):
            self.fail(f"{value!r} is not a number of degrees.", param, ctx)
        return degrees


def fov_option(text: str) -> Callable[[Command], Command]:
    """An option `--fov`, given as `fov_deg`: degrees, or None where nobody tells."""
    return click.option("--fov", "fov_deg", type=_Degrees(*FOV_RANGE_DEG), help=text)
