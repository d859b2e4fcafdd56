"""The release binaries in AWS's own Runtime Interface Emulator, with AWS's own event shapes."""

from __future__ import annotations

import base64
import gzip
import json
import os

import pytest
import zstandard

import cfn
import events
import terra
from rie import Function
from terrarium import Terrarium

SECRET = "signing-secret-of-the-tests"
SIGNING_KEY = "key-that-signs-the-tokens-of-the-tests-and-nothing-else"
QUEUE_ARN = "arn:aws:sqs:eu-west-1:000000000000:rie-events"
TERRA_QUEUE_ARN = "arn:aws:sqs:eu-west-1:000000000000:rie-terra-destination"
DELIVERIES_ARN = "arn:aws:sqs:eu-west-1:000000000000:rie-deliveries.fifo"
JOBS_ARN = "arn:aws:sqs:eu-west-1:000000000000:rie-history"
BUCKET = "rie-archive"
TABLE = "rie-table"


@pytest.fixture(scope="module")
def queue_url(emulator) -> str:
    return emulator.client("sqs").create_queue(QueueName="rie-events")["QueueUrl"]


@pytest.fixture(scope="module")
def bucket(emulator) -> str:
    location = {"LocationConstraint": "eu-west-1"}
    emulator.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
    return BUCKET


@pytest.fixture(scope="module")
def table(emulator):
    """The table as the template describes it."""
    shape = cfn.load()["Resources"]["Table"]["Properties"]
    same = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    dynamodb = emulator.client("dynamodb")
    dynamodb.create_table(TableName=TABLE, **{name: shape[name] for name in same})
    return dynamodb


@pytest.fixture(scope="module")
def intake(packages, emulator, processes, tmp_path_factory, queue_url, bucket) -> Function:
    settings = {
        "EVENTS_QUEUE_URL": queue_url,
        "PINGS_QUEUE_URL": queue_url,
        "ARCHIVE_BUCKET": bucket,
        "SIGNING_SECRETS": json.dumps({"old": "another", "terra": SECRET}),
    }
    folder = tmp_path_factory.mktemp("intake")
    return Function(packages / "webhook-intake.zip", settings, emulator, processes, folder)


@pytest.fixture(scope="module")
def router(packages, emulator, processes, tmp_path_factory, table, bucket) -> Function:
    settings = {
        "TABLE_NAME": TABLE,
        "ARCHIVE_BUCKET": bucket,
        "TERRA_QUEUE_ARN": TERRA_QUEUE_ARN,
    }
    folder = tmp_path_factory.mktemp("router")
    return Function(packages / "event-router.zip", settings, emulator, processes, folder)


@pytest.fixture(scope="module")
def jobs_url(emulator) -> str:
    return emulator.client("sqs").create_queue(QueueName="rie-history")["QueueUrl"]


@pytest.fixture(scope="module")
def history(
    packages, emulator, processes, tmp_path_factory, table, bucket, jobs_url, queue_url, terra_api
) -> Function:
    settings = {
        "TABLE_NAME": TABLE,
        "ARCHIVE_BUCKET": bucket,
        "BACKFILL_EVENTS_QUEUE_URL": queue_url,
        "HISTORY_QUEUE_URL": jobs_url,
        "TERRA_CREDENTIALS": json.dumps({key: terra_api[key] for key in ("dev_id", "api_key")}),
        "TERRA_API_URL": terra_api["base_url"],
    }
    folder = tmp_path_factory.mktemp("history")
    return Function(packages / "history-fetch.zip", settings, emulator, processes, folder)


@pytest.fixture(scope="module")
def deliver(packages, emulator, processes, tmp_path_factory, table, bucket) -> Function:
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    made = emulator.client("sqs").create_queue(QueueName="rie-deliveries.fifo", Attributes=attributes)
    settings = {
        "TABLE_NAME": TABLE,
        "ARCHIVE_BUCKET": bucket,
        "DELIVERIES_QUEUE_URL": made["QueueUrl"],
        "DESTINATION_SECRETS_PREFIX": "rie/destinations/",
    }
    folder = tmp_path_factory.mktemp("deliver")
    return Function(packages / "deliver.zip", settings, emulator, processes, folder)


@pytest.fixture(scope="module")
def api(packages, emulator, processes, tmp_path_factory, table, bucket, terra_api) -> Function:
    settings = {
        "TABLE_NAME": TABLE,
        "ARCHIVE_BUCKET": bucket,
        "API_SIGNING_KEYS": json.dumps({"first": SIGNING_KEY}),
        "SIGNING_SECRETS": json.dumps({"terra": SECRET}),
        "TERRA_CREDENTIALS": json.dumps({key: terra_api[key] for key in ("dev_id", "api_key")}),
        "TERRA_API_URL": terra_api["base_url"],
    }
    folder = tmp_path_factory.mktemp("api")
    return Function(packages / "api.zip", settings, emulator, processes, folder)


