"""What all tests share: hardware is opted into."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--hardware", action="store_true", help="Run tests that need a real camera or adapter."
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--hardware"):
        skip = pytest.mark.skip(reason="needs a real camera or adapter: run with --hardware")
        for item in items:
            if "hardware" in item.keywords:
                item.add_marker(skip)
