"""The command line of the onboard package: `gradewise-onboard`."""

from __future__ import annotations

import sys

import click

import onboard
from onboard.commandgroup import CommandGroup
from onboard.errors import OnboardError

COMMANDS = {
    "record": "Record trips: camera and OBD-II, until told to stop.",
    "check": "Try camera, adapter, disk and clock in turn, and say what to do.",
    "status": "Show the live health of a running logger.",
    "driver": "Sign a driver in or out of a running logger.",
    "replay": "Play a recorded trip as a camera and an OBD-II adapter.",
    "offload": "Send closed trips to a folder, SFTP server or S3 bucket.",
    "inspect": "Print what a trip holds and every gap in it.",
    "recover": "Close trips that were cut short; nothing on the disk is lost.",
}

group = CommandGroup(
    name="gradewise-onboard",
    help="Record trips in the vehicle: the front camera beside OBD-II, on one clock.",
    package="onboard.commands",
    commands_help=COMMANDS,
    error=OnboardError,
)
click.version_option(onboard.__version__, prog_name="gradewise-onboard")(group)


def main() -> None:
    """Entry point of the console script."""
    sys.exit(group.run())


if __name__ == "__main__":
    main()
