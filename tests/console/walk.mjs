// A person's way through the console, in a real browser against a running local system: with and without script, at
// three widths and in both themes. Ends with 1 if anything is wrong.
//
//   node walk.mjs <terrarium> <chromium> [folder for pictures] [folder for the three of the front page]

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import puppeteer from "puppeteer-core";

const [terrarium, chromium, pictures, frontPage] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const data = mkdtempSync(join(tmpdir(), "terrarium-console-"));
const faults = [];
/** Longest wait for anything: the machine may be busy with other work. */
const PATIENCE_MS = 120_000;
/** Webhooks until there is something to see of everybody. */
const ENOUGH = 150;

function check(holds, what) {
  if (!holds) faults.push(what);
}

/** Starts the system; gives it and the sign-in link that it prints, once so many webhooks are stored. */
async function start(enough, ...more) {
  const options = ["dev", "--plain", "--port", "0", "--data", data, ...more];
  const system = spawn(terrarium, options, { stdio: ["ignore", "pipe", "inherit"] });
  let link;
  let webhooks = 0;
  await new Promise((resolve, reject) => {
    system.once("exit", () => reject(new Error("the system ended before it was ready")));
    createInterface({ input: system.stdout }).on("line", (line) => {
      link ??= line.match(/https?:\S+\/console\/login\?token=\S+/)?.[0];
      if (/ stored /.test(line)) webhooks += 1;
      if (link && webhooks >= enough) resolve(undefined);
    });
  });
  return { system, link };
}

async function stop(system) {
  system.kill("SIGINT");
  await new Promise((resolve) => (system.exitCode === null ? system.once("exit", resolve) : resolve(undefined)));
}

function run(...args) {
  return execFileSync(terrarium, [...args, "--data", data], { encoding: "utf8" });
}

function newLink(role) {
  return run("console", "--role", role, "--name", "Walker").match(/https?:\S+/)[0];
}

/** A page of a browser profile of its own. Whatever goes wrong in it is a fault. */
async function visitor(browser, script) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  await page.setJavaScriptEnabled(script);
  page.on("console", (message) => {
    // Refused sign-ins and missing permissions are the server's answers, and the walk cuts the system off: no faults of a page.
    if (message.type() === "error" && !/status of 40[13]|ERR_INTERNET_DISCONNECTED/.test(message.text())) {
      faults.push(`console of ${page.url()}: ${message.text()}`);
    }
  });
  page.on("pageerror", (error) => faults.push(`script of ${page.url()}: ${error}`));
  return page;
}

async function open(page, url) {
  const answer = await page.goto(url, { waitUntil: "load" });
  check(answer.status() === 200, `${url} answers ${answer.status()}`);
}

/** Presses a button that sends a form. */
async function press(page, selector) {
  check(await page.$(selector), `there is no ${selector} on ${page.url()}`);
  const [answer] = await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.click(selector)]);
  check(answer.status() === 200, `${selector} leads to ${page.url()}, which answers ${answer.status()}`);
}

async function signIn(page, link, shown = () => {}) {
  await open(page, link);
  await shown("sign-in");
  await press(page, "main form button");
  check(new URL(page.url()).pathname === "/console", `signing in leads to ${page.url()}`);
}

/**
 * Opens the first link that matches; gives its address. A page that refreshes itself may replace the link between the
 * look and the click, so its address is taken.
 */
async function follow(page, selector, what) {
  const found = await page.$$eval(selector, (links) => links.map((link) => link.href));
  check(found.length > 0, `there is no ${what} on ${page.url()}`);
  if (found.length > 0) await open(page, found[0]);
  return page.url();
}

/**
 * The walk; gives the pages that it came through, by name. `shown` looks at a page that only a form leads to. A backfill
 * is ordered of `day`.
 */
