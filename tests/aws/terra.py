"""Webhooks as Terra sends them."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid


def signature(secret: str, body: bytes, at_s: int | None = None) -> str:
    """FACTS section 7, "Signature"."""
    t = str(int(time.time()) if at_s is None else at_s)
    digest = hmac.new(secret.encode(), f"{t}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={t},v1={digest}"


def headers(secret: str, body: bytes, trace_id: str | None = None) -> dict[str, str]:
    """The headers of one delivery, names as an HTTP API gives them: in lower case."""
    return {
        "content-type": "application/json",
        "x-terra-signature": signature(secret, body),
        "x-terra-trace-id": trace_id or new_id(),
        "terra-reference": new_id(),
        "x-terra-ordering-timestamp": str(time.time_ns() // 1_000_000),
    }


def new_id() -> str:
    return str(uuid.uuid4())


def user(provider: str) -> dict[str, object]:
    return {
        "user_id": new_id(),
        "provider": provider,
        "reference_id": f"person-{new_id()}",
        "active": True,
        "scopes": None,
        "created_at": None,
        "last_webhook_update": None,
    }


def event(event_type: str, provider: str, data: list[dict[str, object]]) -> bytes:
    body = {"type": event_type, "user": user(provider), "data": data, "version": "2022-03-16"}
    return json.dumps(body, ensure_ascii=False).encode()


def day(date: str, **fields: object) -> dict[str, object]:
    """A record of one day, in a zone that is not UTC."""
    metadata = {
        "start_time": f"{date}T00:00:00.000000+01:00",
        "end_time": f"{date}T23:59:59.000000+01:00",
        "upload_type": 1,
    }
    return {"metadata": metadata, **fields}
