"""AWS on this machine: ministack, which runs the packaged binaries as its Lambda functions."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.config import Config

from processes import Processes, free_port

REGION = "eu-west-1"


@dataclass(frozen=True)
class Emulator:
    port: int
    endpoint: str

    @classmethod
    def start(cls, program: str, processes: Processes, folder: Path) -> Emulator:
        port = free_port()
        endpoint = f"http://127.0.0.1:{port}"
        env = {
            **os.environ,
            **credentials(endpoint),
            # Without it the emulator listens on every interface.
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "TMPDIR": str(folder),
        }
        processes.start("emulator", [program], env, port)
        return cls(port, endpoint)

    def client(self, service: str):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
        )


def credentials(endpoint: str) -> dict[str, str]:
    """The environment in which a program of AWS speaks to the emulator and to nobody else."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
