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
const busy = (element) =>
  element.contains(document.activeElement) || element.querySelector("[data-touched], details[open]") !== null;
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

function update(old, fresh) {
  if (bare(shown.get(old.id) || "") === bare(fresh.outerHTML)) return;
  const lists = fresh.querySelectorAll("[data-list]");
  const same = lists.length && [...lists].every((list) => document.getElementById(list.id)) &&
    old.querySelectorAll("[data-list]").length === lists.length;
  if (same) {
    for (const list of lists) sync(document.getElementById(list.id), list);
  } else if (busy(old)) {
    return;
  } else {
    const made = document.importNode(fresh, true);
    keep(fresh);
    old.replaceWith(made);
    return;
  }
  shown.set(old.id, fresh.outerHTML);
}
function sync(list, fresh) {
  const wanted = new Set([...fresh.children].map((child) => child.id));
  for (const child of [...list.children]) if (!wanted.has(child.id) && !busy(child)) child.remove();
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
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
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
