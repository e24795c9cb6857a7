"""The command line of the offline package: `gradewise-offline`."""

from __future__ import annotations

import sys

import click

import onboard
from offline.errors import OfflineError
from onboard.commandgroup import CommandGroup
from onboard.errors import TripError

COMMANDS = {
    "import": "Make a trip from a video file and a CSV log of a phone app.",
    "ingest": "Take offloaded trips in at the depot, verified.",
    "score": "Score trips: label, fuse, detect, judge, and store the results.",
    "profile": "Learn each vehicle's gears and powertrain from its scored trips.",
    "report": "Write a trip's scorecard as a PDF.",
    "verify": "Recompute a stored result and say whether it is identical.",
    "failed": "List trips that could not be scored, and why.",
    "export": "Write trips, events or drivers of a period as CSV, Parquet or XLSX.",
    "purge": "Delete old video, timelines or personal data.",
    "person": "Export or erase everything stored about one driver.",
    "policy": "Show, compare and check scoring policies.",
    "classify": "Label the road scene of a trip, a video or a folder of stills.",
    "label": "Derive training labels from a trip's GPS, barometer or IMU.",
    "synth": "Render synthetic roads with exact labels for training.",
    "train": "Train a scene network from a configuration file.",
    "evaluate": "Measure a scene network on labelled frames.",
}

group = CommandGroup(
    name="gradewise-offline",
    help="Score recorded trips, fairly: with the road they were driven on.",
    package="offline.commands",
    commands_help=COMMANDS,
    error=(OfflineError, TripError),
)
click.version_option(onboard.__version__, prog_name="gradewise-offline")(group)


def main() -> None:
    """Entry point of the console script."""
    sys.exit(group.run())


if __name__ == "__main__":
    main()
