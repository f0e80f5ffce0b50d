// How things stand, asked for again and again.
// Must not: keep showing as the present what is not known to be.

import { Refused, actOnAll, ask, pause, resume } from "./act.js";
import { charts } from "./charts.js";
import { files, number, pace, percent, size, span } from "./figures.js";
import { choose, know, list, mayRefresh, story } from "./files.js";
import * as w from "./words.js";
import { bdi, byId, el, facts, prose, say, when } from "./words.js";

const OFTEN = 2000;
const HIDDEN = 30000;
/** The list is looked up this often though nothing seems to have changed. */
const LIST = 10000;
const MEDIA = ["text", "image", "audio", "video", "web"];

let timer;
let turn = 0;
let last = null; // the last answer
let heardAt = null; // when that was
let goneSince = null;
let listed = "";
let listedAt = 0;

async function look() {
  clearTimeout(timer);
  const mine = ++turn;
  let answer, why;
  try {
    answer = await ask("/api/status");
    // Another daemon, another table; what is shown below needs it.
    if (last?.daemon?.started_at !== answer.daemon?.started_at) await errorTable();
  } catch (error) {
    why = error;
  }
  if (mine !== turn) return;
  if (answer) heard(answer);
  else unheard(why);
  timer = setTimeout(look, document.hidden ? HIDDEN : OFTEN);
}

document.addEventListener("visibilitychange", () => !document.hidden && look());
addEventListener("online", look);

function heard(status) {
  w.setClock(status.now);
  last = status;
  heardAt = Date.now();
  const isBack = goneSince !== null;
  goneSince = null;
  byId("gone").hidden = true;
  byId("all").classList.remove("stale");
  pulse("live", "live");
  know(status.folders.map((folder) => folder.folder), Boolean(status.daemon?.may_act));
  show(status);
  const facts = JSON.stringify([status.totals, status.pending, status.gates, status.pauses, status.daemon?.in_flight.map((one) => one.id)]);
  if (isBack) charts();
  if (isBack || ((facts !== listed || Date.now() - listedAt > LIST) && mayRefresh())) {
    listed = facts;
    listedAt = Date.now();
    list();
    story();
  }
}

function unheard(why) {
  goneSince ??= Date.now();
  const isSilent = !(why instanceof Refused);
  const gone = byId("gone");
  const since = new Date(goneSince).toLocaleTimeString();
  const head = isSilent ? `The daemon does not answer, since ${since}.` : `The daemon can’t say how things stand, since ${since}: ${why.message}`;
  // Said once: what changes each second stands beside it.
  if (gone.dataset.said !== head || gone.hidden) {
    gone.dataset.said = head;
    gone.replaceChildren(
      el("p", {}, el("strong", { textContent: head })),
      el("p", { textContent: heardAt ? `What stands below is from ${new Date(heardAt).toLocaleTimeString()}. Nothing dropped meanwhile is lost: it is found at the next start.` : "Nothing is known yet." }),
      isSilent && el("p", {}, "Look on its machine: ", el("code", { textContent: "systemctl status supametas-sync" }), " or ", el("code", { textContent: "supametas-sync status" }), ". This page goes on asking."),
    );
    gone.hidden = false;
  }
  byId("all").classList.add("stale");
  pulse("gone", isSilent ? "no answer" : "no facts");
  if (!last) say(byId("headline"), "Nothing is known yet");
}

function pulse(is, text) {
  byId("pulse").dataset.is = is;
  say(byId("pulse-text"), text);
  if (is === "gone") document.title = "⚠ no answer – supametas-sync";
}

async function errorTable() {
  w.setTable(await ask("/api/errors"));
  byId("codes").replaceChildren(...w.codes().map((code) => new Option(code)));
}

function show(status) {
  const needs = troubles(status);
  headline(status, needs);
  w.fill(byId("tiles"), tiles(status), (tile) => tile.name, tile);
  lately(status);
  byId("needs").hidden = needs.length === 0;
  w.fill(byId("needs-list"), needs, (need) => need.key, card);
  const wire = status.daemon?.in_flight ?? [];
  say(byId("wire-count"), wire.length ? number(wire.length) : "");
  byId("wire-none").hidden = wire.length > 0;
  w.fill(byId("wire"), wire.slice(0, 20), (upload) => upload.attempt, upload);
  say(byId("folders-count"), status.folders.length > 1 ? number(status.folders.length) : "");
  byId("folders-none").hidden = status.folders.length > 0;
  const acts = Boolean(status.daemon?.may_act);
  w.fill(byId("folders"), status.folders.map((one) => ({ ...one, acts })), (folder) => folder.folder, folder);
  byId("pause-all").hidden = !status.daemon?.may_act;
  about(status);
}

