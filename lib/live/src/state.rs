//! The newest state of everything a page shows, in bounded memory.
//!
//! A page gets all of it when it connects, and what changes from then on; both under one lock, so that nothing is
//! missing between them and nothing comes twice. What changes is never queued for one page: all read from one ring, and a
//! page that falls a whole ring behind is dropped. It connects again and gets the state.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use wire::FeederId;

use crate::model::{About, Accuracy, Awaited, Ciphertext, Source, Verdict, Window};
use crate::rates::Rates;

/// Changes a page may lag behind before it is dropped.
const RING: usize = 256;

/// Pages connected at the same time. A browser keeps at most six connections to a host, so this is several of them.
pub(crate) const MAX_PAGES: usize = 32;

/// One message of the stream, encoded once for all pages.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// `snapshot`, `group`, `budget`, `awaited`, `window`, `ciphertext`, `rates` or `verdict`.
    pub(crate) kind: &'static str,
    /// Counts the changes of this server.
    pub(crate) sequence: u64,
    /// In JSON.
    pub(crate) data: Arc<str>,
}

/// The state of a page, shared with its server. Cheap to clone.
///
/// ```
/// use live::{About, Ciphertext, Live, Source};
///
/// let live = Live::new(About {
///     source: Source::Operator,
///     deployment: "dev".to_owned(),
///     input: None,
///     load: false,
///     min_meters: Some(15),
///     intervals: 1_000,
///     max_feeders: 10,
/// });
/// live.ciphertext(Ciphertext {
///     feeder: "feeder-1".parse()?,
///     start: wire::WindowStart(14_400),
///     part: wire::Part(0),
///     bytes: 13_200,
///     head: "00ff".to_owned(),
/// });
/// assert!(live.snapshot().contains("13200"));
/// # Ok::<(), wire::IdError>(())
/// ```
#[derive(Clone)]
pub struct Live(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    frames: broadcast::Sender<Frame>,
    pages: Arc<Semaphore>,
}

#[derive(Serialize)]
struct State {
    version: &'static str,
    #[serde(flatten)]
    about: About,
    feeders: BTreeMap<FeederId, VecDeque<Window>>,
    /// Windows of feeders beyond `max_feeders`.
    windows_not_shown: u64,
    /// The ε that noisy totals of feeders may still give away.
    budgets: BTreeMap<FeederId, f64>,
    awaited: Awaited,
    accuracy: Option<Accuracy>,
    ciphertext: Option<Ciphertext>,
    rates: Option<Rates>,
    verdict: Option<Verdict>,
    #[serde(skip)]
    sequence: u64,
}

/// As `budget` in the stream.
#[derive(Serialize)]
struct Budget<'a> {
    feeder: &'a FeederId,
    epsilon: f64,
}

/// A page's share of the stream: what it gets first, and what comes after.
pub(crate) struct Page {
    pub(crate) snapshot: Frame,
    /// What changes from then on.
    pub(crate) changes: broadcast::Receiver<Frame>,
    _place: OwnedSemaphorePermit,
}

