//! Who used the processors: the whole machine, and this process by thread name.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Clock ticks a second in `/proc`: fixed at 100 for user space on Linux.
const TICKS: u64 = 100;

/// Processor time of each thread as last seen. To be looked at often: a thread that ends takes what it used since.
#[derive(Debug)]
pub struct Machine {
    threads: HashMap<u32, u64>,
    used: BTreeMap<String, u64>,
    busy: u64,
    began: Instant,
}

/// What was used, in cores.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Split {
    /// The whole machine, this process and all others.
    pub machine: f64,
    /// Of this process, by role.
    pub roles: BTreeMap<String, f64>,
}

impl Machine {
    /// Begins to count now.
    #[must_use]
    pub fn now() -> Self {
        let mut machine = Self {
            threads: HashMap::new(),
            used: BTreeMap::new(),
            busy: busy_ticks(),
            began: Instant::now(),
        };
        machine.look();
        machine.used.clear();
        machine
    }

    /// Looks at all threads.
    pub fn look(&mut self) {
        let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
            return;
        };
        for task in tasks.flatten() {
            let id = task.file_name().to_str().and_then(|id| id.parse().ok());
            let stat = std::fs::read_to_string(task.path().join("stat"));
            let (Some(id), Ok(stat)) = (id, stat) else {
                continue;
            };
            let Some((name, ticks)) = thread(&stat) else {
                continue;
            };
            let before = self.threads.insert(id, ticks).unwrap_or(0);
            // A thread that ended and another with its id.
            let since = ticks.checked_sub(before).unwrap_or(ticks);
            *self.used.entry(role(name).to_owned()).or_default() += since;
        }
    }

    /// What was used since the beginning.
    #[must_use]
    pub fn split(&mut self) -> Split {
        self.look();
        let wall_s = self.began.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
        let cores = |ticks: u64| ticks as f64 / TICKS as f64 / wall_s;
        Split {
            machine: cores(busy_ticks().saturating_sub(self.busy)),
            roles: self
                .used
                .iter()
                .filter(|(_, ticks)| **ticks > 0)
                .map(|(role, ticks)| (role.clone(), cores(*ticks)))
                .collect(),
        }
    }

    /// Processor time of a role since the beginning.
    #[must_use]
    pub fn of(&self, role: &str) -> Duration {
        let ticks = self.used.get(role).copied().unwrap_or(0);
        Duration::from_millis(ticks * 1000 / TICKS)
    }
}

/// Name and processor time of a thread, from its `stat`.
fn thread(stat: &str) -> Option<(&str, u64)> {
    let (start, fields) = stat.rsplit_once(')')?;
    let name = start.split_once('(')?.1;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // utime and stime are the 12th and 13th fields after the name.
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some((name, ticks(11)? + ticks(12)?))
}

/// What a thread of this name is for.
fn role(name: &str) -> &str {
    let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '-');
    match name {
        "router" => "broker, router",
        "broker" => "broker, connections",
        name => name,
    }
}

/// Time that the machine's processors were not idle, or waiting for a disk.
fn busy_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace();
    let ticks: Vec<u64> = fields
        .skip(1)
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    ticks.iter().sum::<u64>() - idle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_a_name_and_a_time_and_names_are_roles() {
        let stat = "12 (a (b) c-1) S 1 2 3 4 5 6 7 8 9 10 40 2 0 0 20";
        assert_eq!(thread(stat), Some(("a (b) c-1", 42)));
        assert_eq!(thread("nonsense"), None);
        assert_eq!(role("router-0"), "broker, router");
        assert_eq!(role("generator"), "generator");
    }

    #[test]
    fn a_busy_thread_is_found_by_its_name() {
        let mut machine = Machine::now();
        let spin = || {
            let began = Instant::now();
            let mut sum = 0_u64;
            while crate::resources::thread_time() < Duration::from_millis(60)
                && began.elapsed() < Duration::from_secs(30)
            {
                sum = std::hint::black_box(sum + 1);
            }
        };
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let (spun, ready) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("spinner-7".to_owned());
        let thread = thread.spawn(move || {
            spin();
            let _ = spun.send(());
            let _ = wait.recv();
        });
        ready.recv().unwrap();
        let split = machine.split();
        drop(done);
        thread.unwrap().join().unwrap();
        assert!(split.roles.contains_key("spinner"), "{split:?}");
        assert!(machine.of("spinner") >= Duration::from_millis(40));
        assert!(split.machine > 0.0);
    }
}
