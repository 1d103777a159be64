// The report: reads the run document embedded above and draws what it holds. Sections without data are left out.
"use strict";

const run = JSON.parse(document.getElementById("data").textContent);
const { element, number, table, chart } = Draw;
const COLOURS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6"];
const PATH = ["encode", "encrypt", "pack", "sign", "verify", "fold"];
const words = (name) => name.replaceAll("_", " ");
const paragraph = (text, style) => element("p", { class: style, text });
const okay = (point) => point.status === "ok" && point.median;

function section(id, title, ...content) {
  const known = content.flat().filter(Boolean);
  if (known.length === 0) return;
  document.getElementById("contents").append(element("li", {}, element("a", { href: `#${id}`, text: title })));
  document.getElementById("report").append(element("section", { id, "aria-labelledby": `${id}-title` },
    element("h2", { id: `${id}-title`, text: title }), ...known));
}

// The spread of a figure over the repeats as a point with an error bar.
const at = (x, spread) => ({ x, y: spread.median, low: spread.min, high: spread.max });
const span = (spread, unit = "") => spread
  ? `${number(spread.median)}${unit} (${number(spread.min)}–${number(spread.max)})` : "–";

function summary() {
  const points = run.sweeps.flatMap((sweep) => sweep.points);
  const count = (status) => points.filter((point) => point.status === status).length;
  const parts = ["ok", "wrong", "failed", "skipped"].map((status) => `${count(status)} ${status}`).join(", ");
  const box = document.getElementById("summary");
  const text = run.correct ? run.format < 3 ? "Every decrypted total equals the truth within its bound" : "Exact: every decrypted total equals the truth" : "Some results are wrong or incomplete";
  box.append(element("p", {}, element("span", { class: `verdict ${run.correct ? "good" : "bad"}`, text })));
  if (points.length > 0) box.append(paragraph(`Points of the sweeps: ${parts}.`, "muted"));
  const { environment } = run;
  box.append(paragraph(`${environment.started_at} · ${environment.cpu_model}, ${environment.cpu_cores} cores · commit ${environment.commit?.slice(0, 12) ?? "unknown"}${environment.commit_dirty ? " with changes" : ""}`, "muted"));
  if (environment.build !== "release") box.append(paragraph("A debug build: these figures are no figures.", "bad"));
}

function environment() {
  const { profiles, command_line: command, ...rest } = run.environment;
  const show = (value) => (Array.isArray(value) ? value.map((one) => (typeof one === "number" ? number(one) : one)).join(", ")
    : typeof value === "number" ? number(value) : String(value ?? "unknown"));
  return [
    element("p", {}, element("code", { text: command.join(" ") })),
    table("The machine and the build", [["", ([name]) => words(name)], ["", ([, value]) => show(value)]], Object.entries(rest)),
    table("Parameter profiles", Object.keys(profiles[0] ?? {}).map((key) => [words(key), (profile) => profile[key]]), profiles),
  ];
}

function failures() {
  const reasons = run.failures.map((text) => ({ what: text, why: "" }));
  for (const sweep of run.sweeps)
    for (const point of sweep.points.filter((one) => one.status !== "ok"))
      reasons.push({ what: `${sweep.parameter} ${point.label}: ${point.status}`, why: point.reasons.join("; ") });
  if (reasons.length === 0) return [];
  return [table("Points that did not run or are wrong", [["what", (row) => row.what], ["why", (row) => row.why]], reasons)];
}

// What would be the case if the figure did not depend on the value, or grew with it.
function ideal(points, grows) {
  if (points.length < 2) return [];
  const [first] = points;
  return [{ label: grows ? "proportional" : "constant", ideal: true,
    points: points.map((point) => ({ x: point.x, y: grows ? (first.y * point.x) / first.x : first.y })) }];
}

