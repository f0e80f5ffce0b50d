// Asking the daemon, and having it do something.
// Must not: put the token into an address, or keep it beyond this tab.

import { byId, el, files, harmless, number, say } from "./words.js";

const TOKEN = "supametas-sync token";

/** What was answered in place of what was asked for. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * A question: the answer, or `Refused`; any other error: there was none. Where
 * looking takes a token (`read_token_file`), it is asked for.
 */
export async function ask(path, request = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...request.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(12000), ...request, headers });
  if (answer.ok) return answer.json();
  if (answer.status === 401 && request.method !== "POST" && (await mayLook(token))) return ask(path, request);
  const told = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, harmless(told.error ?? `it answered with status ${answer.status}`));
}

function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

let looking = null;

/** Asks for the token once, for all questions that were refused; whether to ask again. */
async function mayLook(refused) {
  if (sessionStorage.getItem(TOKEN) !== refused) return true;
  // Who gave up is not asked again until the page is loaded anew.
  looking ??= askToken(refused ? "This token does not let you look." : "").then((token) => {
    if (token === null) return false;
    looking = null;
    sessionStorage.setItem(TOKEN, token);
    showForget();
    return true;
  });
  return looking;
}

/**
 * Has something done. The token is asked for where the daemon wants one: through
 * its socket it does not. Gives `null` where the person gave up.
 */
async function act(path, body) {
  let wrong = "";
  for (;;) {
    try {
      const done = await post(path, body);
      showForget();
      return done;
    } catch (error) {
      if (error.status !== 401) throw error;
      if (sessionStorage.getItem(TOKEN)) wrong = "This token is not the daemon’s: look for spaces and missing characters.";
      forget();
      const token = await askToken(wrong);
      if (token === null) return null;
      sessionStorage.setItem(TOKEN, token);
    }
  }
}

function forget() {
  sessionStorage.removeItem(TOKEN);
  showForget();
}

function showForget() {
  byId("forget").hidden = !sessionStorage.getItem(TOKEN);
}

byId("forget").addEventListener("click", () => {
  forget();
  tell("The token is forgotten.");
});
showForget();

/** Opens a dialog, and gives what it was closed with. */
function answerOf(dialog, buttons) {
  return new Promise((resolve) => {
    const ends = new AbortController();
    const end = (value) => {
      ends.abort();
      dialog.close();
      resolve(value);
    };
    for (const [target, event, value] of [...buttons, [dialog, "close", () => null]]) {
      target.addEventListener(event, (e) => (e.preventDefault(), end(value())), { signal: ends.signal });
    }
    dialog.showModal();
  });
}

async function askToken(wrong) {
  const field = byId("ask-token");
  field.value = "";
  say(byId("ask-wrong"), wrong);
  byId("ask-wrong").hidden = !wrong;
  const given = answerOf(byId("ask"), [
    [byId("ask-form"), "submit", () => field.value.trim()],
    [byId("ask-cancel"), "click", () => null],
  ]);
  field.focus();
  const token = await given;
  field.value = "";
  // What can't stand in a header is no token; it would be a fault of the browser's.
  return token === null ? null : token.replace(/[^\x21-\x7e]/g, "?");
}

function sure(head, body, yes) {
  say(byId("sure-head"), head);
  byId("sure-body").replaceChildren(...body);
  say(byId("sure-yes"), yes);
  return answerOf(byId("sure"), [
    [byId("sure-yes"), "click", () => true],
    [byId("sure-no"), "click", () => null],
  ]);
}

let hush;

/** Says what came of it, for a while. */
export function tell(text, bad = false) {
  const said = byId("said");
  // Beside an open dialog nothing is seen, or heard.
  ([...document.querySelectorAll("dialog[open]")].pop() ?? document.body).append(said);
  say(said, text);
  said.classList.toggle("bad", bad);
  said.hidden = false;
  clearTimeout(hush);
  hush = setTimeout(() => (said.hidden = true), bad ? 20000 : 8000);
}

async function trying(what) {
  try {
    return await what();
  } catch (error) {
    const why = error instanceof Refused ? error.message : "the daemon does not answer.";
    tell(`It was not done: ${why}`, true);
    return null;
  }
}

/** The reasons for which files were refused, each with its number of files. */
function reasons(refused) {
  const counts = new Map();
  for (const { why } of refused) counts.set(why, (counts.get(why) ?? 0) + 1);
  return [...counts].map(([why, n]) => `${files(n)} can’t be sent again: ${harmless(why)}`);
}

function told({ retried, refused }) {
  const sent = retried.length ? [`${files(retried.length)} back in the queue.`] : [];
  tell([...sent, ...reasons(refused)].join(" "), retried.length === 0);
}

/** Sends one file again. */
export function retryOne(id) {
  return trying(async () => {
    const done = await act("/api/retry", { ids: [id] });
    if (done) told(done);
    return done;
  });
}

/** Sends all files of a filter again that can be, after asking. */
export function retryAll(filter) {
  return trying(async () => {
    const would = await act("/api/retry", { ...filter, dry_run: true });
    if (!would) return null;
    const count = would.retried.length;
    if (count === 0) {
      tell(["None of these can be sent again.", ...reasons(would.refused)].join(" "), true);
      return null;
    }
    const body = [`What the service has already, it may import a second time.`, ...reasons(would.refused)];
    const yes = await sure(`Send ${files(count)} again?`, body.map((text) => el("p", { textContent: text })), `Retry ${number(count)}`);
    if (!yes) return null;
    // Those that were agreed to, not those that have come to fit since.
    const what = count <= 1000 ? { ids: would.retried } : filter;
    const done = await act("/api/retry", what);
    if (done) told(done);
    return done;
  });
}

/** Opens the gate, and ends the pause, of this scope. */
export function resume(scope) {
  return trying(async () => {
    const done = await act("/api/resume", { scope });
    if (done?.opened.length) tell(`Opened: ${done.opened.map(harmless).join(", ")}.`);
    else if (done) tell(`Goes on: ${done.ended.map(harmless).join(", ")}.`);
    return done;
  });
}
