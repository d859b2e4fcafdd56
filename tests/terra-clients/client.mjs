// Terra's official JavaScript client against the simulator: the calls it has, and its signature
// check. Usage: node client.mjs SIMULATOR [ARGUMENT...], where SIMULATOR is the built example
// `terra-api`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { TerraClient, TerraError, verifyTerraWebhookSignature, WebhookVerificationError } from "terra-api";

const TYPES = {
    GARMIN: ["activity", "body", "daily", "menstruation", "sleep"],
    FITBIT: ["activity", "body", "daily", "nutrition", "sleep"],
    OURA: ["activity", "daily", "menstruation", "sleep"],
    CORE: ["body"],
    CRONOMETER: ["activity", "body", "nutrition"],
    FREESTYLELIBRE: ["body"],
};
const ONCE = { maxRetries: 0 };

const daysAgo = (days) => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);

const arrived = [];
const intake = createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    arrived.push({ headers: request.headers, body: Buffer.concat(pieces).toString("utf8") });
    response.end();
    intake.emit("webhook");
});

async function nextWebhook() {
    while (arrived.length === 0) {
        await once(intake, "webhook", { signal: AbortSignal.timeout(30_000) });
    }
    return arrived.shift();
}

async function checkData(client, users) {
    for (const [provider, types] of Object.entries(TYPES)) {
        for (const kind of types) {
            const answer = await client[kind].fetch({
                user_id: users[provider],
                start_date: daysAgo(20),
                end_date: daysAgo(1),
                to_webhook: false,
                with_samples: true,
            });
            assert.equal(answer.type, kind);
            assert.ok(Array.isArray(answer.data), `${provider} ${kind}`);
            assert.equal(answer.user.user_id, users[provider]);
            if (kind !== "menstruation") assert.ok(answer.data.length > 0, `${provider} ${kind}`);
            for (const record of answer.data) assert.equal(typeof record.metadata.start_time, "string");
        }
    }
    const athlete = await client.athlete.fetch({ user_id: users.GARMIN, to_webhook: false });
    assert.ok(athlete.athlete.first_name);
    const planned = await client.plannedworkout.fetch({
        user_id: users.GARMIN,
        start_date: daysAgo(25),
        end_date: daysAgo(0),
    });
    assert.ok(planned.data.length > 0);
    const { rawResponse } = await client.daily
        .fetch({ user_id: users.OURA, start_date: daysAgo(3), to_webhook: false })
        .withRawResponse();
    assert.equal(rawResponse.headers.get("x-terra-ratelimit-limit"), "6000");
}

async function checkUsers(client, users, referenceId) {
    const one = await client.user.getinfoforuserid({ user_id: users.FITBIT });
    assert.equal(one.user.provider, "FITBIT");
    assert.equal(one.is_authenticated, true);
    const many = await client.user.getinfoforuserid({ reference_id: referenceId });
    assert.ok(many.some((user) => user.user_id === users.CORE));
    const everybody = await client.user.getalluserids();
    assert.equal(everybody.users.length, 14);
    const page = await client.user.getalluserids({ page: 1, per_page: 5 });
    assert.equal(page.data.next, 2);
    assert.equal(page.data.results.length, 5);
    const bulk = await client.user.getinfoformultipleuserids([users.CORE, users.OURA]);
    assert.deepEqual(bulk.map((user) => user.provider), ["CORE", "OURA"]);
}

async function checkIntegrations(client) {
    const listed = await client.integrations.fetch();
    assert.ok(listed.providers.includes("FREESTYLELIBRE"));
    const detailed = await client.integrations.detailedfetch({ sdk: true });
    const core = detailed.providers.find((entry) => entry.provider === "CORE");
    assert.deepEqual([core.types.body, core.types.sleep], [true, false]);
}

