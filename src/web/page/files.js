// The list of files, and the story of one.
// Must not: ask for more than is shown.

import { Refused, actOn, actOnAll, ask, askPage } from "./act.js";
import { files as filesOf, number, size, span } from "./figures.js";
import * as w from "./words.js";
import { bdi, byId, el, exactly, facts, prose, when } from "./words.js";

/** Files of a page. */
const PAGE = 100;

/** What can be chosen as a state, beside each alone. */
const CHOICES = {
  "": "all",
  "queued,uploading,submitted": "on their way",
  "cancelled,duplicate,superseded,gone": "other ends",
};

/** The orders, the usual one first. */
const ORDERS = {
  "-changed": "latest change first",
  changed: "longest unchanged first",
  "-seen": "newest first",
  seen: "oldest first",
  name: "by name, A to Z",
  "-name": "by name, Z to A",
  "-size": "largest first",
  size: "smallest first",
};

/** Where the pages up to the one that is shown are; the first is where the filter says. */
let pages = [];
let next = null;
let mayAct = false;
let asked = 0;
let quietUntil = 0;

const filter = () => ({
  name: byId("by-name").value.trim(),
  state: byId("by-state").value,
  need: byId("by-need").value,
  folder: byId("by-folder").value,
  code: byId("by-code").value.trim().toUpperCase().replace(/^\d{3}$/, "HTTP-$&"),
});

const isSet = (chosen) => Object.values(chosen).some(Boolean);

function address(chosen) {
  const query = new URLSearchParams({ limit: PAGE, sort: byId("by-order").value });
  for (const key of ["name", "folder", "code"]) if (chosen[key]) query.set(key, chosen[key]);
  if (chosen.name) query.set("any_case", "true");
  if (chosen.need) query.set(chosen.need, "true");
  for (const state of chosen.state.split(",").filter(Boolean)) query.append("state", state);
  return `/api/files?${query}`;
}

/** Whether the list may be looked up by itself: one that took long is left alone for longer. */
export const mayRefresh = () => performance.now() >= quietUntil;

/** Looks the page of the list up anew. */
export async function list() {
  const turn = ++asked;
  const chosen = filter();
  const begun = performance.now();
  let found;
  try {
    found = await askPage(pages.at(-1) ?? address(chosen));
  } catch (error) {
    // Where the daemon does not answer, the page says so already.
    if (turn === asked && error instanceof Refused) nothing(`This can’t be looked up: ${error.message}`);
    return;
  } finally {
    quietUntil = performance.now() + 20 * (performance.now() - begun);
  }
  if (turn !== asked) return;
  // What was on this page has moved on: the one before it is the last now.
  if (found.items.length === 0 && pages.length > 0) return turnTo(pages.slice(0, -1));
  next = found.next;
  show(found, chosen);
}

function turnTo(where) {
  pages = where;
  return list();
}

function show({ items: all, total }, chosen) {
  const place = byId("list");
  const of = JSON.stringify([chosen, byId("by-order").value, pages]);
  // Nothing moves away from under a pointer; changes show in place.
  const isHeld = place.matches(":hover") && matchMedia("(hover: hover)").matches && place.dataset.of === of;
  const shown = isHeld ? held(place, all) : all;
  place.dataset.of = of;
  w.fill(place, shown, (file) => file.id, line);
  const first = pages.length * PAGE;
  const range = total > all.length ? `${number(first + 1)} to ${number(first + all.length)} of ${filesOf(total)}` : filesOf(total);
  w.say(byId("listed"), all.length ? range : "");
  byId("pages").hidden = pages.length === 0 && !next;
  byId("previous").disabled = pages.length === 0;
  byId("next").disabled = !next;
  byId("clear").hidden = !isSet(chosen);
  for (const deed of Object.keys(FOR)) byId(`${deed}-all`).hidden = !mayAct || !all.some((file) => FOR[deed](file, chosen));
  byId("list-none").hidden = all.length > 0;
  if (all.length === 0) {
    nothing(
      isSet(chosen)
        ? "No file fits this filter. What the daemon never takes (temporary names, links, hidden files) is not listed: “supametas-sync explain FILE” says why."
        : "No file yet. Put one into a drop folder: it shows up here as soon as it is finished being written.",
    );
  }
}