async function walk(page, link, root, day, shown) {
  const seen = new Map();
  const note = (name) => seen.set(name, page.url());
  await signIn(page, link, shown);
  note("overview");
  await open(page, `${root}/console/people`);
  note("people");
  await page.type(".search input", "person-00");
  await press(page, ".search button");
  const found = await page.$$eval("main tbody a", (links) => links.map((link) => link.textContent));
  check(found.length > 1 && found.every((id) => id.startsWith("person-00")), `the search for a beginning finds ${found}`);
  await shown("search");
  await page.type(".search input", "person-0001");
  await press(page, ".search button");
  check(/\/console\/people\/person-0001$/.test(page.url()), `the search leads to ${page.url()}`);
  note("person");
  const person = page.url();
  await open(page, `${person}/days`);
  check(/\/days\/\d{4}-\d\d-\d\d$/.test(page.url()), `the days lead to ${page.url()}`);
  check((await page.$$("main .tile")).length > 0, `no number stands above the fold of ${page.url()}`);
  note("day");
  await follow(page, "main .switches a", "switch of a source");
  check(/[?&]off=/.test(page.url()), `a switch leads to ${page.url()}`);
  check(await page.$("main .switches a.off"), `nothing is switched off on ${page.url()}`);
  await follow(page, "main form.days a[rel=prev]", "day before");
  check(/[?&]off=/.test(page.url()), `the day before forgets the switch: ${page.url()}`);
  await open(page, seen.get("day"));
  await follow(page, "main a[href*='/why?metric=steps'], main a[href*='/why?metric=']", "reason");
  check(await page.$("main svg .chosen"), `nothing is chosen on ${page.url()}`);
  note("why");
  await follow(page, "main dl a[href*='/console/events/']", "webhook of a number");
  await open(page, `${root}/console/events?outcome=stored`);
  await follow(page, "main tbody a", "event");
  note("event");
  await press(page, "main button[value=page]");
  check(await page.$("main pre"), "the body of an event is not shown");
  await shown("body");
  await press(page, "main button[value=dry]");
  check(/would change/.test(await page.$eval("main", (main) => main.textContent)), "the dry run says nothing");
  await shown("dry-run");
  await press(page, "main button[value=replay]");
  check(/\/console\/replays\//.test(page.url()), `a replay leads to ${page.url()}`);
  note("replay");
  await open(page, `${person}/coverage`);
  check(await page.$("main svg.calendar .glyph"), "the coverage has no calendar");
  note("coverage");
  await open(page, `${person}/series?m1=hr_bpm&m2=steps&days=7`);
  note("series");
  await open(page, `${person}/history`);
  note("history");
  await page.$eval("form[action$='/history/plan'] [name=from]", (input, day) => (input.value = input.form.to.value = day), day);
  await press(page, "form[action$='/history/plan'] button[value=dry]");
  check(await page.$("main button[value=order]"), `no plan stands on ${page.url()}`);
  await shown("plan");
  await press(page, "main button[value=order]");
  check(/\/history$/.test(page.url()), `an order leads to ${page.url()}`);
  await follow(page, "main a[href*='/console/backfills/']", "backfill");
  check(await page.$("main svg.progress"), `no window stands on ${page.url()}`);
  note("backfill");
  await open(page, `${root}/console/history`);
  note("backfills");
  await open(page, `${person}/records/daily`);
  note("records");
  await follow(page, "main tbody a", "record");
  note("record");
  await open(page, `${person}/sources/movement?prefer=APPLE`);
  await press(page, "main button.main[value=preview]");
  check(/values would change/.test(await page.$eval("main", (main) => main.textContent)), "the preview says nothing");
  await shown("preview");
  await open(page, `${person}/sources/movement`);
  note("policy");
  await open(page, `${root}/console/sources`);
  note("sources");
  await open(page, `${root}/console/destinations`);
  note("destinations");
  await open(page, `${root}/console/destinations/new`);
  note("new-destination");
  await open(page, seen.get("destinations"));
  await follow(page, "main tbody a", "destination");
  const orders = () => page.$$eval("main tbody th[scope=row]", (rows) => rows.map((row) => row.textContent));
  await page.click("details:has(form[action$='/redrive']) summary");
  await press(page, "form[action$='/redrive'] button");
  check((await orders()).includes("redrive"), `no redrive stands on ${page.url()}`);
  note("destination");
  await open(page, `${root}/console/events`);
  note("events");
  for (const name of ["access", "api"]) {
    await open(page, `${root}/console/${name}`);
    note(name);
  }
  return seen;
}

/** Number of seconds in a bucket of the series that are shown. */
async function bucket(page) {
  const [, resolution] = (await page.$eval("main", (main) => main.textContent)).match(/in buckets of (\w+)/) ?? [];
  return { "1m": 60, "5m": 300, "15m": 900, "1h": 3_600, "1d": 86_400 }[resolution];
}

/** Marks a stretch of time, with the mouse and with the keyboard: the server draws it more finely. */
async function zoom(page, url) {
  const marked = async (what, mark) => {
    await open(page, url);
    const before = await bucket(page);
    await Promise.all([page.waitForNavigation({ waitUntil: "load" }), mark()]);
    const query = new URL(page.url()).searchParams;
    check(query.has("since") && query.has("until"), `${what} leads to ${page.url()}`);
    check((await bucket(page)) < before, `${what} does not load a finer picture: ${page.url()}`);
  };
  const picture = "main svg[data-since]";
  await marked("a drag", async () => {
    const svg = await page.$(picture);
    await svg.scrollIntoView();
    const { x, y, width, height } = await svg.boundingBox();
    await page.mouse.move(x + width * 0.5, y + height / 2);
    check(await page.$$eval(picture, (all) => all.every((svg) => svg.querySelector(".cross[x1]"))), "the crosshair is not in all pictures");
    await page.mouse.down();
    await page.mouse.move(x + width * 0.55, y + height / 2, { steps: 4 });
    await page.mouse.up();
  });
  await marked("a stretch marked by keys", async () => {
    await page.$eval(picture, (svg) => svg.closest("[tabindex]").focus());
    await page.keyboard.down("Shift");
    for (let step = 0; step < 3; step += 1) await page.keyboard.press("ArrowRight");
    await page.keyboard.up("Shift");
    await page.keyboard.press("Enter");
  });
}

/** The overview refreshes itself, says so when it cannot, and goes on once it can. */
async function live(page, root) {
  await open(page, `${root}/console`);
  check(await page.$("main .tile [data-age]"), "the age of the last webhook stands still");
  const refreshed = async () => {
    await page.$eval("main h1", (heading) => heading.setAttribute("data-seen", ""));
    await page.waitForFunction(() => !document.querySelector("main h1")?.hasAttribute("data-seen"));
  };
  const note = () => page.$eval("main [role=status]", (status) => status.textContent);
  await refreshed();
  check((await note()) === "", `a page that is fresh says ${await note()}`);
  await page.setOfflineMode(true);
  await page.waitForFunction(() => /Not refreshed since \d\d:\d\d:\d\d UTC/.test(document.querySelector("main [role=status]")?.textContent ?? ""));
  await page.setOfflineMode(false);
  await refreshed();
  check((await note()) === "", "a page that is fresh again says that it is not");
}

async function accessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  for (const { id, impact, help, nodes } of violations) {
    if (impact === "serious" || impact === "critical") {
      faults.push(`${what}: ${id}: ${help}: ${nodes[0].html.slice(0, 160)} ${nodes[0].failureSummary.slice(0, 200)}`);
    }
  }
}

