"""Verifies webhooks with the Python library of Standard Webhooks and with Terra's own client.

Argument: a file with what a receiver got.
"""

import base64
import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from terra.utils import verify_signature as terra

OTHER = "whsec_" + base64.b64encode(b"another secret, which is wrong!!").decode()


def refused(error, call, *arguments):
    try:
        call(*arguments)
    except error:
        return
    raise AssertionError("a wrong webhook was verified")


def standard(headers, body, secrets):
    if not secrets:
        assert not any(name.startswith("webhook-") for name in headers)
        return 0
    for secret in secrets:
        Webhook(secret).verify(body, headers)
    refused(WebhookVerificationError, Webhook(OTHER).verify, body, headers)
    refused(WebhookVerificationError, Webhook(secrets[0]).verify, body + b" ", headers)
    for name, value in [("webhook-id", "msg_other"), ("webhook-timestamp", "1000000000")]:
        changed = headers | {name: value}
        refused(WebhookVerificationError, Webhook(secrets[0]).verify, body, changed)
    return len(secrets)


def terras(headers, body, secrets):
    if not secrets:
        assert "terra-signature" not in headers
        return 0
    header, text = headers["terra-signature"], body.decode()
    verify, error = terra.verify_terra_webhook_signature, terra.WebhookVerificationError
    for secret in secrets:
        assert verify(text, header, secret) is True
    refused(error, verify, text, header, OTHER)
    refused(error, verify, text + " ", header, secrets[0])
    old = ",".join(["t=1000000000", *header.split(",")[1:]])
    refused(error, verify, text, old, secrets[0])
    return len(secrets)


verified = [0, 0]
with open(sys.argv[1], encoding="utf-8") as file:
    for delivery in json.load(file):
        headers, body = delivery["headers"], base64.b64decode(delivery["body"])
        accepted = delivery["accepted"]
        verified[0] += standard(headers, body, accepted["standard"])
        verified[1] += terras(headers, body, accepted["terra"])
print(f"{verified[0]} and {verified[1]} verified")
