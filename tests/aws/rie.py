"""AWS's Lambda Runtime Interface Emulator around one release binary.

It comes with the SAM CLI. One process runs one function, one invocation at a time.
"""

from __future__ import annotations

import json
import os
import platform
import urllib.request
import zipfile
from pathlib import Path

import samcli

from emulator import Emulator, credentials
from processes import Processes, free_port

# The emulator is named after what Go calls the processor.
MACHINE = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
RIE = Path(samcli.__file__).parent / "local" / "rapid" / f"aws-lambda-rie-{MACHINE}"


class Function:
    """A packaged binary that can be invoked."""

    def __init__(
        self,
        package: Path,
        settings: dict[str, str],
        emulator: Emulator,
        processes: Processes,
        folder: Path,
    ) -> None:
        code = folder / package.stem
        with zipfile.ZipFile(package) as zipped:
            zipped.extract("bootstrap", code)
        bootstrap = code / "bootstrap"
        bootstrap.chmod(0o755)
        port, runtime_port = free_port(), free_port()
        env = {
            "PATH": os.environ["PATH"],
            **credentials(emulator.endpoint),
            "AWS_LAMBDA_FUNCTION_NAME": package.stem,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            **settings,
        }
        command = [
            str(RIE),
            "--runtime-interface-emulator-address",
            f"127.0.0.1:{port}",
            "--runtime-api-address",
            f"127.0.0.1:{runtime_port}",
            "--log-level",
            "warn",
            str(bootstrap),
        ]
        self.log = processes.start(package.stem, command, env, port)
        self.url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"

    def invoke(self, event: dict, within_s: float = 30) -> dict:
        return self.invoke_with(json.dumps(event).encode(), within_s)

    def invoke_with(self, payload: bytes, within_s: float = 30) -> dict:
        request = urllib.request.Request(self.url, payload, method="POST")
        with urllib.request.urlopen(request, timeout=within_s) as answer:
            return json.load(answer)
