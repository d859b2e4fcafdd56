"""The same template, deployed: webhooks posted to its gateway are found in its table and bucket."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

import archive
import terra
from conftest import tool
from processes import eventually
from stack import SECRET, STACK, Jobs, Stack, Table, archived, ask, deploy, post, queue_is_empty
from terrarium import Terrarium

WEBHOOKS = 200
SEED = 7


@pytest.fixture(scope="module")
def stack(emulator, packages, tmp_path_factory) -> Stack:
    return deploy(emulator, packages, tmp_path_factory.mktemp("deploy"))


@pytest.fixture(scope="module")
def table(stack):
    return Table(stack)


@pytest.fixture(scope="module")
def simulated(stack, tmp_path_factory) -> list[dict]:
    """What Terra's stand-in sent, each of it answered with 200."""
    folder = tmp_path_factory.mktemp("simulated")
    manifest = folder / "sent.jsonl"
    done = subprocess.run(
        [
            tool("TERRARIUM"),
            *("simulate", "--url", stack.outputs["WebhookUrl"]),
            *("--count", str(WEBHOOKS), "--seed", str(SEED), "--manifest", str(manifest)),
            *("--data", str(folder)),
        ],
        env={"PATH": os.environ["PATH"], "SIGNING_SECRETS": json.dumps({"terra": SECRET})},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sent = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert len(sent) == WEBHOOKS
    return sent


def test_every_webhook_is_in_the_ledger(simulated, table) -> None:
    outcomes = [table.routed(sent["webhook_id"])["outcome"]["S"] for sent in simulated]
    assert outcomes.count("stored") > WEBHOOKS / 2


def test_every_webhook_is_in_the_archive_byte_for_byte(stack, simulated, table) -> None:
    for sent in simulated:
        entry = table.routed(sent["webhook_id"])
        body = archived(stack, entry)
        assert hashlib.sha256(body).hexdigest() == sent["sha256"], sent["webhook_id"]
        assert len(body) == sent["size_bytes"] == int(entry["size_bytes"]["N"])


def test_a_batch_is_one_archive_object(stack, simulated, table) -> None:
    segments = {
        archive.Locator.parse(table.routed(sent["webhook_id"])["locator"]["S"]).segment
        for sent in simulated
    }
    assert len(segments) < WEBHOOKS


def data_of(body: dict) -> list[dict]:
    """What of a body becomes a record each; none in an event."""
    data = body.get("athlete") or body.get("data") or []
    return data if isinstance(data, list) else [data]


def test_every_record_is_in_the_table(stack, simulated, table) -> None:
    entries = [table.routed(sent["webhook_id"]) for sent in simulated]
    items = table.items()
    connections = {
        item["pk"]["S"].removeprefix("TERRA#"): item["connection_id"]["S"]
        for item in items
        if item["sk"]["S"] == "ALIAS"
    }
    # Whose, of what type, of when. Which of them are one and the same is the program's to know.
    there = {
        (item["pk"]["S"], item["sk"]["S"].split("#")[0], item.get("start_time", {}).get("S"))
        for item in items
        if "payload" in item
    }
    sent_types = set()
    for entry in entries:
        body = json.loads(archived(stack, entry))
        data = data_of(body)
        if entry["outcome"]["S"] == "parked":
            continue  # as a whole, or some of its records
        counts = entry["records"]["M"].values()
        assert sum(int(count["N"]) for count in counts) == len(data), entry["pk"]
        data_type = body["type"].split(".")[0]
        for each in data:
            sent_types.add(data_type)
            if data_type == "lab_report":
                # A person's and no connection's. Its day and time have fields of their own.
                reports = {whose for whose, of_type, _ in there if of_type == data_type}
                assert f"PERSON#{each['reference_id']}" in reports
                continue
            whose = f"CONNECTION#{connections[body['user']['user_id']]}"
            at = each.get("metadata", each).get("start_time", each.get("timestamp"))
            assert (whose, data_type, at) in there, entry["pk"]
    assert len(sent_types) > 5


def test_every_record_reads_back_as_it_was_sent(stack, simulated, table) -> None:
    for sent in simulated:
        table.routed(sent["webhook_id"])
    bucket = stack.outputs["ArchiveBucketName"]
    records = [item for item in table.items() if "payload" in item]
    assert records
    for record in records:
        assert record["summary"]["M"], record["sk"]
        frames = archive.Locator.parse(record["payload"]["S"]).fetch(stack.client("s3"), bucket)
        # A small record is in its item as well, so that reading it needs no S3.
        assert record.get("inline", {}).get("B", frames) == frames
        as_sent = json.loads(archive.decompress(frames))
        # It says itself which delivery it is from.
        entry = table.webhook(record["webhook_id"]["S"])
        body = json.loads(archived(stack, entry))
        assert data_of(body)[int(record["index"]["N"])] == as_sent, record["sk"]
        data_type = record["sk"]["S"].split("#")[0]
        if data_type in ("body", "daily", "nutrition"):
            # A day is cut from Terra's own text and never converted.
            day = as_sent["metadata"]["start_time"][:10]
            assert record["sk"]["S"] == f"{data_type}#{day}"


def test_the_gateway_refuses_what_terra_has_not_signed(stack, table) -> None:
    body = terra.event("body", "CORE", [terra.day("2026-07-02")])
    headers = terra.headers("somebody else's secret", body)
    assert post(stack, body, headers) == 401
    assert table.webhook(headers["x-terra-trace-id"]) is None


def test_a_retry_changes_nothing(stack, table) -> None:
    body = terra.event("body", "CORE", [terra.day("2026-07-02", device_data={"name": "CORE"})])
    headers = terra.headers(SECRET, body)
    assert post(stack, body, headers) == 200
    first = table.routed(headers["x-terra-trace-id"])
    headers["x-terra-signature"] = terra.signature(SECRET, body)
    assert post(stack, body, headers) == 200
    queue_is_empty(stack, "EventsQueueUrl")
    assert table.webhook(headers["x-terra-trace-id"]) == first


@pytest.fixture
def hasty_queue(stack):
    """The events queue brings back at once what failed: five real receives take half an hour."""
    sqs, url = stack.client("sqs"), stack.outputs["EventsQueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "3"})
    yield url
    sqs.set_queue_attributes(QueueUrl=url, Attributes=found["Attributes"])


def test_a_poison_message_ends_in_the_dead_letter_queue(stack, table, hasty_queue) -> None:
    sqs = stack.client("sqs")
    sqs.send_message(QueueUrl=hasty_queue, MessageBody="poison")
    # A good one beside it is not held back.
    body = terra.event("body", "CORE", [terra.day("2026-07-03")])
    headers = terra.headers(SECRET, body)
    assert post(stack, body, headers) == 200
    table.routed(headers["x-terra-trace-id"])

    def dead() -> list[dict]:
        url = stack.outputs["EventsDeadLettersUrl"]
        return sqs.receive_message(QueueUrl=url, VisibilityTimeout=0).get("Messages", [])

    [letter] = eventually("the poison is a dead letter", dead, within_s=120)
    assert letter["Body"] == "poison"
    queue_is_empty(stack, "EventsQueueUrl")


@pytest.fixture(scope="module")
def follows_loopback(stack) -> None:
    """The router fetches from https only; the emulator's presigned URLs are plain http."""
    functions, name = stack.client("lambda"), stack.outputs["EventRouterName"]
    settings = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    settings |= {"PAYLOAD_ALLOW_LOOPBACK_HTTP": "true"}
    functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": settings}
    )


@pytest.fixture(scope="module")
def payload(stack) -> tuple[str, bytes]:
    """20 MB as Terra puts them into its storage: more than a gateway or Lambda carries."""
    sample = {"timestamp": "2026-07-02T10:00:00.000000+01:00", "temperature_celsius": 36.55}
    samples = {"body_temperature_samples": [sample] * 250_000}
    body = terra.event("body", "CORE", [terra.day("2026-07-02", temperature_data=samples)])
    assert len(body) > 20_000_000
    s3 = stack.client("s3")
    location = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket="terras-payloads", CreateBucketConfiguration=location)
    s3.put_object(Bucket="terras-payloads", Key="payload.json", Body=body)
    target = {"Bucket": "terras-payloads", "Key": "payload.json"}
    return s3.generate_presigned_url("get_object", Params=target, ExpiresIn=600), body


