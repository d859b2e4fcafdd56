"""Terra's official Python client against the simulator: the calls it has, and its signature check.

Usage: client.py SIMULATOR [ARGUMENT...], where SIMULATOR is the built example `terra-api`.
"""

import json
import queue
import subprocess
import sys
import threading
import urllib.request
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

from terra import Terra
from terra.core.api_error import ApiError
from terra.errors.bad_request_error import BadRequestError
from terra.errors.not_found_error import NotFoundError
from terra.errors.unauthorized_error import UnauthorizedError
from terra.utils.verify_signature import WebhookVerificationError, verify_terra_webhook_signature

TYPES = {
    "GARMIN": ["activity", "body", "daily", "menstruation", "sleep"],
    "FITBIT": ["activity", "body", "daily", "nutrition", "sleep"],
    "OURA": ["activity", "daily", "menstruation", "sleep"],
    "CORE": ["body"],
    "CRONOMETER": ["activity", "body", "nutrition"],
    "FREESTYLELIBRE": ["body"],
}
ONCE = {"max_retries": 0}

webhooks = queue.Queue()


class Intake(BaseHTTPRequestHandler):
    """Takes webhooks and keeps them."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        webhooks.put((dict(self.headers), body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def refused(error, call, **arguments):
    """The call fails with this error; what it says."""
    try:
        call(**arguments)
    except error as refusal:
        return refusal
    raise AssertionError(f"{call.__qualname__} was not refused")


def days_ago(days):
    return (date.today() - timedelta(days=days)).isoformat()


def check_data(client, users):
    typed = 0
    for provider, types in TYPES.items():
        for kind in types:
            answer = getattr(client, kind).fetch(
                user_id=users[provider],
                start_date=days_ago(20),
                end_date=days_ago(1),
                to_webhook=False,
                with_samples=True,
            )
            assert answer.type == kind, (provider, kind)
            assert isinstance(answer.data, list), (provider, kind)
            assert answer.user.user_id == users[provider]
            if kind != "menstruation":
                assert answer.data, (provider, kind)
            # A record that the client's own, older types do not take is left as a dictionary.
            typed += any(not isinstance(record, dict) for record in answer.data)
    assert typed > 5, typed

    core = client.body.fetch(
        user_id=users["CORE"], start_date=days_ago(20), to_webhook=False, with_samples=True
    )
    samples = [record.temperature_data.body_temperature_samples for record in core.data]
    assert any(35 < sample.temperature_celsius < 41 for day in samples for sample in day)
    bare = client.body.fetch(
        user_id=users["CORE"], start_date=days_ago(20), to_webhook=False, with_samples=False
    )
    assert len(bare.data) == len(core.data)
    assert not any(record.temperature_data.body_temperature_samples for record in bare.data)

    phone = client.daily.fetch(user_id=users["APPLE"], start_date=days_ago(9), to_webhook=False)
    assert phone.data == []
    athlete = client.athlete.fetch(user_id=users["GARMIN"], to_webhook=False)
    assert athlete.athlete.first_name and athlete.user.user_id == users["GARMIN"]
    planned = client.plannedworkout.fetch(
        user_id=users["GARMIN"], start_date=days_ago(25), end_date=days_ago(0), to_webhook=False
    )
    assert planned.data
    raw = client.daily.with_raw_response.fetch(
        user_id=users["OURA"], start_date=days_ago(3), to_webhook=False
    )
    assert int(raw.headers["x-terra-ratelimit-limit"]) == 6000


def check_users(client, users, reference_id):
    one = client.user.getinfoforuserid(user_id=users["FITBIT"])
    assert one.user.provider == "FITBIT" and one.is_authenticated is True
    many = client.user.getinfoforuserid(reference_id=reference_id)
    assert {user.provider for user in many} >= {"FITBIT", "CORE", "CRONOMETER"}
    everybody = client.user.getalluserids()
    assert len(everybody.users) == 14 and users["CORE"] in {user.user_id for user in everybody.users}
    page = client.user.getalluserids(page=1, per_page=5)
    assert page.data["next"] == 2 and len(page.data["results"]) == 5
    bulk = client.user.getinfoformultipleuserids(request=[users["CORE"], users["OURA"]])
    assert [user.provider for user in bulk] == ["CORE", "OURA"]
    changed = client.user.modifyuser(users["APPLE"], reference_id="another person")
    assert changed.status == "success"
    assert client.user.getinfoforuserid(user_id=users["APPLE"]).user.reference_id == "another person"


def check_integrations(client):
    listed = client.integrations.fetch()
    assert "FREESTYLELIBRE" in listed.providers
    detailed = client.integrations.detailedfetch(sdk=True)
    core = next(entry for entry in detailed.providers if entry.provider == "CORE")
    assert core.types.body is True and core.types.sleep is False


def check_authentication(client, users):
    link = client.authentication.authenticateuser(resource="GARMIN", reference_id="new person")
    assert link.status == "success" and link.user_id and link.auth_url.startswith("http://127.0.0.1")
    with urllib.request.urlopen(link.auth_url) as page:
        assert page.status == 200
    assert client.user.getinfoforuserid(user_id=link.user_id).user.reference_id == "new person"
    session = client.authentication.generatewidgetsession(reference_id="new person", language="en")
    assert session.session_id in session.url and session.expires_in == 900
    token = client.authentication.generateauthtoken()
    assert token.expires_in == 180 and len(token.token) == 64
    ended = client.authentication.deauthenticateuser(user_id=users["OURA"])
    assert ended.status == "success"


def check_errors(client, users, place):
    ask = dict(to_webhook=False, request_options=ONCE)
    error = refused(
        NotFoundError, client.daily.fetch, user_id="nobody", start_date=days_ago(3), **ask
    )
    assert error.body["detail"] == "user not found"
    error = refused(
        NotFoundError, client.sleep.fetch, user_id=users["CORE"], start_date=days_ago(3), **ask
    )
    assert error.body["title"] == "invalid data type"
    refused(
        BadRequestError,
        client.daily.fetch,
        user_id=users["FITBIT"],
        start_date=days_ago(3),
        end_date=days_ago(5),
        **ask,
    )
    stranger = Terra(dev_id=place["dev_id"], api_key="wrong", base_url=place["base_url"])
    refused(
        UnauthorizedError, stranger.daily.fetch, user_id="x", start_date=days_ago(3), **ask
    )
    error = refused(
        ApiError,
        client.daily.fetch,
        user_id=users["FITBIT"],
        start_date=days_ago(2500),
        request_options=ONCE,
    )
    assert error.status_code == 429


def check_webhooks(client, users, secret):
    order = client.body.fetch(user_id=users["CORE"], start_date=days_ago(9), to_webhook=True)
    assert order.reference and order.data is None
    large = client.body.fetch(user_id=users["CORE"], start_date=days_ago(100), to_webhook=True)
    assert large.reference and "chunks" in large.message
    arrived, verified, expected = [], 0, None
    while expected is None or arrived.count(large.reference) < expected + 2:
        headers, body = webhooks.get(timeout=30)
        headers = {name.lower(): value for name, value in headers.items()}
        for name in ("terra-signature", "x-terra-signature"):
            assert verify_terra_webhook_signature(body.decode(), headers[name], secret) is True
        verified += 1
        arrived.append(headers["terra-reference"])
        expected = json.loads(body).get("expected_payloads", expected)
    assert expected > 2 and order.reference in arrived
    for wrong in ((body.decode() + " ", secret), (body.decode(), secret + "x")):
        refused(
            WebhookVerificationError,
            lambda: verify_terra_webhook_signature(
                wrong[0], headers["terra-signature"], wrong[1]
            ),
        )
    return verified


def main():
    intake = HTTPServer(("127.0.0.1", 0), Intake)
    threading.Thread(target=intake.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{intake.server_port}/webhooks/terra"
    command = [*sys.argv[1:], "--until-stdin-ends", "--webhook-url", url]
    simulator = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        place = json.loads(simulator.stdout.readline())
        users = place["users"]
        for base_url in (place["base_url"], place["former_base_url"] + "/"):
            client = Terra(
                dev_id=place["dev_id"], api_key=place["api_key"], base_url=base_url, timeout=30
            )
            check_data(client, users)
        check_users(client, users, place["reference_id"])
        check_integrations(client)
        verified = check_webhooks(client, users, place["signing_secret"])
        check_authentication(client, users)
        with urllib.request.urlopen(place["violations_url"]) as violations:
            assert json.load(violations) == []
        check_errors(client, users, place)
        print(f"terra-python: every call answered, {verified} signatures accepted")
    finally:
        simulator.stdin.close()
        simulator.wait(timeout=10)


if __name__ == "__main__":
    main()
