//! The minimum group, window by window.
//!
//! What it was before matters: a group that was too small when its window was due must not be released because somebody has
//! lowered the minimum since, and a sum that is divided is divided by the minimum that it was added up under. So a window keeps the
//! minimum that was in force before it began, and a plan tells for each from which window on it holds. The operator remembers that,
//! and so does each analytics service: a plan that lowers it for windows that had begun when it came does not for them.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use wire::{EarlierMinimum, Grid, MAX_EARLIER_MINIMUMS, Plan, UnixMillis, WindowStart};

use super::{KeepError, cache};
use crate::{failpoint, files};

/// The fewest contributors of a released sum, by window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MinMeters {
    /// Ascending in first window; the first holds from the beginning of time.
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    first_window: WindowStart,
    min_meters: u32,
}

impl MinMeters {
    /// One minimum for every window.
    #[must_use]
    pub fn new(min_meters: u32) -> Self {
        let first_window = WindowStart(0);
        Self {
            steps: vec![Step {
                first_window,
                min_meters,
            }],
        }
    }

    /// What a plan tells.
    #[must_use]
    pub fn of_plan(plan: &Plan) -> Self {
        let mut steps = Vec::new();
        let mut first_window = WindowStart(0);
        for earlier in &plan.min_meters_before {
            // Before the beginning of time there is no window.
            if earlier.until > first_window {
                steps.push(Step {
                    first_window,
                    min_meters: earlier.min_meters,
                });
                first_window = earlier.until;
            }
        }
        steps.push(Step {
            first_window,
            min_meters: plan.min_meters,
        });
        Self { steps }
    }

    /// What a plan tells of the minimums before the newest: the last of them, where it has no room for all.
    #[must_use]
    pub fn before(&self) -> Vec<EarlierMinimum> {
        let changes = self.steps.windows(2).map(|pair| EarlierMinimum {
            until: pair[1].first_window,
            min_meters: pair[0].min_meters,
        });
        let all: Vec<_> = changes.collect();
        all[all.len().saturating_sub(MAX_EARLIER_MINIMUMS)..].to_vec()
    }

    /// The greater of both, for every window.
    #[must_use]
    pub fn at_least(&self, other: &Self) -> Self {
        let starts = self.steps.iter().chain(&other.steps);
        let mut starts: Vec<_> = starts.map(|step| step.first_window).collect();
        starts.sort_unstable();
        let mut steps: Vec<Step> = Vec::new();
        for first_window in starts {
            let min_meters = self.of(first_window).max(other.of(first_window));
            if steps
                .last()
                .is_none_or(|last| last.min_meters != min_meters)
            {
                steps.push(Step {
                    first_window,
                    min_meters,
                });
            }
        }
        Self { steps }
    }

    /// Reads what was remembered in `path`, if anything was.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn open(path: &Path) -> Result<Option<Self>, KeepError> {
        let Some(bytes) = cache::read(path)? else {
            return Ok(None);
        };
        let read = serde_json::from_slice::<Self>(&bytes).map_err(io::Error::other);
        let read = read.and_then(|read| match read.is_sound() {
            true => Ok(read),
            false => Err(io::Error::other("its windows do not ascend from 0")),
        });
        read.map(Some).map_err(|source| KeepError::Io {
            path: path.to_owned(),
            source,
        })
    }

    fn is_sound(&self) -> bool {
        let first = self.steps.first();
        first.is_some_and(|step| step.first_window == WindowStart(0))
            && (self.steps.windows(2)).all(|pair| pair[0].first_window < pair[1].first_window)
    }

    /// Remembers it in `path`, durably.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        files::write_atomic(path, &serde_json::to_vec(self)?, files::PRIVATE)
    }

    /// The minimum for `window`.
    #[must_use]
    pub fn of(&self, window: WindowStart) -> u32 {
        let step = (self.steps.iter()).rfind(|step| step.first_window <= window);
        step.map_or(u32::MAX, |step| step.min_meters)
    }

    /// The minimum for windows to come.
    #[must_use]
    pub fn newest(&self) -> u32 {
        self.steps.last().map_or(u32::MAX, |step| step.min_meters)
    }

    /// The first window that the newest holds for.
    #[must_use]
    pub fn newest_from(&self) -> WindowStart {
        self.steps
            .last()
            .map_or(WindowStart(0), |step| step.first_window)
    }

    /// Takes what a plan tells, which came when no window from `untouched` on had begun: a raised minimum from the plan's date on, a
    /// lowered one not before `untouched`. Returns whether anything changed.
    pub fn hear(&mut self, planned: &Self, untouched: WindowStart) -> bool {
        let (newest, from) = (planned.newest(), planned.newest_from());
        match newest < self.newest() {
            true => self.change(newest, from.max(untouched)),
            false => self.change(newest, from),
        }
    }

    /// Takes `min_meters` for windows from `first_window` on, if it is not what they have already. Returns whether anything
    /// changed.
    pub fn change(&mut self, min_meters: u32, first_window: WindowStart) -> bool {
        if min_meters == self.newest() {
            return false;
        }
        // Others that have not begun either.
        self.steps.retain(|step| step.first_window < first_window);
        if self.steps.is_empty() || min_meters != self.newest() {
            self.steps.push(Step {
                first_window,
                min_meters,
            });
        }
        true
    }
}

impl From<u32> for MinMeters {
    fn from(min_meters: u32) -> Self {
        Self::new(min_meters)
    }
}