def ping(url: str, **more: object) -> bytes:
    message = {"type": "s3_payload", "status": "success", "url": url, "expires_in": 600, **more}
    return json.dumps(message).encode()


def is_followed(stack: Stack, table: Table, webhook_id: str, payload: bytes) -> None:
    own = table.routed(webhook_id, within_s=90)
    assert own["outcome"]["S"] == "followed"
    fetched = table.routed(f"{webhook_id}~payload")
    assert fetched["outcome"]["S"] == "stored"
    assert archived(stack, fetched) == payload


def test_a_pings_payload_is_fetched_and_stored(stack, table, follows_loopback, payload) -> None:
    url, expected = payload
    body = ping(url)
    headers = terra.headers(SECRET, body)
    assert post(stack, body, headers) == 200
    is_followed(stack, table, headers["x-terra-trace-id"], expected)


def test_terras_own_sqs_destination_takes_the_same_road(
    stack, table, follows_loopback, payload
) -> None:
    url, expected = payload
    # Two pings are two webhooks; without a trace id the body alone tells them apart.
    body = ping(url, payload_reference=terra.new_id())
    stack.client("sqs").send_message(
        QueueUrl=stack.outputs["TerraDestinationQueueUrl"], MessageBody=body.decode()
    )
    webhook_id = "sha256:" + hashlib.sha256(b"\0" + body).hexdigest()
    is_followed(stack, table, webhook_id, expected)


