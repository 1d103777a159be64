// The load profile as a line that keeps its level for an interval, with the truth as dots where it is known.
/* global uPlot */

const HEIGHT = 288;

export class Chart {
  constructor(element) {
    this.element = element;
    this.plot = null;
    this.withTruth = false;
    this.data = [[], []];
    new ResizeObserver(() => this.resize()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.rebuild());
  }

  // Shows points of `state.profile`. Without points there is no chart, rather than an empty one.
  show(points) {
    if (points.length === 0) return this.clear();
    const withTruth = points.some((point) => point.truth !== null);
    this.data = columns(points, withTruth);
    if (!this.plot || withTruth !== this.withTruth) {
      this.withTruth = withTruth;
      this.rebuild();
    } else {
      this.plot.setData(this.data);
    }
  }

  clear() {
    this.plot?.destroy();
    this.plot = null;
    this.data = [[], []];
  }

  resize() {
    const width = this.element.clientWidth;
    if (this.plot && width > 0 && width !== this.plot.width) {
      this.plot.setSize({ width, height: HEIGHT });
    }
  }

  rebuild() {
    if (this.element.clientWidth === 0 || this.data[0].length === 0) return;
    this.plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--soft"),
      grid: { stroke: colour("--grid"), width: 1 },
      ticks: { stroke: colour("--grid"), width: 1 },
      font: "12px system-ui, sans-serif",
    };
    // The legend describes the interval under the cursor, or the newest one while there is no cursor. The last column
    // only ends the newest interval, so it stands for that interval.
    const at = (series, index) => {
      const column = this.data[series];
      return column[Math.min(index ?? Infinity, column.length - 2)];
    };
    const value = (_, __, series, index) => {
      const kw = at(series, index);
      return kw === null || kw === undefined ? "–" : `${kw.toLocaleString("en-GB", { maximumFractionDigits: 3 })} kW`;
    };
    const time = (_, __, series, index) => new Date(at(series, index) * 1000).toISOString().slice(0, 16).replace("T", " ");
    const series = [
      { label: "UTC", value: time },
      {
        label: "decrypted",
        stroke: colour("--plain"),
        width: 2,
        paths: uPlot.paths.stepped({ align: 1 }),
        points: { show: false },
        value,
      },
    ];
    if (this.withTruth) {
      series.push({
        label: "true",
        stroke: colour("--bad"),
        paths: () => null,
        points: { show: true, size: 5, width: 1, fill: colour("--surface") },
        value,
      });
    }
    const options = {
      width: this.element.clientWidth,
      height: HEIGHT,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      scales: { y: { range: (_, low, high) => (low === null ? [0, 1] : [Math.min(0, low * 1.1), Math.max(high * 1.1, 0.001)]) } },
      series,
      axes: [
        { ...axis, values: TIMES },
        { ...axis, size: 64, values: (_, ticks) => ticks.map((kw) => kw.toLocaleString("en-GB")), label: "kW", labelSize: 16, labelFont: axis.font },
      ],
      cursor: { drag: { x: true, y: false } },
    };
    this.plot = new uPlot(options, this.data, this.element);
  }
}

// 24 hours, and the day beneath where a day begins.
const DAY = "{D} {MMM}";
const TIMES = [
  [86400, DAY, null, null, null, null, null, null, 1],
  [60, "{HH}:{mm}", `\n${DAY}`, null, `\n${DAY}`, null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", `\n${DAY}`, null, `\n${DAY}`, null, null, null, 1],
];

// Columns of numbers: a point ends its interval where the next one does not follow at once.
function columns(points, withTruth) {
  const [times, loads, truths] = [[], [], []];
  const push = (at, load, truth) => {
    times.push(at);
    loads.push(load);
    truths.push(truth);
  };
  points.forEach((point, index) => {
    push(point.at, point.load, point.truth);
    const end = point.at + point.length;
    const next = points[index + 1]?.at;
    if (next === undefined) push(end, point.load, null);
    else if (next > end) push(end, null, null);
  });
  return withTruth ? [times, loads, truths] : [times, loads];
}
