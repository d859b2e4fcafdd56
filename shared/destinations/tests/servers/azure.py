"""Makes a container at Azurite: port, name. Signed with the key that every Azurite has."""

import base64
import datetime
import hashlib
import hmac
import http.client
import sys

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

port, name = int(sys.argv[1]), sys.argv[2]
date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
version = "2021-08-06"
text = (
    "PUT\n\n\n\n\n\n\n\n\n\n\n\n"
    f"x-ms-date:{date}\nx-ms-version:{version}\n"
    f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
)
digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
headers = {
    "x-ms-date": date,
    "x-ms-version": version,
    "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}",
    "Content-Length": "0",
}
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
connection.request("PUT", f"/{ACCOUNT}/{name}?restype=container", headers=headers)
answer = connection.getresponse()
sys.exit(0 if answer.status in (201, 409) else f"{answer.status} {answer.read()!r}")
