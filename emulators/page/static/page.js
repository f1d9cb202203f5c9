// The page works without this; it keeps the list as it is now. The server says what has changed, and what is shown is
// fetched again and put in its place, focus and scrolling kept.
"use strict";

const wanted = document.body.dataset.live.split(" ").filter(Boolean);
const link = document.getElementById("link");
let busy = false;
let again = false;

// While a button is held or a form on its way nothing is put in its place: a press that ends on another button than it began
// on is none, and what was fetched before a form had its effect is old.
const holders = new Set();
let holds = 0;

function hold(what) {
  holders.add(what);
  holds += 1;
}

function release(what) {
  setTimeout(() => { // after the click that follows
    holders.delete(what);
    if (again) { refresh(); }
  });
}

document.addEventListener("pointerdown", () => hold("pointer"), true);
for (const end of ["pointerup", "pointercancel"]) { document.addEventListener(end, () => release("pointer"), true); }
document.addEventListener("keydown", (event) => { if ([" ", "Enter"].includes(event.key)) { hold("key"); } }, true);
document.addEventListener("keyup", () => release("key"), true);
window.addEventListener("blur", () => { release("pointer"); release("key"); });

function newest(within) {
  const row = within.querySelector("[data-mail]");
  return row ? Number(row.dataset.mail) : 0;
}

function filledIn(control) {
  if (control.matches("[type=checkbox], [type=radio]")) { return control.checked !== control.defaultChecked; }
  if (control.matches("select")) {
    return control.selectedIndex !== Math.max([...control.options].findIndex((one) => one.defaultSelected), 0);
  }
  return control.value !== control.defaultValue;
}

// What somebody has filled in and not sent stays as it is; of a form that was `sent` the answer counts.
function fillIn(controls) {
  for (const control of controls) {
    const fresh = document.getElementById(control.id);
    if (!fresh || fresh.type !== control.type) { continue; }
    if (control.matches("[type=checkbox], [type=radio]")) { fresh.checked = control.checked; } else { fresh.value = control.value; }
  }
}

function focusAgain(focused) {
  const fresh = document.getElementById(focused.id);
  if (!fresh) { return; }
  fresh.focus({ preventScroll: true });
  if (fresh.matches("input") && focused.selectionStart !== null) {
    fresh.setSelectionRange(focused.selectionStart, focused.selectionEnd);
  }
}

function swap(text, sent = null) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const old of document.querySelectorAll("[data-swap]")) {
    const put = fresh.getElementById(old.id);
    if (!put || put.innerHTML === old.innerHTML) { continue; }
    const active = document.activeElement;
    const focused = active.id && old.contains(active) ? active : null;
    const controls = [...old.querySelectorAll("input[id], select[id], textarea[id]")];
    const unsent = controls.filter((one) => one.form !== sent && filledIn(one));
    const open = [...old.querySelectorAll("details")].map((one) => one.open);
    const before = newest(old);
    old.replaceChildren(...put.childNodes);
    old.querySelectorAll("details").forEach((one, place) => { one.open = one.open || Boolean(open[place]); });
    fillIn(unsent);
    if (focused) { focusAgain(focused); }
    const row = old.querySelector("[data-mail]");
    if (row && newest(old) > before) { document.getElementById("news").textContent = row.dataset.news; }
  }
}

// A form that changes what its own page shows is answered in place: nobody is thrown to the top.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-here]")) { return; }
  event.preventDefault();
  hold(event);
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form, event.submitter)) });
    swap(await answer.text(), form);
    const said = document.querySelector(".said");
    document.getElementById("news").textContent = said ? said.textContent : "";
  } finally {
    release(event);
  }
});

async function refresh() {
  if (busy || holders.size) { again = true; return; }
  busy = true;
  again = false;
  const before = holds;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) { return; }
    const text = await answer.text();
    if (holds === before) { swap(text); } else { again = true; }
  } finally {
    busy = false;
    if (again && !holders.size) { refresh(); }
  }
}

if (wanted.length) {
  const stream = new EventSource("/events");
  stream.addEventListener("hello", () => {
    link.textContent = "live";
    link.classList.add("live");
    refresh(); // what happened between the page and its stream, or while the connection was away
  });
  stream.addEventListener("changed", (event) => {
    if (wanted.some((name) => name in JSON.parse(event.data))) { refresh(); }
  });
  stream.addEventListener("error", () => {
    link.textContent = "not live: the emulators do not answer";
    link.classList.remove("live");
  });
}
