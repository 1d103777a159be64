//! Sums whose holders have added noise: the operator sees no exact total, and recipients get the noise there is.

use packed::RING;
use service::Settings;
use service::config::Publish;
use wire::{NoiseTerms, PrivacyUnit, Total};

use super::holders::{masks, take_one};
use super::publish::{sent, settings};
use super::*;
use crate::holders::masks::HolderMasks;
use crate::publish::line::{Content, NoTotal};

/// ε 1 an interval, readings up to 99 W for a quarter of an hour, and ε 9 in a period: a holder lets 6 of it pass.
pub(super) fn noise() -> NoiseTerms {
    NoiseTerms {
        unit: PrivacyUnit::Interval,
        epsilon_millionths: 1_000_000,
        delta_quadrillionths: 0,
        rho_trillionths: 0,
        clip_w: 400,
        budget_millionths: 9_000_000,
        period_s: 1 << 31,
        feeders: Vec::new(),
    }
}

fn noisy() -> Bench {
    noisy_by(noise())
}

fn noisy_by(noise: NoiseTerms) -> Bench {
    Bench::of(&Scene {
        meters: 3,
        layout: Layout::Profile,
        batch: 2,
        reference_wh: 1_024,
        min_meters: 3,
        holders: true,
        noise: Some(noise),
        ..Scene::default()
    })
}

impl Bench {
    /// With recipients, and the agreement in the file that the settings name.
    pub(super) fn publish_noisy(&mut self, change: impl FnOnce(&mut Publish)) -> Settings {
        let mut settings = settings(change);
        settings.deployment.id = deployment();
        let file = self.dir.path().join("1.agreement");
        std::fs::write(&file, self.plan.holders[0].to_bytes()).unwrap();
        settings.holders.agreements = vec![file];
        self.publish(&settings, |ledger| ledger);
        settings
    }

    /// The honest sum of all meters, with what holders give that have added these quanta.
    pub(super) fn noisy_job(&self, window: u64, quanta: [i64; 2]) -> Job {
        let (sum, limbs) = self.sum(window, 0, &self.reports(window, &meters()));
        let mut masks = masks(self, &sum, 15, true);
        let encoding = self.fleet.encoding();
        let words = masks.payload.as_mut().unwrap();
        for (k, quanta) in quanta.into_iter().enumerate() {
            let noise = RING.residue(quanta << encoding.quantum_bits());
            words[k] = (words[k] + RING.modulus - noise) % RING.modulus;
        }
        words[encoding.shape.clamped()].fill(0);
        Job {
            masks: Some(masks),
            ..self.job_of(&sum, &limbs)
        }
    }
}

#[test]
fn the_operator_sees_the_noisy_total_and_passes_it_on_with_what_its_noise_is() {
    let mut bench = noisy();
    bench.publish_noisy(|_| {});
    // Far beyond what three meters can have entered.
    let job = bench.noisy_job(1, [1_000_000, -1_000_000]);
    let results = bench.take(vec![job]);
    let [
        TakeResult::Taken {
            report,
            messages,
            published,
            ..
        },
    ] = &results[..]
    else {
        panic!("{results:?}");
    };
    assert_eq!(report.energy_wh, [Some(1_000_063), Some(-998_905)]);
    assert_eq!(
        (report.clamped, report.present.as_slice()),
        (None, &[Some(3), Some(3)][..])
    );
    let said = report.noise().unwrap();
    // 400 W are 100 Wh, and a quantum more; of either sign.
    assert_eq!(
        (said.sensitivity_wh, said.shares, said.scale_wh),
        (202, 4, 202.0)
    );
    assert!(
        (607..4 * 606).contains(&said.half_width_wh),
        "more than of one share"
    );
    assert!(
        messages
            .iter()
            .all(|(_, bytes)| wire::decode::<Total>(bytes, bytes.len()).is_err()),
        "whoever reads exact totals gets none"
    );
    let sent = sent(&results);
    assert_eq!(
        (sent.len(), &sent[0].energy_wh, sent[0].shares),
        (1, &report.energy_wh, 4)
    );
    let refused = Content::Refused {
        refused: NoTotal::OtherNoise,
    };
    assert_eq!(bench.published("town", 1)[0].content, refused);
    // Two intervals of ε 1, once, whoever gets them.
    assert_eq!(published.left.unwrap().round(), 4.0);
}