function plots(sweep) {
  const points = sweep.points.filter((point) => okay(point) && point.value > 0);
  if (points.length < 2) return [];
  const x = { label: `${words(sweep.parameter)}${sweep.unit && sweep.unit !== sweep.parameter ? ` (${sweep.unit})` : ""}`, log: true };
  const line = (label, figure, colour) => ({ label, colour, points: points.map((point) => at(point.value, point.median[figure])) });
  const plot = (title, note, y, series, grows) => chart(title, note, x, { label: y, log: true }, [...series, ...ideal(series[0].points, grows)]);
  return [element("div", { class: "charts" },
    plot("Throughput", "Reports folded in a second; bars span the repeats", "reports/s", [line("reports/s", "reports_per_s", "--c1")], false),
    plot("Processor time", "Of the whole process, fleet and all services", "µs/report", [line("µs/report", "cpu_us_per_report", "--c2")], false),
    plot("Cost of a reading", "Processor time and bytes over the readings of a report", "per reading",
      [line("µs/reading", "cpu_us_per_reading", "--c3"), line("bytes/reading", "bytes_per_reading", "--c4")], false),
    latencies(points, x))];
}

function latencies(points, x) {
  const stages = [["publish_to_receipt", "publish → receipt"], ["end_to_end", "seal → total"], ["commit", "commit"]];
  const series = stages.map(([stage, label], index) => ({ label: `${label} p99`, colour: COLOURS[index],
    points: points.filter((point) => point.median.stage_p99_s[stage]).map((point) => at(point.value, point.median.stage_p99_s[stage])) }))
    .filter((one) => one.points.length > 0);
  return chart("Latency", "99th percentiles; bars span the repeats", x, { label: "s", log: true }, series);
}

function sweepTable(sweep) {
  const columns = [
    [words(sweep.parameter), (point) => point.label],
    ...["meters", "feeders"].filter((name) => name !== sweep.parameter).map((name) => [name, (point) => point.settings[name]]),
    ["interval × batch", (point) => `${point.settings.interval_s} s × ${point.settings.batch}`],
    ["smallest group", (point) => `${point.settings.min_meters}${point.settings.min_meters_lowered_from ? `, lowered from ${point.settings.min_meters_lowered_from}` : ""}`],
    ["result", (point) => element("span", { class: point.status === "ok" ? "good" : point.status === "skipped" ? "warn" : "bad", text: point.status })],
    ["reports/s", (point) => span(point.median?.reports_per_s)], ["µs/report", (point) => span(point.median?.cpu_us_per_report)],
    ["bytes/report", (point) => span(point.median?.bytes_per_report)],
    ["peak MB", (point) => (point.median?.peak_rss_bytes ? point.median.peak_rss_bytes.median / 1e6 : null)],
    ["error Wh", (point) => (point.median ? number(point.median.max_abs_error_wh.median) : "–")],
  ];
  return table(`${sweep.varies} Medians of the repeats, with the least and the greatest.`, columns, sweep.points);
}

function breakdown(sweep) {
  const points = sweep.points.filter(okay);
  if (points.length === 0) return null;
  const parts = (point) => PATH.filter((stage) => point.median.stage_p50_s[stage]).map((stage, index) =>
    ({ label: words(stage), value: point.median.stage_p50_s[stage].median, colour: COLOURS[index] }));
  const total = (point) => parts(point).reduce((sum, part) => sum + part.value, 0) * 1e6;
  const stages = [...new Set(points.flatMap((point) => Object.keys(point.median.stage_p50_s)))];
  return [element("h3", { text: "Stages" }), Draw.key(parts(points[0])),
    table("What a report costs to compute, stage by stage", [[words(sweep.parameter), (point) => point.label],
      ["µs together", total], ["shares", (point) => Draw.bar(parts(point))]], points),
    table("Median time of each stage in milliseconds; commit, release, decrypt are for many reports at once",
      [[words(sweep.parameter), (point) => point.label],
        ...stages.map((stage) => [words(stage), (point) => (point.median.stage_p50_s[stage] ? point.median.stage_p50_s[stage].median * 1e3 : null)])], points)];
}

