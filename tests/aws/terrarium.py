"""`terrarium` as an operator runs it, told of a system on AWS by its environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from conftest import tool
from emulator import Emulator, credentials


class Terrarium:
    """Runs the commands in a folder of their own."""

    def __init__(self, emulator: Emulator, settings: dict[str, str], folder: Path) -> None:
        self.env = {"PATH": os.environ["PATH"], **credentials(emulator.endpoint), **settings}
        self.folder = folder

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [tool("TERRARIUM"), *arguments],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            timeout=120,
            check=False,
        )

    def run(self, *arguments: str) -> bytes:
        done = self.ask(*arguments)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def json(self, *arguments: str):
        return json.loads(self.run(*arguments, "--json"))
