"""The template, deployed to the emulator: only where the code lies differs from AWS."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cfn
from emulator import Emulator, credentials

CODE = re.compile(r"^(      CodeUri: )\.\./\.\./functions/([a-z-]+)$", re.MULTILINE)
STACK = "terrarium-test"
SECRET = "signing-secret-of-the-tests"


@dataclass(frozen=True)
class Stack:
    emulator: Emulator
    outputs: dict[str, str]

    def client(self, service: str):
        return self.emulator.client(service)


def deploy(emulator: Emulator, packages: Path, folder: Path) -> Stack:
    """What `sam build && sam deploy` does, with the zips that infra/aws/package made."""
    source = cfn.TEMPLATE.read_text()
    built, functions = CODE.subn(rf"\g<1>{packages}/\g<2>.zip", source)
    assert functions == source.count("AWS::Serverless::Function")
    template = folder / "template.yaml"
    template.write_text(built)

    def aws(*command: str) -> None:
        program = Path(sys.executable).parent / "aws"
        env = {**os.environ, **credentials(emulator.endpoint)}
        done = subprocess.run(
            [program, *command], env=env, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    aws("s3", "mb", "s3://packages")
    packaged = str(folder / "packaged.yaml")
    aws(
        *("cloudformation", "package", "--template-file", str(template)),
        *("--s3-bucket", "packages", "--output-template-file", packaged),
    )
    machine = "x86_64" if os.uname().machine == "x86_64" else "arm64"
    aws(
        *("cloudformation", "deploy", "--template-file", packaged, "--stack-name", STACK),
        *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"),
        *("--parameter-overrides", "TerraDestination=true", f"Architecture={machine}"),
    )
    [found] = emulator.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    assert found["StackStatus"] == "CREATE_COMPLETE"
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}
    stack = Stack(emulator, outputs)
    repair_concurrency(stack)
    # As the README says: the real signing secret takes the place of the generated one.
    stack.client("secretsmanager").put_secret_value(
        SecretId=outputs["SigningSecretsArn"], SecretString=json.dumps({"terra": SECRET})
    )
    return stack


def repair_concurrency(stack: Stack) -> None:
    """CloudFormation makes numbers of the parameters that it puts in; the emulator leaves texts."""
    functions = stack.client("lambda")
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        bound = int((mapping.get("ScalingConfig") or {}).get("MaximumConcurrency", 2))
        functions.update_event_source_mapping(
            UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": bound}
        )
