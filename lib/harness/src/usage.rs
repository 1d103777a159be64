//! What processes and threads take, as the kernel counts it. Zero, or nothing, where there is no `/proc`.
//!
//! The services of a run share a process. Each has a runtime of its own ([`crate::runtimes::Runtimes`]), whose threads carry
//! its name, so that the kernel says what each one takes.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use procfs::process::{ClearRefs, Process};
use procfs::{CurrentSI as _, KernelStats};
use rustix::time::{ClockId, clock_gettime};

/// Clock ticks a second in `/proc`: fixed at 100 for user space on Linux.
const TICKS: u64 = 100;

/// What a process has taken so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Processor time.
    pub cpu: Duration,
    /// Greatest resident memory since the start or [`reset_peak`]; `None` where the kernel does not say.
    pub peak_bytes: Option<u64>,
    /// Bytes the kernel wrote, or is to write, to disks.
    pub written_bytes: u64,
}

impl Usage {
    /// What this process has taken.
    #[must_use]
    pub fn now() -> Self {
        Self::of(std::process::id())
    }

    /// What the process of this id has taken.
    #[must_use]
    pub fn of(process: u32) -> Self {
        let Ok(process) = Process::new(process as i32) else {
            return Self::default();
        };
        let ticks = process.stat().map_or(0, |stat| stat.utime + stat.stime);
        let peak_kib = process.status().ok().and_then(|status| status.vmhwm);
        Self {
            cpu: Duration::from_millis(ticks * 1000 / TICKS),
            peak_bytes: peak_kib.map(|kib| kib * 1024),
            written_bytes: process.io().map_or(0, |io| io.write_bytes),
        }
    }

    /// What a server has taken: its first process, the children that it has, and those that have ended.
    #[must_use]
    pub fn of_server(processes: &[u32]) -> Self {
        let ended = processes.first().and_then(|first| {
            let stat = Process::new(*first as i32).and_then(|first| first.stat());
            let stat = stat.ok()?;
            u64::try_from(stat.cutime + stat.cstime).ok()
        });
        let all = processes.iter().map(|process| Self::of(*process));
        let ended = Self {
            cpu: Duration::from_millis(ended.unwrap_or(0) * 1000 / TICKS),
            ..Self::default()
        };
        all.fold(ended, |sum, each| Self {
            cpu: sum.cpu + each.cpu,
            peak_bytes: None,
            written_bytes: sum.written_bytes + each.written_bytes,
        })
    }

    /// What was used since `before`; the memory is the greatest so far.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            peak_bytes: self.peak_bytes,
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
        }
    }

    /// Greatest resident memory in MiB; 0 where the kernel does not say.
    #[must_use]
    pub fn peak_mib(&self) -> f64 {
        self.peak_bytes.unwrap_or(0) as f64 / f64::from(1 << 20)
    }
}

/// Resident memory now, after the peak has been set back to it; `None` where the kernel does not say.
#[must_use]
pub fn reset_peak() -> Option<u64> {
    let process = Process::myself().ok()?;
    process.clear_refs(ClearRefs::PeakRSS).ok()?;
    Some(process.status().ok()?.vmrss? * 1024)
}

/// Processor time of this thread up to now. Unlike a wall clock, it stands still while others have the processor.
#[must_use]
pub fn thread_time() -> Duration {
    time(ClockId::ThreadCPUTime)
}

fn time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(time.tv_sec.unsigned_abs(), nanoseconds)
}

/// Processor time of this process's threads by name, since a moment. To be looked at often: a thread that ends takes
/// with it what it used since.
#[derive(Debug)]
pub struct Threads {
    /// Each thread as last seen; whether it was there at the beginning.
    seen: HashMap<i32, (Duration, bool)>,
    spent: Spent,
    began: Instant,
    process: Duration,
    machine: Duration,
}

/// What threads took between two looks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spent {
    /// By threads that have been started since, by their names without numbers.
    pub new: BTreeMap<String, Duration>,
    /// By threads that were there before.
    pub old: BTreeMap<String, Duration>,
    /// By the whole process.
    pub process: Duration,
    /// By everything on the machine, waiting for disks excluded.
    pub machine: Duration,
    /// Wall time in between.
    pub wall: Duration,
}

impl Spent {
    /// Seconds of processor by service. Threads that have been started since, and have names of their own, are those that
    /// the broker's library starts; what is left of the process is `bench`.
    #[must_use]
    pub fn by_service(&self, services: &[&str]) -> BTreeMap<String, f64> {
        let mut spent: BTreeMap<String, f64> = services
            .iter()
            .map(|name| (name.to_string(), 0.0))
            .collect();
        for (thread, cpu) in &self.new {
            let known = services.iter().find(|name| thread.starts_with(**name));
            *spent
                .entry(known.unwrap_or(&"broker").to_string())
                .or_default() += cpu.as_secs_f64();
        }
        let known: f64 = spent.values().sum();
        let rest = (self.process.as_secs_f64() - known).max(0.0);
        spent.insert("bench".to_owned(), rest);
        spent
    }
}

