// Asking the daemon, and having it do something.
// Must not: put the token into an address, or keep it beyond this tab.

import { files, number } from "./figures.js";
import { byId, el, harmless, plain, prose, say } from "./words.js";

const TOKEN = "supametas-sync token";

/** What was answered in place of what was asked for. */
export class Refused extends Error {
  constructor(status, { error, token_file: file } = {}) {
    super(harmless(error ?? `it answered with status ${status}`));
    this.status = status;
    this.file = file;
  }
}

/**
 * A question: the answer, or `Refused`; any other error: there was none. Where
 * looking takes a token (`read_token_file`), it is asked for.
 */
export async function ask(path, request) {
  return (await fetched(path, request)).json();
}

/** A page of a list: its items, how many there are in all, and where the next page is. */
export async function askPage(path) {
  const answer = await fetched(path);
  const next = /<([^>]+)>; rel="next"/.exec(answer.headers.get("Link") ?? "");
  return { items: await answer.json(), total: Number(answer.headers.get("X-Total-Count")), next: next?.[1] ?? null };
}

async function fetched(path, request = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...request.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(12000), ...request, headers });
  if (answer.ok) return answer;
  const refused = new Refused(answer.status, await answer.json().catch(() => ({})));
  if (refused.status === 401 && request.method !== "POST" && (await mayLook(token, refused.file))) return fetched(path, request);
  throw refused;
}

function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

let looking = null;

