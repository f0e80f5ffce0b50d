// What is said, and how it gets into the page: times, sizes, states, advice.
// Must not: put text in other than as text, whoever it is from.

import { span } from "./figures.js";

/** Every state: what it is called, what it means, what to do, how it looks. */
export const STATES = {
  queued: { look: "wait", means: "waits for its turn, a pause or a retry", do: "Nothing: it goes by itself. Closed gates are shown above." },
  uploading: { look: "go", means: "is on the wire, or may be", do: "Nothing." },
  submitted: { look: "go", means: "the service has it and works on it", do: "Nothing: the task is asked about until it ends." },
  succeeded: { look: "good", means: "its task ended well", do: "Nothing." },
  failed: { look: "bad", attention: true, means: "its task ended badly; the service gives no reason", do: "Look whether the file is sound, then retry it." },
  cancelled: { look: "flat", means: "its task was deleted at the service", do: "Nothing, or retry it." },
  untracked: { look: "bad", attention: true, means: "taken, but the service named no task: it can’t be followed", do: "Look in the service’s console for an import of this name and time; retry sends it again." },
  rejected: { look: "bad", attention: true, means: "the service refused it for good", do: "Mend it and drop it again; or retry it, if the reason was not in the file." },
  exhausted: { look: "bad", attention: true, means: "tried as often, or as long, as the rules allow", do: "Find the cause, then retry it." },
  unconfirmed: { look: "bad", attention: true, means: "the answer was lost: the service may have it or not", do: "Look in the service’s console; retry it if it is not there." },
  lost: { look: "bad", attention: true, means: "the service does not know its task any more", do: "Look in the service’s console; retry it if it is not there." },
  unsupported: { look: "bad", attention: true, means: "not something the service takes; nothing was sent", do: "The reason says what to do: convert it, rename it. A replaced file is looked at again by itself." },
  duplicate: { look: "flat", means: "the same content was sent before; nothing was sent", do: "Nothing; duplicates = \"upload\" for the folder sends such files all the same." },
  superseded: { look: "flat", means: "replaced by a newer version before it was sent", do: "Nothing: the newer one is on its way." },
  gone: { look: "flat", means: "deleted or moved away before it was sent", do: "Nothing, or drop it again." },
};

/** States out of which `retry` leads back to the queue. */
export const RETRIED = ["failed", "cancelled", "rejected", "exhausted", "unconfirmed", "lost", "unsupported", "duplicate", "untracked"];

export const NEEDY = Object.keys(STATES).filter((state) => STATES[state].attention);

/** Control characters and direction marks become visible. */
export function harmless(text) {
  return String(text ?? "").replace(
    /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (c) => (c === "\n" ? "\\n" : `\\u{${c.codePointAt(0).toString(16)}}`),
  );
}

/** An element. `props` are properties, but for `data`, `aria` and `role`. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (key === "data") Object.assign(node.dataset, value);
    else if (key === "aria") for (const [name, said] of Object.entries(value)) node.setAttribute(`aria-${name}`, said);
    else if (key === "role") node.setAttribute("role", value);
    else if (key === "text") node.textContent = harmless(value);
    else node[key] = value;
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** What the daemon says, in parts: what it puts between backticks is code. */
export function prose(text) {
  const parts = String(text ?? "").split("`");
  // One that is left over is no mark.
  if (parts.length % 2 === 0) return [bdi(text)];
  return parts.map((part, n) => part && (n % 2 ? el("code", { text: part }) : bdi(part))).filter(Boolean);
}

/** The same where there can be no code: in a label, in what is announced. */
export const plain = (text) => harmless(text).replaceAll("`", "");

/** A text from outside: its direction ends where it ends. */
export const bdi = (text, className) => el("bdi", { text, className });

export const byId = (id) => document.getElementById(id);

/** Changes a text only where it differs: a screen reader says it once. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Makes the children of `parent` those of `items`. What has not changed stays
 * as it is, and so do focus and scroll. `make(item, old)` gives a new node, or
 * the old one brought up to date.
 */
export function fill(parent, items, key, make) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    const facts = JSON.stringify(item);
    const before = old.get(name);
    old.delete(name);
    let node = before;
    if (!before || before.facts !== facts) {
      node = make(item, before);
      node.dataset.key = name;
      node.facts = facts;
    }
    if (before && node !== before) {
      const act = before.contains(document.activeElement) ? document.activeElement.dataset.act : undefined;
      if (next === before) next = node;
      before.replaceWith(node);
      if (act) node.querySelector(`[data-act="${act}"]`)?.focus();
    }
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
  for (const node of old.values()) node.remove();
}

// The daemon's clock less this browser's, in milliseconds.
let ahead = 0;

/** Sets the clock by the daemon's. */
export function setClock(now) {
  ahead = Date.parse(now) - Date.now();
}

export const now = () => Date.now() + ahead;

function relative(at) {
  const s = (now() - at) / 1000;
  if (s < -1) return `in ${span(Math.floor(-s))}`;
  return s < 2 ? "just now" : `${span(Math.floor(s))} ago`;
}

export const clock = (at) => new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** A time, told from now on, and as such on hovering. */
export function when(stamp) {
  if (!stamp) return document.createTextNode("–");
  const at = Date.parse(stamp);
  return el("time", { dateTime: stamp, title: `${clock(at)} (${stamp})`, textContent: relative(at) });
}

const SHORT = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" };

/** A time as such: for a story. */
export function exactly(stamp) {
  return el("time", { dateTime: stamp, title: `${clock(Date.parse(stamp))} (${stamp})`, textContent: new Date(stamp).toLocaleString(undefined, SHORT), data: { exact: "" } });
}

setInterval(() => {
  if (document.hidden) return;
  for (const node of document.querySelectorAll("time:not([data-exact])")) say(node, relative(Date.parse(node.dateTime)));
}, 1000);

/** The state as a word with a colour; without one where it needs nobody any more. */
export function badge(state, isSettled = false) {
  return el("span", { className: `badge ${isSettled ? "flat" : (STATES[state]?.look ?? "flat")}`, text: state, title: STATES[state]?.means });
}

/** Pairs for a `dl`; those without a value are left out. */
export function facts(pairs) {
  return pairs
    .filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false)
    .map(([name, value]) => el("div", {}, el("dt", { textContent: name }), el("dd", {}, value)));
}

// The error table in force.
let table = [];

export function setTable(rows) {
  table = rows;
}

/** The labels that answers can have, of those that the table names. */
export function codes() {
  const label = ({ answer }) => {
    if (/^\d{3}$/.test(answer)) return `HTTP-${answer}`;
    if (/^OPS\d+$/.test(answer)) return answer;
    return /^[a-z]+(-[a-z]+)+$/.test(answer) ? answer.toUpperCase() : null;
  };
  return [...new Set(table.map(label).filter(Boolean))];
}

/** The row about a code, if the table has one. */
export function row(code, call = "upload") {
  if (!code) return undefined;
  const word = code.replace(/^HTTP-/, "").toLowerCase();
  const wanted = [word, word.replace(/^(\d)\d\d$/, "$1xx"), word.replace(/^(ops\d).*$/, "$1…")];
  for (const name of wanted) {
    const found = table.filter((row) => row.answer.toLowerCase() === name);
    const best = found.find((row) => row.call === call) ?? found.find((row) => row.call === "any") ?? found[0];
    if (best) return best;
  }
  return undefined;
}
