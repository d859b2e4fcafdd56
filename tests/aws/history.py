"""Backfills and their windows in the table, read and hurried through boto3."""

from __future__ import annotations

import time
from collections.abc import Iterator


def scan(dynamodb, table: str) -> Iterator[dict]:
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]


def backfills(dynamodb, table: str) -> list[dict]:
    return [item for item in scan(dynamodb, table) if item["sk"]["S"] == "BACKFILL"]


def windows(dynamodb, table: str) -> list[dict]:
    return [item for item in scan(dynamodb, table) if item["sk"]["S"].startswith("WINDOW#")]


def hurry(dynamodb, table: str) -> None:
    """Makes due at once what is due later: a first backfill spreads its windows over minutes."""
    due_ms = int(time.time() * 1000)
    for item in scan(dynamodb, table):
        place = item.get("time_pk", {"S": ""})["S"]
        if not place.startswith("DUE#"):
            continue
        later_ms, rest = item["time_sk"]["S"].split("#", 1)
        if int(later_ms) <= due_ms or item.get("state", {"S": "planned"})["S"] != "planned":
            continue
        names = {"#revision": "revision"}
        values = {":place": {"S": f"{due_ms:015}#{rest}"}, ":seen": item["revision"]}
        change = "SET time_sk = :place"
        if "due_ms" in item:
            change += ", due_ms = :due"
            values[":due"] = {"N": str(due_ms)}
        try:
            dynamodb.update_item(
                TableName=table,
                Key={"pk": item["pk"], "sk": item["sk"]},
                UpdateExpression=change,
                ConditionExpression="#revision = :seen",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            pass  # a worker was faster