function held(place, all) {
  const fresh = new Map(all.map((file) => [String(file.id), file]));
  const there = [...place.children].map((node) => fresh.get(node.dataset.key) ?? node.file);
  return [...there, ...all.filter((file) => !there.some((one) => one.id === file.id))];
}

function nothing(text) {
  w.say(byId("list-none"), text);
  byId("list-none").hidden = false;
}

function line(file) {
  const node = el(
    "li",
    { className: file.needs_attention ? "needy" : "" },
    el(
      "a",
      { href: `#file-${file.id}`, data: { act: "open" } },
      el("span", { className: "what" }, w.badge(file.state, file.resolved), bdi(`${file.folder}/${file.file}`, "path")),
      el("span", { className: "detail" }, prose(file.detail)),
      el("span", { className: "side" }, el("span", { textContent: size(file.size) }), when(file.changed_at)),
    ),
  );
  node.file = file;
  return node;
}

/** The files that each deed is for; without a state chosen, what needs nobody is not sent again. */
const FOR = {
  retry: (file, { state }) => w.RETRIED.includes(file.state) && Boolean(state || file.needs_attention),
  acknowledge: (file) => file.needs_attention,
  cancel: (file) => file.state === "submitted",
};

/** The filter as what acts takes it. */
function meant() {
  const { state, need, ...rest } = filter();
  const set = Object.fromEntries(Object.entries(rest).filter(([, value]) => value));
  if (set.name) set.any_case = true;
  if (need) set[need] = true;
  if (state) set.state = state.split(",");
  return set;
}

for (const deed of Object.keys(FOR)) {
  byId(`${deed}-all`).addEventListener("click", async () => {
    const set = meant();
    // Without a filter all are meant with which it can be done.
    if (deed === "cancel") set.state = ["submitted"];
    else if (Object.keys(set).length === 0) set.all = true;
    if (await actOnAll(deed, set)) list();
  });
}

byId("clear").addEventListener("click", () => choose({}));
byId("previous").addEventListener("click", () => turnTo(pages.slice(0, -1)));
byId("next").addEventListener("click", () => next && turnTo([...pages, next]));

/** Sets the filter. */
export function choose({ state = "", need = "", folder = "", name = "", code = "" }, look = true) {
  byId("by-state").value = state;
  byId("by-need").value = need;
  byId("by-folder").value = folder;
  byId("by-name").value = name;
  byId("by-code").value = code;
  turnTo([]);
  if (look && state + need + folder) {
    byId("files").scrollIntoView();
    byId("files").focus({ preventScroll: true });
  }
}

let typing;
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("filter").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => turnTo([]), 250);
});

byId("by-state").append(
  ...Object.entries(CHOICES).map(([value, text]) => new Option(text, value)),
  ...Object.keys(w.STATES).map((state) => new Option(state, state)),
);
byId("by-order").append(...Object.entries(ORDERS).map(([value, text]) => new Option(text, value)));

/** What the list has to know of the daemon. */
export function know(folders, may) {
  mayAct = may;
  const place = byId("by-folder");
  const known = [...place.options].slice(1).map((option) => option.value);
  if (JSON.stringify(known) !== JSON.stringify(folders)) {
    const chosen = place.value;
    place.replaceChildren(new Option("all", ""), ...folders.map((name) => new Option(w.harmless(name), name)));
    place.value = folders.includes(chosen) ? chosen : "";
  }
}

// ── One file ────────────────────────────────────────────────────────────────

const dialog = byId("story");
let shown = null;
let back = null;

