// What went through in the last hour and the last day: three small charts.
// Must not: draw the time before the daemon's start as if nothing had gone through.

import { Refused, ask } from "./act.js";
import { number, size, span } from "./figures.js";
import { byId, el, say, setClock } from "./words.js";

const OFTEN = 10000;
const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 40;

/** Each chart: its series, its name, how its sums are told. */
const CHARTS = [
  { of: "files", name: "Files taken", told: number, look: "good" },
  { of: "sent_bytes", name: "Bytes sent", told: size, look: "go" },
  { of: "failed", name: "Failed attempts", told: number, look: "bad" },
];

let which = "hour";
let latest = null;
let timer;

/** Asks for the charts anew, and goes on doing so. */
export async function charts() {
  clearTimeout(timer);
  timer = setTimeout(charts, OFTEN);
  if (document.hidden && latest) return;
  try {
    latest = await ask("/api/charts");
  } catch (error) {
    if (!(error instanceof Refused)) return;
    latest = null;
  }
  draw();
}

function draw() {
  byId("charts").hidden = !latest;
  if (!latest) return;
  setClock(latest.now);
  const series = latest[which];
  byId("charts-list").replaceChildren(...CHARTS.map((chart) => figure(chart, series)));
  for (const button of byId("charts-which").children) button.setAttribute("aria-pressed", String(button.value === which));
}

function figure({ of, name, told, look }, series) {
  const values = series[of];
  const sum = values.reduce((all, one) => all + one, 0);
  const most = Math.max(0, ...values);
  const step = span(series.step_s);
  const at = values.indexOf(most);
  const when = new Date(Date.parse(series.from) + at * series.step_s * 1000).toLocaleTimeString(undefined, { timeStyle: "short" });
  const peak = most > 0 ? `at most ${told(most)} in ${step}, at ${when}` : "none";
  const long = span(series.step_s * series.steps);
  const node = el(
    "figure",
    { className: `chart ${look}` },
    el("figcaption", {}, el("span", { textContent: `${name}: ` }), el("strong", { textContent: told(sum) }), el("div", { className: "quiet", textContent: peak })),
    bars(values, series.steps, most, `${name} in the last ${long}: ${told(sum)}, ${peak}`),
    el("p", { className: "axis", aria: { hidden: "true" } }, el("span", { textContent: `${long} ago` }), el("span", { textContent: "now" })),
  );
  return node;
}

/** One bar a step, the latest at the right; the shaded part is before the start. */
function bars(values, steps, most, label) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${steps} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  const before = steps - values.length;
  if (before > 0) svg.append(path("before", `M0 0H${before}V${HEIGHT}H0Z`));
  svg.append(path("ground", `M${before} ${HEIGHT}H${steps}V${HEIGHT - 0.5}H${before}Z`));
  const bar = (value, n) => {
    // What there was at all is seen.
    const top = HEIGHT - Math.max(1, (value / most) * (HEIGHT - 1));
    return value > 0 ? `M${before + n + 0.1} ${HEIGHT}V${top.toFixed(2)}h.8V${HEIGHT}Z` : "";
  };
  svg.append(path("bars", values.map(bar).join("")));
  return svg;
}

function path(name, d) {
  const node = document.createElementNS(SVG, "path");
  node.setAttribute("class", name);
  node.setAttribute("d", d);
  return node;
}

byId("charts-which").addEventListener("click", ({ target }) => {
  if (!target.value) return;
  which = target.value;
  draw();
});
