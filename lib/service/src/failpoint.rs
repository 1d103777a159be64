//! Named points at which a test kills the process.
//!
//! A kill from outside seldom lands between a commit and the message that follows it, and that is where reports get
//! lost or counted twice. So the code names those points, and an environment variable says at which one, and at
//! which passage, the process dies:
//!
//! ```text
//! CIPHERWATT_FAILPOINT=analytics.before_commit:3 analytics
//! ```
//!
//! The process then aborts, without unwinding or flushing anything, when it comes to `analytics.before_commit` for the
//! third time. Without the variable, [`hit`] is one relaxed load.
//!
//! A test that cannot fail proves nothing, so a second variable is for testing such tests: [`SABOTAGE`] switches a
//! safeguard off, one of [`safeguards`]. The process says so, as an error, in its log. That an attack fails is shown beside the
//! same attack with its safeguard switched off, which succeeds.
//!
//! Neither may be set in production: a process that loads its settings does not start with one of the two variables unless
//! `deployment.mode` is `development`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// The environment variable: `name:count`, the count from 1 (and 1 if left out).
pub const VARIABLE: &str = "CIPHERWATT_FAILPOINT";

/// The environment variable that names a safeguard to leave out: see [`sabotaged`].
pub const SABOTAGE: &str = "CIPHERWATT_SABOTAGE";

/// Both variables.
pub(crate) const VARIABLES: [&str; 2] = [VARIABLE, SABOTAGE];

/// What can be left out, besides the rules of release. Each is asked for by this name where it holds.
const SAFEGUARDS: [&str; 32] = [
    // Each reading is counted once, and none is lost.
    "dedup",
    "journal",
    "fence",
    // Analytics: who may take how much room, and for how long.
    "small_sums",
    "feeder_share",
    "meter_quota",
    "retention_clock",
    // Analytics and operator.
    "window_clock",
    "min_meters_from",
    // Analytics, gateways and holders.
    "min_meters_floor",
    // Gateways.
    "plan_expiry",
    "wrong_epoch",
    // What a sum opens to, and what happens to one that does not open.
    "masks",
    "zeros",
    "grid",
    "divide",
    "refusal_share",
    // Holders of mask keys, and whoever pins them.
    "holders",
    "holder_pins",
    "closings",
    "consents_once",
    "countersigned",
    // Every process.
    "metrics_host",
    // The operator: who may join.
    "approval_digest",
    "desk",
    "first_meter",
    "registry",
    "gateway_prefix",
    "catch_all",
    "departures",
    "names",
    "issued_at",
];

/// The names of all safeguards that can be left out.
pub fn safeguards() -> impl Iterator<Item = &'static str> {
    let rules = ::release::Rule::ALL.into_iter();
    SAFEGUARDS
        .into_iter()
        .chain(rules.map(|rule| rule.as_str()))
}

const UNREAD: u8 = 0;
const OFF: u8 = 1;
const ARMED: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(UNREAD);
static TARGET: OnceLock<Option<Target>> = OnceLock::new();

/// Passes the point `name`: returns, unless the environment said that the process ends here.
///
/// The variable is read once, at the first point that is passed. A malformed value ends the process with exit code 2:
/// a test that kills nothing would prove nothing.
#[inline]
pub fn hit(name: &str) {
    // Relaxed: the state only ever goes from unread to one of the others, and those read `TARGET`, which synchronises.
    if STATE.load(Ordering::Relaxed) != OFF {
        passed(name);
    }
}

/// Whether the environment says to leave the safeguard `name` out. Only tests of tests ever do: the self-test of `bench chaos`
/// must notice, and the attacks of `bench attack` must succeed. A name that is none of [`safeguards`] ends the process with exit
/// code 2.
#[must_use]
pub fn sabotaged(name: &str) -> bool {
    static NAMED: OnceLock<Option<String>> = OnceLock::new();
    let named = NAMED.get_or_init(|| {
        let named = std::env::var(SABOTAGE).ok();
        if let Some(named) = &named {
            if safeguards().all(|known| known != named) {
                let known = safeguards().collect::<Vec<_>>().join(", ");
                eprintln!("error: {SABOTAGE}={named}: expected one of {known}");
                std::process::exit(i32::from(crate::exit::USAGE));
            }
            tracing::error!(
                safeguard = named,
                "left out, as {SABOTAGE} says: nothing this process does can be trusted"
            );
        }
        named
    });
    named.as_deref() == Some(name)
}

