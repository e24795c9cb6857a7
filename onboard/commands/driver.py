"""`gradewise-onboard driver`: sign a driver in or out while the logger runs."""

from __future__ import annotations

from pathlib import Path

import click

from onboard.errors import OnboardError
from onboard.manifest import write_atomically
from onboard.settings import load_settings


@click.command()
@click.argument("name", required=False)
@click.option("--out", is_flag=True, help="Sign out.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Configuration file.  [default: /etc/gradewise/onboard.toml, if it exists]",
)
def command(name: str | None, out: bool, config: Path | None) -> None:
    """Sign the driver NAME in, or out with --out; without either, say who is signed in.

    A running logger takes it over within a second, also in the middle of a trip; without one it
    counts for the next trip.
    """
    file = load_settings(config).driver_file
    if name is not None and out:
        raise click.UsageError("name a driver or sign out, not both")
    try:
        if name is None and not out:
            signed_in = file.read_text(encoding="utf-8").strip() if file.exists() else ""
            click.echo(signed_in or "nobody signed in")
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, f"{name or ''}\n")
    except OSError as problem:
        raise OnboardError(f"{file}: {problem.strerror}; try with sudo") from problem
    click.echo(f"signed in: {name}" if name else "signed out")