async function checkAuthentication(client, users) {
    const link = await client.authentication.authenticateuser({ resource: "GARMIN", reference_id: "new person" });
    assert.equal(link.status, "success");
    assert.equal((await fetch(link.auth_url)).status, 200);
    const connected = await client.user.getinfoforuserid({ user_id: link.user_id });
    assert.equal(connected.user.reference_id, "new person");
    const session = await client.authentication.generatewidgetsession({ reference_id: "new person" });
    assert.ok(session.url.endsWith(session.session_id));
    assert.equal(session.expires_in, 900);
    const token = await client.authentication.generateauthtoken();
    assert.equal(token.expires_in, 180);
    const ended = await client.authentication.deauthenticateuser({ user_id: users.OURA });
    assert.equal(ended.status, "success");
}

async function checkErrors(client, users, place) {
    const status = (expected) => (error) => error instanceof TerraError && error.statusCode === expected;
    const short = { start_date: daysAgo(3), to_webhook: false };
    await assert.rejects(client.daily.fetch({ user_id: "nobody", ...short }, ONCE), status(404));
    await assert.rejects(client.sleep.fetch({ user_id: users.CORE, ...short }, ONCE), status(404));
    await assert.rejects(
        client.daily.fetch({ user_id: users.FITBIT, ...short, end_date: daysAgo(5) }, ONCE),
        status(400),
    );
    await assert.rejects(
        client.daily.fetch({ user_id: users.FITBIT, start_date: daysAgo(2500) }, ONCE),
        status(429),
    );
    const stranger = new TerraClient({ devId: place.dev_id, apiKey: "wrong", baseUrl: place.base_url });
    await assert.rejects(stranger.daily.fetch({ user_id: "x", ...short }, ONCE), status(401));
}

async function checkWebhooks(client, users, secret) {
    const order = await client.body.fetch({ user_id: users.CORE, start_date: daysAgo(9), to_webhook: true });
    const large = await client.body.fetch({ user_id: users.CORE, start_date: daysAgo(100), to_webhook: true });
    assert.ok(large.message.includes("chunks"));
    const arrived = [];
    const ofLarge = () => arrived.filter((reference) => reference === large.reference).length;
    let expected;
    let last;
    while (expected === undefined || ofLarge() < expected + 2) {
        last = await nextWebhook();
        for (const name of ["terra-signature", "x-terra-signature"]) {
            assert.equal(await verifyTerraWebhookSignature(last.body, last.headers[name], secret), true);
        }
        arrived.push(last.headers["terra-reference"]);
        expected = JSON.parse(last.body).expected_payloads ?? expected;
    }
    assert.ok(expected > 2 && arrived.includes(order.reference));
    const signature = last.headers["terra-signature"];
    await assert.rejects(verifyTerraWebhookSignature(`${last.body} `, signature, secret), WebhookVerificationError);
    await assert.rejects(verifyTerraWebhookSignature(last.body, signature, `${secret}x`), WebhookVerificationError);
    return arrived.length;
}

intake.listen(0, "127.0.0.1");
await once(intake, "listening");
const url = `http://127.0.0.1:${intake.address().port}/webhooks/terra`;
const [program, ...others] = process.argv.slice(2);
const simulator = spawn(program, [...others, "--until-stdin-ends", "--webhook-url", url], {
    stdio: ["pipe", "pipe", "inherit"],
});
try {
    const [line] = await once(createInterface(simulator.stdout), "line");
    const place = JSON.parse(line);
    let client;
    for (const baseUrl of [place.base_url, `${place.former_base_url}/`]) {
        client = new TerraClient({ devId: place.dev_id, apiKey: place.api_key, baseUrl });
        await checkData(client, place.users);
    }
    await checkUsers(client, place.users, place.reference_id);
    await checkIntegrations(client);
    const verified = await checkWebhooks(client, place.users, place.signing_secret);
    await checkAuthentication(client, place.users);
    assert.deepEqual(await (await fetch(place.violations_url)).json(), []);
    await checkErrors(client, place.users, place);
    console.log(`terra-api: every call answered, ${verified} signatures accepted`);
} finally {
    simulator.stdin.end();
    intake.closeAllConnections();
    intake.close();
}
