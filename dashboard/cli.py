"""The command line of the dashboard: `gradewise-dashboard`."""

from __future__ import annotations

import sys

import click

from dashboard.errors import DashboardError
from offline.errors import OfflineError
from onboard.commandgroup import CommandGroup

COMMANDS = {
    "serve": "Serve the scored trips of a result store as web pages.",
}

group = CommandGroup(
    name="gradewise-dashboard",
    help="Show scored trips to fleet managers and drivers.",
    package="dashboard.commands",
    commands_help=COMMANDS,
    error=(DashboardError, OfflineError),
)
click.version_option(package_name="gradewise", prog_name="gradewise-dashboard")(group)


def main() -> None:
    """Entry point of the console script."""
    sys.exit(group.run())


if __name__ == "__main__":
    main()
