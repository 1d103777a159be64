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
//! safeguard off. The process says so, as an error, in its log.
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

/// Whether the environment says to leave the safeguard `name` out. Only the self-test of `bench chaos` ever does: it must
/// notice.
#[must_use]
pub fn sabotaged(name: &str) -> bool {
    static NAMED: OnceLock<Option<String>> = OnceLock::new();
    let named = NAMED.get_or_init(|| {
        let named = std::env::var(SABOTAGE).ok();
        if let Some(named) = &named {
            tracing::error!(
                safeguard = named,
                "left out, as {SABOTAGE} says: nothing this process does can be trusted"
            );
        }
        named
    });
    named.as_deref() == Some(name)
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
    fn a_malformed_value_is_refused() {
        let output = run(Some("first:never"));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("first:never"));
    }
}
