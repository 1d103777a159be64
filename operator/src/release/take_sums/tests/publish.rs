//! Noisy totals: paid for once, drawn once, whatever fails.

use service::Settings;
use service::config::Publish;
use wire::NoisyTotal;

use super::*;
use crate::publish::line::{Content, Line, NoTotal, Noisy};
use crate::publish::recipients::Recipients;
use crate::release::ledger::state;

/// ε 1 an interval for the press; ε 1, δ 10⁻⁶ a household-day for the town.
pub(super) fn settings(change: impl FnOnce(&mut Publish)) -> Settings {
    let mut settings = Settings::defaults();
    let recipients = serde_json::json!([
        { "name": "press", "unit": "interval", "mechanism": "laplace", "epsilon": 1.0 },
        { "name": "town", "unit": "household-day", "mechanism": "gaussian", "epsilon": 1.0, "delta": 1e-6 },
    ]);
    settings.publish.recipients = serde_json::from_value(recipients).unwrap();
    settings.publish.household_day_min_meters = 3;
    settings.publish.budget_epsilon = 1e6;
    change(&mut settings.publish);
    settings
}

impl Bench {
    pub(super) fn publish(&mut self, settings: &Settings, change: impl FnOnce(Ledger) -> Ledger) {
        self.restart(change);
        let recipients = Recipients::new(settings).unwrap();
        let totals = self.dir.path().join("totals.jsonl");
        let taker = self.taker.take().unwrap();
        self.taker = Some(taker.publishing(recipients, &totals).unwrap());
    }

    pub(super) fn published(&self, recipient: &str, window: u64) -> Vec<Line> {
        let lines = self.lines(&format!("recipients/{recipient}.jsonl"));
        let lines = lines
            .iter()
            .map(|line| serde_json::from_str::<Line>(line).unwrap());
        let start = WindowStart(self.fleet.window(window));
        lines.filter(|line| line.window_start == start).collect()
    }

    fn noisy(&self, recipient: &str, window: u64) -> Noisy {
        match self.published(recipient, window).pop().unwrap().content {
            Content::Noisy(noisy) => *noisy,
            refused => panic!("{refused:?}"),
        }
    }
}

/// The noisy totals that leave with results.
pub(super) fn sent(results: &[TakeResult]) -> Vec<NoisyTotal> {
    let messages = results.iter().flat_map(|result| match result {
        TakeResult::Taken { messages, .. } => messages.as_slice(),
        _ => &[],
    });
    let noisy = messages.filter_map(|(_, bytes)| {
        let total = wire::decode::<NoisyTotal>(bytes, bytes.len()).ok()?;
        Some(total.claimed().clone())
    });
    noisy.collect()
}

#[test]
fn a_recipient_gets_a_noisy_total_that_says_what_its_noise_is() {
    let mut bench = Bench::new();
    bench.publish(&settings(|_| {}), |ledger| ledger);
    let results = bench.take(vec![bench.job(1)]);
    let noisy = bench.noisy("press", 1);
    assert_eq!(
        (noisy.said.unit.as_str(), noisy.said.mechanism.as_str()),
        ("interval", "laplace")
    );
    assert_eq!(
        (noisy.said.epsilon, noisy.said.delta, noisy.energy_wh.len()),
        (1.0, None, 2)
    );
    // ε is 1, so the scale is the sensitivity.
    assert_eq!(noisy.said.scale_wh, noisy.said.sensitivity_wh as f64);
    assert!(noisy.said.half_width_wh > 2 * noisy.said.sensitivity_wh);
    let day = bench.noisy("town", 1);
    assert_eq!(
        (day.said.delta, day.said.sensitivity_wh),
        (Some(1e-6), noisy.said.sensitivity_wh)
    );
    let messages = sent(&results);
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0].energy_wh, noisy.energy_wh);
    assert_eq!(messages[1].delta_quadrillionths, 1_000_000_000);
    // The exact total is as it was.
    assert!(
        matches!(&results[..], [TakeResult::Taken { report, .. }] if report.energy_wh == [Some(63), Some(1095)])
    );
}

