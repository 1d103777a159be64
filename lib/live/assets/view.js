// From the state to the page. Text goes in as text; only what changed is drawn.

import { names, newest, profile } from "./state.js";

const STEPS = {
  reading: { place: "meter", unit: "readings", plain: true },
  encrypt: { place: "meter", unit: "reports" },
  sign: { place: "meter", unit: "reports" },
  broker: { place: "broker", unit: "messages" },
  verify: { place: "analytics", unit: "reports" },
  fold: { place: "analytics", unit: "reports" },
  release: { place: "analytics", unit: "sums" },
  decrypt: { place: "operator", unit: "sums", plain: true },
};
// What an operator shows for a step that happens in another process: its own metric that comes closest.
const OWN = { broker: "its own messages", verify: "sums verified", release: "sums received" };

const $ = (id) => document.getElementById(id);
const number = (value, digits = 0) =>
  value === null || value === undefined ? "–" : value.toLocaleString("en-GB", { maximumFractionDigits: digits });

const kwh = (wh) =>
  wh === null ? "–" : (wh / 1e3).toLocaleString("en-GB", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export function seconds(value) {
  if (value < 1e-3) return `${Number((value * 1e6).toPrecision(2))} µs`;
  if (value < 1) return `${Number((value * 1e3).toPrecision(2))} ms`;
  return `${Number(value.toPrecision(2))} s`;
}

function rate(value) {
  if (value === null || value === undefined) return "–";
  return `${number(value, value < 10 ? 1 : 0)}/s`;
}

export function utc(at) {
  return new Date(at * 1000).toISOString().slice(0, 16).replace("T", " ");
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function pairs(list, entries) {
  list.replaceChildren(
    ...entries.map(([term, text, className]) => {
      const pair = element("div");
      pair.append(element("dt", term), element("dd", text, className));
      return pair;
    }),
  );
}

function table(root, head, rows) {
  const row = (cells, tag) => {
    const made = element("tr");
    cells.forEach((cell, index) => {
      const node = cell instanceof Node ? cell : document.createTextNode(cell);
      const box = element(index === 0 ? "th" : tag);
      if (tag === "th") box.scope = "col";
      else if (index === 0) box.scope = "row";
      box.append(node);
      made.append(box);
    });
    return made;
  };
  root.tHead.replaceChildren(row(head, "th"));
  root.tBodies[0].replaceChildren(...rows.map((cells) => row(cells, "td")));
}

export function about(state) {
  const bench = state.source === "bench";
  $("about").textContent = state.input
    ? `What feeders consumed, from sums over many households: ${state.input}`
    : `What feeders consumed, from sums over many households: deployment ${state.deployment}`;
  $("source").textContent = bench
    ? "All services run in this one process, so the page sees every step and the truth."
    : "Served by an operator, which sees only its own steps. The metrics of the other processes show the dashed ones.";
  $("version").textContent = state.version ?? "";
  $("accuracy").hidden = !state.accuracy;
}

export function rates(state) {
  const { rates, source } = state;
  if (!rates) return;
  $("path").replaceChildren(
    ...rates.steps.map((step) => {
      const { place, unit, plain } = STEPS[step.id];
      const own = source === "operator" ? OWN[step.id] : undefined;
      const known = step.total !== null;
      const item = element("li", undefined, `${plain ? "plain" : ""} ${known ? "" : "unknown"}`);
      item.dataset.step = step.id;
      item.append(element("span", step.id, "name"), element("span", own && known ? "operator" : place, "place"));
      if (known) {
        item.append(element("span", rate(step.per_s), "rate"));
        item.append(element("small", `${number(step.total)} ${own ?? unit}`));
        if (step.latency) {
          const { p50_s, p99_s } = step.latency;
          item.append(element("small", `p50 ${seconds(p50_s)}`), element("small", `p99 ${seconds(p99_s)}`));
        }
      } else {
        item.append(element("small", "not visible here"));
      }
      return item;
    }),
  );
  const facts = [];
  const fact = (term, value, text) => {
    if (value !== null && value !== undefined) facts.push([term, text ?? number(value)]);
  };
  const end = rates.end_to_end;
  fact("sealed to total, p50", end, end && seconds(end.p50_s));
  fact("sealed to total, p99", end, end && seconds(end.p99_s));
  fact("sealed", rates.sealed_bytes, `${number((rates.sealed_bytes ?? 0) / 1e6, 1)} MB`);
  fact("meters enrolled", rates.enrolled);
  fact("feeders", rates.feeders);
  fact("minimum group", state.min_meters, `${state.min_meters} meters`);
  fact("duplicates", rates.duplicates);
  fact("sums held", rates.held);
  if (rates.pending) fact("waiting for approval", rates.pending);
  const { sums, holders } = state.awaited;
  if (sums > 0) fact("sums with the holders", sums, `${number(sums)}, no answer from ${holders.join(", ")}`);
  if (source === "operator") fact("broker", rates.connected, rates.connected ? "connected" : "not connected");
  pairs($("facts"), facts);
  rejected(rates);
}

function rejected(rates) {
  const rows = rates.rejected.map(({ what, reason, count }) => [what, reason, number(count)]);
  $("rejected").hidden = rows.length === 0;
  const known = rates.rejects_known.join(", ") || "nothing";
  $("rejected-note").textContent = rows.length === 0 ? `None so far. Counted here: ${known}.` : `Counted here: ${known}.`;
  table($("rejected"), ["what", "reason", "count"], rows);
}

export function choice(state) {
  const select = $("feeder");
  const wanted = names(state);
  const shown = [...select.options].map((option) => option.value);
  if (wanted.join() !== shown.join()) {
    const chosen = select.value;
    select.replaceChildren(...wanted.map((name) => new Option(name, name)));
    if (wanted.includes(chosen)) select.value = chosen;
  }
  select.disabled = wanted.length === 0;
}

// The chosen feeder: its profile, its newest window, its intervals.
export function load(state, chart) {
  const feeder = $("feeder").value;
  const off = state.load === false;
  $("load-note").hidden = !off;
  $("load-note").textContent = "Decrypted load is not shown here. To show it, start the operator with --live-load or set operator.live_load = true.";
  $("chart").hidden = off;
  $("intervals").hidden = off;
  const points = off ? [] : profile(state, feeder);
  if (off) forget(chart);
  else chart.show(points);
  const last = newest(state, feeder);
  if (!last) return;
  $("window").textContent = `${describe(state, last)}${figuresOf(last)}${budget(state, feeder)}`;
  if (off) return;
  const loads = points.map((point) => point.load).filter((load) => load !== null);
  const range = loads.length === 0 ? "none shown" : `${number(Math.min(...loads))} to ${number(Math.max(...loads))} kW`;
  $("chart").setAttribute(
    "aria-label",
    `Load of ${feeder}: ${points.length} intervals, ${range}. The table below has each.`,
  );
  if ($("intervals").open) intervals(points);
}

// A server that hides load may have followed one that showed it.
function forget(chart) {
  chart.clear();
  $("chart").setAttribute("aria-label", "Load profile, not shown");
  $("intervals").querySelector("tbody").replaceChildren();
  $("plain").replaceChildren();
}

function describe(state, window) {
  const part = window.part > 0 ? `, part ${window.part}` : "";
  const group = state.min_meters ? ` (at least ${state.min_meters})` : "";
  const share = number(window.completeness * 100, 1);
  return `Newest window, ${utc(window.start)} UTC${part}: ${window.meters} meters${group}, ${share} % of their readings${consents(window)}`;
}

function consents({ holders }) {
  return holders ? `, opened with the consent of ${holders.consented.join(", ")} (${holders.of})` : "";
}

function figuresOf(window) {
  const count = window.withheld_intervals;
  const withheld = count === 0 ? "" : `; ${number(count)} ${count === 1 ? "interval" : "intervals"} withheld, too few meters had a reading`;
  const steps = `exact, in steps of ${number(window.quantum_wh)} Wh${withheld}`;
  if (!window.load) return `; ${steps}.`;
  const kw = (wh) => `${number((wh * 3.6) / window.interval_s, 1)} kW`;
  const factor = window.load.load_factor === null ? "" : `, load factor ${window.load.load_factor.toFixed(2)}`;
  const { peak_wh, peak_interval } = window.load;
  if (peak_wh === null) return `; ${steps}.`;
  const peak_at = utc(window.start + peak_interval * window.interval_s).slice(11);
  return `, peak ${kw(peak_wh)} at ${peak_at}${meters(window, peak_interval)}${factor}; ${steps}.`;
}

// What noisy totals of the feeder may still give away in the period.
function budget(state, feeder) {
  const left = state.budgets[feeder];
  if (left === undefined) return "";
  return left > 0 ? ` Left for noisy totals in this period: ε ${number(left, 2)}.` : " The budget for noisy totals is spent: none is published in this period.";
}

// What most meters kept to in an interval, as the ends of the ranges that this is known by.
function meters(window, k) {
  const { median_wh, p90_wh } = window.load.percentiles ?? {};
  if (!median_wh?.[k] || !p90_wh?.[k]) return "";
  const up_to = (range) => `${number((range[1] * 3.6) / window.interval_s, 2)} kW`;
  return ` (half the meters up to ${up_to(median_wh[k])}, 90 % up to ${up_to(p90_wh[k])})`;
}

// In Wh; null where there is nothing to compare.
const error = ({ load, truth, length }) => (load === null || truth === null ? null : ((load - truth) * length) / 3.6);

function intervals(points) {
  const truth = points.some((point) => point.truth !== null);
  const meters = points.some((point) => point.half !== null);
  const rows = points.toReversed().map((point) => [
    utc(point.at),
    number(point.load, 3),
    ...(truth ? [number(point.truth, 3), number(error(point), 1)] : []),
    ...(meters ? [number(point.half, 3), number(point.most, 3)] : []),
  ]);
  const head = [
    "interval (UTC)",
    "decrypted kW",
    ...(truth ? ["true kW", "error Wh"] : []),
    ...(meters ? ["half the meters, up to kW", "90 % of them, up to kW"] : []),
  ];
  table($("intervals").querySelector("table"), head, rows);
}

// The newest sum twice: its bytes, and what the operator makes of them.
export function sum(state) {
  const sum = state.ciphertext;
  if (!state.load) $("plain-note").textContent = "The decrypted sums, which this page does not show.";
  if (!sum) return;
  const shown = sum.head.length / 2;
  const name = `${sum.feeder}, ${utc(sum.start)} UTC`;
  $("cipher-note").textContent = `The sum of ${name}: the first ${shown} of ${number(sum.bytes)} bytes.`;
  $("cipher").textContent = sum.head.replace(/(..)(?=.)/g, "$1 ");
  const window = state.feeders[sum.feeder]?.find((other) => other.start === sum.start && other.part === sum.part);
  if (window?.load) {
    $("plain-note").textContent = `The same sum decrypted, over ${window.meters} meters, in kWh an interval.`;
    $("plain").replaceChildren(
      ...window.load.energy_wh.slice(0, 24).map((wh, k) => {
        const item = element("li");
        item.append(element("time", utc(window.start + k * window.interval_s).slice(11)), element("span", kwh(wh)));
        return item;
      }),
    );
  }
}

export function windows(state) {
  const rows = names(state).map((feeder) => {
    const window = newest(state, feeder);
    const share = element("span");
    const bar = element("span", undefined, "share");
    const full = element("i");
    full.style.width = `${window.completeness * 100}%`;
    bar.append(full);
    share.append(bar, `${number(window.completeness * 100, 1)} %`);
    return [feeder, utc(window.start), number(window.meters), share, number(window.quantum_wh)];
  });
  table($("windows"), ["feeder", "window (UTC)", "meters", "readings", "quantum Wh"], rows);
}

export function accuracy(state) {
  const { accuracy, verdict } = state;
  $("accuracy").hidden = !accuracy;
  if (!accuracy) return;
  const none = accuracy.intervals === 0;
  pairs($("errors"), [
    ["largest error", none ? "–" : `${number(accuracy.error_wh)} Wh`],
    ["intervals compared", number(accuracy.intervals)],
    ["not exact", number(accuracy.wrong), accuracy.wrong > 0 ? "bad" : "good"],
    ...(verdict ? [["the run", verdict.correct ? "correct" : "WRONG", verdict.correct ? "good" : "bad"]] : []),
  ]);
}

export function news(state, window) {
  $("news").textContent = `${window.feeder}. ${describe(state, window)}.`;
}

export function status(kind, text) {
  const pill = $("status");
  if (pill.textContent === text) return;
  pill.dataset.state = kind;
  pill.textContent = text;
}
