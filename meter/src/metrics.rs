//! What a gateway counts and times.

pub(crate) mod audit;
mod kept;
pub(crate) mod live;
pub(crate) mod plan;

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use service::telemetry::register;
use wire::{Reason, Status};

use crate::outbox::ReceiptEffect;

pub(crate) use kept::{KeptEnd, kept, kept_ended};

const METERS: &str = "cipherwatt_meter_meters";
/// Counter: readings taken.
pub const READINGS: &str = "cipherwatt_meter_readings_total";
const EXPORTED: &str = "cipherwatt_meter_readings_exported_total";
const CLAMPED: &str = "cipherwatt_meter_readings_clamped_total";
const MISSING: &str = "cipherwatt_meter_readings_missing_total";
const ACCEPTED: &str = "cipherwatt_meter_reports_accepted_total";
const SEALED: &str = "cipherwatt_meter_reports_sealed_total";
/// Counter: bytes of the reports encrypted and signed.
pub const SEALED_BYTES: &str = "cipherwatt_meter_sealed_bytes_total";
const ENTERED_AGAIN: &str = "cipherwatt_meter_reports_entered_again_total";
const PUBLISHED: &str = "cipherwatt_meter_reports_published_total";
/// Counter: reports published again.
pub const RESENT: &str = "cipherwatt_meter_reports_resent_total";
/// Counter by `status`: reports a receipt confirmed as part of a sum, once more if sent again because its sum failed.
pub const SETTLED: &str = "cipherwatt_meter_reports_settled_total";
const REJECTED: &str = "cipherwatt_meter_reports_rejected_total";
const LOST: &str = "cipherwatt_meter_reports_lost_total";
const NOT_ENROLLED: &str = "cipherwatt_meter_enrolment_refusals_total";
const RECEIPTS: &str = "cipherwatt_meter_receipts_total";
const REFUSED: &str = "cipherwatt_meter_receipts_refused_total";
/// Gauge: reports without a receipt.
pub const OUTBOX: &str = "cipherwatt_meter_outbox_reports";
const UNRECEIPTED: &str = "cipherwatt_meter_unreceipted_reports";
const FULL: &str = "cipherwatt_meter_outbox_full";
const COMMITS: &str = "cipherwatt_meter_journal_commits_total";
const COMMIT: &str = "cipherwatt_meter_journal_commit_duration_seconds";
const FAILURES: &str = "cipherwatt_meter_journal_failures_total";
const FAILING: &str = "cipherwatt_meter_journal_failing";
/// Histogram, in seconds: encoding a report's readings and adding their pad.
pub const ENCODE: &str = "cipherwatt_meter_encode_duration_seconds";
/// Histogram, in seconds: encrypting a report and packing its ciphertext.
pub const ENCRYPT: &str = "cipherwatt_meter_encrypt_duration_seconds";
/// Histogram, in seconds: hashing, signing and enveloping a report.
pub const SIGN: &str = "cipherwatt_meter_sign_duration_seconds";
/// Histogram, in seconds: the three steps together.
pub const SEAL: &str = "cipherwatt_meter_seal_duration_seconds";
/// Histogram, in seconds: from a report's first publish to its receipt.
pub const RECEIPT: &str = "cipherwatt_meter_receipt_duration_seconds";

/// Every counter without a label, with its help.
const COUNTERS: [(&str, &str); 15] = [
    (READINGS, "Readings taken: one a meter and interval"),
    (
        EXPORTED,
        "Readings below zero: more was exported than drawn",
    ),
    (
        CLAMPED,
        "Readings beyond the declared capacity, or what the noise of holders is made for, clamped to it",
    ),
    (MISSING, "Intervals without a reading"),
    (
        ACCEPTED,
        "Reports whose readings are in the journal and the outbox",
    ),
    (
        SEALED,
        "Reports encrypted and signed, those sealed again included",
    ),
    (SEALED_BYTES, "Bytes of the reports encrypted and signed"),
    (
        ENTERED_AGAIN,
        "Reports whose readings were rounded again because the plan in force has coarser steps",
    ),
    (
        PUBLISHED,
        "Reports handed to the MQTT client, the repeated ones included",
    ),
    (
        RESENT,
        "Reports handed to the MQTT client again because no receipt came",
    ),
    (
        LOST,
        "Reports refused for good or beyond their feeder's reference: their readings are in no total",
    ),
    (RECEIPTS, "Receipts of analytics; one has many reports"),
    (
        REFUSED,
        "Messages on the receipt topic that are not a receipt of an analytics service of the plan",
    ),
    (COMMITS, "Commits of the journal"),
    (
        FAILURES,
        "Commits of the journal that failed and are tried again",
    ),
];