/** Asks for the token once, for all questions that were refused; whether to ask again. */
async function mayLook(refused, file) {
  if (sessionStorage.getItem(TOKEN) !== refused) return true;
  // Who gave up is not asked again until the page is loaded anew.
  looking ??= askToken(refused ? "This token does not let you look." : "", file).then((token) => {
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
      const token = await askToken(wrong, error.file);
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

async function askToken(wrong, file) {
  const field = byId("ask-token");
  field.value = "";
  const where = file ? [" It is in the file ", el("code", { text: file }), " on its machine."] : [" It is in the file that ", el("code", { textContent: "token_file" }), " names in its configuration."];
  byId("ask-where").replaceChildren("The daemon wants a token for this.", ...where, " It stays in this tab, and is forgotten when you close it.");
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

/** What can be asked for beside a yes. */
const FIELDS = {
  why: { label: "Why, for whoever sees it", most: 200 },
  task: { label: "Task ID, if you know it: it is followed then", most: 200 },
};

/** Asks whether to go on: `null`, or what was given in each of the fields. */
async function sure(head, body, yes, fields = []) {
  say(byId("sure-head"), head);
  const inputs = fields.map((name) => [name, el("input", { type: "text", id: `sure-${name}`, maxLength: FIELDS[name].most, autocomplete: "off", spellcheck: false })]);
  const asked = inputs.map(([name, input]) => el("label", {}, `${FIELDS[name].label} `, input));
  byId("sure-body").replaceChildren(...body, ...asked);
  say(byId("sure-yes"), yes);
  const given = await answerOf(byId("sure"), [
    [byId("sure-form"), "submit", () => true],
    [byId("sure-no"), "click", () => null],
  ]);
  if (!given) return null;
  return Object.fromEntries(inputs.map(([name, input]) => [name, input.value.trim()]).filter(([, value]) => value));
}

let hush;

/** Says what came of it, for a while. */
export function tell(text, bad = false) {
  const said = byId("said");
  text = plain(text);
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
function reasons(refused, what) {
  const counts = new Map();
  for (const { why } of refused) counts.set(why, (counts.get(why) ?? 0) + 1);
  return [...counts].map(([why, n]) => `${files(n)} can’t be ${what}: ${harmless(why)}`);
}

/** What can be done with files: where, what came of it, and how it is asked. */
const DEEDS = {
  retry: {
    path: "/api/retry", done: "retried", refused: "sent again", told: (n) => `${files(n)} back in the queue.`,
    head: (n) => `Send ${files(n)} again?`, body: "What the service has already, it may import a second time.", yes: (n) => `Retry ${number(n)}`,
  },
  cancel: {
    path: "/api/cancel", done: "cancelled", refused: "cancelled", told: (n) => `${files(n)} cancelled: the service has deleted the tasks.`, atOnce: 20, asks: true,
    head: (n) => `Cancel ${files(n)}?`, body: "The service is asked to delete the tasks, one after another. What it has made of the content by then is its own.", yes: (n) => `Cancel ${number(n)}`,
  },
  acknowledge: {
    path: "/api/acknowledge", done: "acknowledged", refused: "acknowledged", told: (n) => `${files(n)} acknowledged.`, asks: true, fields: ["why"],
    head: (n) => `Acknowledge ${files(n)}?`, body: "It needs nobody any more then. Its state stays, and so does what is known of its content.", yes: (n) => `Acknowledge ${number(n)}`,
  },
  arrived: {
    path: "/api/acknowledge", done: "acknowledged", refused: "settled", told: () => "Settled: the service has it.", asks: true, fields: ["task", "why"], more: { arrived: true },
    head: () => "Has it arrived?", body: "Say so when you have found it in the service’s console. It is not sent again then.", yes: () => "It has arrived",
  },
};

function told(deed, done, refused) {
  const sent = done.length ? [deed.told(done.length)] : [];
  tell([...sent, ...reasons(refused, deed.refused)].join(" "), done.length === 0);
}

/** Does something with one file, after asking where that is due. */
export function actOn(name, id) {
  return trying(async () => {
    const deed = DEEDS[name];
    const given = deed.asks ? await sure(deed.head(1), [el("p", { textContent: deed.body })], deed.yes(1), deed.fields) : {};
    if (!given) return null;
    const done = await act(deed.path, { ids: [id], ...deed.more, ...given });
    if (done) told(deed, done[deed.done], done.refused);
    return done;
  });
}

/** Does it with all files of a filter with which it can be done, after asking. */
export function actOnAll(name, filter) {
  return trying(async () => {
    const deed = DEEDS[name];
    const would = await act(deed.path, { ...filter, dry_run: true });
    if (!would) return null;
    const ids = would[deed.done];
    const why = reasons(would.refused, deed.refused);
    if (ids.length === 0) {
      tell([`None of these can be ${deed.refused}.`, ...why].join(" "), true);
      return null;
    }
    const body = [deed.body, ...why].map((text) => el("p", {}, prose(text)));
    const given = await sure(deed.head(ids.length), body, deed.yes(ids.length), deed.fields);
    if (!given) return null;
    // Those that were agreed to, not those that have come to fit since.
    const [done, refused] = [[], []];
    const atOnce = deed.atOnce ?? 1000;
    for (let from = 0; from < ids.length; from += atOnce) {
      const some = await act(deed.path, { ids: ids.slice(from, from + atOnce), ...given });
      if (!some) break;
      done.push(...some[deed.done]);
      refused.push(...some.refused);
      if (ids.length > atOnce) tell(`${number(Math.min(from + atOnce, ids.length))} of ${number(ids.length)} …`);
    }
    told(deed, done, refused);
    return done;
  });
}

/** Opens the gate, and ends the pause, of this scope. */
export function resume(scope) {
  return trying(async () => {
    const done = await act("/api/resume", { scope });
    if (!done) return null;
    const all = [...done.opened.map((name) => `Opened: ${name}.`), ...done.ended.map((name) => `Goes on: ${name}.`)];
    tell(all.join(" ") || "Nothing was paused.");
    return done;
  });
}

/** Asks which scope to pause, for how long and why, and has it done. */
export function pause(scope, scopes) {
  return trying(async () => {
    const [which, time, why] = [byId("pause-scope"), byId("pause-for"), byId("pause-why")];
    which.replaceChildren(...scopes.map((name) => new Option(harmless(name), name)));
    which.value = scope;
    time.value = why.value = "";
    const yes = await answerOf(byId("pause"), [
      [byId("pause-form"), "submit", () => true],
      [byId("pause-cancel"), "click", () => null],
    ]);
    if (!yes) return null;
    const asked = { scope: which.value };
    if (time.value) asked.for_s = Number(time.value);
    if (why.value.trim()) asked.why = why.value.trim();
    const done = await act("/api/pause", asked);
    if (done) tell(`Paused: ${done.paused.scope}, ${done.paused.ends}.`);
    return done;
  });
}