function sweeps() {
  for (const sweep of run.sweeps)
    section(`sweep-${sweep.parameter}`, `Sweep: ${words(sweep.parameter)}`, paragraph(sweep.varies, "muted"),
      plots(sweep), sweepTable(sweep), breakdown(sweep));
}

function load() {
  const steps = run.load?.steps ?? (run.load ? [run.load] : []);
  if (steps.length === 0) return [];
  const { knee } = run.load;
  const settled = steps.map((step) => ({ x: step.rate, y: step.settled_per_s })).sort((a, b) => a.x - b.x);
  const late = (key, one) => steps.map((step) => ({ x: step.rate, y: step[key]?.[one] })).sort((a, b) => a.x - b.x);
  const x = { label: "offered reports/s", log: true };
  return [
    paragraph(knee ? `Maximum sustained throughput: ${number(knee.rate ?? knee)} reports a second. It is the highest rate offered at which every report was settled, with latency below the limit.`
      : "One rate was offered; the maximum was not looked for."),
    element("div", { class: "charts" },
      chart("Settled against offered", "The dashed line: everything offered is settled", x, { label: "settled reports/s", log: true },
        [{ label: "settled", colour: "--c1", points: settled }, { label: "all", ideal: true, points: settled.map((point) => ({ x: point.x, y: point.x })) }]),
      chart("Latency under load", "From when a report was due to its receipt", x, { label: "ms", log: true },
        [{ label: "p50", colour: "--c3", points: late("latency_ms", "p50") }, { label: "p99", colour: "--c2", points: late("latency_ms", "p99") },
          { label: "generator late p99", colour: "--c4", points: late("lateness_ms", "p99") }])),
    table("Every step: open-loop, every window decrypted and compared with the truth", [
      ["offered/s", (step) => step.rate], ["settled/s", (step) => step.settled_per_s], ["meters", (step) => step.meters], ["feeders", (step) => step.feeders],
      ["p50 ms", (step) => step.latency_ms.p50], ["p99 ms", (step) => step.latency_ms.p99], ["generator p99 ms", (step) => step.lateness_ms.p99],
      ["cores", (step) => step.cores], ["µs/report", (step) => step.cpu_us_per_report], ["sent again", (step) => step.resent],
      ["windows right", (step) => step.windows], ["result", (step) => (step.correct ? "right" : step.wrong.join("; "))]], steps),
  ];
}

function error() {
  const rows = run.sweeps.flatMap((sweep) => sweep.points.flatMap((point) => point.repeats.filter((one) => one.error)
    .map((one) => ({ point: `${words(sweep.parameter)} ${point.label}`, repeat: one.repeat, ...one.error }))));
  if (rows.length === 0) return [];
  return [paragraph("Each decrypted interval of each feeder is compared with the sum that separate code computes from the readings. Readings enter in whole quanta, with the rest carried to the meter's next interval, so the two are equal or something is wrong."),
    table("Greatest error of an interval", [["point", (row) => row.point], ["repeat", (row) => row.repeat], ["intervals", (row) => row.intervals],
      ["error Wh", (row) => row.max_abs_wh], ["relative", (row) => row.max_relative], ["quantum Wh", (row) => row.quantum_wh ?? null],
      ...(rows.some((row) => row.bound_wh) ? [["allowed by the noise, Wh", (row) => row.bound_wh ?? null]] : [])], rows)];
}

