//! What all processes need of their machine: a clock, memory, file descriptors.

use std::process::{Command, Stdio};
use std::time::SystemTime;

use procfs::process::{LimitValue, Process};
use procfs::{Current as _, Meminfo};

use super::{Findings, Subject};

const MEBIBYTE: u64 = 1 << 20;

pub(super) fn examine(subjects: &[Subject], findings: &mut Findings) {
    findings.about(None);
    clock(findings);
    synchronised(findings);
    if subjects.is_empty() {
        return;
    }
    memory(
        subjects.iter().map(|subject| subject.memory).sum(),
        findings,
    );
    // Each process has its own limit.
    let needed = subjects.iter().map(|subject| subject.descriptors).max();
    descriptors(needed.unwrap_or(0), findings);
}

/// A clock that is behind the program's own file is wrong, and what it stamps would be refused.
fn clock(findings: &mut Findings) {
    let now = SystemTime::now();
    let shown = humantime::format_rfc3339_seconds(now);
    let built = std::env::current_exe().and_then(|path| path.metadata()?.modified());
    match built {
        Ok(built) if built > now => findings.fail(
            "clock",
            format!(
                "it says {shown}, before this program was built ({})",
                humantime::format_rfc3339_seconds(built)
            ),
            "set the clock: reports from the past or the future are refused",
        ),
        Ok(_) => findings.ok(
            "clock",
            format!("it says {shown}, after this program was built"),
        ),
        Err(error) => findings.ok(
            "clock",
            format!("it says {shown}; no build to compare with: {error}"),
        ),
    }
}

/// Whether the kernel's clock is disciplined, as `timedatectl` reads it from adjtimex(2).
fn synchronised(findings: &mut Findings) {
    const CHECK: &str = "clock sync";
    const REMEDY: &str = "run a time service such as systemd-timesyncd or chrony; a window closes by the clocks of \
                          meters, and reports that end more than analytics.future_tolerance ahead are refused";
    let answer = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .output();
    let text = answer
        .as_ref()
        .ok()
        .filter(|answer| answer.status.success())
        .map(|answer| String::from_utf8_lossy(&answer.stdout).trim().to_owned());
    match text.as_deref() {
        Some("yes") => findings.ok(CHECK, "the clock is synchronised"),
        Some("no") => findings.warn(CHECK, "the clock is not synchronised", REMEDY),
        // Without systemd nobody here can say.
        _ => findings.warn(
            CHECK,
            "timedatectl cannot say whether the clock is synchronised",
            "make sure that a time service runs here or on the host",
        ),
    }
}

fn memory(needed: u64, findings: &mut Findings) {
    const CHECK: &str = "memory";
    let available = Meminfo::current()
        .ok()
        .and_then(|memory| memory.mem_available);
    let needed_mib = needed / MEBIBYTE;
    match available {
        Some(available) if available < needed => findings.warn(
            CHECK,
            format!(
                "{} MiB are available, and these settings may come to use {needed_mib} MiB",
                available / MEBIBYTE
            ),
            "free some, or lower the limits in the settings (segments, windows, reports)",
        ),
        Some(available) => findings.ok(
            CHECK,
            format!(
                "{} MiB are available, and these settings may come to use {needed_mib} MiB",
                available / MEBIBYTE
            ),
        ),
        None => findings.warn(
            CHECK,
            "/proc/meminfo does not say how much is available",
            format!("make sure that there are {needed_mib} MiB"),
        ),
    }
}

fn descriptors(needed: u64, findings: &mut Findings) {
    const CHECK: &str = "open files";
    let limit = Process::myself()
        .and_then(|process| process.limits())
        .map(|limits| match limits.max_open_files.soft_limit {
            LimitValue::Unlimited => u64::MAX,
            LimitValue::Value(limit) => limit,
        });
    let remedy = format!("`ulimit -n {needed}`, or LimitNOFILE={needed} in a systemd unit");
    match limit {
        Ok(limit) if limit < needed => findings.fail(
            CHECK,
            format!("at most {limit}, and these settings may need {needed}"),
            remedy,
        ),
        Ok(u64::MAX) => findings.ok(CHECK, "no limit"),
        Ok(limit) => findings.ok(
            CHECK,
            format!("at most {limit}, and these settings may need {needed}"),
        ),
        Err(error) => findings.warn(CHECK, format!("the limit is not known: {error}"), remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn a_limit_below_what_is_needed_is_said_with_its_remedy() {
        let mut findings = Findings::default();
        descriptors(u64::MAX - 1, &mut findings);
        memory(u64::MAX, &mut findings);
        let all = &findings.all;
        // Where there is no limit there is nothing to say.
        assert!(
            all[0].status == Status::Ok || all[0].remedy.as_ref().unwrap().contains("LimitNOFILE")
        );
        assert_eq!(all[1].status, Status::Warn);
        let mut enough = Findings::default();
        descriptors(3, &mut enough);
        memory(1, &mut enough);
        assert_eq!(enough.worst(), Status::Ok);
    }
}
