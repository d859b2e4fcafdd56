"""The template, deployed to the emulator: only where the code lies differs from AWS. And what tests
ask of a stack."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path

import archive
import cfn
from emulator import Emulator, credentials
from processes import eventually

CODE = re.compile(r"^(      CodeUri: )\.\./\.\./functions/([a-z-]+)$", re.MULTILINE)
STACK = "terrarium-test"
# An address at which nobody answers.
NOWHERE = {"base_url": "http://127.0.0.1:9/api/v2", "dev_id": "nobody", "api_key": "none"}
SECRET = "signing-secret-of-the-tests"


@dataclass(frozen=True)
class Stack:
    emulator: Emulator
    name: str
    outputs: dict[str, str]

    def client(self, service: str):
        return self.emulator.client(service)


def deploy(
    emulator: Emulator, packages: Path, folder: Path, *, name: str = STACK, terra: dict = NOWHERE
) -> Stack:
    """Does what `sam build && sam deploy` does, with the zips that infra/aws/package made.

    history-fetch asks the API at `terra`: by default an address where nobody answers, never Terra itself.
    """
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

    bucket = f"packages-of-{name}"
    aws("s3", "mb", f"s3://{bucket}")
    packaged = str(folder / "packaged.yaml")
    aws(
        *("cloudformation", "package", "--template-file", str(template)),
        *("--s3-bucket", bucket, "--output-template-file", packaged),
    )
    machine = "x86_64" if os.uname().machine == "x86_64" else "arm64"
    aws(
        *("cloudformation", "deploy", "--template-file", packaged, "--stack-name", name),
        *("--s3-bucket", bucket),  # too large to be sent, as it is for `sam deploy`
        *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"),
        *("--parameter-overrides", "TerraDestination=true", f"Architecture={machine}"),
        f"TerraApiUrl={terra['base_url']}",
    )
    [found] = emulator.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    assert found["StackStatus"] == "CREATE_COMPLETE"
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}
    stack = Stack(emulator, name, outputs)
    repair_concurrency(stack)
    # As the README says: the real secrets take the place of the generated ones.
    terra_credentials = {key: terra[key] for key in ("dev_id", "api_key")}
    for secret, value in (("SigningSecretsArn", {"terra": SECRET}), ("TerraApiKeyArn", terra_credentials)):
        stack.client("secretsmanager").put_secret_value(
            SecretId=outputs[secret], SecretString=json.dumps(value)
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


class Jobs:
    """The template's schedules, set off by hand with the very input that they have.

    The emulator sets them off as well, but does not fill in the execution's id: its looks for deliveries
    all have one text, which a FIFO queue takes once in five minutes.
    """

    def __init__(self, stack: Stack) -> None:
        self.functions = stack.client("lambda")
        self.sqs = stack.client("sqs")
        found = stack.client("scheduler").list_schedules(NamePrefix=stack.name)["Schedules"]
        of_stack = (each for each in found if each["Name"].startswith(f"{stack.name}-"))
        self.schedules = {each["Name"].removeprefix(f"{stack.name}-"): each for each in of_stack}
        self.scheduler = stack.client("scheduler")

    def run(self, name: str) -> None:
        target = self.scheduler.get_schedule(Name=self.schedules[name]["Name"])["Target"]
        text = target["Input"].replace("<aws.scheduler.execution-id>", uuid.uuid4().hex)
        _, _, service, _, _, queue = target["Arn"].split(":", 5)
        if service == "sqs":
            url = self.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
            self.sqs.send_message(QueueUrl=url, MessageBody=text, **target.get("SqsParameters", {}))
            return
        done = self.functions.invoke(FunctionName=target["Arn"], Payload=text)
        answer = json.load(done["Payload"])
        assert "FunctionError" not in done, answer
        assert answer == {"batchItemFailures": []}


class Table:
    """The table through boto3. Reads whole items, as the store's own code would."""

    def __init__(self, stack: Stack) -> None:
        self.dynamodb = stack.client("dynamodb")
        self.name = stack.outputs["TableName"]

    def webhook(self, webhook_id: str) -> dict | None:
        """Its line in the ledger: written last, so that all else is there once it is."""
        key = {"pk": {"S": f"WEBHOOK#{webhook_id}"}, "sk": {"S": "WEBHOOK"}}
        found = self.dynamodb.get_item(TableName=self.name, Key=key, ConsistentRead=True)
        return found.get("Item")

    def routed(self, webhook_id: str, within_s: float = 60) -> dict:
        what = f"a webhook is in the ledger ({webhook_id})"
        return eventually(what, lambda: self.webhook(webhook_id), within_s)

    def place(self) -> tuple:
        """The client and the name."""
        return self.dynamodb, self.name

    def items(self) -> list[dict]:
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.name)
        return [item for page in pages for item in page["Items"]]

    def records(self, provider: str, data_type: str) -> list[dict]:
        items = self.items()
        connections = {
            item["pk"]["S"]
            for item in items
            if item["sk"]["S"] == "CONNECTION" and item["provider"]["S"] == provider
        }
        return [
            item
            for item in items
            if item["pk"]["S"] in connections and item["sk"]["S"].startswith(f"{data_type}#")
        ]


def request(stack: Stack, address: str, **more) -> urllib.request.Request:
    """A request to a gateway. Names below `localhost` are this machine, which not every resolver knows: the
    connection goes to the address, the name into the header."""
    url = urllib.parse.urlsplit(address)
    there = f"{stack.emulator.endpoint}{url.path}" + (f"?{url.query}" if url.query else "")
    made = urllib.request.Request(there, **more)
    made.add_header("host", url.netloc)
    return made


def post(stack: Stack, body: bytes, headers: dict[str, str]) -> int:
    """Posts to the webhooks' gateway."""
    made = request(stack, stack.outputs["WebhookUrl"], data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(made, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def ask(stack: Stack, path: str, credential: str | None) -> tuple[int, dict]:
    """Asks the API through its gateway: the status, and the JSON."""
    headers = {"authorization": f"Bearer {credential}"} if credential else {}
    made = request(stack, stack.outputs["ApiUrl"] + path, headers=headers)
    try:
        with urllib.request.urlopen(made, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def archived(stack: Stack, entry: dict) -> bytes:
    """The body of a webhook, rebuilt from the archive alone."""
    locator = archive.Locator.parse(entry["locator"]["S"])
    bucket = stack.outputs["ArchiveBucketName"]
    header, body = archive.webhook(locator.fetch(stack.client("s3"), bucket))
    assert f"WEBHOOK#{header['webhook_id']}" == entry["pk"]["S"]
    return body


def queue_is_empty(stack: Stack, output: str) -> None:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    sqs, url = stack.client("sqs"), stack.outputs[output]

    def empty() -> bool:
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return all(int(found[name]) == 0 for name in names)

    eventually(f"{output} is empty", empty, within_s=60)