/** The scopes that can be paused, the widest first. */
function scopes({ folders }) {
  const configured = folders.filter((one) => one.configured);
  const datasets = [...new Set(configured.map((one) => one.dataset))];
  return [
    "all",
    ...datasets.map((name) => `dataset:${name}`),
    ...configured.map((one) => `folder:${one.folder}`),
    ...configured.flatMap((one) => MEDIA.map((media) => `route:${one.folder}/${media}`)),
  ];
}

const askPause = (scope) => pause(scope, scopes(last)).then((done) => done && look());

byId("pause-all").addEventListener("click", () => askPause("all"));

function headline({ pending, attention, gates, stopped, folders }, needs) {
  const waits = pending.due + pending.later;
  const work = waits + pending.uploading + pending.submitted;
  let text;
  if (stopped) text = "Nothing is sent: the ledger can’t record";
  else if (gates.some((gate) => gate.gate === "service")) text = "The service is paused";
  else if (needs.length) text = needs.length === 1 ? "One thing needs you" : `${needs.length} things need you`;
  else if (!folders.length) text = "No folder is configured";
  else if (work) text = "All is well; work goes on";
  else text = "All is well; nothing waits";
  say(byId("headline"), text);
  const count = attention + gates.length;
  document.title = `${count ? `(${count}) ` : ""}supametas-sync`;
}

function tiles({ totals, pending, attention, resolved = {} }) {
  const of = (...states) => {
    const found = states.map((state) => totals[state]).filter(Boolean);
    return { files: found.reduce((n, t) => n + t.files, 0), bytes: found.reduce((n, t) => n + t.bytes, 0) };
  };
  const rest = ["cancelled", "duplicate", "superseded", "gone"];
  const one = (name, state, look, { files, bytes }, more) => ({ name, state, look, files, more: more || size(bytes) });
  const acknowledged = resolved.acknowledged ? `${number(resolved.acknowledged)} acknowledged` : "";
  return [
    { name: "Need attention", need: "attention", look: attention ? "bad" : "flat", files: attention, more: acknowledged },
    one("Waiting", "queued", "wait", of("queued"), pending.later ? `${number(pending.later)} not yet due` : ""),
    one("Uploading", "uploading", "go", of("uploading")),
    one("At the service", "submitted", "go", of("submitted")),
    one("Succeeded", "succeeded", "good", of("succeeded")),
    one("Other ends", rest.join(","), "flat", of(...rest)),
  ];
}

function tile({ name, state, need, look, files, more }) {
  const button = el(
    "button",
    { type: "button", className: `tile ${look}`, data: { act: "choose" } },
    el("span", { className: "tile-name", textContent: name }),
    el("span", { className: "tile-number", textContent: number(files) }),
    el("span", { className: "tile-more", textContent: more }),
  );
  button.addEventListener("click", () => choose({ state, need }));
  return el("li", {}, button);
}

function lately({ daemon, oldest_waiting: oldest, pending }) {
  const rate = ({ over_s, files: n, bytes, sent_bytes: sent, failed }) => ({
    name: `Last ${span(over_s)}`,
    text: `${files(n)} taken, ${size(bytes)} · ${size(sent)} sent, ${pace(sent / Math.max(over_s, 1))}${failed ? ` · ${number(failed)} failed` : ""}`,
  });
  const queue = daemon?.queue;
  const left = queue?.files && { name: "To send", text: [files(queue.files), size(queue.bytes), queue.eta_s !== null && `about ${span(queue.eta_s)}`].filter(Boolean).join(" · ") };
  const waiting = oldest
    ? { name: "Oldest waiting", id: oldest.id, text: `${oldest.folder}/${oldest.file}`, stamp: oldest.seen_at }
    : { name: "Oldest waiting", text: "none" };
  const sources = pending.sources && { name: "Sources to move or delete", text: number(pending.sources) };
  // A young daemon's windows are as long as its life, and so the same.
  const rates = (daemon?.rates ?? []).filter((one, n, all) => n === 0 || one.over_s > all[n - 1].over_s);
  tellFacts(byId("lately"), [...rates.map(rate).map((one, n) => ({ key: n, ...one })), left, waiting, sources]);
}

/** Each fact: its name, with a text, a file's number to link to, a time. */
function tellFacts(place, all) {
  w.fill(place, all.filter(Boolean), ({ key, name }) => key ?? name, ({ name, text, id, stamp, isPath }) => {
    const said = text && bdi(text, isPath && "path");
    const linked = id ? el("a", { href: `#file-${id}`, data: { act: "open" } }, said) : said;
    return facts([[name, el("span", {}, linked, linked && stamp && " · ", stamp && when(stamp))]])[0];
  });
}

