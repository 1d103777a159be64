//! What a gateway counts and times.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use wire::{Reason, Status};

use crate::outbox::Settled;

const READINGS: &str = "cipherwatt_meter_readings_total";
const EXPORTED: &str = "cipherwatt_meter_readings_exported_total";
const CLAMPED: &str = "cipherwatt_meter_readings_clamped_total";
const MISSING: &str = "cipherwatt_meter_readings_missing_total";
const SEALED: &str = "cipherwatt_meter_reports_sealed_total";
const SEALED_BYTES: &str = "cipherwatt_meter_sealed_bytes_total";
const PUBLISHED: &str = "cipherwatt_meter_reports_published_total";
const RESENT: &str = "cipherwatt_meter_reports_resent_total";
const SETTLED: &str = "cipherwatt_meter_reports_settled_total";
const REJECTED: &str = "cipherwatt_meter_reports_rejected_total";
const OUTBOX: &str = "cipherwatt_meter_outbox_reports";
const FULL: &str = "cipherwatt_meter_outbox_full";
const COMMITS: &str = "cipherwatt_meter_journal_commits_total";
const COMMIT: &str = "cipherwatt_meter_journal_commit_duration_seconds";
const FAILURES: &str = "cipherwatt_meter_journal_failures_total";
const FAILING: &str = "cipherwatt_meter_journal_failing";
const ENCRYPT: &str = "cipherwatt_meter_encrypt_duration_seconds";
const SEAL: &str = "cipherwatt_meter_seal_duration_seconds";
const RECEIPT: &str = "cipherwatt_meter_receipt_duration_seconds";

/// Describes every metric and registers the counters, so that each is there at 0 from the start.
pub fn describe() {
    for (name, help) in [
        (READINGS, "Readings taken: one a meter and interval."),
        (
            EXPORTED,
            "Readings below zero: more was exported than drawn.",
        ),
        (
            CLAMPED,
            "Readings beyond the declared capacity, clamped to it.",
        ),
        (MISSING, "Intervals without a reading."),
        (SEALED, "Reports encrypted and signed."),
        (
            PUBLISHED,
            "Reports handed to the MQTT client, the repeated ones included.",
        ),
        (
            RESENT,
            "Reports handed to the MQTT client again for want of a receipt.",
        ),
        (COMMITS, "Commits of the journal."),
        (
            FAILURES,
            "Commits of the journal that failed and are tried again.",
        ),
    ] {
        describe_counter!(name, help);
        counter!(name).absolute(0);
    }
    describe_counter!(
        SEALED_BYTES,
        Unit::Bytes,
        "Bytes of the reports encrypted and signed."
    );
    counter!(SEALED_BYTES).absolute(0);
    describe_counter!(SETTLED, "Reports a receipt settled, by what it said.");
    for status in ["folded", "duplicate"] {
        counter!(SETTLED, "status" => status).absolute(0);
    }
    describe_counter!(REJECTED, "Receipts that refused a report, by reason.");
    for reason in Reason::ALL {
        counter!(REJECTED, "reason" => reason.as_str()).absolute(0);
    }
    describe_gauge!(OUTBOX, "Reports without a receipt, sealed or not.");
    for (name, help) in [
        (
            FULL,
            "1 while the outbox is full and no readings are taken.",
        ),
        (
            FAILING,
            "1 while the journal cannot be written and no readings are taken.",
        ),
    ] {
        describe_gauge!(name, help);
        gauge!(name).set(0.0);
    }
    for (name, help) in [
        (COMMIT, "One commit of the journal."),
        (ENCRYPT, "Encoding and encrypting one report."),
        (SEAL, "Encoding, encrypting and signing one report."),
        (RECEIPT, "From sealing a report to its receipt."),
    ] {
        describe_histogram!(name, Unit::Seconds, help);
    }
}

pub(crate) fn readings(taken: u64, exported: u64, clamped: u64, missing: u64) {
    counter!(READINGS).increment(taken);
    counter!(EXPORTED).increment(exported);
    counter!(CLAMPED).increment(clamped);
    counter!(MISSING).increment(missing);
}

pub(crate) fn sealed(encrypt: Duration, whole: Duration, bytes: usize) {
    counter!(SEALED).increment(1);
    counter!(SEALED_BYTES).increment(bytes as u64);
    histogram!(ENCRYPT).record(encrypt.as_secs_f64());
    histogram!(SEAL).record(whole.as_secs_f64());
}

pub(crate) fn published(resent: bool) {
    counter!(PUBLISHED).increment(1);
    counter!(RESENT).increment(u64::from(resent));
}

pub(crate) fn outbox(waiting: usize) {
    gauge!(OUTBOX).set(waiting as f64);
}

pub(crate) fn outbox_full(full: bool) {
    gauge!(FULL).set(f64::from(u8::from(full)));
}

pub(crate) fn journaled(done: bool, took: Duration) {
    if done {
        counter!(COMMITS).increment(1);
        histogram!(COMMIT).record(took.as_secs_f64());
    } else {
        counter!(FAILURES).increment(1);
    }
}

pub(crate) fn journal_failing(failing: bool) {
    gauge!(FAILING).set(f64::from(u8::from(failing)));
}

pub(crate) fn receipt(settled: Settled, since_sealed: Option<Duration>) {
    match settled {
        Settled::Done(status) => {
            let label = if status == Status::Duplicate {
                "duplicate"
            } else {
                "folded"
            };
            counter!(SETTLED, "status" => label).increment(1);
            if let Some(waited) = since_sealed {
                histogram!(RECEIPT).record(waited.as_secs_f64());
            }
        }
        Settled::Retry(reason) | Settled::Reseal(reason) | Settled::Lost(reason) => {
            counter!(REJECTED, "reason" => reason.as_str()).increment(1);
        }
        Settled::Unknown => {}
    }
}