/** Looks at the open page at some widths: it does not scroll sideways, and is accessible. */
async function standsAt(page, name, theme, widths) {
  // Without motion: a colour that is on its way to that of the theme has neither's contrast.
  await page.emulateMediaFeatures([
    { name: "prefers-color-scheme", value: theme },
    { name: "prefers-reduced-motion", value: "reduce" },
  ]);
  for (const width of widths) {
    await page.setViewport({ width, height: 820 });
    const what = `${name} at ${width} px, ${theme}`;
    const sideways = await page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      return scrollWidth - clientWidth;
    });
    check(sideways <= 0, `${what} scrolls sideways by ${sideways} px`);
    const top = await page.$$eval(".top", (headers) => headers.map((header) => header.clientHeight));
    check(width < 1000 || top.every((height) => height < 64), `the header of ${what} is ${top} px high: it has two rows`);
    // Colours depend on the theme, and what is hidden on the width: each is seen once.
    if ((width === 390) === (theme === "light")) await accessible(page, what);
    if (pictures) {
      await page.screenshot({ path: join(pictures, `${name}-${width}-${theme}.png`), fullPage: width === 390 });
    }
  }
}

const WIDTHS = pictures ? [390, 1024, 1600] : [390, 1024];

/** Looks at a page that a form leads to, which cannot be opened again. */
async function showResult(page, name) {
  const before = page.viewport();
  for (const theme of ["light", "dark"]) await standsAt(page, name, theme, WIDTHS);
  await page.setViewport(before);
}

