"""Terra's official Python client, once against Terra's stand-in and once against our own API: the same
calls, the same answers. Usage: same.py PLACE, where PLACE is JSON that says where both are."""

import json
import sys
import urllib.request

from terra import Terra
from terra.errors.bad_request_error import BadRequestError
from terra.errors.not_found_error import NotFoundError
from terra.errors.unauthorized_error import UnauthorizedError

ONCE = {"max_retries": 0}


def of_user(user):
    """What both sides have to say the same of."""
    user = user if isinstance(user, dict) else dict(user)
    return tuple(user.get(name) for name in ("user_id", "provider", "reference_id", "active"))


def refused(error, call, **arguments):
    """The call fails with this error."""
    try:
        call(**arguments, request_options=ONCE)
    except error:
        return
    raise AssertionError("a call was not refused")


def start_of(record):
    """Begin of a record: the client leaves some records as they came, and makes objects of others."""
    metadata = record["metadata"] if isinstance(record, dict) else record.metadata
    return metadata["start_time"] if isinstance(metadata, dict) else metadata.start_time


def without_nulls(value):
    if not isinstance(value, dict):
        return value
    return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}


def plain(record):
    """The record as a dict, its scores without nulls: so those are kept that the newest delivery lacks."""
    record = dict(record) if isinstance(record, dict) else record.model_dump()
    record["data_enrichment"] = without_nulls(record["data_enrichment"])
    return record


def answers(client, place):
    """What the calls answer, by name."""
    found = {}
    span = {"start_date": place["start"], "end_date": place["end"]}
    for user in place["users"]:
        for kind in user["types"]:
            for samples in (True, False):
                answer = getattr(client, kind).fetch(
                    user_id=user["user_id"], to_webhook=False, with_samples=samples, **span
                )
                assert answer.type == kind
                name = f"{kind} of {user['user_id']}, samples {samples}"
                found[name] = (
                    of_user(answer.user),
                    [
                        plain(record)
                        if [user["user_id"], kind, start_of(record)] in place["lacking_scores"]
                        else record
                        for record in answer.data
                    ],
                )
                taken_back = [
                    taken["start_time"]
                    for taken in place["retracted"]
                    if (taken["user_id"], taken["type"]) == (user["user_id"], kind)
                ]
                starts = set(map(start_of, answer.data))
                assert starts.isdisjoint(taken_back), name
    present = place["present_id"]
    info = client.user.getinfoforuserid(user_id=present)
    found["user"] = (of_user(info.user), info.is_authenticated)
    people = client.user.getinfoforuserid(reference_id=place["reference_id"])
    found["users of a person"] = sorted(map(of_user, people))
    found["users"] = sorted(map(of_user, client.user.getalluserids().users))
    page, paged = 0, []
    while page is not None:
        answer = client.user.getalluserids(page=page, per_page=3).data
        paged += answer["results"]
        page = answer["next"]
    found["users by pages"] = sorted(map(of_user, paged))
    wanted = [user["user_id"] for user in place["users"]]
    bulk = client.user.getinfoformultipleuserids(request=wanted)
    found["users of ids"] = sorted(map(of_user, bulk))
    found["providers"] = client.integrations.fetch().providers
    found["detailed"] = client.integrations.detailedfetch(sdk=True).providers
    refused(NotFoundError, client.daily.fetch, user_id="nobody", **span)
    refused(BadRequestError, client.daily.fetch, user_id=present, start_date="yesterday")
    session = client.authentication.generatewidgetsession(reference_id="somebody", language="en")
    assert session.url.endswith(session.session_id) and session.expires_in == 900
    token = client.authentication.generateauthtoken()
    assert token.expires_in == 180 and token.token
    link = client.authentication.authenticateuser(resource="GARMIN", reference_id="somebody")
    with urllib.request.urlopen(link.auth_url) as opened:
        assert opened.status == 200
    return found


def main():
    place = json.loads(sys.argv[1])
    clients = {
        name: Terra(
            dev_id=place["dev_id"], api_key=place["api_key"], base_url=place[name], timeout=60
        )
        for name in ("terra", "own")
    }
    # The users are read before Terra's stand-in makes new ones.
    own, terra = answers(clients["own"], place), answers(clients["terra"], place)
    assert own.keys() == terra.keys()
    made = {"users", "users by pages"}
    for name, answer in terra.items():
        if name in made:
            # Whoever opened a link since is at Terra, and comes here with a webhook.
            assert set(own[name]) <= set(answer), name
        else:
            assert own[name] == answer, name
    records = sum(len(data) for _, data in (
        pair for name, pair in own.items() if ", samples " in name
    ))
    assert records > 400, records

    span = {"start_date": place["start"], "to_webhook": False}
    ours = clients["own"]
    by_former = ours.body.fetch(user_id=place["former_id"], **span)
    by_present = ours.body.fetch(user_id=place["present_id"], **span)
    assert by_former.user.user_id == place["present_id"]
    assert by_former.data == by_present.data
    # Terra refuses this for providers that have no profile; here there is none stored.
    athlete = ours.athlete.fetch(user_id=place["former_id"], to_webhook=False)
    assert athlete.user.user_id == place["present_id"]
    stranger = Terra(dev_id=place["dev_id"], api_key="wrong", base_url=place["own"])
    refused(UnauthorizedError, stranger.daily.fetch, user_id="x", start_date=place["start"])
    print(f"terra-python: {len(own)} answers with {records} records are the same here and there")


if __name__ == "__main__":
    main()
