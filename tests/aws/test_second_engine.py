"""What the table promises, on an engine that shares no code with the embedded one."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from conftest import ROOT

# The tests of each target, and a few less than there are, so that one that goes needs no change here.
# Years of history are not this test's matter.
TARGETS = [
    ("it", ["--skip", "past::", "stories::", "convergence::"], 20),
    ("history", [], 25),
]


@pytest.mark.parametrize(("target", "filters", "at_least"), TARGETS)
def test_the_table_keeps_its_promises_on_another_dynamodb(
    emulator, target: str, filters: list[str], at_least: int
) -> None:
    # The whole workspace, so that what was built for the other tests is not built again.
    command = ["cargo", "test", "--workspace", "--test", target, "--"]
    done = subprocess.run(
        [*command, *filters],
        env={**os.environ, "TERRARIUM_TEST_DYNAMODB_URL": emulator.endpoint},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"(\d+) passed; \d+ failed; (\d+) ignored;", done.stdout)
    assert found, done.stdout
    # None was left out, and a filter that takes too much away does not pass for success.
    assert all(ignored == "0" for _, ignored in found), done.stdout
    assert sum(int(passed) for passed, _ in found) >= at_least, done.stdout