const wanted = () => /^#file-(\d+)$/.exec(location.hash)?.[1];

/** Shows the file that the address names, or its latest, if one is open. */
export async function story() {
  const id = wanted();
  if (!id) {
    if (dialog.open) dialog.close();
    return;
  }
  let file;
  try {
    file = await ask(`/api/files/${id}`);
  } catch (error) {
    if (!(error instanceof Refused)) return;
    file = { id, missing: error.message };
  }
  if (wanted() !== id) return;
  const text = JSON.stringify([file, mayAct]);
  if (shown !== text) {
    shown = text;
    tell(file);
  }
  if (!dialog.open) {
    back = document.activeElement;
    dialog.showModal();
    dialog.scrollTop = 0;
  }
}

function tell(file) {
  const body = byId("story-body");
  if (file.missing) {
    w.say(byId("story-head"), `File ${file.id}`);
    body.replaceChildren(el("p", { text: file.missing }));
    return;
  }
  const act = body.contains(document.activeElement) ? document.activeElement.dataset.act : null;
  byId("story-head").replaceChildren(bdi(file.file));
  const state = w.STATES[file.state] ?? {};
  const known = w.row(file.code, file.state === "lost" ? "query" : "upload");
  body.replaceChildren(
    el("p", { className: "lead" }, w.badge(file.state, file.resolved), " ", state.means ?? ""),
    el(
      "div",
      { className: `todo ${file.needs_attention ? "bad" : ""}` },
      el("p", {}, prose(file.detail)),
      known?.meaning && file.code !== "0" && !file.detail.includes(known.meaning) && el("p", {}, el("code", { text: file.code }), ": ", prose(known.meaning)),
      el("p", {}, el("strong", { textContent: "To do: " }), state.do ?? ""),
      known?.advice && file.needs_attention && el("p", {}, "For this answer: ", prose(known.advice), "."),
      mayAct && deeds(file),
    ),
    el(
      "dl",
      { className: "facts" },
      facts([
        ["Folder", bdi(file.folder)],
        ["Dataset", file.dataset && bdi(file.dataset)],
        ["Path", bdi(file.path_escaped, "path")],
        [RESOLVED[file.resolved?.how]?.name, file.resolved && resolved(file.resolved)],
        ["Size", size(file.size)],
        ["Type", file.media],
        ["Seen", when(file.seen_at)],
        ["Changed", when(file.changed_at)],
        ["Not before", file.not_before && Date.parse(file.not_before) > w.now() && when(file.not_before)],
        ["Task", file.task && bdi(file.task)],
        ["Asked again", file.next_poll && when(file.next_poll)],
        ["Last asked", file.polls && el("span", {}, when(file.polls.last_at), bdi(` · ${[file.polls.code, file.polls.message].filter(Boolean).join(" ")} · ${number(file.polls.count)} times`))],
        ["Same as", file.duplicate_of && other(file.duplicate_of)],
        ["Replaced by", file.replaced_by && other(file.replaced_by)],
        ["Complete?", file.may_be_incomplete && "maybe not: its end seemed to be missing"],
        ["Sent twice?", file.possible_duplicate && "possibly: an answer was lost, and it was sent again"],
        ["Source", file.source && bdi(file.source)],
        ["BLAKE3", file.blake3 && el("code", { textContent: file.blake3 })],
        ["Number", String(file.id)],
      ]),
    ),
    el("h3", { textContent: "What happened, latest first" }),
    events(file),
  );
  if (act) body.querySelector(`[data-act="${act}"]`)?.focus();
}

/** How a file stopped needing attention. */
const RESOLVED = {
  acknowledged: { name: "Acknowledged" },
  "newer-version": { name: "Settled", text: "a newer version of it was imported" },
  "source-gone": { name: "Settled", text: "its source is gone" },
  excluded: { name: "Settled", text: "the configuration excludes its name by now" },
};

