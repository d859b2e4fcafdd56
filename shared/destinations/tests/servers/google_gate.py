"""Stands before fake-gcs-server and the Firestore emulator, which ask for no token.

Gives access tokens for JWTs that Google's own library verifies, and lets only requests with the
newest token through. Every token ends after some requests, so that it has to be renewed.

Arguments: folder with the service account's key, port of each server (0: there is none), file for
the own port.
"""

import http.client
import http.server
import json
import pathlib
import secrets
import sys
import threading
import urllib.parse

from google.auth import jwt

REQUESTS_OF_A_TOKEN = 150
SCOPES = {
    "https://www.googleapis.com/auth/devstorage.read_write",
    "https://www.googleapis.com/auth/datastore",
}

folder, gcs_port, firestore_port = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
account = json.loads((folder / "account.json").read_text())
certificates = {account["private_key_id"]: (folder / "google.crt").read_bytes()}
# Tokens that are valid, with the requests that are left to each.
tokens = {}
lock = threading.Lock()


def refused(reason):
    return 400, json.dumps({"error": "invalid_grant", "error_description": reason}).encode()


def exchange(form, host):
    fields = urllib.parse.parse_qs(form.decode())
    if fields.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
        return refused("grant_type")
    try:
        claims = jwt.decode(
            fields["assertion"][0], certs=certificates, audience=f"http://{host}/token"
        )
    except Exception as error:  # whatever the library says is wrong with it
        return refused(str(error))
    if claims["iss"] != account["client_email"] or claims["scope"] not in SCOPES:
        return refused("iss or scope")
    if claims["exp"] - claims["iat"] > 3600:
        return refused("exp")
    token = f"ya29.{secrets.token_urlsafe(24)}"
    with lock:
        tokens[token] = REQUESTS_OF_A_TOKEN
    return 200, json.dumps({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}).encode()


def is_valid(authorization):
    with lock:
        token = (authorization or "").removeprefix("Bearer ")
        left = tokens.get(token, 0)
        if left:
            tokens[token] = left - 1
        return left > 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, content_type="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/token":
            return self.answer(*exchange(body, self.headers["Host"]))
        if not is_valid(self.headers.get("Authorization")):
            return self.answer(401, b'{"error":{"code":401,"status":"UNAUTHENTICATED","message":"token"}}')
        port = firestore_port if self.path.startswith("/v1/projects/") else gcs_port
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("host", "authorization", "content-length", "connection")
        }
        # What the emulator takes for the owner of the project.
        headers["Authorization"] = "Bearer owner"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request(self.command, self.path, body=body, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        self.answer(answer.status, content, answer.headers.get("Content-Type", "application/json"))
        connection.close()

    do_GET = do_POST = do_DELETE = do_PATCH = serve

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
# Written aside, so that whoever waits for the file reads all of it.
file = pathlib.Path(sys.argv[4])
file.with_suffix(".new").write_text(str(server.server_port), encoding="ascii")
file.with_suffix(".new").rename(file)
server.serve_forever()
