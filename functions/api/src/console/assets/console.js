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