@pytest.fixture(scope="module")
def key(emulator, table, bucket, tmp_path_factory) -> str:
    """A key of the API, made by the command that an operator uses."""
    settings = {"TABLE_NAME": TABLE, "ARCHIVE_BUCKET": bucket}
    operator = Terrarium(emulator, settings, tmp_path_factory.mktemp("operator"))
    scopes = ("--scope", "people:read")
    return operator.json("keys", "create", "--name", "rie", *scopes)["key"]


@pytest.fixture
def queued(emulator, queue_url):
    """Takes all messages from the events queue."""
    return taker(emulator, queue_url)


@pytest.fixture
def jobs_queued(emulator, jobs_url):
    """Takes all messages from the history queue."""
    return taker(emulator, jobs_url)


def taker(emulator, queue_url: str):
    sqs = emulator.client("sqs")

    def take() -> list[str]:
        bodies = []
        while found := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in found:
                bodies.append(message["Body"])
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    take()
    return take


def body_of(message: dict) -> bytes:
    packed = base64.b64decode(message["body"]["inline"])
    return zstandard.ZstdDecompressor().decompress(packed, max_output_size=message["size_bytes"])


def cronometer() -> bytes:
    # Text beyond ASCII: bytes and characters are not the same number.
    food = {"name": "Müsli 🥣", "quantity": {"amount": 60.5, "unit": None}}
    return terra.event("nutrition", "CRONOMETER", [terra.day("2026-07-02", meals=[food])])


def title_case(headers: dict[str, str]) -> dict[str, str]:
    return {name.title(): value for name, value in headers.items()}


@pytest.mark.parametrize("encoded", [False, True], ids=["text", "base64"])
@pytest.mark.parametrize("spell", [dict, title_case], ids=["lower-case", "title-case"])
def test_a_signed_webhook_is_queued_byte_for_byte(intake, queued, encoded, spell) -> None:
    body = cronometer()
    headers = terra.headers(SECRET, body)
    answer = intake.invoke(events.request(body, spell(headers), encoded=encoded))

    assert answer["statusCode"] == 200
    [text] = queued()
    message = json.loads(text)
    assert body_of(message) == body
    assert message["webhook_id"] == headers["x-terra-trace-id"]
    assert message["secret_name"] == "terra"


def test_one_right_signature_among_several_is_enough(intake, queued) -> None:
    """The gateway joins headers of one name by a comma; Terra's old and new names stand apart."""
    body = cronometer()
    headers = terra.headers(SECRET, body)
    right = headers.pop("x-terra-signature")
    t, v1 = right.split(",")
    forms = [
        {"x-terra-signature": f"{t},v1={'0' * 64},{v1}"},
        {"x-terra-signature": f"t=1,v1={'0' * 64},{right}"},
        {"x-terra-signature": f"t=1,v1={'0' * 64}", "terra-signature": right},
        {"terra-signature": right},
    ]
    for form in forms:
        assert intake.invoke(events.request(body, {**headers, **form}))["statusCode"] == 200, form
    assert len(queued()) == len(forms)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body, headers: events.request(body, {k: v for k, v in headers.items() if "sign" not in k}),
        lambda body, headers: events.request(body + b" ", headers),
        lambda body, headers: events.request(body, {**headers, "x-terra-signature": terra.signature("guess", body)}),
        lambda body, headers: events.request(body, {**headers, "x-terra-signature": terra.signature(SECRET, body, 1)}),
        lambda body, headers: events.request("not base64!", headers, encoded=True),
        lambda body, headers: events.request(None, headers),
    ],
    ids=["unsigned", "changed", "forged", "ancient", "bad-base64", "empty"],
)
def test_anything_else_is_refused_and_not_queued(intake, queued, spoil) -> None:
    body = cronometer()
    answer = intake.invoke(spoil(body, terra.headers(SECRET, body)))

    assert answer["statusCode"] == 401
    assert answer["headers"]["content-type"] == "application/problem+json"
    assert queued() == []


def test_only_posts_are_taken(intake, queued) -> None:
    answer = intake.invoke(events.request(None, {}, method="GET"))
    assert (answer["statusCode"], answer["headers"]["allow"]) == (405, "POST")
    assert queued() == []


