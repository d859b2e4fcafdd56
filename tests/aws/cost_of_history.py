"""What a backfill asks of AWS: the numbers of infra/aws/COST.md. Not one of the tests; run

    .ci/aws -s tests/aws/cost_of_history.py

The packaged binaries fetch and route one person's whole past, through a proxy that counts what they
ask of the emulator. Write units are what the emulator says that they would be, indexes included.
"""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

import cfn
import events
import terra
from history import hurry, scan, windows
from rie import Function

QUEUE_ARN = "arn:aws:sqs:eu-west-1:000000000000:cost-events"
SECRET = "signing-secret-of-the-tests"
PROVIDER = "CORE"
READS = {"GetItem", "BatchGetItem", "Query"}
SQS_UNIT_BYTES = 64 * 1024
READ_UNIT_BYTES = 4096


class Counted:
    """A proxy in front of the emulator, and what went through it."""

    def __init__(self, port: int) -> None:
        self.calls, self.units, self.lock = Counter(), Counter(), Lock()
        counted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {k: v for k, v in self.headers.items() if k.lower() != "content-length"}
                service, _, operation = headers.get("x-amz-target", "").rpartition(".")
                if service.startswith("DynamoDB"):
                    asked = json.loads(body) | {"ReturnConsumedCapacity": "TOTAL"}
                    body = json.dumps(asked).encode()
                there = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                there.request(self.command, self.path, body, headers)
                answer = there.getresponse()
                found = answer.read()
                counted.note(service, operation or self.command, body, answer.status, found)
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(found)))
                self.end_headers()
                self.wfile.write(found)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def note(self, service: str, operation: str, sent: bytes, status: int, found: bytes) -> None:
        with self.lock:
            self.calls[operation] += 1
            if service.startswith("DynamoDB"):
                if operation in READS:
                    self.units["read"] += read_units(json.loads(sent), len(found))
                elif status == 200:
                    consumed = json.loads(found)["ConsumedCapacity"]
                    consumed = consumed if isinstance(consumed, list) else [consumed]
                    self.units["write"] += sum(each["CapacityUnits"] for each in consumed)
                else:
                    self.units["write"] += 1  # a condition that did not hold is charged as well
            elif "SQS" in service:
                self.units["sqs"] += -(-len(sent) // SQS_UNIT_BYTES)
            elif operation == "PUT":
                self.units["puts"] += 1

    def take(self) -> tuple[Counter, Counter]:
        with self.lock:
            taken = self.calls, self.units
            self.calls, self.units = Counter(), Counter()
            return taken


def read_units(asked: dict, answer_bytes: int) -> float:
    """From the size of the answer, whose JSON is larger than what is charged; a projection makes it
    smaller."""
    strong = asked.get("ConsistentRead") or "RequestItems" in asked
    return max(1, -(-answer_bytes // READ_UNIT_BYTES)) * (1.0 if strong else 0.5)


def test_count(packages, emulator, processes, tmp_path, terra_api) -> None:
    shape = cfn.load()["Resources"]["Table"]["Properties"]
    same = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    dynamodb, sqs = emulator.client("dynamodb"), emulator.client("sqs")
    dynamodb.create_table(TableName="cost", **{name: shape[name] for name in same})
    location = {"LocationConstraint": "eu-west-1"}
    emulator.client("s3").create_bucket(Bucket="cost", CreateBucketConfiguration=location)
    lane, jobs = [sqs.create_queue(QueueName=f"cost-{name}")["QueueUrl"] for name in ("lane", "jobs")]
    settings = {"TABLE_NAME": "cost", "ARCHIVE_BUCKET": "cost", "HISTORY_QUEUE_URL": jobs}
    counted = Counted(emulator.port)
    proxied = replace(emulator, endpoint=counted.endpoint)
    credentials = {key: terra_api[key] for key in ("dev_id", "api_key")}
    history = Function(
        packages / "history-fetch.zip",
        settings
        | {
            "BACKFILL_EVENTS_QUEUE_URL": lane,
            "TERRA_CREDENTIALS": json.dumps(credentials),
            "TERRA_API_URL": terra_api["base_url"],
        },
        proxied,
        processes,
        tmp_path,
    )
    router = Function(packages / "event-router.zip", settings, proxied, processes, tmp_path)
    intake = Function(
        packages / "webhook-intake.zip",
        {
            "ARCHIVE_BUCKET": "cost",
            "EVENTS_QUEUE_URL": lane,
            "PINGS_QUEUE_URL": lane,
            "SIGNING_SECRETS": json.dumps({"terra": SECRET}),
        },
        emulator,
        processes,
        tmp_path,
    )

    def queued() -> list[dict]:
        found = sqs.receive_message(QueueUrl=lane, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=lane, ReceiptHandle=message["ReceiptHandle"])
        return found

    def route(messages: list[dict]) -> None:
        bodies = {str(uuid.uuid4()): message["Body"] for message in messages}
        assert router.invoke(events.batch(QUEUE_ARN, bodies)) == {"batchItemFailures": []}

    user = terra.user(PROVIDER) | {"user_id": terra_api["users"][PROVIDER]}
    body = json.dumps({"type": "auth", "status": "success", "user": user}).encode()
    # Connected for a day: an empty answer within hours of connecting is not believed.
    day_ago_ms = int(time.time() - 86_400) * 1000
    sent = terra.headers(SECRET, body) | {"x-terra-ordering-timestamp": str(day_ago_ms)}
    intake.invoke(events.request(body, sent))
    route(queued())
    counted.take()
    connected = json.dumps({"job": "connected", "terra_user_id": user["user_id"]})
    assert history.invoke(events.batch(QUEUE_ARN, {"1": connected})) == {"batchItemFailures": []}
    show("planning", counted)

    place = (dynamodb, "cost")
    while any("time_pk" in window for window in windows(*place)):
        hurry(*place)
        history.invoke({"job": "work"}, within_s=300)
    # Once more for the backfill itself: it is done, and says so.
    hurry(*place)
    history.invoke({"job": "work"}, within_s=300)
    show("fetching", counted)
    while messages := queued():
        route(messages)
    show("routing", counted)
    history.invoke({"job": "work"})
    show("a look that finds nothing", counted)
    print("windows", dict(Counter(window["state"]["S"] for window in windows(*place))))
    print("records", sum(item["sk"]["S"].startswith("body#") for item in scan(*place)))


def show(what: str, counted: Counted) -> None:
    calls, units = counted.take()
    print(f"{what}: units {dict(units)}, calls {dict(calls)}")
