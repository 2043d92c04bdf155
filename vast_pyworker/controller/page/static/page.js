// Keeps the page as the controller sees it: on every tick the parts that changed are brought in
// line, element by element, so that focus, selection and scrolling stay where they are. Buttons ask
// first. Without this script the page is whole, and reads itself anew.
"use strict";

const REFRESH_MS = 1000;
const byId = (id) => document.getElementById(id);

// --- bringing in line ---

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null;
}

function alike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);
}

function sync(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  syncChildren(old, fresh);
}

function syncChildren(old, fresh) {
  const keyed = new Map();
  for (const child of old.childNodes) if (keyOf(child)) keyed.set(keyOf(child), child);
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const known = keyOf(wanted) ? keyed.get(keyOf(wanted)) : at;
    if (known && alike(known, wanted)) {
      if (known === at) at = at.nextSibling;
      else old.insertBefore(known, at);
      sync(known, wanted);
    } else {
      old.insertBefore(wanted, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

const shown = new Map();

function show(part, html) {
  if (shown.get(part) === html) return;
  shown.set(part, html);
  const fresh = document.createElement("div");
  fresh.innerHTML = html;
  syncChildren(byId(part), fresh);
}

// --- staying live ---

let asking = false;
let again = false;
let askedAt = 0;

async function refresh() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  const wait = askedAt + REFRESH_MS - Date.now();
  if (wait > 0) await new Promise((done) => setTimeout(done, wait));
  askedAt = Date.now();
  again = false;
  try {
    const answer = await fetch("/page/parts", { headers: { Accept: "application/json" } });
    if (answer.status === 401) location.assign("/login");
    else if (answer.ok) for (const [part, html] of Object.entries(await answer.json())) show(part, html);
  } catch {
    live(false);
  }
  asking = false;
  if (again) refresh();
}

function live(on) {
  const line = byId("live");
  line.className = on ? "live on" : "live off";
  const text = on ? "live" : "not live: the controller does not answer";
  if (line.textContent !== text) line.textContent = text;
}

function listen() {
  const source = new EventSource("/events");
  source.addEventListener("open", () => { live(true); refresh(); });
  source.addEventListener("tick", () => { live(true); if (!document.hidden) refresh(); });
  source.addEventListener("error", () => {
    live(false);
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
}

// --- buttons ---

let toast = 0;

function say(text, wrong) {
  const line = byId("said");
  line.textContent = text;
  line.classList.toggle("wrong", wrong);
  line.hidden = false;
  clearTimeout(toast);
  toast = setTimeout(() => { line.hidden = true; }, wrong ? 10000 : 5000);
}

function ask(button) {
  const { title, more, yes, number } = button.dataset;
  const dialog = byId("ask");
  byId("ask-title").textContent = title;
  byId("ask-more").textContent = more;
  byId("ask-yes").textContent = yes;
  byId("ask-error").hidden = true;
  byId("ask-field").hidden = number === undefined;
  const value = byId("ask-value");
  value.required = number !== undefined;
  value.value = number ?? "";
  dialog.dataset.do = button.value;
  dialog.showModal();
  if (number !== undefined) value.select();
}

async function carryOut(event) {
  event.preventDefault();
  const dialog = byId("ask");
  byId("ask-yes").disabled = true;
  const form = new FormData(byId("act"));
  form.set("do", dialog.dataset.do);
  form.set("value", byId("ask-value").value);
  let error = "The controller does not answer.";
  try {
    const answer = await fetch("/page/do", { method: "POST", headers: { Accept: "application/json" }, body: new URLSearchParams(form) });
    const told = await answer.json();
    if (answer.ok) {
      dialog.close();
      say(told.said, false);
      refresh();
      error = "";
    } else error = told.error;
  } catch { /* what is said stands already */ }
  byId("ask-yes").disabled = false;
  byId("ask-error").textContent = error;
  byId("ask-error").hidden = !error;
}

byId("act").addEventListener("submit", (event) => {
  if (!event.submitter?.dataset.title) return;
  event.preventDefault();
  ask(event.submitter);
});
byId("ask-no").addEventListener("click", () => byId("ask").close());
byId("ask").querySelector("form").addEventListener("submit", carryOut);
if (byId("said").textContent) say(byId("said").textContent, false);
listen();
