// Charts and tables: what the report is drawn with. Data is never interpreted as markup.
"use strict";

const Draw = {};

Draw.element = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
};

const SIGNIFICANT = 4;

Draw.number = (value) => {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2);
  if (size >= 1000) return Math.round(value).toLocaleString("en-GB");
  return String(Number(value.toPrecision(SIGNIFICANT)));
};

// A table in a box that scrolls by itself, so that the page never does sideways.
// Columns are [heading, row => text, number or node].
Draw.table = (caption, columns, rows) => {
  const cell = (value, tag) => {
    const numeric = typeof value === "number";
    const node = Draw.element(tag, { class: numeric ? "n" : null });
    node.append(numeric ? Draw.number(value) : value ?? "–");
    return node;
  };
  const head = Draw.element("tr", {}, ...columns.map(([heading], index) => {
    const numeric = rows.length > 0 && typeof columns[index][1](rows[0]) === "number";
    return Draw.element("th", { scope: "col", class: numeric ? "n" : null, text: heading });
  }));
  const body = rows.map((row) => Draw.element("tr", {}, ...columns.map(([, value]) => cell(value(row), "td"))));
  const table = Draw.element("table", {}, Draw.element("caption", { text: caption }),
    Draw.element("thead", {}, head), Draw.element("tbody", {}, ...body));
  return Draw.element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, table);
};

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const drawn = [];

// series: [{label, colour: "--c1", points: [{x, y, low, high}], ideal: true}]; log: both axes, or only where said.
Draw.chart = (title, note, x, y, series) => {
  const all = [...new Set(series.flatMap((one) => one.points.map((point) => point.x)))].sort((a, b) => a - b);
  const place = Draw.element("div", {});
  const words = series.map((one) => `${one.label}: ` + one.points.map((point) => `${Draw.number(point.x)}: ${Draw.number(point.y)}`).join(", "));
  const figure = Draw.element("figure", { role: "img", "aria-label": `${title}. ${words.join("; ")}` },
    Draw.element("figcaption", { text: title }, Draw.element("small", { text: note })), place);
  drawn.push(() => draw(place, all, x, y, series));
  return figure;
};

const bounds = (axis, values) => {
  const known = values.filter((value) => Number.isFinite(value) && (!axis.log || value > 0));
  if (known.length === 0) return axis.log ? [0.1, 10] : [0, 1];
  const low = Math.min(...known), high = Math.max(...known);
  return axis.log ? [low / 1.5, high * 1.5] : [Math.min(0, low), high * 1.08 || 1];
};

// 1, 2, 5 of each decade between the ends; powers of ten alone over more than three decades.
function decades(low, high) {
  const marks = Math.log10(high / low) > 3 ? [1] : [1, 2, 5], splits = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1)
    splits.push(...marks.map((mark) => mark * 10 ** power).filter((value) => value >= low && value <= high));
  return splits;
}

function draw(place, xs, x, y, series) {
  place.replaceChildren();
  const at = (one, value) => one.points.find((point) => point.x === value);
  const data = [xs, ...series.map((one) => xs.map((value) => at(one, value)?.y ?? null))];
  const extents = series.flatMap((one) => one.points.flatMap((point) => [point.y, point.low, point.high]));
  const axis = (of) => ({
    ...(of.log ? { splits: (_, __, low, high) => decades(low, high), filter: (_, splits) => splits } : {}),
    label: of.label, labelSize: 22, stroke: colour("--ink"), grid: { stroke: colour("--rule"), width: 1 },
    ticks: { stroke: colour("--rule") }, values: (_, splits) => splits.map((value) => (value === null ? "" : Draw.number(value))),
  });
  const scale = (of, values) => ({ time: false, distr: of.log ? 3 : 1, range: () => bounds(of, values) });
  const options = {
    width: Math.max(240, place.clientWidth), height: 260, cursor: { drag: { x: false, y: false } },
    scales: { x: scale(x, xs), y: scale(y, extents) },
    axes: [axis(x), { ...axis(y), size: 64 }],
    series: [{ label: x.label, value: (_, value) => Draw.number(value) }, ...series.map((one) => ({
      label: one.label, stroke: colour(one.ideal ? "--ideal" : one.colour), width: one.ideal ? 1 : 2, spanGaps: true,
      dash: one.ideal ? [6, 5] : undefined, points: { show: !one.ideal, size: 7 }, value: (_, value) => Draw.number(value),
    }))],
    hooks: { draw: [(plot) => whiskers(plot, series)] },
  };
  new uPlot(options, data, place);
}

function whiskers(plot, series) {
  const { ctx } = plot, arm = 4 * devicePixelRatio;
  ctx.save();
  for (const one of series.filter((candidate) => !candidate.ideal)) {
    ctx.strokeStyle = colour(one.colour);
    ctx.lineWidth = devicePixelRatio;
    for (const point of one.points) {
      if (!Number.isFinite(point.low) || !Number.isFinite(point.high)) continue;
      const [x, low, high] = [plot.valToPos(point.x, "x", true), plot.valToPos(point.low, "y", true), plot.valToPos(point.high, "y", true)];
      ctx.beginPath();
      ctx.moveTo(x, low); ctx.lineTo(x, high);
      ctx.moveTo(x - arm, low); ctx.lineTo(x + arm, low);
      ctx.moveTo(x - arm, high); ctx.lineTo(x + arm, high);
      ctx.stroke();
    }
  }
  ctx.restore();
}

Draw.redraw = () => drawn.forEach((one) => one());

// Shares of a whole: parts are [{label, value, colour}].
Draw.bar = (parts) => {
  const total = parts.reduce((sum, part) => sum + part.value, 0) || 1;
  return Draw.element("div", { class: "bar", role: "img", "aria-label": parts.map((part) => `${part.label} ${Draw.number((100 * part.value) / total)} %`).join(", ") },
    ...parts.map((part) => Draw.element("span", { style: `width:${(100 * part.value) / total}%;background:var(${part.colour})`, title: part.label })));
};

Draw.key = (parts) => Draw.element("ul", { class: "key" }, ...parts.map((part) =>
  Draw.element("li", {}, Draw.element("i", { style: `background:var(${part.colour})` }), part.label)));

// A ratio with its spread on a logarithmic track from low to high; the dashed line is 1.
Draw.track = (low, high, ratio) => {
  const place = (value) => (100 * Math.log(value / low)) / Math.log(high / low);
  const node = Draw.element("div", { class: "track", role: "img", "aria-label": `${Draw.number(ratio.median)} (${Draw.number(ratio.min)} to ${Draw.number(ratio.max)})` });
  node.append(Draw.element("span", { class: "one", style: `left:${place(1)}%` }),
    Draw.element("span", { class: "span", style: `left:${place(ratio.min)}%;width:${Math.max(0.5, place(ratio.max) - place(ratio.min))}%` }),
    Draw.element("span", { class: "dot", style: `left:${place(ratio.median)}%` }));
  return node;
};