def test_a_large_body_goes_by_way_of_the_inbox(intake, queued, emulator) -> None:
    # Four megabytes that do not compress: the most that Lambda takes with certainty.
    noise = base64.b64encode(os.urandom(3 * 1024 * 1024)).decode()
    body = terra.event("activity", "GARMIN", [terra.day("2026-07-02", noise=noise)])
    answer = intake.invoke(events.request(body, terra.headers(SECRET, body)))

    assert answer["statusCode"] == 200
    [text] = queued()
    message = json.loads(text)
    key = message["body"]["inbox"]
    assert key.startswith("inbox/")
    kept = emulator.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    assert zstandard.ZstdDecompressor().decompress(kept, max_output_size=len(body)) == body


def ledger(table, webhook_id: str) -> dict | None:
    key = {"pk": {"S": f"WEBHOOK#{webhook_id}"}, "sk": {"S": "WEBHOOK"}}
    return table.get_item(TableName=TABLE, Key=key).get("Item")


def test_only_what_failed_comes_back(intake, router, queued, table) -> None:
    body = cronometer()
    headers = terra.headers(SECRET, body)
    intake.invoke(events.request(body, headers))
    [good] = queued()
    answer = router.invoke(events.batch(QUEUE_ARN, {"good": good, "poison": "{", "empty": "{}"}))

    failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
    assert failed == {"poison", "empty"}
    assert ledger(table, headers["x-terra-trace-id"])["outcome"]["S"] == "stored"


def test_a_body_that_is_no_event_is_parked_and_not_retried(intake, router, queued, table) -> None:
    body = b"\xff\xfe no JSON at all"
    headers = terra.headers(SECRET, body)
    intake.invoke(events.request(body, headers, encoded=True))
    [message] = queued()
    answer = router.invoke(events.batch(QUEUE_ARN, {"odd": message}))

    assert answer["batchItemFailures"] == []
    assert ledger(table, headers["x-terra-trace-id"])["outcome"]["S"] == "parked"


def test_terras_own_messages_are_known_by_their_queue(router) -> None:
    message = {"healthcheck": '{"type":"healthcheck","status":"success"}'}
    assert router.invoke(events.batch(TERRA_QUEUE_ARN, message))["batchItemFailures"] == []
    # The same words on our own queue are no message of ours.
    assert router.invoke(events.batch(QUEUE_ARN, message))["batchItemFailures"] == [
        {"itemIdentifier": "healthcheck"}
    ]


def test_a_schedules_jobs_are_done(history, jobs_queued) -> None:
    nothing_failed = {"batchItemFailures": []}
    assert history.invoke({"job": "work"}) == nothing_failed
    assert jobs_queued() == []
    # A large job falls into small ones, each of them a message.
    assert history.invoke({"job": "find_gaps"}) == nothing_failed
    jobs = [json.loads(text) for text in jobs_queued()]
    assert {job["job"] for job in jobs} == {"find_gaps_of"}
    assert {job["shard"] for job in jobs} == set(range(len(jobs)))


def test_jobs_of_the_queue_are_done_and_only_what_failed_comes_back(
    history, intake, router, queued, table, terra_api
) -> None:
    user = terra.user("CORE") | {"user_id": terra_api["users"]["CORE"]}
    body = json.dumps({"type": "auth", "status": "success", "user": user}).encode()
    headers = terra.headers(SECRET, body)
    intake.invoke(events.request(body, headers))
    [message] = queued()
    assert router.invoke(events.batch(QUEUE_ARN, {"auth": message}))["batchItemFailures"] == []
    jobs = {
        "connected": json.dumps({"job": "connected", "terra_user_id": user["user_id"]}),
        "stranger": json.dumps({"job": "connected", "terra_user_id": "nobody"}),
        "poison": "{",
        "unknown": json.dumps({"job": "rest"}),
    }
    answer = history.invoke(events.batch(JOBS_ARN, jobs))

    failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
    assert failed == {"poison", "unknown"}
    kinds = {item["sk"]["S"].split("#")[0] for item in table.scan(TableName=TABLE)["Items"]}
    assert kinds >= {"BACKFILL", "WINDOW"}
    # And its windows are asked for: what Terra answers is on the queue of the router.
    assert history.invoke({"job": "work"}) == {"batchItemFailures": []}
    fetched = [json.loads(text) for text in queued()]
    assert fetched
    assert all(message["webhook_id"].startswith("fetched~") for message in fetched)
    assert router.invoke(
        events.batch(QUEUE_ARN, {str(i): json.dumps(each) for i, each in enumerate(fetched[:10])})
    ) == {"batchItemFailures": []}
    assert ledger(table, fetched[0]["webhook_id"])["outcome"]["S"] == "stored"


