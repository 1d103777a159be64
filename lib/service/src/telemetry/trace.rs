//! Following a report through the logs of all processes.
//!
//! A report and the sum it goes into share a trace: a window of a feeder. Every process derives its id from what is
//! on the wire anyhow, so no message carries it and no process has to trust another's. Within a trace a report is known
//! by the start of its ciphertext's digest. Neither says anything of its contents.
//!
//! Both are worked out when they are shown: a level that is off costs nothing.

use std::fmt;

use wire::{DeploymentId, Digest, FeederId, WindowStart};

/// The trace of a window of a feeder. Shown as 32 hexadecimal digits, the form of a W3C trace id: the first half of
/// SHA-256 over deployment, feeder (each with a line feed) and the window's start in decimal digits.
#[derive(Debug, Clone, Copy)]
pub struct Trace<'a> {
    /// The deployment.
    pub deployment: &'a DeploymentId,
    /// The feeder.
    pub feeder: &'a FeederId,
    /// The window.
    pub window: WindowStart,
}

impl fmt::Display for Trace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            deployment,
            feeder,
            window,
        } = self;
        let digest = Digest::of(format!("{deployment}\n{feeder}\n{}", window.0).as_bytes());
        digits(f, &digest.0[..16])
    }
}

/// A report within its trace: the first 16 hexadecimal digits of its ciphertext's digest.
#[derive(Debug, Clone, Copy)]
pub struct ReportId<'a>(pub &'a Digest);

impl fmt::Display for ReportId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        digits(f, &self.0.0[..8])
    }
}

fn digits(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_what_anybody_can_work_out() {
        let trace = |deployment: &str, feeder: &str, window| {
            Trace {
                deployment: &deployment.parse().unwrap(),
                feeder: &feeder.parse().unwrap(),
                window: WindowStart(window),
            }
            .to_string()
        };
        // printf 'dev\nfeeder-1\n1393804800' | sha256sum | cut -c 1-32
        let expected = "87d01762a7ef17a7159e7184471dce8c";
        assert_eq!(trace("dev", "feeder-1", 1_393_804_800), expected);
        for other in [
            trace("dev2", "feeder-1", 1_393_804_800),
            trace("dev", "feeder-11", 393_804_800),
            trace("dev", "feeder-1", 1_393_804_801),
        ] {
            assert_ne!(other, expected);
        }
        let digest = Digest([0xab; 32]);
        assert_eq!(ReportId(&digest).to_string(), "ab".repeat(8));
    }
}
