"""The days of a person, as a small function of FastAPI and boto3 gives them from the same table.

It does what the API does for the same call: checks the key, finds the person's connections, reads the records of
the days, and chooses one value per metric and day by an order of providers. It explains nothing and has one policy.
"""

import hashlib
import hmac
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import boto3
from boto3.dynamodb.types import TypeDeserializer
from botocore.config import Config
from fastapi import FastAPI, HTTPException, Request
from mangum import Mangum

TABLE = os.environ["TABLE_NAME"]
ORDER = ["GARMIN", "OURA", "CORE", "APPLE"]
DAY_TYPES = ["daily", "body"]
SESSION_TYPES = ["sleep", "activity"]

table = boto3.client("dynamodb", config=Config(max_pool_connections=8))
pool = ThreadPoolExecutor(8)
plain = TypeDeserializer()
app = FastAPI()


def read(item):
    return {name: plain.deserialize(value) for name, value in item.items()}


def key_of(header):
    prefix, identity, secret = header.removeprefix("Bearer ").split("_", 2)
    name = f"{prefix}_{identity}"
    found = table.get_item(TableName=TABLE, Key={"pk": {"S": "KEYS"}, "sk": {"S": f"KEY#{name}"}}).get("Item")
    kept = read(found)["state"] if found else {}
    given = hashlib.sha256(secret.encode()).hexdigest()
    if not hmac.compare_digest(given, str(kept.get("secret_sha256", ""))):
        raise HTTPException(401)


def query(pk, low, high, index=None):
    names = ("time_pk", "time_sk") if index else ("pk", "sk")
    wanted = {
        "TableName": TABLE,
        "KeyConditionExpression": "#p = :p AND #s BETWEEN :a AND :b",
        "ExpressionAttributeNames": {"#p": names[0], "#s": names[1]},
        "ExpressionAttributeValues": {":p": {"S": pk}, ":a": {"S": low}, ":b": {"S": high}},
    }
    if index:
        wanted["IndexName"] = index
    items = []
    while True:
        page = table.query(**wanted)
        items += map(read, page["Items"])
        if "LastEvaluatedKey" not in page:
            return items
        wanted["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def connections(person):
    found = query(f"PERSON#{person}", "CONNECTION#", "CONNECTION#~")
    keys = [{"pk": {"S": item["sk"]}, "sk": {"S": "CONNECTION"}} for item in found]
    if not keys:
        raise HTTPException(404)
    return [read(item) for item in table.batch_get_item(RequestItems={TABLE: {"Keys": keys}})["Responses"][TABLE]]


@app.get("/v1/people/{person}/days")
def days(person: str, request: Request):
    key_of(request.headers.get("authorization", ""))
    first, last = (date.fromisoformat(request.query_params[name]) for name in ("from", "to"))
    providers, reads = {}, []
    for connection in connections(person):
        pk = connection["pk"]
        providers[pk] = connection["provider"]
        for kind in DAY_TYPES:
            reads.append((pk, kind, pool.submit(query, pk, f"{kind}#{first}", f"{kind}#{last}~")))
        for kind in SESSION_TYPES:
            low, high = str(first - timedelta(days=1)), f"{last}~"
            reads.append((pk, kind, pool.submit(query, f"{pk}#{kind}", low, high, "by_time")))
    by_day, nights, activities = {}, {}, {}
    for pk, kind, answer in reads:
        rank = ORDER.index(providers[pk]) if providers[pk] in ORDER else len(ORDER)
        for record in answer.result():
            summary = record.get("summary", {})
            if record.get("retracted"):
                continue
            if kind in DAY_TYPES:
                day = record["sk"].split("#", 1)[1][:10]
                for metric, value in summary.items():
                    if isinstance(value, str) or value is None:
                        continue
                    best = by_day.setdefault(day, {}).get(metric)
                    if best is None or rank < best[0]:
                        by_day[day][metric] = (rank, value, pk)
                continue
            ended = str(summary.get("end_time", record.get("start_time")))[:10]
            if kind == "activity":
                activities[ended] = activities.get(ended, 0) + 1
                continue
            asleep = summary.get("duration_asleep_state_seconds") or 0
            best = nights.get(ended)
            if best is None or (rank, -asleep) < best[0]:
                nights[ended] = ((rank, -asleep), summary, pk)
    data = []
    for day in sorted(by_day, reverse=True):
        entry = {
            "day": day,
            "values": {metric: {"value": float(value), "source": pk} for metric, (_, value, pk) in by_day[day].items()},
            "activities": activities.get(day, 0),
        }
        if day in nights:
            _, summary, pk = nights[day]
            numbers = {name: float(value) for name, value in summary.items() if not isinstance(value, str | type(None))}
            entry["sleep"] = {"source": pk, "values": numbers}
        data.append(entry)
    return {"data": data, "sources": providers}


handler = Mangum(app, lifespan="off")
