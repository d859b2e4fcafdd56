"""The stories of the table on an engine that shares no code with the embedded one."""

from __future__ import annotations

import os
import subprocess

from conftest import ROOT


def test_the_stories_end_the_same_on_another_dynamodb(emulator) -> None:
    # The whole workspace, so that what was built for the other tests is not built again.
    command = ["cargo", "test", "--workspace", "--test", "it", "--"]
    # Years of history are not this test's matter.
    filters = ["--skip", "past::", "stories::", "convergence::"]
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
    # More than a few, and none was left out.
    assert " 0 failed; 0 ignored;" in done.stdout, done.stdout