impl Threads {
    /// Begins to count now; what is started from now on is new.
    #[must_use]
    pub fn now() -> Self {
        let seen = threads().map(|(id, _, cpu)| (id, (cpu, true)));
        let mut threads = Self {
            seen: seen.collect(),
            spent: Spent::default(),
            began: Instant::now(),
            process: Duration::ZERO,
            machine: Duration::ZERO,
        };
        threads.restart();
        threads
    }

    /// Counts again from 0; threads that were new are new still.
    pub fn restart(&mut self) {
        self.look();
        self.spent = Spent::default();
        self.began = Instant::now();
        self.process = time(ClockId::ProcessCPUTime);
        self.machine = busy();
    }

    /// Adds what each thread has had since the last look.
    pub fn look(&mut self) {
        for (id, name, cpu) in threads() {
            let (before, old) = self.seen.get(&id).copied().unwrap_or_default();
            self.seen.insert(id, (cpu, old));
            // Less than before: a thread that ended, and another with its id.
            let since = cpu.checked_sub(before).unwrap_or(cpu);
            let of = if old {
                &mut self.spent.old
            } else {
                &mut self.spent.new
            };
            *of.entry(name).or_default() += since;
        }
    }

    /// What was spent since counting began.
    pub fn spent(&mut self) -> Spent {
        self.look();
        Spent {
            process: time(ClockId::ProcessCPUTime).saturating_sub(self.process),
            machine: busy().saturating_sub(self.machine),
            wall: self.began.elapsed(),
            ..self.spent.clone()
        }
    }
}

/// Each thread of this process: its id, its name without its number, and the processor time it has had.
fn threads() -> impl Iterator<Item = (i32, String, Duration)> {
    let tasks = Process::myself().and_then(|process| process.tasks());
    tasks.into_iter().flatten().filter_map(|task| {
        let task = task.ok()?;
        let name = task.stat().ok()?.comm;
        let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '-');
        let cpu = Duration::from_nanos(task.schedstat().ok()?.sum_exec_runtime);
        Some((task.tid, name.to_owned(), cpu))
    })
}

/// Time that the machine's processors were not idle, or waiting for a disk.
fn busy() -> Duration {
    let Ok(stat) = KernelStats::current() else {
        return Duration::ZERO;
    };
    let cpu = stat.total;
    let interrupts = [cpu.irq, cpu.softirq, cpu.steal];
    let ticks = cpu.user + cpu.nice + cpu.system + interrupts.iter().flatten().sum::<u64>();
    Duration::from_millis(ticks * 1000 / TICKS)
}

#[cfg(test)]
mod tests {
    use crate::runtimes::Runtimes;

    use super::*;

    /// Uses 60 ms of processor, whatever else the machine does.
    fn spin() {
        let began = Instant::now();
        let mut sum = 0_u64;
        while thread_time() < Duration::from_millis(60) && began.elapsed() < Duration::from_secs(30)
        {
            sum = std::hint::black_box(sum + 1);
        }
    }

    #[test]
    fn a_busy_thread_is_found_by_its_name() {
        let mut threads = Threads::now();
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let (spun, ready) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("spinner-7".to_owned());
        let thread = thread.spawn(move || {
            spin();
            let _ = spun.send(());
            let _ = wait.recv();
        });
        ready.recv().unwrap();
        let spent = threads.spent();
        drop(done);
        thread.unwrap().join().unwrap();
        assert!(
            spent.new["spinner"] >= Duration::from_millis(40),
            "{spent:?}"
        );
        assert!(!spent.old.contains_key("spinner"));
        assert!(spent.machine > Duration::ZERO && spent.process >= spent.new["spinner"]);
    }

    #[test]
    fn the_processor_time_of_a_service_is_its_own() {
        let mut threads = Threads::now();
        let runtimes = Runtimes::start(&["meter", "analytics"]).unwrap();
        threads.restart();
        let (done, wait) = std::sync::mpsc::channel();
        runtimes.of("analytics").spawn(async move {
            spin();
            done.send(()).unwrap();
        });
        wait.recv().unwrap();
        let spent = threads.spent();
        let of = |name: &str| spent.new.get(name).copied().unwrap_or_default();
        assert!(of("analytics") > of("meter"), "{spent:?}");
    }
}