def operator_of(stack: Stack, folder: Path) -> Terrarium:
    """`terrarium`, told of the stack as the README says."""
    settings = {
        "TABLE_NAME": stack.outputs["TableName"],
        "ARCHIVE_BUCKET": stack.outputs["ArchiveBucketName"],
        "SIGNING_SECRETS_ARN": stack.outputs["SigningSecretsArn"],
        "API_SIGNING_KEYS_ARN": stack.outputs["ApiSigningKeysArn"],
        "DESTINATION_SECRETS_PREFIX": stack.outputs["DestinationSecretsPrefix"],
    }
    return Terrarium(stack.emulator, settings, folder)


def test_an_operator_looks_verifies_replays_and_erases(stack, table, tmp_path) -> None:
    operator = operator_of(stack, tmp_path)
    body = terra.event("nutrition", "CRONOMETER", [terra.day("2026-07-04")])
    person = json.loads(body)["user"]["reference_id"]
    headers = terra.headers(SECRET, body)
    assert post(stack, body, headers) == 200
    webhook_id = headers["x-terra-trace-id"]
    table.routed(webhook_id)

    [connection] = operator.json("show", "user", person)["connections"]
    assert connection["records"] == {"nutrition": 1}
    [record] = operator.json("show", "record", connection["connection_id"], "nutrition")
    assert record["key"] == "2026-07-04"
    assert operator.json("show", "webhook", webhook_id)["outcome"] == "stored"
    assert operator.run("archive", "cat", webhook_id) == body
    operator.run("archive", "verify", webhook_id)
    before = table.items()
    assert b"nothing would change" in operator.run("replay", "--webhook", webhook_id, "--dry-run")
    operator.run("replay", "--webhook", webhook_id)
    assert sorted(map(str, table.items())) == sorted(map(str, before))

    operator.run("erase", "--reference-id", person, "--yes")
    for gone in (["show", "user", person], ["archive", "cat", webhook_id]):
        assert operator.ask(*gone).returncode == 3, gone


def path_of(person: str) -> str:
    """A person in the form of ids in paths."""
    return "~" + base64.urlsafe_b64encode(person.encode()).decode().rstrip("=")