/// Every gauge, with its help.
const GAUGES: [(&str, &str); 5] = [
    (METERS, "Meters behind this gateway"),
    (OUTBOX, "Reports without a receipt, sealed or not"),
    (
        UNRECEIPTED,
        "Reports sealed and without a receipt, under way or about to be sent",
    ),
    (FULL, "1 while the outbox is full and no readings are taken"),
    (
        FAILING,
        "1 while the journal cannot be written and no readings are taken",
    ),
];

/// Every histogram, with its help.
const HISTOGRAMS: [(&str, &str); 6] = [
    (COMMIT, "One commit of the journal"),
    (
        ENCODE,
        "Encoding one report's readings as a CKKS plaintext, and adding the pad",
    ),
    (
        ENCRYPT,
        "Encrypting one report's plaintext and packing the ciphertext",
    ),
    (SIGN, "Hashing, signing and enveloping one report"),
    (SEAL, "Sealing one report: encode, encrypt and sign"),
    (
        RECEIPT,
        "From a report's first publish to its receipt, not counting reports of an earlier process",
    ),
];

/// Describes every metric and registers it, so that each is there from the start.
pub(crate) fn describe() {
    for (name, help) in COUNTERS {
        register::counter(name, help);
    }
    register::counters(
        SETTLED,
        "Reports a receipt confirmed as in a sum, by what it said; once more if sent again because its sum failed",
        "status",
        ["folded", "duplicate"],
    );
    register::counters(
        REJECTED,
        "Reports a receipt refused, by reason",
        "reason",
        Reason::ALL.iter().map(|reason| reason.as_str()),
    );
    register::counters(
        NOT_ENROLLED,
        "Meters the operator refused to enrol, once for each request, by reason",
        "reason",
        Reason::ALL.iter().map(|reason| reason.as_str()),
    );
    plan::describe();
    audit::describe();
    kept::describe();
    live::describe();
    for (name, help) in GAUGES {
        register::gauge(name, help);
    }
    for (name, help) in HISTOGRAMS {
        register::histogram(name, help);
    }
}

/// Meters were refused by the operator.
pub(crate) fn not_enrolled(reason: Reason, meters: u32) {
    counter!(NOT_ENROLLED, "reason" => reason.as_str()).increment(meters.into());
}

/// How long the stages of sealing a report took.
pub(crate) struct Stages {
    pub(crate) encode: Duration,
    pub(crate) encrypt: Duration,
    pub(crate) sign: Duration,
    pub(crate) whole: Duration,
}

pub(crate) fn meters(meters: usize) {
    gauge!(METERS).set(meters as f64);
}

pub(crate) fn readings(taken: u64, exported: u64, clamped: u64, missing: u64) {
    counter!(READINGS).increment(taken);
    counter!(EXPORTED).increment(exported);
    counter!(CLAMPED).increment(clamped);
    counter!(MISSING).increment(missing);
    counter!(ACCEPTED).increment(1);
}

/// Intervals without a reading of which there is no report either.
pub(crate) fn missing(intervals: u64) {
    counter!(MISSING).increment(intervals);
}

/// A report that no plan has room for.
pub(crate) fn left_out() {
    counter!(LOST).increment(1);
}

pub(crate) fn sealed(stages: &Stages, bytes: usize) {
    counter!(SEALED).increment(1);
    counter!(SEALED_BYTES).increment(bytes as u64);
    for (name, took) in [
        (ENCODE, stages.encode),
        (ENCRYPT, stages.encrypt),
        (SIGN, stages.sign),
        (SEAL, stages.whole),
    ] {
        histogram!(name).record(took.as_secs_f64());
    }
}

pub(crate) fn entered_again() {
    counter!(ENTERED_AGAIN).increment(1);
}

pub(crate) fn published(resent: bool) {
    counter!(PUBLISHED).increment(1);
    counter!(RESENT).increment(u64::from(resent));
}

pub(crate) fn outbox(waiting: usize, sealed: usize) {
    gauge!(OUTBOX).set(waiting as f64);
    gauge!(UNRECEIPTED).set(sealed as f64);
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

pub(crate) fn receipt_message(taken: bool) {
    counter!(if taken { RECEIPTS } else { REFUSED }).increment(1);
}

pub(crate) fn receipt(effect: ReceiptEffect, since_sent: Option<Duration>) {
    match effect {
        ReceiptEffect::Folded { status, .. } => {
            let label = match status {
                Status::Duplicate => "duplicate",
                _ => "folded",
            };
            counter!(SETTLED, "status" => label).increment(1);
            if let Some(waited) = since_sent {
                histogram!(RECEIPT).record(waited.as_secs_f64());
            }
        }
        ReceiptEffect::Retry(reason)
        | ReceiptEffect::Reseal(reason)
        | ReceiptEffect::Lost(reason) => {
            counter!(REJECTED, "reason" => reason.as_str()).increment(1);
            counter!(LOST).increment(u64::from(matches!(effect, ReceiptEffect::Lost(_))));
        }
        ReceiptEffect::Unknown => {}
    }
}