/// The first window of which no part can have been reported by `latest`: windows from then on cannot be held yet.
#[must_use]
pub fn first_window_after(grid: Grid, latest: UnixMillis) -> WindowStart {
    if failpoint::sabotaged("min_meters_from") {
        return WindowStart(0);
    }
    grid.next_window(grid.window_of(latest.seconds()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: WindowStart = WindowStart(14_400);

    fn of(min: &MinMeters, windows: [u64; 3]) -> [u32; 3] {
        windows.map(|window| min.of(WindowStart(window)))
    }

    #[test]
    fn a_window_keeps_the_minimum_that_was_in_force_before_it_began() {
        let mut min = MinMeters::new(15);
        assert!(!min.change(15, AT));
        assert!(min.change(2, AT));
        assert_eq!(of(&min, [0, 14_399, 14_400]), [15, 15, 2]);
        assert!(!min.change(2, WindowStart(28_800)), "it has its date");
        assert!(min.change(20, WindowStart(28_800)));
        assert_eq!(of(&min, [0, 14_400, 28_800]), [15, 2, 20]);
    }

    #[test]
    fn a_minimum_whose_windows_have_not_begun_is_replaced() {
        let mut min = MinMeters::new(15);
        min.change(10, WindowStart(43_200));
        assert!(min.change(3, WindowStart(28_800)));
        assert_eq!(of(&min, [14_400, 28_800, 43_200]), [15, 3, 3]);
        assert!(min.change(15, WindowStart(28_800)));
        assert_eq!(min, MinMeters::new(15), "lowered and raised again");
    }

    fn plan_of(min: &MinMeters) -> Plan {
        Plan {
            deployment: "d".parse().unwrap(),
            version: wire::PlanVersion(1),
            valid_until: None,
            interval_s: 900,
            batch: 4,
            time_zone: None,
            layout: "profile".parse().unwrap(),
            histogram_edges_wh: Vec::new(),
            min_meters: min.newest(),
            min_meters_before: min.before(),
            tariff: None,
            feeders: Vec::new(),
            epochs: Vec::new(),
            analytics: Vec::new(),
            shards: 1,
            pool: Vec::new(),
            holders: Vec::new(),
        }
    }

    #[test]
    fn a_plan_tells_what_the_operator_knows() {
        let mut min = MinMeters::new(15);
        assert_eq!(MinMeters::of_plan(&plan_of(&min)), min);
        min.change(2, AT);
        min.change(20, WindowStart(28_800));
        assert_eq!(MinMeters::of_plan(&plan_of(&min)), min);
        for at in 3..30 {
            min.change(at, WindowStart(14_400 * u64::from(at)));
        }
        let told = MinMeters::of_plan(&plan_of(&min));
        assert_eq!(told.of(WindowStart(14_400 * 20)), 20);
        assert_eq!(told.of(WindowStart(0)), 13, "of more there is no word");
    }

    /// Nobody's word makes a group smaller whose window had begun; everybody's makes it larger.
    #[test]
    fn a_lowered_minimum_holds_from_when_it_was_heard_of_at_the_earliest() {
        let (mut lowered, mut raised) = (MinMeters::new(15), MinMeters::new(15));
        lowered.change(2, AT);
        raised.change(20, AT);
        let hear = |planned: &MinMeters, untouched| {
            let mut own = MinMeters::new(15);
            assert!(own.hear(planned, WindowStart(untouched)));
            assert!(!own.hear(planned, WindowStart(untouched + 14_400)));
            of(&own, [0, 14_400, 28_800])
        };
        assert_eq!(hear(&lowered, 14_400), [15, 2, 2], "as planned");
        assert_eq!(hear(&lowered, 28_800), [15, 15, 2]);
        assert_eq!(hear(&raised, 28_800), [15, 20, 20]);
    }

    #[test]
    fn of_two_the_greater_holds_in_every_window() {
        let (mut one, mut other) = (MinMeters::new(15), MinMeters::new(3));
        one.change(2, AT);
        other.change(10, WindowStart(28_800));
        assert_eq!(of(&one.at_least(&other), [0, 14_400, 28_800]), [15, 3, 10]);
        assert_eq!(one.at_least(&MinMeters::new(1)), one);
    }

    #[test]
    fn it_is_remembered_and_a_damaged_file_is_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("min_meters.json");
        assert_eq!(MinMeters::open(&path).unwrap(), None);
        let mut min = MinMeters::new(15);
        min.change(2, AT);
        min.save(&path).unwrap();
        assert_eq!(MinMeters::open(&path).unwrap(), Some(min));
        for damaged in [
            "",
            "[]",
            r#"[{"first_window":14400,"min_meters":2}]"#,
            r#"[{"first_window":0,"min_meters":15},{"first_window":0,"min_meters":2}]"#,
        ] {
            std::fs::write(&path, damaged).unwrap();
            let error = MinMeters::open(&path).unwrap_err().to_string();
            assert!(error.contains("min_meters.json"), "{error}");
        }
    }

    #[test]
    fn the_first_window_after_now_has_not_begun() {
        let grid = Grid::new(3600, 4).unwrap();
        let first = |millis| first_window_after(grid, UnixMillis(millis)).0;
        assert_eq!(first(14_399_999), 14_400);
        assert_eq!(first(14_400_000), 28_800, "that one has just begun");
    }

    #[test]
    fn without_its_date_a_minimum_holds_for_windows_that_were() {
        let test = "trust::min_meters::tests::the_first_window_after_now_has_not_begun";
        failpoint::fails_without("min_meters_from", test).unwrap();
    }
}
