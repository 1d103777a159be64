//! What a run came to: the JSON object on stdout and in `summary.json`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::drive::{Kill, Recovery};
use super::judge::Verdict;
use super::proxy::FaultCounts;
use super::serve::Role;

/// Times from a kill to useful work, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Times {
    /// The median.
    pub p50: f64,
    /// The 99th percentile; the greatest, if there are fewer than a hundred.
    pub p99: f64,
    /// The greatest.
    pub max: f64,
}

impl Times {
    /// Of some durations; zeros of none.
    #[must_use]
    pub fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut ms: Vec<f64> = times.map(|time| time.as_secs_f64() * 1e3).collect();
        ms.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (ms.len() as f64 * share).ceil() as usize;
            ms.get(rank.max(1) - 1).copied().unwrap_or_default()
        };
        Self {
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

/// What a run came to.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Kills that landed on work in flight, by process.
    pub kills: BTreeMap<Role, usize>,
    /// Those of them at fail points, by its name.
    pub kills_at: BTreeMap<&'static str, usize>,
    /// Kills that were asked for.
    pub kills_asked: u32,
    /// Fail points that were not passed in time: the process was killed from outside instead.
    pub fail_points_missed: Vec<&'static str>,
    /// What the ledgers say.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// From the kill to useful work, by process.
    pub recovery_ms: BTreeMap<Role, Times>,
    /// Faults of the network between the processes and the broker.
    pub network_faults: FaultCounts,
    /// Meters.
    pub meters: u32,
    /// Feeders.
    pub feeders: u32,
    /// The seed.
    pub seed: u64,
    /// Wall time in seconds.
    pub wall_s: f64,
    /// Whether every kill landed and nothing is wrong.
    pub correct: bool,
    /// The results folder.
    pub results: PathBuf,
    /// State of the processes, kept if something is wrong.
    pub state: Option<PathBuf>,
}

impl Outcome {
    /// Enters who was killed, and how.
    pub fn enter_kills(&mut self, kills: &[Kill]) {
        for kill in kills {
            *self.kills.entry(kill.role).or_default() += 1;
            if kill.how != "SIGKILL" {
                *self.kills_at.entry(kill.how).or_default() += 1;
            }
        }
    }

    /// Enters how long recoveries took.
    pub fn enter_recoveries(&mut self, recoveries: &[Recovery]) {
        for role in Role::ALL {
            let of = recoveries.iter().filter(|recovery| recovery.role == role);
            self.recovery_ms
                .insert(role, Times::of(of.map(|recovery| recovery.took)));
        }
    }

    /// The figures, for people.
    #[must_use]
    pub fn table(&self) -> String {
        let Verdict {
            reports_expected,
            reports_folded,
            lost,
            duplicated,
            windows,
            windows_wrong,
            windows_withheld,
            windows_identified,
            ..
        } = self.verdict;
        let mut text = format!(
            "{} meters on {} feeders, seed {}: {} kills of {} in {:.0} s\n\n{:<10} {:>5} {:>9} {:>9} {:>9}  recovery in ms\n",
            self.meters,
            self.feeders,
            self.seed,
            self.kills.values().sum::<usize>(),
            self.kills_asked,
            self.wall_s,
            "process",
            "kills",
            "p50",
            "p99",
            "max",
        );
        for role in Role::ALL {
            let times = self.recovery_ms.get(&role).copied().unwrap_or_default();
            let kills = self.kills.get(&role).copied().unwrap_or_default();
            let _ = writeln!(
                text,
                "{:<10} {kills:>5} {:>9.0} {:>9.0} {:>9.0}",
                role.name(),
                times.p50,
                times.p99,
                times.max
            );
        }
        let FaultCounts {
            cuts,
            delays,
            stalls,
            deaf,
        } = self.network_faults;
        let _ = write!(
            text,
            "\nfail points: {:?}\nnetwork: {cuts} cuts, {delays} delays, {stalls} stalls, {deaf} times deaf\n\
             {reports_expected} reports expected, {reports_folded} folded, {lost} lost, {duplicated} duplicated\n\
             {windows} windows, {windows_wrong} wrong, {windows_withheld} withheld; of {windows_identified} every contributor was identified\n\
             greatest relative error {:.1e}, allowed by the noise {:.1e}\nresults: {}\n",
            self.kills_at,
            self.verdict.max_relative_error,
            self.verdict.error_bound,
            self.results.display(),
        );
        for wrong in &self.verdict.wrong {
            let _ = writeln!(text, "WRONG: {wrong}");
        }
        if let Some(state) = &self.state {
            let _ = writeln!(text, "state of the processes: {}", state.display());
        }
        if self.correct {
            text += "nothing lost, nothing twice\n";
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let ms = |count: u64| (1..=count).map(Duration::from_millis);
        let times = Times::of(ms(200));
        assert_eq!((times.p50, times.p99, times.max), (100.0, 198.0, 200.0));
        let one = Times::of(ms(1));
        assert_eq!((one.p50, one.p99, one.max), (1.0, 1.0, 1.0));
        assert_eq!(Times::of(ms(0)), Times::default());
    }
}
