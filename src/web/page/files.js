// The list of files, and the story of one.
// Must not: ask for more than is shown.

import { Refused, ask, retryAll, retryOne } from "./act.js";
import * as w from "./words.js";
import { bdi, byId, el, exactly, facts, when } from "./words.js";

const PAGE = 50;
const MOST = 1000;

/** What can be chosen as a state, beside each alone. */
const CHOICES = {
  "": "all, attention first",
  attention: "need attention",
  "queued,uploading,submitted": "on their way",
  "cancelled,duplicate,superseded,gone": "other ends",
};

let limit = PAGE;
let mayAct = false;
let asked = 0;

const filter = () => ({
  name: byId("by-name").value.trim(),
  state: byId("by-state").value,
  folder: byId("by-folder").value,
  code: byId("by-code").value.trim().toUpperCase().replace(/^\d{3}$/, "HTTP-$&"),
});

const isSet = (chosen) => Object.values(chosen).some(Boolean);

function address(chosen, states, limit) {
  const query = new URLSearchParams({ limit });
  for (const key of ["name", "folder", "code"]) if (chosen[key]) query.set(key, chosen[key]);
  if (states === "attention") query.set("attention", "true");
  else for (const state of states.split(",").filter(Boolean)) query.append("state", state);
  return `/api/files?${query}`;
}

/** Looks the list up anew. */
export async function list() {
  const turn = ++asked;
  const chosen = filter();
  const questions = chosen.state ? [chosen.state] : ["attention", ""];
  let found;
  try {
    found = await Promise.all(questions.map((states) => ask(address(chosen, states, limit))));
  } catch (error) {
    // Where the daemon does not answer, the page says so already.
    if (turn === asked && error instanceof Refused) nothing(`This can’t be looked up: ${error.message}`);
    return;
  }
  if (turn !== asked) return;
  const all = new Map(found.flat().map((file) => [file.id, file]));
  show([...all.values()].slice(0, limit), chosen, found.some((part) => part.length === limit));
}

function show(all, chosen, isFull) {
  const place = byId("list");
  // Nothing moves away from under a pointer; changes show in place.
  const isHeld = place.matches(":hover") && matchMedia("(hover: hover)").matches && place.dataset.of === JSON.stringify(chosen);
  if (isHeld) {
    const fresh = new Map(all.map((file) => [String(file.id), file]));
    const held = [...place.children].map((node) => fresh.get(node.dataset.key) ?? node.file);
    const more = all.filter((file) => !held.some((one) => one.id === file.id));
    all = [...held, ...more];
  }
  place.dataset.of = JSON.stringify(chosen);
  w.fill(place, all, (file) => file.id, line);
  const newest = isFull ? `The first ${w.number(all.length)}, newest change first` : w.files(all.length);
  w.say(byId("listed"), all.length ? newest : "");
  byId("more").hidden = !isFull || limit >= MOST;
  byId("clear").hidden = !isSet(chosen);
  const states = statesToRetry(chosen);
  byId("retry-all").hidden = !mayAct || !all.some((file) => states.includes(file.state));
  byId("list-none").hidden = all.length > 0;
  if (all.length === 0) {
    nothing(
      isSet(chosen)
        ? "No file fits this filter. Upper and lower case count in names; what the daemon never takes (temporary names, links, hidden files) is not listed: “supametas-sync explain FILE” says why."
        : "No file yet. Put one into a drop folder: it shows up here as soon as it is finished being written.",
    );
  }
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
      el("span", { className: "what" }, w.badge(file.state), bdi(`${file.folder}/${file.file}`, "path")),
      el("span", { className: "detail" }, bdi(file.detail)),
      el("span", { className: "side" }, el("span", { textContent: w.size(file.size) }), when(file.changed_at)),
    ),
  );
  node.file = file;
  return node;
}

const statesToRetry = ({ state }) => (!state || state === "attention" ? w.NEEDY : state.split(",").filter((s) => w.RETRIED.includes(s)));

byId("retry-all").addEventListener("click", async () => {
  const { state, ...rest } = filter();
  const set = Object.fromEntries(Object.entries(rest).filter(([, value]) => value));
  if (await retryAll({ ...set, state: statesToRetry({ state }) })) list();
});

