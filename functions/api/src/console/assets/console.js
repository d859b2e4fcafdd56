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

async function refresh() {
  if (!live || document.hidden || live.contains(document.activeElement)) return;
  const url = new URL(location.href);
  url.searchParams.set("fragment", "1");
  const answer = await fetch(url, { credentials: "same-origin", redirect: "error" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-refresh]");
  if (!fresh || live.contains(document.activeElement)) return;
  live.replaceChildren(...fresh.childNodes);
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
if (live) setInterval(() => refresh().catch(() => {}), 1000 * Number(live.dataset.refresh));

/**
 * Lets a picture of samples tell the time below the pointer, and open the time that is dragged over.
 * @param {SVGSVGElement} svg
 */
function zoomable(svg) {
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
  /** @type {number | null} */
  let start = null;
  /** @param {PointerEvent} event */
  const place = (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    return Math.min(Math.max(x, left), left + width);
  };
  /** @param {number} x */
  const second = (x) => since + ((x - left) / width) * (until - since);
  /** @param {number} at */
  const text = (at) => new Date(Math.round(at) * 1000).toISOString().slice(0, 19) + "Z";
  svg.addEventListener("pointermove", (event) => {
    const x = place(event);
    for (const [name, value] of Object.entries({ x1: x, x2: x, y1: 8, y2: height })) line.setAttribute(name, String(value));
    label.textContent = text(second(x)).slice(5, 16).replace("T", " ");
    label.setAttribute("x", String(Math.min(x + 4, left + width - 70)));
    label.setAttribute("y", "18");
    if (start === null) return;
    const [from, to] = [Math.min(start, x), Math.max(start, x)];
    for (const [name, value] of Object.entries({ x: from, y: 8, width: to - from, height: height - 8 })) {
      area.setAttribute(name, String(value));
    }
  });
  svg.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse") return;
    start = place(event);
    event.preventDefault();
  });
  addEventListener("pointerup", (event) => {
    if (start === null) return;
    const [from, to] = [start, place(event)].sort((one, other) => one - other).map(second);
    start = null;
    area.removeAttribute("width");
    if (to - from < 300) return;
    const url = new URL(location.href);
    url.searchParams.set("since", text(from));
    url.searchParams.set("until", text(to));
    location.assign(url);
  });
}

for (const svg of document.querySelectorAll("svg[data-since]")) zoomable(/** @type {SVGSVGElement} */ (svg));
