//! A runtime for each service, so that the kernel says what each one takes.
//!
//! The services share a process; their threads carry their names. Threads the broker's library starts by itself have
//! names of their own and are known by being there since the services started.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use procfs::process::{ClearRefs, Process};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Handle, Runtime};

/// The services, as their threads are named.
const SERVICES: [&str; 4] = ["meter", "broker", "analytics", "operator"];

/// Idle threads stay, or what they took would be nobody's.
const KEEP: Duration = Duration::from_secs(3_600);

/// A runtime for each service.
pub struct Runtimes {
    runtimes: Vec<(&'static str, Runtime)>,
    /// Threads that were there before.
    others: HashSet<i32>,
}

/// What the process and its services have used up to a moment.
#[derive(Debug, Clone)]
pub struct Used {
    at: Instant,
    cpu: Duration,
    services: BTreeMap<&'static str, Duration>,
}

/// What they used between two moments.
#[derive(Debug, Clone, PartialEq)]
pub struct Spent {
    /// Time between the moments.
    pub wall_s: f64,
    /// Processor time of the process.
    pub cpu_s: f64,
    /// The same by service, with `bench` for the rest.
    pub by_service: BTreeMap<String, f64>,
}

impl Runtimes {
    /// Starts the threads.
    ///
    /// # Errors
    /// Where they cannot be started.
    pub fn start() -> io::Result<Self> {
        let others = threads().map(|(id, ..)| id).collect();
        let start = |name: &'static str| {
            let mut builder = Builder::new_multi_thread();
            let runtime = builder
                .thread_name(name)
                .thread_keep_alive(KEEP)
                .enable_all();
            Ok((name, runtime.build()?))
        };
        let runtimes = SERVICES.into_iter().map(start).collect::<io::Result<_>>()?;
        Ok(Self { runtimes, others })
    }

    /// The runtime of a service.
    ///
    /// # Panics
    /// Where there is no such service.
    #[must_use]
    pub fn of(&self, service: &str) -> &Handle {
        let found = self.runtimes.iter().find(|(name, _)| *name == service);
        found
            .unwrap_or_else(|| unreachable!("no service is called {service}"))
            .1
            .handle()
    }

    /// What has been used up to now.
    #[must_use]
    pub fn used(&self) -> Used {
        let mut services = BTreeMap::from(SERVICES.map(|service| (service, Duration::ZERO)));
        for (id, name, cpu) in threads() {
            if self.others.contains(&id) {
                continue;
            }
            let known = SERVICES
                .into_iter()
                .find(|service| name.starts_with(service));
            *services.entry(known.unwrap_or("broker")).or_default() += cpu;
        }
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Used {
            at: Instant::now(),
            cpu: Duration::new(
                cpu.tv_sec.unsigned_abs(),
                u32::try_from(cpu.tv_nsec).unwrap_or(0),
            ),
            services,
        }
    }

    /// Ends the threads; they are idle once the services have stopped.
    pub fn end(self) {
        for (_, runtime) in self.runtimes {
            runtime.shutdown_background();
        }
    }
}

impl Used {
    /// What was used since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Spent {
        let cpu_s = self.cpu.saturating_sub(before.cpu).as_secs_f64();
        let mut by_service: BTreeMap<String, f64> = BTreeMap::new();
        for (service, cpu) in &self.services {
            let earlier = before.services.get(service).copied().unwrap_or_default();
            by_service.insert(
                (*service).to_owned(),
                cpu.saturating_sub(earlier).as_secs_f64(),
            );
        }
        let known: f64 = by_service.values().sum();
        by_service.insert("bench".to_owned(), (cpu_s - known).max(0.0));
        Spent {
            wall_s: self.at.saturating_duration_since(before.at).as_secs_f64(),
            cpu_s,
            by_service,
        }
    }
}

/// Resident memory now, after the peak has been set back to it; `None` where the kernel does not say.
#[must_use]
pub fn reset_peak() -> Option<u64> {
    let process = Process::myself().ok()?;
    process.clear_refs(ClearRefs::PeakRSS).ok()?;
    Some(process.status().ok()?.vmrss? * 1024)
}

/// Greatest resident memory since [`reset_peak`].
#[must_use]
pub fn peak_rss() -> Option<u64> {
    Some(Process::myself().ok()?.status().ok()?.vmhwm? * 1024)
}

/// Each thread of this process: its id, its name and the processor time it has had. Empty where there is no `/proc`.
fn threads() -> impl Iterator<Item = (i32, String, Duration)> {
    let tasks = Process::myself().and_then(|process| process.tasks());
    tasks.into_iter().flatten().filter_map(|task| {
        let task = task.ok()?;
        let name = task.stat().ok()?.comm;
        let cpu = Duration::from_nanos(task.schedstat().ok()?.sum_exec_runtime);
        Some((task.tid, name, cpu))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_time_of_a_service_is_its_own() {
        let runtimes = Runtimes::start().unwrap();
        let before = runtimes.used();
        let work = async {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(60) {
                std::hint::spin_loop();
            }
        };
        let (done, wait) = std::sync::mpsc::channel();
        runtimes.of("analytics").spawn(async move {
            work.await;
            done.send(()).unwrap();
        });
        wait.recv().unwrap();
        let spent = runtimes.used().since(&before);
        assert!(spent.by_service["analytics"] > 0.0, "{spent:?}");
        assert!(
            spent.by_service["analytics"] > spent.by_service["meter"],
            "{spent:?}"
        );
        let sum: f64 = spent.by_service.values().sum();
        assert!(sum + 1e-9 >= spent.cpu_s, "{spent:?}");
        runtimes.end();
    }
}
