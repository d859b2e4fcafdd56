// Decodes every FIT file of a folder with Garmin's JavaScript SDK; one JSON file beside each.
// node decode_fit.mjs FOLDER
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Decoder, Stream } from "@garmin/fitsdk";

const folder = process.argv[2];
for (const name of readdirSync(folder).filter((name) => name.endsWith(".fit"))) {
  const bytes = readFileSync(join(folder, name));
  const decoder = new Decoder(Stream.fromBuffer(bytes));
  const isFit = decoder.isFIT();
  const isWhole = decoder.checkIntegrity();
  const { messages, errors } = decoder.read();
  writeFileSync(
    join(folder, name.replace(/\.fit$/, ".javascript")),
    JSON.stringify({ isFit, isWhole, errors: errors.map(String), messages }),
  );
}
