// What pages do more with a script: fresh numbers, ages that go on, copying. Without it all of them work.
// @ts-check

/** @param {number} ms */
function age(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/** @param {ParentNode} root */
function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.getAttribute("datetime") ?? "");
    if (!Number.isNaN(at.getTime())) time.setAttribute("title", at.toString());
  }
}

const served = Date.parse(document.documentElement.dataset.now ?? "");
const started = performance.now();

function ages() {
  const now = served + (performance.now() - started);
  for (const span of document.querySelectorAll("[data-age]")) {
    const at = Date.parse(span.getAttribute("data-age") ?? "");
    if (!Number.isNaN(at)) span.textContent = age(now - at);
  }
}

const live = /** @type {HTMLElement | null} */ (document.querySelector("[data-refresh]"));

let fresh = served;

/** Says that the page is not what it was made to be: a page of the present. @param {string} why */
function stale(why) {
  const note = live?.querySelector("[role=status]");
  if (note) note.textContent = `▲ Not refreshed since ${new Date(fresh).toISOString().slice(11, 19)} UTC: ${why}`;
}

async function refresh() {
  if (!live || document.hidden) return;
  const url = new URL(location.href);
  url.searchParams.set("fragment", "1");
  const answer = await fetch(url, { credentials: "same-origin", redirect: "error", signal: AbortSignal.timeout(9000) });
  if (answer.status === 401) return stale("you are not signed in any more");
  if (!answer.ok) return stale(`the answer was ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = page.querySelector("[data-refresh]");
  if (!next) return stale("the answer was another page");
  fresh = Date.parse(page.documentElement.dataset.now ?? "");
  if (live.contains(document.activeElement)) {
    live.querySelector("[role=status]")?.replaceChildren();
    return;
  }
  live.replaceChildren(...next.childNodes);
  localise(live);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.removeAttribute("hidden");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.getAttribute("data-copy") ?? "");
    button.textContent = "copied";
  });
}

localise(document);
setInterval(ages, 5000);
if (live) setInterval(() => refresh().catch(() => stale("the system does not answer")), 1000 * Number(live.dataset.refresh));

/** Every picture of samples on the page: they share one time axis, so one crosshair goes through all of them. */
const charts = /** @type {SVGSVGElement[]} */ ([...document.querySelectorAll("svg[data-since]")]).map(chart);

/**
 * Gives a picture its crosshair and its marked stretch of time. Places are in the units of the picture.
 * @param {SVGSVGElement} svg
 */
function chart(svg) {
  const [since, until, left, width] = ["since", "until", "left", "width"].map((name) => Number(svg.dataset[name]));
  const height = svg.viewBox.baseVal.height - 22;
  /** @param {string} name @param {string} kind */
  const made = (name, kind) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    node.setAttribute("class", kind);
    return svg.appendChild(node);
  };
  const area = made("rect", "zoom");
  const line = made("line", "cross");
  const label = made("text", "name");
  /** @param {Element} node @param {Record<string, number>} places */
  const put = (node, places) => {
    for (const [name, value] of Object.entries(places)) node.setAttribute(name, String(value));
  };
  /** @param {number} x */
  const second = (x) => since + ((x - left) / width) * (until - since);
  return {
    svg, left, width, second,
    /** @param {number} x @param {number | null} from */
    show(x, from) {
      put(line, { x1: x, x2: x, y1: 8, y2: height });
      label.textContent = moment(second(x)).slice(5, 16).replace("T", " ");
      put(label, { x: Math.min(x + 4, left + width - 70), y: 18 });
      const start = from ?? x;
      put(area, { x: Math.min(start, x), y: 8, width: Math.abs(x - start), height: height - 8 });
    },
  };
}

/** @param {number} second */
function moment(second) {
  return new Date(Math.round(second) * 1000).toISOString().slice(0, 19) + "Z";
}

/** Loads a stretch of time: the server draws it more finely. @param {number} one @param {number} other */
function zoom(one, other) {
  const [from, to] = [Math.min(one, other), Math.max(one, other)];
  if (to - from < 300) return;
  const url = new URL(location.href);
  url.searchParams.set("since", moment(from));
  url.searchParams.set("until", moment(to));
  location.assign(url);
}

/**
 * Lets the mouse drag over a picture, and the keyboard do the same: arrows move the crosshair, with Shift they mark,
 * Enter loads what is marked, Escape forgets it.
 * @param {ReturnType<typeof chart>} one
 */
function zoomable({ svg, left, width, second }) {
  let at = left + width / 2;
  /** @type {number | null} */
  let start = null;
  let drags = false;
  const show = () => charts.forEach((other) => other.show(at, start));
  /** @param {number} x */
  const move = (x) => {
    at = Math.min(Math.max(x, left), left + width);
    show();
  };
  /** @param {PointerEvent} event */
  const place = (event) => {
    const box = svg.getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
  };
  svg.addEventListener("pointermove", (event) => move(place(event)));
  svg.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse") return;
    move(place(event));
    [start, drags] = [at, true];
    event.preventDefault();
  });
  addEventListener("pointerup", (event) => {
    if (!drags || start === null) return;
    move(place(event));
    zoom(second(start), second(at));
    [start, drags] = [null, false];
    show();
  });
  const stage = /** @type {HTMLElement | null} */ (svg.closest("[tabindex]"));
  stage?.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -width / 48, ArrowRight: width / 48 }[event.key];
    if (step) {
      start = event.shiftKey ? (start ?? at) : null;
      move(at + step);
    } else if (event.key === "Enter" && start !== null) {
      zoom(second(start), second(at));
    } else if (event.key === "Escape") {
      start = null;
      show();
    } else return;
    event.preventDefault();
  });
}

charts.forEach(zoomable);