function peers() {
  const { peers: all } = run;
  if (!all) return [];
  const measured = all.peers.filter((peer) => peer.figures);
  const ratios = (title, key) => {
    const known = measured.filter((peer) => peer.figures.ratios[key]);
    const high = Math.max(10, ...known.map((peer) => peer.figures.ratios[key].max * 1.3));
    const low = Math.min(0.5, ...known.map((peer) => peer.figures.ratios[key].min / 1.3));
    return known.length === 0 ? null : table(title, [["peer", (peer) => peer.title], ["ratio", (peer) => span(peer.figures.ratios[key])],
      ["1 is ours; logarithmic", (peer) => Draw.track(low, high, peer.figures.ratios[key])]], known);
  };
  return [
    paragraph(`The same ${all.readings_per_report} readings a report, in turns, one thread each, ${all.rounds} rounds of ${all.reports_per_round} reports: ${all.input}.`),
    ratios("Client: its work over our seal, which signs", "client_over_seal"),
    ratios("Client: its work over our encryption and packing alone", "client_over_encrypt"),
    ratios("Server: its work over our decoding, verification and addition", "server_over_ours"),
    ratios("Server: its work over our addition alone", "server_over_fold"),
    table("Sizes, errors, and what each gives that we do not", [["peer", (peer) => peer.title], ["bytes/report", (peer) => peer.figures?.bytes ?? null], ["÷ ours", (peer) => peer.figures?.ratios.bytes ?? null],
      ["greatest error Wh", (peer) => peer.figures?.max_error_wh ?? null], ["gives", (peer) => peer.gives], ["lacks", (peer) => peer.lacks],
      ["", (peer) => peer.not_measured ? `not measured: ${peer.not_measured}` : peer.version ?? ""]], all.peers),
    ...[brokers(all.brokers)].flat(),
  ];
}

function brokers(all) {
  const rows = (all?.brokers ?? []).flatMap((broker) => [["paced", broker.paced], ["saturated", broker.saturated]]
    .filter(([, figures]) => figures).map(([load, figures]) => ({ broker, load, figures })));
  if (rows.length === 0) return null;
  const absent = all.brokers.filter((broker) => broker.not_measured);
  return [table(`Brokers: ${number(all.paced_messages)} messages of ${number(all.bytes)} bytes at ${number(all.rate)}/s, then ${number(all.saturated_messages)} as fast as they are taken`, [
    ["broker", (row) => row.broker.title], ["load", (row) => row.load], ["delivered", (row) => span(row.figures.delivered)],
    ["messages/s", (row) => span(row.figures.per_s)], ["p50 ms", (row) => span(row.figures.p50_ms)], ["p99 ms", (row) => span(row.figures.p99_ms)],
    ["CPU µs/message", (row) => span(row.figures.cpu_us)], ["÷ rumqttd", (row) => span(row.figures.cpu_over_rumqttd)], ["peak MiB", (row) => span(row.figures.peak_mib)]], rows),
  ...absent.map((broker) => paragraph(`${broker.title}: not measured: ${broker.not_measured}`, "muted"))];
}

const SIDES = { at_most: "≤", at_least: "≥", below: "<" };

function budget() {
  const { budget: all } = run;
  if (!all) return [];
  return [table("The design's budget, measured in one run", [["step", (row) => row.step], ["limit", (row) => `${SIDES[row.side]} ${number(row.limit)} ${row.unit}`],
    ["measured", (row) => span(row.value)], ["", (row) => element("span", { class: row.verdict === "met" ? "good" : row.verdict === "missed" ? "bad" : "warn", text: words(row.verdict) })],
    ["", (row) => row.note ?? ""]], all.rows)];
}

function raw() {
  const text = JSON.stringify(run, null, 1);
  const save = element("button", { type: "button", text: "Save run.json" });
  save.addEventListener("click", () => {
    const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "application/json" })), download: "run.json" });
    link.click();
    URL.revokeObjectURL(link.href);
  });
  const details = element("details", {}, element("summary", { text: "Show it here" }));
  details.addEventListener("toggle", () => details.open && !details.querySelector("pre") && details.append(element("pre", { tabindex: "0", text })));
  return [paragraph("Everything above is drawn from this document, which is also beside this file as run.json, sweep.csv and stages.csv."), save, details];
}

summary();
section("failures", "Failed and skipped points", failures());
section("load", "Maximum sustained throughput", load());
sweeps();
section("error", "Error against the truth", error());
section("peers", "Peers, as ratios", peers());
section("budget", "Budget", budget());
section("environment", "Environment", environment());
section("raw", "Raw data", raw());

Draw.redraw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", Draw.redraw);
let width = innerWidth;
addEventListener("resize", () => innerWidth !== width && ((width = innerWidth), requestAnimationFrame(Draw.redraw)));
