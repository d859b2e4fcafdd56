"""The same template, deployed beside Terra's stand-in: who connects gets a past by itself."""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter

import pytest

import terra
from history import backfills, hurry, windows
from processes import eventually
from stack import SECRET, Jobs, Stack, Table, archived, deploy, post, queue_is_empty

STACK = "terrarium-history"
# Its webhooks are temperatures alone, so that a past of five years is one series of windows.
PROVIDER = "CORE"
FETCHED = "WEBHOOK#fetched~"


@pytest.fixture(scope="module")
def stack(emulator, packages, terra_api, tmp_path_factory) -> Stack:
    folder = tmp_path_factory.mktemp("deploy-history")
    return deploy(emulator, packages, folder, name=STACK, terra=terra_api)


@pytest.fixture(scope="module")
def table(stack):
    return Table(stack)


@pytest.fixture(scope="module")
def jobs(stack) -> Jobs:
    return Jobs(stack)


def items_of(table: Table, prefix: str) -> list[dict]:
    return [item for item in table.items() if item["pk"]["S"].startswith(prefix)]


def fetched(table: Table) -> list[dict]:
    """The ledger's lines of what Terra was asked for; not the events of our own."""
    return [item for item in items_of(table, FETCHED) if not item["pk"]["S"].endswith("~done")]


@pytest.fixture(scope="module")
def connected(stack, table, terra_api) -> str:
    """Somebody connects: Terra's id for the connection."""
    user = terra.user(PROVIDER) | {
        "user_id": terra_api["users"][PROVIDER],
        "reference_id": terra_api["reference_id"],
    }
    body = json.dumps({"type": "auth", "status": "success", "user": user}).encode()
    headers = terra.headers(SECRET, body)
    # Some hours ago: an empty answer right after connecting would not be believed yet.
    three_hours_ago_ms = int(time.time() - 3 * 3600) * 1000
    headers["x-terra-ordering-timestamp"] = str(three_hours_ago_ms)
    assert post(stack, body, headers) == 200
    table.routed(headers["x-terra-trace-id"])
    return user["user_id"]


@pytest.fixture(scope="module")
def backfill(connected, stack, table, jobs) -> dict:
    """The first backfill, once it is done and has been announced."""
    eventually("a backfill is planned", lambda: backfills(*table.place()), within_s=60)
    eventually("it has windows", lambda: windows(*table.place()), within_s=60)

    def announced() -> dict | None:
        hurry(*table.place())
        jobs.run("history-work")
        [found] = backfills(*table.place())
        return found if "time_pk" not in found else None

    found = eventually("the backfill is done and announced", announced, within_s=240)
    queue_is_empty(stack, "BackfillEventsQueueUrl")
    return found


def test_there_is_a_schedule_for_each_job(jobs) -> None:
    assert set(jobs.schedules) == {
        "history-work",
        "history-reconcile",
        "history-find-gaps",
        "deliver-look",
        "jobs-look",
    }


def test_every_window_of_the_first_backfill_is_answered_or_not_worth_asking(
    backfill, table
) -> None:
    found = windows(*table.place())
    states = Counter(window["state"]["S"] for window in found)
    # A year with data, half a year without, and nothing is asked for further back.
    assert set(states) == {"done", "empty", "skipped"}
    assert states["done"] > 12 and states["empty"] > 6
    asked = {"done": "1", "empty": "1", "skipped": "0"}
    assert all(window["asked"]["N"] == asked[window["state"]["S"]] for window in found)


def test_what_was_fetched_is_in_ledger_archive_and_table(backfill, stack, table) -> None:
    lines = fetched(table)
    assert lines
    records = table.records(PROVIDER, "body")
    days = set()
    for line in lines:
        assert line["outcome"]["S"] == "stored"
        body = json.loads(archived(stack, line))
        assert body["type"] == "body"
        days |= {record["metadata"]["start_time"][:10] for record in body["data"]}
    assert {record["sk"]["S"] for record in records} == {f"body#{day}" for day in days}
    # A year of history, less what a person has not worn it.
    assert len(days) > 100


def test_done_is_an_event_that_was_sent_once(backfill, stack, table) -> None:
    backfill_id = backfill["pk"]["S"].removeprefix("BACKFILL#")
    [done] = [item for item in items_of(table, FETCHED) if item["pk"]["S"].endswith("~done")]
    assert done["pk"]["S"] == f"{FETCHED}{backfill_id}~done"
    event = json.loads(archived(stack, done))
    assert event["type"] == "terrarium_backfill_done"
    assert event["windows"]["failed"] == 0
    assert sum(event["windows"].values()) == len(windows(*table.place()))
    assert event["records"] == len(table.records(PROVIDER, "body"))


def test_a_comparison_is_queued_for_some_minutes_later(stack, jobs) -> None:
    jobs.run("history-reconcile")
    sqs, url = stack.client("sqs"), stack.outputs["HistoryQueueUrl"]
    queue_is_empty(stack, "HistoryQueueUrl")  # but for what is delayed
    name = "ApproximateNumberOfMessagesDelayed"
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"]
    assert found[name] == "1"
    sqs.purge_queue(QueueUrl=url)


def test_a_look_for_gaps_asks_for_no_day_that_is_known(backfill, stack, table, jobs) -> None:
    jobs.run("history-find-gaps")
    queue_is_empty(stack, "HistoryQueueUrl")
    for found in backfills(*table.place()):
        if found["pk"] != backfill["pk"]:
            assert "body" not in found["plan"]["M"]["days"]["M"]


def test_the_days_of_a_ping_that_expired_are_asked_for_by_itself(
    backfill, connected, stack, table, jobs
) -> None:
    before = {found["pk"]["S"] for found in backfills(*table.place())}
    ping = {
        "type": "s3_payload",
        "status": "success",
        "url": "https://bucket.s3.eu-west-1.amazonaws.com/payload",
        "expires_in": 0,
        "user_id": connected,
    }
    body = json.dumps(ping).encode()
    headers = terra.headers(SECRET, body)
    assert post(stack, body, headers) == 200
    assert table.routed(headers["x-terra-trace-id"])["outcome"]["S"] == "parked"

    def planned() -> list[dict]:
        return [found for found in backfills(*table.place()) if found["pk"]["S"] not in before]

    [lost] = eventually("its days are planned", planned, within_s=60)
    assert set(lost["plan"]["M"]["days"]["M"]) == {"body"}

    def answered() -> bool:
        hurry(*table.place())
        jobs.run("history-work")
        of_lost = [found for found in windows(*table.place()) if found["pk"] == lost["pk"]]
        return bool(of_lost) and all(found["state"]["S"] in ("done", "empty") for found in of_lost)

    eventually("its days are answered", answered, within_s=120)
    queue_is_empty(stack, "PingsQueueUrl")
    queue_is_empty(stack, "BackfillEventsQueueUrl")


def test_terra_was_asked_as_its_description_says(backfill, terra_api) -> None:
    with urllib.request.urlopen(terra_api["violations_url"], timeout=10) as answer:
        assert json.load(answer) == []


def test_no_job_failed(backfill, stack) -> None:
    for output in ("HistoryQueueUrl", "HistoryDeadLettersUrl", "BackfillEventsQueueUrl"):
        queue_is_empty(stack, output)
