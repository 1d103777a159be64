// What the server has sent: one state, replaced by a snapshot and changed by every later message.

export function empty() {
  return { feeders: {}, budgets: {}, awaited: { sums: 0, holders: [] }, rates: null, ciphertext: null, accuracy: null, verdict: null };
}

// Applies a message and returns the new state. A window that is there already is replaced.
export function apply(state, kind, data) {
  switch (kind) {
    case "snapshot":
      return { ...empty(), ...data };
    case "window": {
      const { accuracy, ...window } = data;
      const before = state.feeders[window.feeder] ?? [];
      const windows = before.filter((other) => compare(other, window) !== 0);
      windows.push(window);
      windows.sort(compare);
      let intervals = windows.reduce((sum, other) => sum + other.intervals, 0);
      while (intervals > state.intervals && windows.length > 1) {
        intervals -= windows.shift().intervals;
      }
      return { ...state, accuracy, feeders: { ...state.feeders, [window.feeder]: windows } };
    }
    case "budget":
      return { ...state, budgets: { ...state.budgets, [data.feeder]: data.epsilon } };
    case "group":
      return { ...state, min_meters: data };
    default:
      return { ...state, [kind]: data };
  }
}

export function compare(a, b) {
  return a.start - b.start || a.part - b.part;
}

export function names(state) {
  return Object.keys(state.feeders).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}

export function newest(state, feeder) {
  return state.feeders[feeder]?.at(-1);
}

// A feeder's intervals in the order of time, in kW: parts of a window are of different meters, so they add up.
// The load is null where no part shows any, and so is the truth. Percentiles do not add up: they are of a first part that no other
// part follows, and null else.
export function profile(state, feeder) {
  const points = new Map();
  for (const window of state.feeders[feeder] ?? []) {
    if (!window.load) continue;
    const kw = 3.6 / window.interval_s;
    const end = (list, k) => (window.part > 0 || !list?.[k] ? null : list[k][1] * kw);
    window.load.energy_wh.forEach((wh, k) => {
      const at = window.start + k * window.interval_s;
      const point = points.get(at) ?? { at, length: window.interval_s, load: null, truth: null, half: null, most: null };
      if (wh !== null) point.load = (point.load ?? 0) + wh * kw;
      const truth = window.load.truth?.energy_wh[k] ?? null;
      if (truth !== null) point.truth = truth * kw;
      point.half = end(window.load.percentiles?.median_wh, k);
      point.most = end(window.load.percentiles?.p90_wh, k);
      points.set(at, point);
    });
  }
  return [...points.values()].sort((a, b) => a.at - b.at);
}