impl Live {
    /// A state with nothing in it.
    #[must_use]
    pub fn new(about: About) -> Self {
        let accuracy = (about.source == Source::Bench && about.load).then(Accuracy::default);
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                version: env!("CARGO_PKG_VERSION"),
                about,
                feeders: BTreeMap::new(),
                windows_not_shown: 0,
                budgets: BTreeMap::new(),
                awaited: Awaited::default(),
                accuracy,
                ciphertext: None,
                rates: None,
                verdict: None,
                sequence: 0,
            }),
            frames: broadcast::Sender::new(RING),
            pages: Arc::new(Semaphore::new(MAX_PAGES)),
        }))
    }

    /// Shows the plan's `min_meters`.
    pub fn min_meters(&self, meters: u32) {
        let mut state = self.state();
        state.about.min_meters = Some(meters);
        self.tell(&mut state, "group", &meters);
    }

    /// Shows what noisy totals of a feeder may still give away, as ε, in the period of its newest window.
    pub fn budget(&self, feeder: &FeederId, epsilon: f64) {
        let mut state = self.state();
        if state.budgets.contains_key(feeder) || state.budgets.len() < state.about.max_feeders {
            state.budgets.insert(feeder.clone(), epsilon);
            self.tell(&mut state, "budget", &Budget { feeder, epsilon });
        }
    }

    /// Shows which holders of mask keys sums wait for, in place of what was shown before.
    pub fn awaited(&self, awaited: Awaited) {
        let mut state = self.state();
        self.tell(&mut state, "awaited", &awaited);
        state.awaited = awaited;
    }

    /// Shows a released window, in place of an earlier one with the same feeder, start and part.
    pub fn window(&self, mut window: Window) {
        let mut state = self.state();
        if !state.about.load {
            window.load = None;
        }
        if let Some(load) = &window.load
            && let Some(truth) = &load.truth
            && let Some(accuracy) = &mut state.accuracy
        {
            accuracy.compare(load, truth);
        }
        if state.keep(&window) {
            let accuracy = state.accuracy.clone();
            self.tell(&mut state, "window", &Released { window, accuracy });
        } else {
            state.windows_not_shown += 1;
        }
    }

    /// Shows the newest sum that came over the network.
    pub fn ciphertext(&self, ciphertext: Ciphertext) {
        let mut state = self.state();
        self.tell(&mut state, "ciphertext", &ciphertext);
        state.ciphertext = Some(ciphertext);
    }

    /// Shows new rates in place of the last ones.
    pub fn rates(&self, rates: Rates) {
        let mut state = self.state();
        self.tell(&mut state, "rates", &rates);
        state.rates = Some(rates);
    }

    /// Shows how the run ended.
    pub fn verdict(&self, verdict: Verdict) {
        let mut state = self.state();
        self.tell(&mut state, "verdict", &verdict);
        state.verdict = Some(verdict);
    }

    /// Pages connected.
    #[cfg(test)]
    pub(crate) fn pages(&self) -> usize {
        MAX_PAGES - self.0.pages.available_permits()
    }

    /// All of it in JSON, as a page gets it when it connects.
    #[must_use]
    pub fn snapshot(&self) -> String {
        Frame::snapshot(&self.state()).data.to_string()
    }

    /// The state and what follows it, for a new page; `None` if there are too many.
    pub(crate) fn connect(&self) -> Option<Page> {
        let place = self.0.pages.clone().try_acquire_owned().ok()?;
        let state = self.state();
        Some(Page {
            snapshot: Frame::snapshot(&state),
            changes: self.0.frames.subscribe(),
            _place: place,
        })
    }

    fn tell(&self, state: &mut State, kind: &'static str, change: &impl Serialize) {
        state.sequence += 1;
        if self.0.frames.receiver_count() > 0 {
            // The last page may have gone a moment ago.
            let _ = self.0.frames.send(Frame::new(kind, state.sequence, change));
        }
    }

    /// Every change is one assignment or insertion, so a panic elsewhere leaves a state that can be shown.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A released window, with the accuracy it led to.
#[derive(Serialize)]
struct Released {
    #[serde(flatten)]
    window: Window,
    accuracy: Option<Accuracy>,
}

impl Frame {
    fn snapshot(state: &State) -> Self {
        Self::new("snapshot", state.sequence, state)
    }

    fn new(kind: &'static str, sequence: u64, data: &impl Serialize) -> Self {
        // Everything sent has string keys, which serde_json always writes.
        let data = serde_json::to_string(data).unwrap_or_default().into();
        Self {
            kind,
            sequence,
            data,
        }
    }
}

impl State {
    /// Keeps a window in the order of windows; `false` if its feeder is one too many.
    fn keep(&mut self, window: &Window) -> bool {
        let known = self.feeders.contains_key(&window.feeder);
        if !known && self.feeders.len() >= self.about.max_feeders {
            return false;
        }
        let windows = self.feeders.entry(window.feeder.clone()).or_default();
        let key = |window: &Window| (window.start, window.part);
        match windows.binary_search_by_key(&key(window), key) {
            Ok(place) => windows[place] = window.clone(),
            Err(place) => windows.insert(place, window.clone()),
        }
        let mut intervals: usize = windows.iter().map(|window| window.intervals as usize).sum();
        while intervals > self.about.intervals && windows.len() > 1 {
            let oldest = windows.pop_front();
            intervals -= oldest.map_or(0, |window| window.intervals as usize);
        }
        true
    }
}

#[cfg(test)]
mod tests;
