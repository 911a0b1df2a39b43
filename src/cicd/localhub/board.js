"use strict";
// Keeps the page up to date. What holds the focus, or was typed into, is left alone until it is free again.
const PERIOD = 2000;
const shown = new Map();
const said = document.getElementById("said");
const live = document.getElementById("live");

const keep = (element) => {
  if (element.id) shown.set(element.id, element.outerHTML);
  for (const child of element.children) keep(child);
};
const focused = (element) => element.contains(document.activeElement);
const busy = (element) => focused(element) || element.querySelector("[data-touched], details[open]") !== null;
const bare = (html) => html.replace(/(name="csrf" value=")[^"]*/g, "$1");

function words(element) {
  const seconds = Math.max(0, (Date.now() - Date.parse(element.dateTime)) / 1000);
  if (Number.isNaN(seconds)) return element.textContent;
  if (seconds < 45) return "just now";
  if (seconds < 5400) return Math.round(seconds / 60) + " min ago";
  if (seconds < 129600) return Math.round(seconds / 3600) + " h ago";
  return Math.round(seconds / 86400) + " days ago";
}
function tellTimes() {
  for (const element of document.querySelectorAll("time")) {
    if (!element.title) element.title = element.textContent;
    const text = words(element);
    if (element.textContent !== text) element.textContent = text;
  }
}

// A list is gone through, entry by entry; anything else is replaced as a whole, later if it is busy now.
function update(old, fresh) {
  const lists = fresh.hasAttribute("data-list") ? [fresh] : [...fresh.querySelectorAll("[data-list]")];
  if (lists.length) {
    for (const list of lists) sync(document.getElementById(list.id), list);
    const caption = fresh.querySelector(":scope > caption");
    if (caption) old.caption.textContent = caption.textContent;
  } else if (bare(shown.get(old.id) || "") !== bare(fresh.outerHTML) && !busy(old)) {
    keep(fresh);
    old.replaceWith(document.importNode(fresh, true));
  }
}
function sync(list, fresh) {
  const wanted = new Set([...fresh.children].map((child) => child.id));
  for (const child of [...list.children]) if (!wanted.has(child.id) && !focused(child)) child.remove();
  let place = list.firstElementChild;
  for (const child of fresh.children) {
    const old = [...list.children].find((candidate) => candidate.id === child.id);
    if (old) {
      if (place === old) place = old.nextElementSibling;
      update(old, child);
    } else {
      list.insertBefore(document.importNode(child, true), place);
      keep(child);
      if (child.dataset.say) said.textContent = child.dataset.say;
    }
  }
}

async function refresh() {
  try {
    const answer = await fetch("/board", { headers: { accept: "text/html" } });
    if (!answer.ok) throw new Error(answer.statusText);
    const html = (await answer.text()).replace(/<style[^]*?<\/style>/, ""); // its nonce is not this page's
    const page = new DOMParser().parseFromString(html, "text/html");
    sync(document.getElementById("repositories"), page.getElementById("repositories"));
    document.querySelector("#made time").replaceWith(document.importNode(page.querySelector("#made time"), true));
    document.title = page.title;
    live.textContent = "live";
    live.classList.remove("stale");
  } catch {
    live.textContent = "not connected";
    live.classList.add("stale");
  }
  tellTimes();
}

keep(document.body);
tellTimes();
document.addEventListener("input", (event) => { event.target.dataset.touched = ""; });
if (location.search) history.replaceState(null, "", location.pathname);
setInterval(() => { if (!document.hidden) refresh(); }, PERIOD);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
