// Verifies webhooks with the JavaScript library of Standard Webhooks and with Terra's own client.
// Argument: a file with what a receiver got.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Webhook, WebhookVerificationError } from "standardwebhooks";
import { verifyTerraWebhookSignature, WebhookVerificationError as TerraError } from "terra-api";

const OTHER = `whsec_${Buffer.from("another secret, which is wrong!!").toString("base64")}`;

function standard(headers, body, secrets) {
    if (secrets.length === 0) {
        assert.ok(!Object.keys(headers).some((name) => name.startsWith("webhook-")));
        return 0;
    }
    for (const secret of secrets) new Webhook(secret).verify(body, headers);
    const wrong = (secret, text, more) =>
        assert.throws(() => new Webhook(secret).verify(text, { ...headers, ...more }), WebhookVerificationError);
    wrong(OTHER, body, {});
    wrong(secrets[0], `${body} `, {});
    wrong(secrets[0], body, { "webhook-id": "msg_other" });
    wrong(secrets[0], body, { "webhook-timestamp": "1000000000" });
    return secrets.length;
}

async function terras(headers, body, secrets) {
    const header = headers["terra-signature"];
    if (secrets.length === 0) {
        assert.equal(header, undefined);
        return 0;
    }
    for (const secret of secrets) assert.equal(await verifyTerraWebhookSignature(body, header, secret), true);
    const old = ["t=1000000000", ...header.split(",").slice(1)].join(",");
    const first = secrets[0];
    for (const [text, signature, secret] of [[body, header, OTHER], [`${body} `, header, first], [body, old, first]]) {
        await assert.rejects(verifyTerraWebhookSignature(text, signature, secret), TerraError);
    }
    return secrets.length;
}

const verified = [0, 0];
for (const { headers, body, accepted } of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
    const text = Buffer.from(body, "base64").toString("utf8");
    verified[0] += standard(headers, text, accepted.standard);
    verified[1] += await terras(headers, text, accepted.terra);
}
console.log(`${verified[0]} and ${verified[1]} verified`);