/** Opens every page in both themes and at several widths. */
async function look(page, seen) {
  for (const theme of ["light", "dark"]) {
    for (const width of WIDTHS) {
      await page.setViewport({ width, height: 820 });
      for (const [name, url] of seen) {
        await open(page, url);
        await standsAt(page, name, theme, [width]);
      }
    }
  }
}

/** Takes the pictures of the front page: the upper part of three pages, below the header. */
async function takeFrontPage(page, seen) {
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
  await page.setViewport({ width: 880, height: 900 });
  for (const name of ["overview", "day", "coverage"]) {
    await open(page, seen.get(name));
    const top = await page.$eval("main", (main) => main.getBoundingClientRect().top);
    await page.screenshot({ path: join(frontPage, `${name}.png`), clip: { x: 0, y: top, width: 880, height: 640 } });
  }
}

// The walk is through a system at rest: what is seen twice is the same, and nothing competes with the browser.
await stop((await start(ENOUGH, "--people", "3", "--rate", "25")).system);
const { system, link } = await start(0, "--no-simulator");
const root = new URL(link).origin;
const browser = await puppeteer.launch({
  executablePath: chromium,
  protocolTimeout: PATIENCE_MS,
  timeout: PATIENCE_MS,
  args: [
    "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
try {
  const folder = join(data, "delivered");
  mkdirSync(folder);
  run("destinations", "add", "folder", "--network", "local", "--set", `path=${folder}`);
  const page = await visitor(browser, true);
  const seen = await walk(page, link, root, "2026-01-01", (name) => showResult(page, name));
  await look(page, seen);
  if (frontPage) await takeFrontPage(page, seen);
  await zoom(page, seen.get("series"));
  await live(page, root);
  await press(page, "form[action='/console/theme'] button");
  check(await page.$("html[data-theme]"), "the theme is not switched");
  await Promise.all([page.waitForNavigation(), page.click("form[action='/console/sign-out'] button")]);
  const after = await page.goto(`${root}/console`);
  check(after.status() === 401, `a page after signing out answers ${after.status()}`);
  await showResult(page, "signed-out");

  const plain = await visitor(browser, false);
  const plainly = await walk(plain, newLink("admin"), root, "2026-02-01", () => {});
  check([...plainly.keys()].join() === [...seen.keys()].join(), "without script the walk is another one");
  await Promise.all([plain.waitForNavigation(), plain.click("form[action='/console/sign-out'] button")]);
  check((await plain.goto(`${root}/console`)).status() === 401, "without script nobody is signed out");

  const viewer = await visitor(browser, true);
  await signIn(viewer, newLink("viewer"));
  for (const name of ["person", "day", "why", "series"]) {
    await open(viewer, seen.get(name));
    check((await viewer.content()).includes("•••"), `a viewer's ${name} page does not hide values`);
  }
  console.log(`${seen.size} pages, in both themes and at several widths`);
} catch (error) {
  faults.push(String(error?.stack ?? error));
} finally {
  await browser.close();
  await stop(system);
  rmSync(data, { recursive: true, force: true });
}
for (const fault of faults) console.error(fault);
console.log(`console: ${faults.length === 0 ? 1 : 0} passed, ${faults.length === 0 ? 0 : 1} failed`);
process.exitCode = faults.length === 0 ? 0 : 1;
