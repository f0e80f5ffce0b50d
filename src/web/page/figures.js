// Figures as they are shown: every number on the page goes through `figure`.
// Must not: show a figure that says nothing, such as "0.0 s".

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/**
 * A number as text. `of` says what it counts: "count" (whole things), "bytes" (in
 * the units of the commands), "seconds" (their two largest units), "percent".
 * What is not known is a dash.
 */
export function figure(n, of = "count") {
  if (n === null || n === undefined || n === "" || !Number.isFinite(Number(n))) return "–";
  const value = Number(n);
  if (of === "bytes") return bytes(value);
  if (of === "seconds") return seconds(Math.max(0, value));
  // Less than all is never 100 %.
  if (of === "percent") return `${grouped(value < 100 ? Math.floor(value) : value)} %`;
  return grouped(value);
}

const grouped = (n) => Math.round(n).toLocaleString("en");

function bytes(n) {
  let unit = 0;
  // 1,023.96 KiB would be shown as 1,024 KiB.
  while (n >= (unit ? 1023.5 : 1024) && unit < UNITS.length - 1) {
    n /= 1024;
    unit += 1;
  }
  return `${unit && n < 9.95 ? n.toFixed(1) : grouped(n)} ${UNITS[unit]}`;
}

function seconds(s) {
  if (s === 0) return "0 s";
  if (s < 0.001) return "under 1 ms";
  if (s < 0.9995) return `${grouped(s * 1000)} ms`;
  if (s < 9.95 && !Number.isInteger(s)) return `${s.toFixed(1).replace(/\.0$/, "")} s`;
  const whole = s < 10 ? Math.round(s) : Math.floor(s);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return two(whole, 60, "min", whole >= 600 ? 0 : 1, "s");
  if (whole < 86400) return two(whole, 3600, "h", 60, "min");
  return two(whole, 86400, "d", 3600, "h");
}

function two(s, large, unit, small, rest) {
  const less = small ? Math.floor((s % large) / small) : 0;
  const more = `${grouped(Math.floor(s / large))} ${unit}`;
  return less ? `${more} ${less} ${rest}` : more;
}

export const number = (n) => figure(n);
export const size = (n) => figure(n, "bytes");
export const span = (n) => figure(n, "seconds");
export const percent = (n) => figure(n, "percent");
export const pace = (n) => `${figure(n, "bytes")}/s`;
export const files = (n) => (Number(n) === 1 ? "1 file" : `${figure(n)} files`);
