"""What a newcomer relies on: the documents' links, the benchmarks' flags, the repository's size."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from offline.training.card import read_card
from offline.training.config import load_config

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/**/*.md")]
    if not any(part.startswith(".") or part == "node_modules" for part in path.parts)
    and "demo" not in path.relative_to(ROOT).parts
)
BENCHMARKS = sorted(
    path
    for path in (ROOT / "benchmarks").glob("[a-z]*.py")
    if "__main__" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize(
    "document", sorted(set(DOCUMENTS)), ids=lambda path: str(path.relative_to(ROOT))
)
def test_links_in_documents_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        path = document.parent / target.split("#")[0]
        assert path.exists(), f"{document.name} links to {target}, which is not there"


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda path: path.stem)
def test_benchmarks_share_their_flags(benchmark: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(benchmark), "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert "--quick" in done.stdout
    assert "--json" in done.stdout
    if "random" in benchmark.read_text(encoding="utf-8"):
        assert "--seed" in done.stdout


def test_the_makefile_names_what_the_readme_promises() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    promised = set(re.findall(r"^ {4}make ([a-z]+)$", readme, flags=re.MULTILINE))
    assert {"demo", "test"} <= promised
    for target in promised:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_commands_in_the_readme_exist() -> None:
    import offline.cli
    import onboard.cli

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    known = {
        "gradewise-onboard": set(onboard.cli.COMMANDS),
        "gradewise-offline": set(offline.cli.COMMANDS),
        "gradewise-dashboard": {"serve"},
    }
    used = re.findall(r"^ {4}(?:\S*/)?(gradewise-[a-z]+) ([a-z]+)", readme, flags=re.MULTILINE)
    assert used
    for program, command in used:
        assert command in known[program], f"{program} {command}"


def test_the_repository_stays_small() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False
    ).stdout.split(b"\0")
    files = [ROOT / name.decode() for name in listed if name]
    if not files:  # an unpacked source archive has no git index
        files = [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    megabytes = sum(path.stat().st_size for path in files if path.exists()) / 1e6
    assert megabytes < 60


def test_the_released_card_says_what_its_configuration_does() -> None:
    config = load_config(ROOT / "offline" / "training" / "road_scene.toml")
    card = read_card(ROOT / "models" / "road_scene")
    assert (card["version"], card["summary"], card["shortfalls"]) == (
        config.version,
        config.card.summary,
        config.card.shortfalls,
    )