function resolved({ how, at, who, why, by }) {
  const said = [who && `by ${who}`, why].filter(Boolean).join(": ");
  return el("span", {}, RESOLVED[how]?.text ?? bdi(said), by && [": ", other(by)], " · ", when(at));
}

const other = (id) => el("a", { href: `#file-${id}`, textContent: `file ${id}` });

/** What can be done with a file. */
function deeds(file) {
  const doubtful = ["unconfirmed", "lost", "untracked"].includes(file.state);
  const all = [
    doubtful && !file.resolved && ["arrived", "It has arrived …", "main"],
    w.RETRIED.includes(file.state) && ["retry", doubtful ? "Send it again" : "Retry this file", doubtful ? "" : "main"],
    file.needs_attention && ["acknowledge", "Acknowledge …", ""],
    file.state === "submitted" && ["cancel", "Cancel this file …", ""],
  ].filter(Boolean);
  const buttons = all.map(([deed, text, className]) => {
    const button = el("button", { type: "button", className, textContent: text, data: { act: deed } });
    button.addEventListener("click", async () => {
      if (await actOn(deed, file.id)) {
        story();
        list();
      }
    });
    return button;
  });
  return buttons.length > 0 && el("p", { className: "buttons" }, buttons);
}

/** Events shown of one file. */
const EVENTS = 300;

function events(file) {
  const all = [
    ...file.history.map((change) => ({ at: change.at, node: changed(change) })),
    ...file.attempts.map((attempt) => ({ at: attempt.ended_at ?? attempt.started_at, node: tried(attempt) })),
  ];
  // Of the same moment, the answer comes before the change that it brought.
  const order = (one, two) => (one.at < two.at ? -1 : one.at > two.at ? 1 : one.node.rank - two.node.rank);
  const latest = all.sort(order).reverse();
  if (latest.length === 0) return el("p", { className: "empty", textContent: "Nothing yet." });
  const rest = latest.length - EVENTS;
  return el(
    "ol",
    { className: "events" },
    latest.slice(0, EVENTS).map(({ at, node }) => el("li", {}, exactly(at), node)),
    rest > 0 && el("li", { textContent: `${number(rest)} earlier ones: supametas-sync show ${file.id}` }),
  );
}

function changed({ from, to, code, why }) {
  const answer = [code === "0" ? "" : code, why].filter(Boolean).join(" ");
  return el(
    "div",
    { rank: 1 },
    el("p", {}, from && from !== to && [w.badge(from), el("span", { className: "arrow", textContent: " → " })], w.badge(to)),
    answer && el("p", {}, prose(answer)),
  );
}

function tried(attempt) {
  const { id, endpoint, probe, started_at, ended_at, http_status, code, message, verdict, bytes, task } = attempt;
  const took = ended_at ? (Date.parse(ended_at) - Date.parse(started_at)) / 1000 : null;
  const said = [http_status && `HTTP ${http_status}`, code && code !== "0" && code !== `HTTP-${http_status}` && code, message].filter(Boolean).join(" · ");
  return el(
    "div",
    { rank: 0, className: "attempt" },
    el("p", {}, el("strong", { textContent: `Attempt ${id}` }), probe && " (a probe)", " at ", bdi(endpoint, "path")),
    said && el("p", {}, bdi(said)),
    el("p", {}, "Verdict: ", el("strong", { text: verdict ?? "under way" }), task && [" · task ", bdi(task)]),
    el("p", { className: "quiet", textContent: [bytes !== null && `${size(bytes)} sent`, took !== null && `in ${span(Math.max(took, 0.0005))}`].filter(Boolean).join(" ") }),
  );
}

byId("story-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("close", () => {
  shown = null;
  // The address says what is open; going back must not open it again.
  if (wanted()) history.replaceState(null, "", location.pathname);
  if (back?.isConnected) back.focus();
});
addEventListener("hashchange", story);
