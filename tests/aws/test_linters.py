"""AWS's own translation, and linters that know AWS better than we do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cfn
from conftest import tool
from emulator import credentials

TOOLS = Path(sys.executable).parent


def run(*command: str) -> str:
    env = {**os.environ, **credentials("http://127.0.0.1:9"), "SAM_CLI_TELEMETRY": "0"}
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=180, cwd=cfn.FOLDER, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_deployed_template_is_joined_from_its_parts() -> None:
    run(sys.executable, str(cfn.FOLDER / "join"), "--check")


@pytest.mark.parametrize("path, region", [(cfn.TEMPLATE, "eu-west-1"), (cfn.WAF, "us-east-1")])
def test_cfn_lint_finds_nothing(path: Path, region: str) -> None:
    assert run(str(TOOLS / "cfn-lint"), "--regions", region, "--template", str(path)) == ""


def test_sam_translates_the_template() -> None:
    output = run(str(TOOLS / "sam"), "validate", "--lint", "--template", str(cfn.TEMPLATE))
    assert "is a valid SAM Template" in output


@pytest.mark.parametrize("path", [cfn.TEMPLATE, cfn.WAF])
def test_checkov_finds_nothing(path: Path) -> None:
    checkov = tool("CHECKOV")
    output = run(checkov, "--file", str(path), "--compact", "--skip-download", "--quiet")
    assert "Failed checks: 0" in output


@pytest.mark.parametrize("path", [cfn.TEMPLATE, cfn.WAF])
def test_every_suppression_says_why(path: Path) -> None:
    for name, body in cfn.load(path)["Resources"].items():
        for skip in body.get("Metadata", {}).get("checkov", {}).get("skip", []):
            assert len(skip["comment"].split()) > 5, f"{name} {skip['id']}"
