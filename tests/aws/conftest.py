"""What the tests share: where things are, and one emulator for the whole run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from emulator import Emulator
from processes import Processes

ROOT = Path(__file__).resolve().parents[2]


def tool(name: str) -> str:
    """A program that `.ci/aws` names in the variable of that name."""
    path = os.environ.get(name)
    if not path:
        pytest.fail(f"{name} is not set: run these tests with .ci/aws", pytrace=False)
    return path


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder with one zip per function, for this machine's processor."""
    return Path(tool("PACKAGES"))


@pytest.fixture(scope="session")
def processes(tmp_path_factory):
    """Starts programs and ends them all, whatever the tests do."""
    with Processes(tmp_path_factory.mktemp("processes")) as started:
        yield started


@pytest.fixture(scope="session")
def emulator(processes, tmp_path_factory) -> Emulator:
    return Emulator.start(tool("MINISTACK"), processes, tmp_path_factory.mktemp("emulator"))
