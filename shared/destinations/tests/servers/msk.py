"""Compares a token for MSK with the one that Amazon's own signer makes of the same keys at the same time.

Argument: the token.
"""

import base64
import datetime
import sys
import unittest.mock
import urllib.parse

import botocore.auth
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from botocore.credentials import CredentialProvider, Credentials

REGION = "eu-west-2"


class Provider(CredentialProvider):
    def load(self):
        return Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "a/session+token==")


def read(token):
    url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    parts = urllib.parse.urlsplit(url)
    query = dict(urllib.parse.parse_qsl(parts.query, strict_parsing=True))
    agent = query.pop("User-Agent")
    return f"{parts.scheme}://{parts.netloc}{parts.path}", query, agent


ours = read(sys.argv[1])
at = datetime.datetime.strptime(ours[1]["X-Amz-Date"], "%Y%m%dT%H%M%SZ")


with unittest.mock.patch.object(botocore.auth, "get_current_datetime", lambda *_: at):
    token, _ = MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(REGION, Provider())
theirs = read(token)
assert ours[:2] == theirs[:2], (ours[:2], theirs[:2])
assert ours[2].startswith("Terrarium/")
