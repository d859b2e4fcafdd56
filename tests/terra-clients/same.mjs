// Terra's official JavaScript client, once against Terra's stand-in and once against our own API: the
// same calls, the same answers. Usage: node same.mjs PLACE, where PLACE is JSON that says where both are.

import assert from "node:assert/strict";
import { TerraClient, TerraError } from "terra-api";

const ONCE = { maxRetries: 0 };
const place = JSON.parse(process.argv[2]);

// What both sides have to say the same of.
const ofUser = ({ user_id, provider, reference_id, active }) => [user_id, provider, reference_id, active];
const ofUsers = (users) => users.map(ofUser).sort((one, other) => (one[0] < other[0] ? -1 : 1));
const status = (expected) => (error) => error instanceof TerraError && error.statusCode === expected;

// Scores that the newest delivery lacks are kept without their nulls.
const withoutNulls = (value) =>
    value === null || typeof value !== "object"
        ? value
        : Object.fromEntries(
              Object.entries(value)
                  .filter(([, inner]) => inner !== null)
                  .map(([name, inner]) => [name, withoutNulls(inner)]),
          );
const lacking = new Set(place.lacking_scores.map((record) => record.join()));
const plain = (user_id, kind) => (record) =>
    lacking.has([user_id, kind, record.metadata.start_time].join())
        ? { ...record, data_enrichment: withoutNulls(record.data_enrichment) }
        : record;

async function answers(client) {
    const found = {};
    const span = { start_date: place.start, end_date: place.end };
    let records = 0;
    for (const { user_id, types } of place.users) {
        for (const kind of types) {
            for (const with_samples of [true, false]) {
                const answer = await client[kind].fetch({ user_id, to_webhook: false, with_samples, ...span });
                assert.equal(answer.type, kind);
                const data = answer.data.map(plain(user_id, kind));
                found[`${kind} of ${user_id}, samples ${with_samples}`] = [ofUser(answer.user), data];
                const takenBack = place.retracted.filter((taken) => taken.user_id === user_id && taken.type === kind);
                const starts = new Set(answer.data.map((record) => record.metadata.start_time));
                assert.ok(takenBack.every((taken) => !starts.has(taken.start_time)));
                records += answer.data.length;
            }
        }
    }
    const one = await client.user.getinfoforuserid({ user_id: place.present_id });
    found.user = [ofUser(one.user), one.is_authenticated];
    found.person = ofUsers(await client.user.getinfoforuserid({ reference_id: place.reference_id }));
    const ids = place.users.map((user) => user.user_id);
    found.bulk = ofUsers(await client.user.getinfoformultipleuserids(ids));
    found.providers = (await client.integrations.fetch()).providers;
    found.detailed = (await client.integrations.detailedfetch({ sdk: true })).providers;
    const everybody = (await client.user.getalluserids()).users.map((user) => user.user_id);
    assert.ok(ids.every((id) => everybody.includes(id)));
    const page = await client.user.getalluserids({ page: 0, per_page: 3 });
    assert.equal(page.data.results.length, 3);
    assert.equal(page.data.next, 1);
    await assert.rejects(client.daily.fetch({ user_id: "nobody", ...span }, ONCE), status(404));
    const wrong = { user_id: place.present_id, start_date: "yesterday" };
    await assert.rejects(client.daily.fetch(wrong, ONCE), status(400));
    const session = await client.authentication.generatewidgetsession({ reference_id: "somebody" });
    assert.ok(session.url.endsWith(session.session_id));
    assert.equal((await client.authentication.generateauthtoken()).expires_in, 180);
    const link = await client.authentication.authenticateuser({ resource: "GARMIN", reference_id: "somebody" });
    assert.equal((await fetch(link.auth_url)).status, 200);
    return { found, records };
}

const client = (baseUrl, apiKey) => new TerraClient({ devId: place.dev_id, apiKey, baseUrl });
const ours = client(place.own, place.api_key);
const own = await answers(ours);
const terra = await answers(client(place.terra, place.api_key));
assert.deepEqual(own.found, terra.found);
assert.ok(own.records > 400, `${own.records} records`);

const span = { start_date: place.start, to_webhook: false };
const byFormer = await ours.body.fetch({ user_id: place.former_id, ...span });
assert.equal(byFormer.user.user_id, place.present_id);
assert.deepEqual(byFormer.data, (await ours.body.fetch({ user_id: place.present_id, ...span })).data);
const stranger = client(place.own, "wrong");
await assert.rejects(stranger.daily.fetch({ user_id: "x", start_date: place.start }, ONCE), status(401));

// By its former id, which Terra has forgotten: it ends under the present one.
const ended = await ours.authentication.deauthenticateuser({ user_id: place.former_id });
assert.equal(ended.status, "success");
const count = Object.keys(own.found).length;
console.log(`terra-api: ${count} answers with ${own.records} records are the same here and there`);
