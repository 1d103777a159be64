//! Sums that are refused because of the noise that holders would add: who is told, and how often.

use service::Settings;
use wire::{NoiseTerms, PrivacyUnit};

use super::holders::{masks, take_one};
use super::noisy::noise;
use super::publish::sent;
use super::*;
use crate::publish::line::Content;

/// ε about household-days, of which the operator publishes none of fewer than five meters.
fn of_days(meters: u32) -> Bench {
    Bench::of(&Scene {
        meters,
        layout: Layout::Profile,
        batch: 2,
        reference_wh: 1_024,
        min_meters: 3,
        holders: true,
        noise: Some(NoiseTerms {
            unit: PrivacyUnit::HouseholdDay,
            epsilon_millionths: 50_000_000,
            ..noise()
        }),
        ..Scene::default()
    })
}

impl Bench {
    /// With recipients, of whom the press has the holders' terms.
    fn publish_days(&mut self) -> Settings {
        self.publish_noisy(|publish| {
            publish.recipients[0].unit = PrivacyUnit::HouseholdDay;
            publish.recipients[0].epsilon = 50.0;
        })
    }

    fn day_min_meters(&mut self, meters: u32) {
        self.taker.as_mut().unwrap().settings.day_min_meters = meters;
    }

    /// The answer to a sum of all meters that holders are to be asked about.
    fn refused_part(&mut self, window: u64, part: u16) -> TakeResult {
        let (sum, limbs) = self.sum(window, part, &self.reports(window, &meters()));
        let job = self.job_of(&sum, &limbs);
        take_one(self, job)
    }
}

fn is_refused(result: &TakeResult) -> bool {
    let expected = Reason::MinMeters;
    matches!(result, TakeResult::Rejected { reason, message: Some(_), .. } if *reason == expected)
}

/// Holders would refuse every part, and the windows after it would be divided unseen.
#[test]
fn a_sum_whose_parts_would_be_too_small_for_the_noise_is_not_divided() {
    let mut bench = of_days(8);
    let sealed = |bench: &Bench, window| bench.sum(window, 0, &bench.reports(window, &alike(0..8)));
    let (sum, limbs) = sealed(&bench, 1);
    let spoilt_checks = Job {
        masks: Some(masks(&bench, &sum, 7, false)),
        ..bench.job_of(&sum, &limbs)
    };
    let result = take_one(&mut bench, spoilt_checks);
    assert!(matches!(result, TakeResult::Burnt { .. }), "{result:?}");
    let (sum, limbs) = sealed(&bench, 2);
    let mut spoilt_payload = masks(&bench, &sum, 15, true);
    spoilt_payload.payload = masks(&bench, &sum, 7, true).payload;
    let spoilt_payload = Job {
        masks: Some(spoilt_payload),
        ..bench.job_of(&sum, &limbs)
    };
    let result = take_one(&mut bench, spoilt_payload);
    assert!(matches!(result, TakeResult::Burnt { .. }), "{result:?}");
    let (sum, limbs) = sealed(&bench, 3);
    let job = bench.job_of(&sum, &limbs);
    let result = take_one(&mut bench, job);
    assert!(
        matches!(result, TakeResult::NeedsHolders(_)),
        "the next window is looked at: {result:?}"
    );
    bench.day_min_meters(4);
    let spoilt_checks = Job {
        masks: Some(masks(&bench, &sum, 7, false)),
        ..bench.job_of(&sum, &limbs)
    };
    let result = take_one(&mut bench, spoilt_checks);
    assert!(
        matches!(result, TakeResult::Divided { .. }),
        "where its parts are large enough: {result:?}"
    );
}

/// Its holders consented by what was set then, and give the same answers again.
#[test]
fn a_sum_that_was_spent_before_the_settings_changed_is_asked_about_again() {
    let mut bench = of_days(3);
    bench.publish_days();
    let (sum, limbs) = bench.sum(1, 0, &bench.reports(1, &meters()));
    let opening = Opening::of(&sum, &Digest::of(&limbs));
    let ledger = &mut bench.taker.as_mut().unwrap().ledger;
    ledger.spend(&[opening]).unwrap();
    let job = bench.job_of(&sum, &limbs);
    let result = take_one(&mut bench, job);
    assert!(matches!(result, TakeResult::NeedsHolders(_)), "{result:?}");
    assert!(is_refused(&bench.refused_part(2, 0)), "nobody consented");
    assert_eq!(bench.published("press", 1), []);
}

/// Analytics can sign any part of any window.
#[test]
fn of_a_window_a_recipient_is_told_of_one_refusal_whatever_its_parts() {
    let mut bench = of_days(3);
    for _ in 0..2 {
        bench.publish_days();
        for part in [0, 7, 65_535] {
            assert!(is_refused(&bench.refused_part(1, part)));
        }
        for recipient in ["press", "town"] {
            let lines = bench.published(recipient, 1);
            assert!(
                matches!(&lines[..], [line] if line.part == Part(0)),
                "{lines:?}"
            );
        }
    }
}

#[test]
fn whom_a_refusal_was_told_gets_no_total_of_that_part_later() {
    let mut bench = of_days(3);
    bench.publish_days();
    assert!(is_refused(&bench.refused_part(1, 0)));
    bench.day_min_meters(3);
    let job = bench.noisy_job(1, [5, -5]);
    let results = bench.take(vec![job]);
    assert!(
        matches!(&results[..], [TakeResult::Taken { .. }]),
        "{results:?}"
    );
    assert_eq!(sent(&results), []);
    bench.publish_days();
    let lines = bench.published("press", 1);
    assert!(
        matches!(&lines[..], [line] if matches!(line.content, Content::Refused { .. })),
        "{lines:?}"
    );
}

#[test]
fn a_refusal_that_could_not_be_written_is_written_with_the_next_or_at_the_next_start() {
    for restarts in [false, true] {
        let mut bench = of_days(3);
        let folder = bench.dir.path().join("recipients");
        std::fs::write(&folder, "in the way").unwrap();
        bench.publish_days();
        assert!(is_refused(&bench.refused_part(1, 0)));
        std::fs::remove_file(&folder).unwrap();
        match restarts {
            true => drop(bench.publish_days()),
            false => assert!(is_refused(&bench.refused_part(2, 0))),
        }
        for _ in 0..2 {
            assert_eq!(bench.published("press", 1).len(), 1);
            bench.publish_days();
        }
    }
}

#[test]
fn a_sum_whose_refusal_cannot_be_told_yet_is_not_answered() {
    let mut bench = of_days(3);
    let settings = bench.publish_days();
    let disk = FailingDisk::default();
    let on = disk.clone();
    bench.publish(&settings, |ledger| ledger.on(on));
    disk.fail_after(0, u64::MAX);
    let result = bench.refused_part(1, 0);
    assert!(matches!(result, TakeResult::Deferred), "{result:?}");
    bench.publish_days();
    assert_eq!(bench.published("press", 1), []);
    assert!(is_refused(&bench.refused_part(1, 0)));
    assert_eq!(bench.published("press", 1).len(), 1);
}
