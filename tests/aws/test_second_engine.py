"""The stories of the table on an engine that shares no code with the embedded one."""

from __future__ import annotations

import os
import re
import subprocess

from conftest import ROOT

# A few less than there are, so that one that goes needs no change here.
STORIES = 20


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
    found = re.findall(r"(\d+) passed; \d+ failed; (\d+) ignored;", done.stdout)
    assert found, done.stdout
    # None was left out, and a filter that takes too much away does not pass for success.
    assert all(ignored == "0" for _, ignored in found), done.stdout
    assert sum(int(passed) for passed, _ in found) >= STORIES, done.stdout