/** What a person should know of: worst first. */
function troubles({ stopped, gates, pauses = [], stay = [], folders, left_behind, daemon }) {
  const all = [];
  if (stopped) all.push({ key: "stopped", look: "bad", head: "Nothing can be recorded, and so nothing is sent", why: stopped, todo: "Mend the cause; it goes on by itself." });
  for (const { folder, offline, offline_kind: kind, live } of folders.filter((one) => one.offline)) {
    const mute = kind === "not-answering";
    const todo = mute ? "Look at its mount and server: its files wait, and go on when it answers." : "Mount it, or put it back: its files wait, and go on by themselves.";
    all.push({ key: `offline ${folder}`, look: "bad", head: `Folder ${folder} ${mute ? "does not answer" : "is offline"}`, why: offline, since: live?.since, todo });
  }
  for (const gate of gates) {
    const { gate: name, status, code, why, since, until, lifts, opens } = gate;
    all.push({ key: `gate ${name}`, look: "warn", head: `${status === "probing" ? "Probing" : "Paused"}: ${name}`, code, why, since, until: status === "probing" ? null : until, lifts, opens, gate: name, acts: Boolean(daemon?.may_act) });
  }
  for (const { scope, who, why, since, until, ends } of pauses) {
    all.push({ key: `pause ${scope}`, look: "warn", head: `Held back by hand: ${scope}`, why: [who, why].filter(Boolean).join(": "), since, until, opens: ends, gate: scope, acts: Boolean(daemon?.may_act), verb: "Go on" });
  }
  for (const { folder, files: n, why } of stay) {
    all.push({ key: `stay ${folder}`, look: "warn", head: `${files(n)} of folder ${folder} could not be moved or deleted yet`, why });
  }
  for (const { folder, shared } of folders.filter((one) => one.shared)) {
    all.push({ key: `shared ${folder}`, look: "bad", head: `Folder ${folder} is watched twice`, why: shared });
  }
  for (const { folder, offline, live } of folders) {
    if (live?.problem && !offline) all.push({ key: `watch ${folder}`, look: "warn", head: `Folder ${folder}: the watch`, why: live.problem });
  }
  for (const { folder, why } of left_behind) {
    all.push({ key: `left ${folder}`, look: "warn", head: `Folder ${folder} is not in the configuration`, why });
  }
  for (const dataset of daemon?.stale_keys ?? []) {
    all.push({ key: `key ${dataset}`, look: "warn", head: `The key file of dataset ${dataset} changed on disk`, why: "The daemon goes on with the key that it has read.", todo: "Reload the configuration." });
  }
  const watches = daemon?.watches;
  if (watches?.limit && watches.used > watches.limit * 0.9) {
    all.push({ key: "watches", look: "warn", head: "The kernel’s watches are nearly used up", why: `${number(watches.used)} of ${number(watches.limit)} are used.`, todo: "Raise fs.inotify.max_user_watches; without a watch a folder is scanned instead." });
  }
  for (const state of w.NEEDY) {
    const count = folders.reduce((sum, one) => sum + (one.attention?.[state] ?? 0), 0);
    if (count) all.push({ key: `state ${state}`, look: "bad", head: `${files(count)} ${state}`, why: `${sentence(w.STATES[state].means)}.`, todo: w.STATES[state].do, state, acts: Boolean(daemon?.may_act) });
  }
  return all;
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function card(need) {
  const known = w.row(need.code);
  const buttons = [];
  if (need.state) buttons.push(["show", "Show", () => choose({ state: need.state, need: "attention" })]);
  if (need.state && need.acts) {
    const all = (deed) => () => actOnAll(deed, { state: [need.state], attention: true }).then((done) => done && look());
    buttons.push(["retry", "Retry all …", all("retry")], ["acknowledge", "Acknowledge all …", all("acknowledge")]);
  }
  if (need.gate && need.acts) buttons.push(["resume", need.verb ?? "Open now", () => resume(need.gate).then((done) => done && look())]);
  return el(
    "li",
    { className: `card ${need.look}` },
    el("h3", {}, bdi(need.head)),
    el("p", {}, need.code && [el("code", { text: need.code }), " "], prose(need.why)),
    need.since && el("p", { className: "quiet" }, "Since ", when(need.since), need.until && [" · until ", when(need.until)]),
    need.opens && el("p", {}, prose(sentence(need.opens))),
    known?.advice && el("p", {}, el("strong", { textContent: "To do: " }), prose(sentence(known.advice))),
    need.todo && el("p", {}, el("strong", { textContent: "To do: " }), prose(need.todo)),
    buttons.length > 0 &&
      el(
        "p",
        { className: "buttons" },
        buttons.map(([act, text, run]) => {
          const button = el("button", { type: "button", textContent: text, data: { act }, aria: { label: `${text}: ${w.harmless(need.head)}` } });
          button.addEventListener("click", run);
          return button;
        }),
      ),
  );
}

function upload(facts, old) {
  const { id, folder, file, dataset, media, size: all, sent, started_at, probe, bytes_per_second: speed, eta_s: left } = facts;
  const far = [`${size(sent)} of ${size(all)}, ${percent((sent / all) * 100)}`, speed !== null && pace(speed), left !== null && `about ${span(left)} left`];
  const text = sent >= all ? `${size(all)} sent, waiting for the answer` : far.filter(Boolean).join(" · ");
  const node =
    old ??
    el(
      "li",
      { className: "card" },
      el("p", { className: "name" }, el("a", { href: `#file-${id}`, data: { act: "open" } }, bdi(`${folder}/${file}`, "path"))),
      el("progress", { max: 1, aria: { label: `Upload of ${w.harmless(file)}` } }),
      el("p", { className: "quiet" }, el("span", { className: "far" }), " · ", `${media} to ${w.harmless(dataset)}${probe ? " · a probe" : ""} · began `, when(started_at)),
    );
  node.querySelector("progress").value = all ? sent / all : 1;
  say(node.querySelector(".far"), text);
  return node;
}

function folder(one) {
  const { folder: name, dataset, path, configured, files: counts, offline, offline_kind: kind, live, acts } = one;
  const there = live?.online ? live : null;
  let look = "flat";
  let is = "not looked for yet";
  if (!configured) [is, look] = ["not configured", "wait"];
  else if (offline || live?.online === false) [is, look] = [kind === "not-answering" ? "not answering" : "offline", "bad"];
  else if (live) [is, look] = [live.scanning ? "online, scanning" : "online", "good"];
  const scan = live?.last_scan;
  const button = el("button", { type: "button", className: "link", textContent: "Show its files", data: { act: "choose" }, aria: { label: `Show its files: folder ${w.harmless(name)}` } });
  button.addEventListener("click", () => choose({ folder: name }));
  const pauses = el("button", { type: "button", className: "link", textContent: "Pause …", data: { act: "pause" }, aria: { label: `Pause …: folder ${w.harmless(name)}` } });
  pauses.addEventListener("click", () => askPause(`folder:${name}`));
  const by = Object.keys(w.STATES).filter((state) => counts[state]);
  return el(
    "li",
    { className: "card" },
    el("h3", {}, bdi(name), " ", el("span", { className: `badge ${look}`, textContent: is })),
    path && el("p", { className: "quiet" }, bdi(path, "path")),
    el(
      "dl",
      { className: "facts" },
      facts([
        ["Dataset", dataset && bdi(dataset)],
        [live?.online === false ? "Offline since" : "Online since", live?.since && when(live.since)],
        ["Watch", there && (live.watch === "events" ? `events, ${number(live.watches)} watches` : "polling")],
        ["Settling", there && number(live.settling)],
        [
          "Being written",
          live?.being_written?.length > 0 &&
            el("span", {}, bdi(live.being_written[0].file), " since ", when(live.being_written[0].since), live.being_written.length > 1 ? ` and ${number(live.being_written.length - 1)} more` : ""),
        ],
        [
          "Last scan",
          scan
            ? el("span", {}, when(scan.at), ` · ${files(scan.files)}${scan.skipped ? `, ${number(scan.skipped)} passed over` : ""}${scan.troubles ? `, ${number(scan.troubles)} unreadable` : ""} in ${span(scan.took_s)}`)
            : live?.scanning
              ? el("span", {}, "the first began ", when(live.scan_began_at))
              : there && "none yet",
        ],
        ["Files", by.length ? by.map((state) => `${number(counts[state])} ${state}`).join(", ") : "none yet"],
      ]),
    ),
    el("p", { className: "buttons links" }, by.length > 0 && button, configured && acts && pauses),
  );
}

function about({ daemon, service, ledger }) {
  const { used, limit } = daemon?.watches ?? {};
  tellFacts(byId("about"), [
    daemon && { name: "Version", text: daemon.version },
    daemon && { name: "Running since", stamp: daemon.started_at },
    { name: "Service", text: service, isPath: true },
    { name: "Ledger", text: ledger, isPath: true },
    daemon && { name: "Watches", text: `${number(used)}${limit ? ` of ${number(limit)}` : ""}` },
    daemon && !daemon.may_act && { name: "Acting", text: "not from here: set token_file under [http], or use the commands retry and resume" },
  ]);
}

list();
story();
look();
charts();