@pytest.mark.parametrize(
    "payload, says",
    [
        (b'{"job":"rest"}', "unknown variant `rest`, expected one of `work`, `reconcile`"),
        (b"{}", "missing field `job`"),
        (b'{"Records":"none"}', "expected a sequence"),
        (b'"work"', "invalid type: string"),
        (b'{"job":', "EOF while parsing"),
    ],
    ids=["no-such-job", "nothing", "no-batch", "text", "half"],
)
def test_what_is_no_event_of_history_is_a_clear_error(history, payload, says) -> None:
    answer = history.invoke_with(payload)
    assert says in answer["errorMessage"], answer
    # And the next one is none the worse for it.
    assert history.invoke({"job": "work"}) == {"batchItemFailures": []}


def changes_of(destination: str) -> str:
    """Tells a destination of a connection."""
    changed = {"changed": "connection", "id": "0" * 32}
    message = {"job": "changes", "destination": destination, "shard": 0, "cause": "live"}
    return json.dumps({**message, "changes": [changed]})


def test_a_group_comes_back_from_its_first_message_that_failed(deliver) -> None:
    jobs = {
        "look": json.dumps({"job": "work", "run": "1"}),
        "poison": "{",
        "behind": json.dumps({"job": "work", "run": "2"}),
    }
    answer = deliver.invoke(events.batch(DELIVERIES_ARN, jobs, group="work"))
    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == ["poison", "behind"]

    # A destination that was removed is told nothing, and nothing waits for it.
    jobs = {"gone": changes_of("dst_gone")}
    answer = deliver.invoke(events.batch(DELIVERIES_ARN, jobs, group="dst_gone#0"))
    assert answer["batchItemFailures"] == []


def ask(api: Function, path: str, query: str = "", **headers: str) -> tuple[dict, bytes]:
    """Asks the API as its gateway does: the answer, and its body as the caller gets it."""
    answer = api.invoke(events.request(None, headers, method="GET", path=path, query=query))
    body = answer["body"].encode()
    return answer, base64.b64decode(body) if answer["isBase64Encoded"] else body


def test_what_was_routed_is_read(api, key, intake, router, queued) -> None:
    body = cronometer()
    person = json.loads(body)["user"]["reference_id"]
    intake.invoke(events.request(body, terra.headers(SECRET, body)))
    [message] = queued()
    assert router.invoke(events.batch(QUEUE_ARN, {"new": message})) == {"batchItemFailures": []}

    query = "type=nutrition&from=2026-07-01&to=2026-07-31&include=payload"
    records = f"/v1/people/{person}/records"
    answer, plain = ask(api, records, query, authorization=f"Bearer {key}")
    assert answer["statusCode"] == 200
    [record] = json.loads(plain)["data"]
    assert record["payload"] == json.loads(body)["data"][0]
    headers = {"x-api-key": key, "accept-encoding": "gzip"}
    answer, packed = ask(api, records, query, **headers)
    if answer["headers"].get("content-encoding") == "gzip":
        packed = gzip.decompress(packed)
    assert json.loads(packed)["data"] == json.loads(plain)["data"]


def test_the_api_lets_in_who_has_a_key(api, key) -> None:
    for headers, status in (({}, 401), ({"x-api-key": "guess"}, 401), ({"x-api-key": f"{key}0"}, 401)):
        answer, body = ask(api, "/v1/people", **headers)
        assert answer["statusCode"] == status
        assert answer["headers"]["content-type"] == "application/problem+json"
        assert json.loads(body)["status"] == status
    # A key that may not.
    answer, _ = ask(api, "/v1/keys", **{"x-api-key": key})
    assert answer["statusCode"] == 403
    # The page that signs in, and the document, are anybody's.
    answer, document = ask(api, "/v1/openapi.json")
    assert json.loads(document)["openapi"] == "3.1.0"
    answer, page = ask(api, "/console", accept="text/html")
    assert answer["statusCode"] in (200, 303, 401), answer


def test_logs_hold_neither_bodies_nor_secrets(intake, router, history, deliver, api, key, terra_api) -> None:
    functions = (intake, router, history, deliver, api)
    logs = "".join(function.log.read_text() for function in functions)
    assert terra_api["api_key"] not in logs and key not in logs and SIGNING_KEY not in logs
    assert "webhook accepted" in logs
    assert "webhook routed" in logs
    for private in (SECRET, "Müsli", "person-", "start_time"):
        assert private not in logs
