//! Processor time and memory of this process, as the kernel counts them.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Clock ticks a second in `/proc`: fixed at 100 for user space on Linux.
const TICKS: u64 = 100;

/// What has been used up to a moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    cpu: Duration,
    peak_mib: f64,
    written_bytes: u64,
}

/// What was used between two moments.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Processor time, user and system.
    pub cpu: Duration,
    /// The same as a number of cores.
    pub cores: f64,
    /// Greatest resident memory so far, in MiB.
    pub peak_mib: f64,
    /// Bytes the kernel wrote, or is to write, to disks.
    pub written_bytes: u64,
}

impl Usage {
    /// What has been used up to now; zero where there is no `/proc`.
    #[must_use]
    pub fn now() -> Self {
        Self::of(std::process::id())
    }

    /// The same of another process; zero once it is gone.
    #[must_use]
    pub fn of(process: u32) -> Self {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}"));
        let stat = read("stat").unwrap_or_default();
        // After the command's closing parenthesis, utime and stime are the 12th and 13th fields.
        let fields = stat
            .rsplit_once(')')
            .map_or("", |(_, fields)| fields)
            .split_whitespace();
        let ticks: u64 = fields
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        let status = read("status").unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        let io = read("io").unwrap_or_default();
        let written = io
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes:")?.trim().parse().ok());
        Self {
            cpu: Duration::from_millis(ticks * 1000 / TICKS),
            peak_mib: kib.unwrap_or(0.0) / 1024.0,
            written_bytes: written.unwrap_or(0),
        }
    }

    /// What was used since `before`, `wall` ago.
    #[must_use]
    pub fn since(&self, before: &Self, wall: Duration) -> Used {
        let cpu = self.cpu.saturating_sub(before.cpu);
        Used {
            cpu,
            cores: cpu.as_secs_f64() / wall.as_secs_f64().max(f64::MIN_POSITIVE),
            peak_mib: self.peak_mib,
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
        }
    }
}

/// Processor time of this thread up to now. Unlike a wall clock, it stands still while others have the processor.
#[must_use]
pub fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