/// For tests: runs the test of this name, of the running test program, in a process without the safeguard.
///
/// # Errors
/// What it printed, if it did not fail there: then it does not show what the safeguard is there for.
pub fn fails_without(safeguard: &str, test: &str) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = std::process::Command::new(program);
    command.args(["--exact", test]).env(SABOTAGE, safeguard);
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match said.contains("0 passed; 1 failed") {
        true => Ok(()),
        false => Err(format!("{test} without {safeguard}: {said}")),
    }
}

#[cold]
fn passed(name: &str) {
    let target = TARGET.get_or_init(|| {
        let target = read();
        let state = if target.is_some() { ARMED } else { OFF };
        STATE.store(state, Ordering::Relaxed);
        target
    });
    if let Some(target) = target
        && target.reached(name)
    {
        eprintln!("failpoint {name}: aborting, as {VARIABLE} says");
        std::process::abort();
    }
}

fn read() -> Option<Target> {
    let text = std::env::var_os(VARIABLE)?;
    let target = text.to_str().and_then(Target::parse);
    if target.is_none() {
        eprintln!(
            "error: {VARIABLE}={}: expected NAME:COUNT, such as analytics.before_commit:3",
            text.display()
        );
        std::process::exit(i32::from(crate::exit::USAGE));
    }
    target
}

#[derive(Debug)]
struct Target {
    name: String,
    left: AtomicU64,
}

impl Target {
    fn parse(text: &str) -> Option<Self> {
        let (name, count) = text.split_once(':').unwrap_or((text, "1"));
        let left = count.parse().ok().filter(|count| *count > 0)?;
        (!name.is_empty()).then(|| Self {
            name: name.to_owned(),
            left: AtomicU64::new(left),
        })
    }

    /// Whether this passage of `name` is the last one. True exactly once, however many threads pass.
    fn reached(&self, name: &str) -> bool {
        name == self.name && self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Output};

    use super::*;

    #[test]
    fn a_target_is_a_name_and_a_count() {
        let target = Target::parse("a.b:2").unwrap();
        assert!(!target.reached("a"));
        assert!(!target.reached("a.b"));
        assert!(target.reached("a.b"));
        assert!(Target::parse("a.b").unwrap().reached("a.b"));
        for wrong in ["", ":1", "a:0", "a:-1", "a:x", "a:"] {
            assert!(Target::parse(wrong).is_none(), "{wrong}");
        }
    }

    /// Passes two points, three times each, unharmed. The tests below run it again in a process of its own.
    #[test]
    fn passes() {
        for passage in 1..=3 {
            println!("passage {passage}");
            hit("first");
            hit("second");
        }
    }

    fn run(value: Option<&str>) -> Output {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "failpoint::tests::passes", "--nocapture"]);
        match value {
            Some(value) => command.env(VARIABLE, value),
            None => command.env_remove(VARIABLE),
        };
        command.output().unwrap()
    }

    fn passages(output: &Output) -> usize {
        String::from_utf8_lossy(&output.stdout)
            .matches("passage ")
            .count()
    }

    #[test]
    fn the_process_aborts_at_the_passage_it_was_told() {
        let output = run(Some("second:2"));
        assert_eq!(output.status.signal(), Some(6), "{output:?}");
        assert_eq!(passages(&output), 2);
    }

    #[test]
    fn nothing_happens_unless_told() {
        let unset = run(None);
        assert!(unset.status.success(), "{unset:?}");
        let elsewhere = run(Some("third:1"));
        assert!(elsewhere.status.success(), "{elsewhere:?}");
        assert_eq!(passages(&elsewhere), 3);
    }

    #[test]
    fn safeguards_have_names_of_their_own() {
        let names: std::collections::BTreeSet<_> = safeguards().collect();
        assert_eq!(names.len(), safeguards().count());
    }

    /// Asks for a safeguard. The test below runs it again in a process of its own.
    #[test]
    fn asks() {
        println!("left out: {}", sabotaged("desk"));
    }

    #[test]
    fn a_safeguard_that_does_not_exist_is_refused() {
        let run = |value: &str| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "failpoint::tests::asks", "--nocapture"]);
            command.env(SABOTAGE, value).output().unwrap()
        };
        for (value, left_out) in [("desk", true), ("names", false)] {
            let output = run(value);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains(&format!("left out: {left_out}")), "{said}");
        }
        let output = run("desks");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("desks: expected one of"));
    }

    #[test]
    fn a_malformed_value_is_refused() {
        let output = run(Some("first:never"));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("first:never"));
    }
}