byId("clear").addEventListener("click", () => choose({}));
byId("more").addEventListener("click", () => {
  limit = Math.min(MOST, limit === PAGE ? 200 : MOST);
  list();
});

/** Sets the filter. */
export function choose({ state = "", folder = "", name = "", code = "" }, look = true) {
  byId("by-state").value = state;
  byId("by-folder").value = folder;
  byId("by-name").value = name;
  byId("by-code").value = code;
  limit = PAGE;
  list();
  if (look && state + folder) {
    byId("files").scrollIntoView();
    byId("files").focus({ preventScroll: true });
  }
}

let typing;
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("filter").addEventListener("input", () => {
  clearTimeout(typing);
  limit = PAGE;
  typing = setTimeout(list, 250);
});

byId("by-state").append(
  ...Object.entries(CHOICES).map(([value, text]) => new Option(text, value)),
  ...Object.keys(w.STATES).map((state) => new Option(state, state)),
);

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
    el("p", { className: "lead" }, w.badge(file.state), " ", state.means ?? ""),
    el(
      "div",
      { className: `todo ${file.needs_attention ? "bad" : ""}` },
      el("p", {}, bdi(file.detail)),
      known?.meaning && file.code !== "0" && !file.detail.includes(known.meaning) && el("p", {}, el("code", { text: file.code }), `: ${known.meaning}`),
      el("p", {}, el("strong", { textContent: "To do: " }), state.do ?? ""),
      known?.advice && file.needs_attention && el("p", {}, `For this answer: ${known.advice}.`),
      mayAct && w.RETRIED.includes(file.state) && retryButton(file),
    ),
    el(
      "dl",
      { className: "facts" },
      facts([
        ["Folder", bdi(file.folder)],
        ["Dataset", file.dataset && bdi(file.dataset)],
        ["Path", bdi(file.path_escaped, "path")],
        ["Size", w.size(file.size)],
        ["Type", file.media],
        ["Seen", when(file.seen_at)],
        ["Changed", when(file.changed_at)],
        ["Not before", file.not_before && Date.parse(file.not_before) > w.now() && when(file.not_before)],
        ["Task", file.task && bdi(file.task)],
        ["Asked again", file.next_poll && when(file.next_poll)],
        ["Last asked", file.polls && el("span", {}, when(file.polls.last_at), bdi(` · ${[file.polls.code, file.polls.message].filter(Boolean).join(" ")} · ${file.polls.count} times`))],
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

const other = (id) => el("a", { href: `#file-${id}`, textContent: `file ${id}` });

function retryButton(file) {
  const button = el("button", { type: "button", className: "main", textContent: "Retry this file", data: { act: "retry" } });
  button.addEventListener("click", async () => {
    if (await retryOne(file.id)) {
      story();
      list();
    }
  });
  return el("p", { className: "buttons" }, button);
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
    rest > 0 && el("li", { textContent: `${w.number(rest)} earlier ones: supametas-sync show ${file.id}` }),
  );
}

function changed({ from, to, code, why }) {
  const answer = [code === "0" ? "" : code, why].filter(Boolean).join(" ");
  return el(
    "div",
    { rank: 1 },
    el("p", {}, from && from !== to && [w.badge(from), el("span", { className: "arrow", textContent: " → " })], w.badge(to)),
    answer && el("p", {}, bdi(answer)),
  );
}

function tried(attempt) {
  const { id, endpoint, probe, started_at, ended_at, http_status, code, message, verdict, bytes, task } = attempt;
  const took = ended_at && (Date.parse(ended_at) - Date.parse(started_at)) / 1000;
  const said = [http_status && `HTTP ${http_status}`, code && code !== "0" && code !== `HTTP-${http_status}` && code, message].filter(Boolean).join(" · ");
  return el(
    "div",
    { rank: 0, className: "attempt" },
    el("p", {}, el("strong", { textContent: `Attempt ${id}` }), probe && " (a probe)", " at ", bdi(endpoint, "path")),
    said && el("p", {}, bdi(said)),
    el("p", {}, "Verdict: ", el("strong", { text: verdict ?? "under way" }), task && [" · task ", bdi(task)]),
    el("p", { className: "quiet", textContent: [bytes !== null && `${w.size(bytes)} sent`, took && `in ${took < 10 ? `${took.toFixed(1)} s` : w.span(took)}`].filter(Boolean).join(" ") }),
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
