//! What the command line asks for.

use std::time::Duration;

use harness::holders::Group;
use harness::sharing::{Sharing, Store};

use super::sabotage::Sabotage;
use super::schedule::{self, PlannedFault};
use super::serve::Role;

/// Time a run may take, and what it may take for each kill and each other fault.
const LIMIT: (Duration, Duration, Duration) = (
    Duration::from_secs(90),
    Duration::from_secs(6),
    Duration::from_secs(20),
);
/// Windows each feeder reports for each fault other than a kill.
const WINDOWS_PER_FAULT: u32 = 20;

/// What the command line asks for.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Number of kills, over all processes.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(i64::from(schedule::FEWEST)..=10_000))]
    pub kills: u32,
    /// Seed of the readings, of who is killed when, and of the network's faults.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Simulated meters.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub meters: u32,
    /// Number of feeders the meters are spread over in turn.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub feeders: u32,
    /// Windows of each feeder; five for each kill, and twenty for each other fault, unless set.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub windows: Option<u32>,
    /// Close a window after this long without a report, so that what a kill holds up comes late, in supplements. Unless set,
    /// windows close when every meter has reported.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub idle_limit: Option<Duration>,
    /// Whether the network between the processes and the broker, and the database, has faults too.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub network_faults: bool,
    /// Whether there is a gateway, too, whose meters send lines, with a feeder of its own.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub live: bool,
    /// Whether some meters of each feeder are billed by tariff band, where windows close when every meter has reported.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub bills: bool,
    /// Share the mask keys among holders, such as 2of4, which are processes too. There are no bills then.
    #[arg(long, value_name = "TofN")]
    pub holders: Option<Group>,
    /// How analytics keeps and shares the sums.
    #[command(flatten)]
    pub sharing: Sharing,
    /// Give up after this long; by default 90 s, plus 6 s for each kill and 20 s for each other fault.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// Break the deduplication, then the journal and, with a pool, the fences, and pass only if the run notices each.
    #[arg(long)]
    pub self_test: bool,
    /// What to break.
    #[arg(long, hide = true)]
    pub sabotage: Option<Sabotage>,
}

impl Options {
    /// What is planned besides kills.
    pub(super) fn faults(&self, roles: &[Role]) -> Vec<PlannedFault> {
        match self.sharing.store {
            Store::File => Vec::new(),
            Store::Postgres => schedule::faults(self.kills, self.seed, roles),
        }
    }

    /// Windows that pass meanwhile.
    pub(super) fn windows_for_faults(&self) -> u32 {
        self.faults(&Role::ALL).len() as u32 * WINDOWS_PER_FAULT
    }

    /// Time the run may take.
    pub(super) fn limit(&self) -> Duration {
        let faults = self.faults(&Role::ALL).len() as u32;
        let limit = LIMIT.0 + LIMIT.1 * self.kills + LIMIT.2 * faults;
        self.timeout.unwrap_or(limit)
    }
}
