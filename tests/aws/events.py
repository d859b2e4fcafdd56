"""Events in the shapes in which AWS invokes the functions."""

from __future__ import annotations

import base64
import hashlib
import time
import uuid

from emulator import REGION


def request(
    body: bytes | str | None,
    headers: dict[str, str],
    *,
    encoded: bool = False,
    method: str = "POST",
    path: str = "/webhooks/terra",
    query: str = "",
) -> dict:
    """API Gateway's payload format 2.0. Names of headers are in lower case there, and values of
    one name are joined by commas.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    now = time.gmtime()
    event = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {
            "accept": "*/*",
            "host": "abc123.execute-api.eu-west-1.amazonaws.com",
            "x-forwarded-proto": "https",
            **headers,
        },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "abc123",
            "domainName": "abc123.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "abc123",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "test",
            },
            "requestId": uuid.uuid4().hex,
            "routeKey": f"{method} {path}",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", now),
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": encoded,
    }
    if isinstance(body, bytes):
        event["body"] = base64.b64encode(body).decode() if encoded else body.decode()
    elif body is not None:
        event["body"] = body
    return event


def batch(queue_arn: str, bodies: dict[str, str], *, group: str | None = None) -> dict:
    """What an event source mapping makes of messages: id → body. Those of a FIFO queue have a group."""
    now_ms = str(int(time.time() * 1000))
    return {
        "Records": [
            {
                "messageId": message_id,
                "receiptHandle": f"handle-of-{message_id}",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": now_ms,
                    "SenderId": "AIDACKCEVSQ6C2EXAMPLE",
                    "ApproximateFirstReceiveTimestamp": now_ms,
                    **(of_fifo(group, message_id, place) if group else {}),
                },
                "messageAttributes": {},
                "md5OfBody": hashlib.md5(body.encode()).hexdigest(),
                "eventSource": "aws:sqs",
                "eventSourceARN": queue_arn,
                "awsRegion": REGION,
            }
            for place, (message_id, body) in enumerate(bodies.items())
        ]
    }


def of_fifo(group: str, message_id: str, place: int) -> dict[str, str]:
    """What a message has more in a FIFO queue.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    """
    return {
        "MessageGroupId": group,
        "MessageDeduplicationId": message_id,
        "SequenceNumber": f"{18849496460467696128 + place}",
    }
