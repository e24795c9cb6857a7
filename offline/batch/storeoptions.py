"""The options by which every command that needs the store finds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def store_options(command: Command) -> Command:
    """Add `--results` and `--store`, as `results` and `store_url`."""
    command = click.option(
        "--store",
        "store_url",
        metavar="URL",
        help="sqlite:///FILE or postgresql://…  [default: gradewise.sqlite in --results]",
    )(command)
    return click.option(
        "--results",
        "results",
        default="results",
        show_default=True,
        metavar="DIR",
        help="Folder of timelines, labels and stills, or an fsspec URL (s3://…).",
    )(command)
