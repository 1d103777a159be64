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
fn noise() -> NoiseTerms {
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
    Bench::of(&Scene {
        meters: 3,
        layout: Layout::Profile,
        batch: 2,
        reference_wh: 1_024,
        min_meters: 3,
        holders: true,
        noise: Some(noise()),
        ..Scene::default()
    })
}

impl Bench {
    /// With recipients, and the agreement in the file that the settings name.
    fn publish_noisy(&mut self, change: impl FnOnce(&mut Publish)) -> Settings {
        let mut settings = settings(change);
        settings.deployment.id = deployment();
        let file = self.dir.path().join("1.agreement");
        std::fs::write(&file, self.plan.holders[0].to_bytes()).unwrap();
        settings.holders.agreements = vec![file];
        self.publish(&settings, |ledger| ledger);
        settings
    }

    /// The honest sum of all meters, with what holders give that have added these quanta.
    fn noisy_job(&self, window: u64, quanta: [i64; 2]) -> Job {
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

/// The one recipient whose terms are the holders'.
fn press(publish: &mut Publish) {
    publish.recipients.truncate(1);
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

#[test]
fn what_holders_refuse_since_the_budget_is_spent_is_final_and_recipients_are_told_once() {
    let mut bench = noisy();
    bench.publish_noisy(press);
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
    let lines = bench.published("press", 1);
    let spent = Content::Refused {
        refused: NoTotal::BudgetSpent,
    };
    assert_eq!(
        lines.iter().map(|line| &line.content).collect::<Vec<_>>(),
        [&spent]
    );
}
