"""The first of the two commands of a deployment, `sam build`, packs what all the other tests run."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from conftest import ROOT

FUNCTIONS = {
    "WebhookIntake": "webhook-intake",
    "EventRouter": "event-router",
    "HistoryFetch": "history-fetch",
    "Deliver": "deliver",
    "Jobs": "jobs",
    "Api": "api",
}


@pytest.fixture(scope="module")
def built(packages: Path, tmp_path_factory) -> Path:
    """What `sam build` made for this machine's processor."""
    folder = tmp_path_factory.mktemp("sam") / "build"
    command = ["sam", "build", "--build-dir", str(folder)]
    command += ["--parameter-overrides", f"Architecture={packages.name}"]
    # SAM calls cargo-lambda, which finds everything built.
    rustflags = os.environ["PACKAGES_RUSTFLAGS"]
    environment = {**os.environ, "SAM_CLI_TELEMETRY": "0", "RUSTFLAGS": rustflags}
    ran = subprocess.run(
        command, cwd=ROOT / "infra/aws", env=environment, capture_output=True, text=True, timeout=1800
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return folder


@pytest.mark.parametrize(("resource", "package"), FUNCTIONS.items())
def test_sam_packs_the_very_binary_that_is_tested(built: Path, packages: Path, resource: str, package: str):
    with zipfile.ZipFile(packages / f"{package}.zip") as tested:
        assert (built / resource / "bootstrap").read_bytes() == tested.read("bootstrap")


def test_the_built_template_names_every_function_and_no_other(built: Path):
    made = {entry.name for entry in built.iterdir() if entry.is_dir()}
    assert made == set(FUNCTIONS)
    assert (built / "template.yaml").exists()