def test_what_was_stored_is_read_through_the_gateway(stack, table, tmp_path) -> None:
    # An id with everything that a gateway could take for something else.
    person = "ann/b 100%25 é?x=1"
    day = terra.day("2026-07-08")
    event = json.loads(terra.event("nutrition", "CRONOMETER", [day]))
    event["user"]["reference_id"] = person
    body = json.dumps(event).encode()
    headers = terra.headers(SECRET, body)
    assert post(stack, body, headers) == 200
    table.routed(headers["x-terra-trace-id"])

    operator = operator_of(stack, tmp_path)
    scopes = ("people:read", "people:token")
    given = [word for scope in scopes for word in ("--scope", scope)]
    key = operator.json("keys", "create", "--name", "tests", *given)
    token = operator.run("token", "--reference-id", person).decode().strip()
    records = f"/v1/people/{path_of(person)}/records?type=nutrition&from=2026-07-08&to=2026-07-08&include=payload"
    for credential in (key["key"], token):
        status, answer = ask(stack, records, credential)
        assert status == 200, answer
        [record] = answer["data"]
        assert record["payload"] == day
    status, answer = ask(stack, f"/v1/people/{path_of('another')}/records?type=nutrition", token)
    assert status == 403, answer
    for odd in ("/v1/people/100%25", "/v1/people/%C3%A9%2F..", "/v1/people?no=%C3%A9", "/v1//people"):
        status, answer = ask(stack, odd, key["key"])
        assert status in (400, 404) and answer["detail"], odd
    for credential, wanted in ((None, 401), ("tk_nobody", 401)):
        status, answer = ask(stack, "/v1/people", credential)
        assert (status, answer["status"]) == (wanted, wanted)
    status, answer = ask(stack, "/v1/openapi.json", None)
    assert (status, answer["openapi"]) == (200, "3.1.0")


def test_what_a_destination_does_not_take_is_owed_to_it(stack, table, tmp_path) -> None:
    """A deployed deliver reaches nothing on this machine, because loopback is refused to it."""

    def stored(day: str) -> None:
        body = terra.event("nutrition", "CRONOMETER", [terra.day(day)])
        headers = terra.headers(SECRET, body)
        assert post(stack, body, headers) == 200
        table.routed(headers["x-terra-trace-id"])

    stored("2026-07-05")
    operator = operator_of(stack, tmp_path)
    # A name that never resolves.
    settings = ["--name", "nobody", "--set", "url=https://nobody.invalid/hook", "--unproven"]
    added = operator.json("destinations", "add", "webhook", *settings)["destination"]["id"]
    name = stack.outputs["DestinationSecretsPrefix"] + added

    def secrets() -> list[str]:
        found = stack.client("secretsmanager").get_paginator("list_secrets").paginate()
        return [each["Name"] for page in found for each in page["SecretList"]]

    assert name in secrets()

    def shown() -> dict:
        return operator.json("destinations", "show", added)

    # What is there already, by the order that a new destination begins with: a look begins it once every router
    # knows the destination, which is two minutes later.
    def done() -> bool:
        Jobs(stack).run("deliver-look")
        return bool(shown()["orders"][0].get("done_at_ms"))

    eventually("the first order is done", done, within_s=300)
    before = shown()["owed"]
    assert before > 0

    # What comes later, once the router has read its list of destinations again.
    def announced() -> bool:
        stored("2026-07-06")  # each time of another person
        return shown()["owed"] > before

    eventually("a new record is owed as well", announced, within_s=120)
    queue_is_empty(stack, "DeliveriesQueueUrl")
    operator.run("destinations", "remove", added, "--yes")
    assert name not in secrets()


def test_nothing_but_the_poison_failed(stack, simulated) -> None:
    """Runs after all that was sent above: no webhook went back to its queue for good."""
    queues = ("EventsQueueUrl", "PingsQueueUrl", "BackfillEventsQueueUrl", "TerraDestinationQueueUrl")
    for output in (*queues, "DeliveriesQueueUrl"):
        queue_is_empty(stack, output)


def test_removing_the_stack_keeps_table_and_archive(stack, simulated, table) -> None:
    """The last test of this file: nothing else is left afterwards."""
    cloudformation = stack.client("cloudformation")
    cloudformation.delete_stack(StackName=STACK)

    def gone() -> bool:
        stacks = cloudformation.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])
        return any(found["StackName"] == STACK for found in stacks["StackSummaries"])

    eventually("the stack is gone", gone, within_s=60)
    entry = table.webhook(simulated[0]["webhook_id"])
    assert hashlib.sha256(archived(stack, entry)).hexdigest() == simulated[0]["sha256"]
