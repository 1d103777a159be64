// Listens to the server and draws what changed, at most once a frame.

import { Chart } from "./chart.js";
import { apply, empty } from "./state.js";
import * as view from "./view.js";

const KINDS = ["snapshot", "group", "budget", "awaited", "window", "ciphertext", "rates", "verdict"];
// A screen reader must be able to finish a sentence.
const NEWS_EVERY_MS = 5000;
const QUIET_MS = 5000;
const AGAIN_MS = 2000;

let state = empty();
let heard = 0;
let told = 0;
const dirty = new Set();
const chart = new Chart(document.getElementById("chart"));

function draw() {
  if (dirty.has("snapshot")) KINDS.forEach((kind) => dirty.add(kind));
  if (dirty.has("snapshot")) view.about(state);
  if (dirty.has("rates") || dirty.has("group") || dirty.has("awaited")) view.rates(state);
  if (dirty.has("window") || dirty.has("group") || dirty.has("budget")) {
    view.choice(state);
    view.load(state, chart);
    view.windows(state);
  }
  if (dirty.has("window") || dirty.has("ciphertext")) view.sum(state);
  if (dirty.has("window") || dirty.has("verdict")) view.accuracy(state);
  dirty.clear();
}

function change(kind, data) {
  // Another version has come with a restart: its page may differ.
  if (kind === "snapshot" && state.version && state.version !== data.version) location.reload();
  state = apply(state, kind, data);
  heard = Date.now();
  if (kind === "window" && heard - told > NEWS_EVERY_MS) {
    told = heard;
    view.news(state, data);
  }
  if (dirty.size === 0) requestAnimationFrame(draw);
  dirty.add(kind);
  connected();
}

function connected() {
  if (!state.verdict) view.status("live", "live");
  else if (state.verdict.correct) view.status("over", "finished");
  else view.status("wrong", "finished, wrong");
}

function listen() {
  const events = new EventSource("/events");
  for (const kind of KINDS) {
    events.addEventListener(kind, (event) => change(kind, JSON.parse(event.data)));
  }
  events.addEventListener("error", () => {
    view.status("lost", state.verdict?.correct ? "finished, server gone" : "reconnecting");
    // After an answer that is not a stream, an EventSource does not connect again by itself.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
  });
}

setInterval(() => {
  const quiet = heard > 0 && !state.verdict && Date.now() - heard > QUIET_MS;
  if (quiet) view.status("lost", "no updates");
}, 1000);

document.getElementById("feeder").addEventListener("change", () => view.load(state, chart));
document.getElementById("intervals").addEventListener("toggle", () => view.load(state, chart));
listen();
