"""`gradewise-onboard check`: try camera, adapter, disk and clock in turn."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from onboard.devicecheck import check_all
from onboard.settings import checked_settings, load_settings


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Configuration file.  [default: /etc/gradewise/onboard.toml, if it exists]",
)
@click.option("--camera", help="Camera: /dev/video0, rtsp://…, http://… (MJPEG) or a video file.")
@click.option("--obd", help="Adapter: /dev/ttyUSB0, /dev/rfcomm0 or socket://host:port.")
@click.option("--to", type=click.Path(path_type=Path), help="Folder of all trips.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    config: Path | None, camera: str | None, obd: str | None, to: Path | None, as_json: bool
) -> int:
    """Try clock, disk, camera and adapter in turn, and say what to do about each failure.

    For the day of installation: park outside, engine running, the logger's service stopped.
    Exits with 1 if anything failed.
    """
    document = load_settings(config).model_dump()
    for section, key, value in (
        ("camera", "source", camera),
        ("obd", "port", obd),
        ("storage", "folder", to),
    ):
        if value is not None:
            document[section][key] = value
    settings = checked_settings(document, "command line")
    findings = []
    with Console(stderr=True).status("trying the devices"):
        for finding in check_all(settings):
            findings.append(finding)
            if not as_json:
                click.echo(
                    f"{'ok' if finding.good else 'FAILED':7} {finding.device}: {finding.found}"
                )
                if finding.advice:
                    click.echo(f"        -> {finding.advice}")
    if as_json:
        click.echo(json.dumps([asdict(f) for f in findings], indent=1, ensure_ascii=False))
    return 0 if all(f.good for f in findings) else 1