#[test]
fn wherever_the_disk_fails_a_recipient_has_one_total_of_a_window_paid_for_once() {
    let mut bench = Bench::new();
    let settings = settings(|_| {});
    let mut failures = 0;
    loop {
        let window = failures + 1;
        let disk = FailingDisk::default();
        let on = disk.clone();
        bench.publish(&settings, |ledger| ledger.on(on));
        let before = disk.operations();
        disk.fail_after(failures, u64::MAX);
        let job = bench.job(window);
        let mut left = sent(&bench.take(vec![job.clone()]));
        let has_failed = disk.operations() - before > failures;
        // As after a kill there.
        bench.publish(&settings, |ledger| ledger);
        left.extend(sent(&bench.take(vec![job])));
        for recipient in ["press", "town"] {
            let lines = bench.published(recipient, window);
            let [line] = &lines[..] else {
                panic!("{recipient}, after {failures} operations: {lines:?}")
            };
            let message = line.message().unwrap();
            let mut of_recipient = left
                .iter()
                .filter(|total| total.recipient == message.recipient);
            assert!(
                of_recipient.all(|total| *total == message),
                "{recipient}: {left:?}"
            );
        }
        if !has_failed {
            break;
        }
        failures += 1;
    }
    assert!(failures > 20, "{failures} operations");
    bench.taker = None;
    let state = state(bench.dir.path(), &deployment(), true)
        .unwrap()
        .unwrap();
    let given = &state.given_away["feeder-1"];
    assert_eq!(given.len() as u64, failures + 1);
    let first = given[0].1;
    assert_eq!(first.epsilon, 2_000_000_000, "two intervals of ε 1");
    assert!(
        first.rho > 0 && given.iter().all(|(_, spent)| *spent == first),
        "{given:?}"
    );
}

#[test]
fn once_the_budget_is_spent_nothing_more_is_published_in_the_period_and_that_is_said() {
    let mut bench = Bench::new();
    let settings = settings(|publish| {
        publish.recipients.truncate(1);
        publish.budget_epsilon = 5.0;
    });
    bench.publish(&settings, |ledger| ledger);
    let left = |results: &[TakeResult]| match results {
        [TakeResult::Taken { published, .. }] => published.left.unwrap().round(),
        other => panic!("{other:?}"),
    };
    for (window, expected) in [(1, 3.0), (2, 1.0), (3, 1.0)] {
        assert_eq!(left(&bench.take(vec![bench.job(window)])), expected);
    }
    bench.publish(&settings, |ledger| ledger);
    assert_eq!(
        left(&bench.take(vec![bench.job(4)])),
        1.0,
        "after a restart too"
    );
    let refused = Content::Refused {
        refused: NoTotal::BudgetSpent,
    };
    for window in [3, 4] {
        assert_eq!(bench.published("press", window)[0].content, refused);
    }
    assert_eq!(bench.totals(), 4, "exact totals go on");
    // The next period has a budget of its own.
    let period = settings.publish.budget_period.as_secs();
    let of = |window| bench.fleet.window(window) / period;
    let later = (5..).find(|window| of(*window) > of(4)).unwrap();
    assert_eq!(left(&bench.take(vec![bench.job(later)])), 3.0);
}

#[test]
fn a_household_day_of_a_small_feeder_is_not_published() {
    let mut bench = Bench::new();
    bench.publish(
        &settings(|publish| publish.household_day_min_meters = 4),
        |ledger| ledger,
    );
    let results = bench.take(vec![bench.job(1)]);
    assert_eq!(sent(&results).len(), 1);
    let refused = Content::Refused {
        refused: NoTotal::TooFewMeters,
    };
    assert_eq!(bench.published("town", 1)[0].content, refused);
}

#[test]
fn a_total_that_could_not_be_written_for_its_recipient_is_written_at_the_next_start() {
    let mut bench = Bench::new();
    let settings = settings(|_| {});
    let folder = bench.dir.path().join("recipients");
    std::fs::write(&folder, "in the way").unwrap();
    bench.publish(&settings, |ledger| ledger);
    let messages = sent(&bench.take(vec![bench.job(1)]));
    std::fs::remove_file(&folder).unwrap();
    for _ in 0..2 {
        bench.publish(&settings, |ledger| ledger);
        assert_eq!(bench.published("press", 1).len(), 1);
        assert_eq!(bench.noisy("press", 1).energy_wh, messages[0].energy_wh);
    }
}

#[test]
fn an_epsilon_that_is_none_is_refused_with_the_recipient_it_is_of() {
    let wrong = settings(|publish| publish.recipients[0].epsilon = 0.123_456_789);
    let error = Recipients::new(&wrong).unwrap_err().to_string();
    assert_eq!(
        error,
        "publish.recipients: press: epsilon is 0.123456789; expected a number from 0.001 to 100 with at most six decimals"
    );
}

/// It is of no feeder: its readings are in no recipient's total, with noise or without.
#[test]
fn the_rest_of_an_area_reaches_no_recipient_and_gives_nothing_away() {
    let mut bench = Bench::new().in_areas();
    bench.publish(&settings(|_| {}), |ledger| ledger);
    let meters = [("feeder-1", 0), ("feeder-1", 1), ("feeder-2", 5)];
    let results = bench.take(vec![bench.rest_of(1, "t-1", &meters)]);
    let [TakeResult::Taken { published, .. }] = &results[..] else {
        panic!("{results:?}");
    };
    assert_eq!((published.lines.len(), published.left), (0, None));
    assert!(sent(&results).is_empty());
    assert!(!bench.dir.path().join("recipients").exists());
}
