//! How long a run takes, before it starts: a small model, scaled by one measured point.

use std::time::Duration;

use super::work::Work;

/// Keys, enrolment and stop of the services, in seconds.
const START_S: f64 = 0.8;
/// A meter's keys and enrolment, in seconds.
const METER_S: f64 = 0.0004;
/// A meter's reading of one interval, and the journal's commit of the interval for all of them, in seconds.
const READING_S: f64 = 0.000_000_5;
const INTERVAL_S: f64 = 0.003;
/// A report from seal to receipt, on two cores, in seconds.
const REPORT_S: f64 = 0.000_8;
/// Closing, releasing and decrypting a window of a feeder, in seconds.
const RELEASE_S: f64 = 0.003;
/// Rounds of sending again where reports are lost, each about as long as the shortest wait for a receipt.
const RETRIES: f64 = 4.0;
const RETRY_S: f64 = 0.75;
/// Memory of the process with one small fleet, and of each meter more, in bytes.
const PROCESS_BYTES: u64 = 400 << 20;
const METER_BYTES: u64 = 16 << 10;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimate {
    /// Measured over modelled.
    factor: f64,
}

impl Estimate {
    /// The model of the machine that `work` took `measured` on.
    pub(crate) fn calibrated(work: &Work, measured: Duration) -> Self {
        let factor = measured.as_secs_f64() / modelled(work);
        // A stall while calibrating must not put off everything.
        let factor = factor.clamp(0.25, 20.0);
        Self { factor }
    }

    /// Seconds that one repeat takes, start and stop included.
    pub(crate) fn seconds(&self, work: &Work) -> f64 {
        let paced = |speed| work.event_s() as f64 / speed;
        let paced = work.speed.map_or(0.0, paced);
        (modelled(work) * self.factor).max(paced + START_S * self.factor)
    }

    pub(crate) fn bytes(&self, work: &Work) -> u64 {
        PROCESS_BYTES + u64::from(work.meters) * METER_BYTES
    }
}

fn modelled(work: &Work) -> f64 {
    let intervals = f64::from(work.windows) * f64::from(work.batch);
    let meters = f64::from(work.meters);
    let rounds = if work.loss > 0.0 { RETRIES } else { 0.0 };
    START_S
        + meters * METER_S
        + intervals * (INTERVAL_S + meters * READING_S)
        + work.reports() as f64 * REPORT_S
        + f64::from(work.windows) * f64::from(work.feeders) * RELEASE_S
        + 2.0 * work.latency.as_secs_f64()
        + rounds * RETRY_S
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::schema::Parameter;
    use crate::sweep::Options;

    fn work(parameter: Parameter, label: &str) -> Work {
        Work::of(parameter, label, &Options::default()).unwrap()
    }

    #[test]
    fn a_slower_machine_takes_longer_and_a_calibration_gives_itself() {
        let point = work(Parameter::Meters, "100");
        let estimate = Estimate::calibrated(&point, Duration::from_secs(9));
        assert!((estimate.seconds(&point) - 9.0).abs() < 1e-9);
        let slower = Estimate::calibrated(&point, Duration::from_secs(18));
        let large = work(Parameter::Meters, "10000");
        assert!(slower.seconds(&large) > estimate.seconds(&large));
        assert!(estimate.seconds(&large) > estimate.seconds(&point));
    }

    #[test]
    fn a_paced_point_takes_its_event_time_on_any_machine() {
        let point = work(Parameter::Interval, "60s");
        let fast = Estimate::calibrated(&work(Parameter::Meters, "100"), Duration::from_millis(1));
        assert!(fast.seconds(&point) >= point.event_s() as f64 / point.speed.unwrap());
    }
}
