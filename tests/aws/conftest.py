"""What the tests share: where things are, and one emulator for the whole run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from emulator import Emulator
from processes import Processes, eventually, free_port

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


@pytest.fixture(scope="session")
def terra_api(processes) -> dict:
    """Terra's stand-in, answering its HTTP API: where it is, its credentials, whom it knows."""
    port = free_port()
    command = [tool("TERRA_API"), "--port", str(port), "--people", "1"]
    # Where Terra's description of its API is, every request is held against it.
    if description := os.environ.get("TERRARIUM_TERRA_DIR"):
        command += ["--terra-dir", description]
    log = processes.start("terra-api", command, {"PATH": os.environ["PATH"]}, port)
    # It listens before it has said where.
    said = eventually("Terra's stand-in says where it is", lambda: log.read_text().splitlines(), 10)
    return json.loads(said[0])
