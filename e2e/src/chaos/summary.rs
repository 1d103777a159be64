//! What a run came to: the JSON object on stdout and in `summary.json`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use harness::latency::{Durations, Latencies};
use serde::Serialize;

use super::Options;
use super::bills::Bills;
use super::consents::Consented;
use super::disturbed::Faults;
use super::drive::Kill;
use super::house::Sent;
use super::judge::Verdict;
use super::proxy::{FaultCounts, Networks};
use super::recovery::Recovery;
use super::serve::Role;

/// What a run came to.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Kills that landed on work in flight, by process.
    pub(crate) kills: BTreeMap<Role, usize>,
    /// Those of them at fail points, by its name.
    pub(crate) kills_at: BTreeMap<&'static str, usize>,
    /// Kills that were asked for.
    pub(crate) kills_asked: u32,
    /// Fail points that were not passed in time: the process was killed from outside instead.
    pub(crate) fail_points_missed: Vec<&'static str>,
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
    /// From the kill to useful work, by process.
    pub(crate) recovery_ms: BTreeMap<Role, Latencies>,
    /// Lines of the live gateway's meters.
    pub(crate) lines: Option<Sent>,
    /// Faults of the network between the processes and the broker.
    pub(crate) network_faults: FaultCounts,
    /// The same by process.
    pub(crate) network_faults_of: BTreeMap<Role, FaultCounts>,
    /// What else happened, over a database.
    pub(crate) faults: Option<Faults>,
    /// The holders of mask keys, such as `2of4`.
    pub(crate) holders: Option<String>,
    #[serde(flatten)]
    pub(crate) consented: Option<Consented>,
    /// Analytics processes.
    pub(crate) analytics: u8,
    pub(crate) meters: u32,
    pub(crate) feeders: u32,
    pub(crate) seed: u64,
    pub(crate) wall_s: f64,
    /// Whether every kill landed and nothing is wrong.
    pub correct: bool,
    pub(crate) results: PathBuf,
    /// State of the processes, kept if something is wrong.
    pub(crate) state: Option<PathBuf>,
}

impl Summary {
    /// Puts together what is known of a run; what else there is, the caller enters.
    pub(crate) fn new(
        options: &Options,
        verdict: Verdict,
        kills: &[Kill],
        recoveries: &[Recovery],
    ) -> Self {
        let mut summary = Self {
            kills: BTreeMap::new(),
            kills_at: BTreeMap::new(),
            kills_asked: options.kills,
            fail_points_missed: Vec::new(),
            correct: verdict.is_clean(),
            verdict,
            recovery_ms: BTreeMap::new(),
            lines: None,
            network_faults: FaultCounts::default(),
            network_faults_of: BTreeMap::new(),
            faults: None,
            holders: None,
            consented: None,
            analytics: options.sharing.analytics,
            meters: options.meters,
            feeders: options.feeders,
            seed: options.seed,
            wall_s: 0.0,
            results: PathBuf::new(),
            state: None,
        };
        for kill in kills {
            *summary.kills.entry(kill.role).or_default() += 1;
            if kill.how != "SIGKILL" {
                *summary.kills_at.entry(kill.how).or_default() += 1;
            }
        }
        for role in summary.kills.keys() {
            let of = recoveries.iter().filter(|recovery| recovery.role == *role);
            let times: Durations = of.map(|recovery| recovery.took).collect();
            summary.recovery_ms.insert(*role, times.latencies());
        }
        summary
    }

    pub(crate) fn networks(&mut self, networks: &Networks) {
        let faults = networks.broker.iter();
        self.network_faults_of = faults
            .map(|(role, faults)| (*role, faults.counts()))
            .collect();
        self.network_faults = self.network_faults_of.values().copied().sum();
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
            sums_not_opened,
            max_relative_error,
            bills: Bills { due, opened },
            ..
        } = self.verdict;
        let mut text = format!(
            "{} meters on {} feeders, seed {}: {} kills of {} in {:.0} s\n\n{:<11} {:>5} {:>9} {:>9} {:>9}  recovery in ms\n",
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
        text += &self.recoveries();
        let _ = write!(
            text,
            "\nfail points: {:?}\n{}{reports_expected} reports expected, {reports_folded} folded, {lost} lost, {duplicated} duplicated\n\
             {windows} windows, {windows_wrong} wrong, {windows_withheld} withheld; of {windows_identified} every contributor was identified\n\
             {sums_not_opened} sums not opened; {opened} bills of {due}; largest relative error {max_relative_error}\nresults: {}\n",
            self.kills_at,
            self.network(),
            self.results.display(),
        );
        text += &self.faults.as_ref().map_or_else(String::new, Faults::text);
        text += &self.sent();
        text += &self.consents();
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

    fn network(&self) -> String {
        let FaultCounts {
            cuts,
            delays,
            stalls,
            deaf,
        } = self.network_faults;
        let cuts_of = self.network_faults_of.iter();
        let cuts_of = cuts_of.map(|(role, of)| format!("{} {}", role.name(), of.cuts));
        let cuts_of = cuts_of.collect::<Vec<_>>().join(", ");
        format!(
            "network: {cuts} cuts, {delays} delays, {stalls} stalls, {deaf} times deaf; cuts of each process: {cuts_of}\n"
        )
    }

    fn consents(&self) -> String {
        let (Some(group), Some(found)) = (&self.holders, &self.consented) else {
            return String::new();
        };
        let Consented {
            consents,
            consented_twice,
        } = found;
        format!(
            "holders {group}: {consents} consents, {consented_twice} to two sums of one meter\n"
        )
    }

    fn sent(&self) -> String {
        self.lines.as_ref().map_or_else(String::new, |sent| {
            let Sent { taken, repeated, cut, .. } = sent;
            format!("lines: {taken} taken, {repeated} known when they came again; {cut} connections ended before their answers\n")
        })
    }

    fn recoveries(&self) -> String {
        let mut text = String::new();
        for (role, kills) in &self.kills {
            let times = self.recovery_ms.get(role).copied().unwrap_or_default();
            let _ = writeln!(
                text,
                "{:<11} {kills:>5} {:>9.0} {:>9.0} {:>9.0}",
                role.name(),
                times.p50,
                times.p99,
                times.max
            );
        }
        text
    }
}
