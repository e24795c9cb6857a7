"""The configuration file, and that it is documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from onboard.errors import SettingsError
from onboard.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]


def test_every_section_may_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").touch()
    assert load_settings(tmp_path / "empty.toml") == Settings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[camera]\nzoom = 3\n", "camera.zoom: no such key"),
        ("[moon]\n", "moon: no such key"),
        ("[camera]\nfps = 0\n", "camera.fps: Input should be greater"),
        ('[camera]\nfps = "many"\n', "camera.fps: Input should be a valid integer"),
        ('[obd]\nprotocol = "CAN"\n', "obd.protocol"),
        ('[obd]\nsignals = ["rpm"]\n', "without speed_kmh, coolant_temp_c"),
        ('[obd]\nsignals = ["rpm", "warp"]\n', "no such signal: warp"),
        ("[camera\n", "is no TOML"),
        ("[camera]\nfps = 0\n[storage]\nkeep_days = -1\n", "camera.fps.*storage.keep_days"),
    ],
)
def test_bad_files_name_the_key(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=words) as caught:
        load_settings(file)
    assert str(file) in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "nowhere.toml")


def keys() -> list[tuple[str, str]]:
    return [
        (section, key)
        for section, field in Settings.model_fields.items()
        for key in field.default.__class__.model_fields
    ]


@pytest.mark.parametrize(("section", "key"), keys())
def test_every_key_is_documented_with_its_default(section: str, key: str) -> None:
    text = (ROOT / "docs" / "onboard.md").read_text(encoding="utf-8")
    _, found, part = text.partition(f"### `[{section}]`")
    assert found, f"docs/onboard.md has no section [{section}]"
    part = part.partition("\n### ")[0]
    row = next((line for line in part.splitlines() if line.startswith(f"| `{key}` |")), None)
    assert row is not None, f"docs/onboard.md does not describe {section}.{key}"
    default = Settings.model_fields[section].default.__class__.model_fields[key].default
    if isinstance(default, bool):
        assert f"`{str(default).lower()}`" in row
    elif isinstance(default, int | float):
        assert f"`{default:g}`" in row
    elif isinstance(default, Path):
        assert f"`{default}`" in row


def test_nothing_is_documented_that_does_not_exist() -> None:
    text = (ROOT / "docs" / "onboard.md").read_text(encoding="utf-8")
    real = set(keys())
    for part in text.split("\n### `[")[1:]:
        section = part.partition("]")[0]
        body = part.partition("\n## ")[0]
        for line in body.splitlines():
            if line.startswith("| `"):
                assert (section, line.split("`")[1]) in real


def test_the_systemd_unit_fits_the_defaults() -> None:
    unit = (ROOT / "onboard" / "systemd" / "gradewise-onboard.service").read_text()
    defaults = Settings()
    assert "Type=notify" in unit
    assert "WatchdogSec=30" in unit
    assert "Restart=always" in unit
    assert "RuntimeDirectory=gradewise" in unit
    assert defaults.service.state_folder == Path("/run/gradewise")
    assert "StateDirectory=gradewise" in unit
    assert defaults.storage.folder.parent == Path("/var/lib/gradewise")