/// Each holder lets its share of the budget pass, and not always the same ones consent: together they may have let more pass.
#[test]
fn what_holders_have_paid_for_every_recipient_gets_and_it_is_spent_once_a_window() {
    let mut bench = noisy();
    bench.publish_noisy(|publish| {
        publish.recipients[1] = service::config::Recipient {
            name: "paper".parse().unwrap(),
            ..publish.recipients[0].clone()
        };
    });
    let mut left = Vec::new();
    for window in 1..=4 {
        let job = bench.noisy_job(window, [5, -5]);
        let TakeResult::Taken { published, .. } = take_one(&mut bench, job) else {
            panic!("it opens");
        };
        left.push(published.left.unwrap().round());
        for recipient in ["press", "paper"] {
            let lines = bench.published(recipient, window);
            assert!(
                matches!(&lines[..], [line] if matches!(line.content, Content::Noisy(_))),
                "{recipient} of window {window}: {lines:?}"
            );
        }
    }
    assert_eq!(left, [4.0, 2.0, 0.0, 0.0]);
}

/// Nobody consents to it, whoever is asked: it would come again for ever.
#[test]
fn a_sum_whose_noise_leaves_nothing_to_read_is_refused_before_any_holder_is_asked() {
    service::telemetry::install_metrics();
    let far = NoiseTerms {
        epsilon_millionths: 1_000,
        clip_w: 0,
        ..noise()
    };
    let of_days = NoiseTerms {
        unit: PrivacyUnit::HouseholdDay,
        ..noise()
    };
    for (noise, reason, said) in [
        (far, Reason::BeyondProfile, NoTotal::BeyondProfile),
        (of_days, Reason::MinMeters, NoTotal::TooFewMeters),
    ] {
        let unit = noise.unit;
        let epsilon = noise.epsilon_millionths as f64 / 1e6;
        let mut bench = noisy_by(noise);
        bench.publish_noisy(|publish| {
            (publish.recipients[0].unit, publish.recipients[0].epsilon) = (unit, epsilon);
        });
        let (sum, limbs) = bench.sum(1, 0, &bench.reports(1, &meters()));
        assert_refused(&mut bench, (&sum, &limbs), reason);
        for (recipient, refused) in [("press", said), ("town", NoTotal::OtherNoise)] {
            let lines = bench.published(recipient, 1);
            let contents: Vec<_> = lines.iter().map(|line| &line.content).collect();
            assert_eq!(contents, [&Content::Refused { refused }], "{recipient}");
        }
        assert_eq!(bench.totals(), 0);
    }
    // No other test has one.
    let counted = "noisy_totals_refused_total{reason=\"beyond_profile\"} 1\n";
    let text = service::telemetry::render_metrics();
    assert!(text.contains(counted), "{text}");
}

/// A sum is refused without a question, each time that it comes.
fn assert_refused(bench: &mut Bench, (sum, limbs): (&Sum, &[u8]), expected: Reason) {
    for _ in 0..2 {
        let job = bench.job_of(sum, limbs);
        match take_one(bench, job) {
            TakeResult::Rejected {
                reason, message, ..
            } => assert_eq!((reason, message.is_some()), (expected, true)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_holders_refuse_since_the_budget_is_spent_is_final_and_recipients_are_told_once() {
    let mut bench = noisy();
    bench.publish_noisy(|_| {});
    let (sum, limbs) = bench.sum(1, 0, &bench.reports(1, &meters()));
    let refused = Job {
        masks: Some(HolderMasks {
            refused: Some(Reason::BudgetSpent),
            ..masks(&bench, &sum, 15, false)
        }),
        ..bench.job_of(&sum, &limbs)
    };
    for _ in 0..2 {
        let TakeResult::Rejected {
            reason, message, ..
        } = take_one(&mut bench, refused.clone())
        else {
            panic!("it is refused");
        };
        assert_eq!(reason, Reason::BudgetSpent);
        assert!(message.is_some(), "analytics is told");
    }
    // The town's terms are not the holders': it gets nothing of this feeder, whatever is left.
    for (recipient, refused) in [
        ("press", NoTotal::BudgetSpent),
        ("town", NoTotal::OtherNoise),
    ] {
        let lines = bench.published(recipient, 1);
        let contents: Vec<_> = lines.iter().map(|line| &line.content).collect();
        assert_eq!(contents, [&Content::Refused { refused }], "{recipient}");
    }
}
