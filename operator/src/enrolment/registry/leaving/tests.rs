use super::*;
use crate::enrolment::leaving::first_window;
use crate::enrolment::message::tests::{analytics, gateway, signing};
use crate::enrolment::registry::tests::open;
use crate::keys::keyring::Keyring;
use service::MockClock;
use std::path::Path;
use wire::{FeederId, MaskKey, Reason, UnixMillis, UnixSeconds};

/// Seconds of a window.
const WINDOW_S: u64 = 3_600;
/// A window's start.
const START: u64 = 1_700_000_000 / WINDOW_S * WINDOW_S;

struct Scene {
    registry: Registry,
    keyring: Keyring,
}

impl Scene {
    /// An operator `seconds` after [`START`], with what is stored in `dir`.
    fn at(dir: &Path, seconds: u64) -> Self {
        let (mut registry, keyring) = open(dir);
        registry.clock = MockClock::new(UnixMillis((START + seconds) * 1000));
        Self { registry, keyring }
    }

    /// With two meters of gateway-1 and one of gateway-2 on feeder `a`.
    fn enrolled(dir: &Path) -> Self {
        let mut scene = Self::at(dir, 10);
        scene.ask(&[(1, "a", 7_000), (2, "a", 7_000)]);
        let other = gateway("gateway-2", 2, &[(3, "a", 7_000)]);
        scene.registry.enrol(&other).unwrap();
        scene.save();
        scene
    }

    fn ask(&mut self, meters: &[(u8, &str, u64)]) -> Vec<Reason> {
        let asked = gateway("gateway-1", 1, meters);
        let result = self.registry.enrol(&asked).unwrap();
        result
            .refused
            .into_iter()
            .map(|(_, reason)| reason)
            .collect()
    }

    fn save(&mut self) {
        self.registry.save(&self.keyring).unwrap();
    }

    fn asks(
        &mut self,
        change: Change,
        party: Party,
        id: &str,
        window: u64,
    ) -> Result<usize, LeaveError> {
        self.registry.change(&LeaveRequest {
            change,
            party,
            id: id.to_owned(),
            first_window: WindowStart(START + window * WINDOW_S),
            at_once: window == 0,
        })
    }

    fn is_in(&self, meter: &str) -> bool {
        self.registry.roster.get(&meter.parse().unwrap()).is_some()
    }

    /// Which numbers of the feeder a window is to have.
    fn members(&self, window: u64) -> Vec<u32> {
        let members = self.registry.roster.members(&feeder());
        let window = WindowStart(START + window * WINDOW_S);
        let numbers = (0..members.next_number()).filter(|number| members.is_in(*number, window));
        let numbers: Vec<u32> = numbers.collect();
        assert_eq!(members.expected(window), numbers.len() as u32);
        numbers
    }
}

fn feeder() -> FeederId {
    "a".parse().unwrap()
}

#[test]
fn a_removed_meter_is_in_the_windows_before_and_its_number_is_never_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::enrolled(dir.path());
    // The highest number: the next one must not be made of who is left.
    assert_eq!(
        scene
            .asks(Change::Remove, Party::Meter, "meter-3", 1)
            .unwrap(),
        1
    );
    scene.save();
    for seconds in [10, WINDOW_S, WINDOW_S + WINDOW_S / 2 - 61] {
        let mut early = Scene::at(dir.path(), seconds);
        assert!(early.registry.let_go().is_empty(), "{seconds}");
        assert!(
            early.is_in("meter-3"),
            "reports of window 0 may be on their way"
        );
        assert_eq!(
            (early.members(0), early.members(1)),
            (vec![0, 1, 2], vec![0, 1])
        );
    }
    // No report of window 1 can be taken for another half an hour.
    let mut scene = Scene::at(dir.path(), WINDOW_S + WINDOW_S / 2);
    assert_eq!(scene.registry.let_go().meters, ["meter-3".parse().unwrap()]);
    scene.save();
    assert!(scene.registry.let_go().is_empty());
    let mut scene = Scene::at(dir.path(), 2 * WINDOW_S);
    assert!(!scene.is_in("meter-3"));
    assert_eq!(
        (scene.members(0), scene.members(1)),
        (vec![0, 1, 2], vec![0, 1])
    );
    let members = scene.registry.roster.members(&feeder());
    let mask = members.get(2).unwrap().mask_key;
    assert_eq!(
        mask,
        crate::enrolment::message::tests::mask(3),
        "sums of window 0 open with it"
    );
    assert_eq!(scene.ask(&[(4, "a", 7_000)]), []);
    assert_eq!(
        scene
            .registry
            .roster
            .get(&"meter-4".parse().unwrap())
            .unwrap()
            .number,
        3
    );
}

#[test]
fn who_was_removed_comes_back_only_if_a_person_says_so_and_with_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::enrolled(dir.path());
    scene
        .asks(Change::Remove, Party::Meter, "meter-1", 0)
        .unwrap();
    assert_eq!(
        scene.registry.let_go().meters.len(),
        1,
        "the window has begun: at once"
    );
    assert_eq!(scene.ask(&[(1, "a", 7_000)]), [Reason::UnknownMeter]);
    let again = EnrolmentRequest::Gateway(gateway("gateway-1", 1, &[(1, "a", 7_000)]));
    assert_eq!(
        scene.registry.check_return(&again),
        Err(Reason::UnknownMeter)
    );
    let beside = gateway("gateway-1", 1, &[(1, "a", 7_000), (9, "a", 7_000)]);
    let beside = EnrolmentRequest::Gateway(beside);
    assert_eq!(
        scene.registry.check_return(&beside),
        Ok(()),
        "the other may come"
    );
    scene.save();

    let mut scene = Scene::at(dir.path(), 20);
    assert!(matches!(
        scene.asks(Change::Readmit, Party::Meter, "meter-2", 0),
        Err(LeaveError::NotOut { .. })
    ));
    scene
        .asks(Change::Readmit, Party::Meter, "meter-1", 0)
        .unwrap();
    assert_eq!(
        scene
            .registry
            .roster
            .get(&"meter-1".parse().unwrap())
            .unwrap()
            .number,
        0
    );
    assert_eq!(scene.members(5), [0, 1, 2]);
    // A kill before the roster is saved loses neither the meter nor its number.
    scene.registry.departures.save().unwrap();
    let scene = Scene::at(dir.path(), 30);
    assert!(scene.is_in("meter-1"));
    assert_eq!(scene.members(5), [0, 1, 2]);
}

#[test]
fn a_stolen_key_is_refused_for_good_and_the_meter_comes_with_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::enrolled(dir.path());
    scene
        .asks(Change::Rekey, Party::Meter, "meter-1", 0)
        .unwrap();
    let mut fresh = gateway("gateway-1", 1, &[(1, "a", 7_000)]);
    fresh.meters[0].key = signing(201).verifying_key();
    let request = EnrolmentRequest::Gateway(fresh.clone());
    assert!(scene.registry.awaits_departure(&request));
    scene.registry.let_go();
    assert!(!scene.registry.awaits_departure(&request));
    // Half of what was stolen is enough to refuse it.
    let refused = scene.registry.enrol(&fresh).unwrap().refused;
    assert_eq!(refused[0].1, Reason::WrongKey);
    fresh.meters[0].mask_key = MaskKey([202; 32]);
    assert_eq!(scene.registry.enrol(&fresh).unwrap().added, 1);
    assert_eq!(scene.members(5), [1, 2, 3], "a number of its own");
    assert_eq!(scene.ask(&[(1, "a", 7_000)]), [Reason::WrongKey]);
}

#[test]
fn a_gateway_leaves_with_its_meters_and_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::enrolled(dir.path());
    assert_eq!(
        scene
            .asks(Change::Rekey, Party::Gateway, "gateway-1", 0)
            .unwrap(),
        3
    );
    let gone = scene.registry.let_go();
    assert_eq!((gone.meters.len(), gone.gateways.len()), (2, 1));
    let stolen = gateway("gateway-1", 1, &[(5, "a", 7_000)]);
    assert_eq!(scene.registry.enrol(&stolen), Err(Reason::WrongKey));
    let mut fresh = gateway("gateway-1", 9, &[(5, "a", 7_000)]);
    assert_eq!(scene.registry.enrol(&fresh).unwrap().added, 1);
    // Removed, nobody has the name, whatever the key.
    scene
        .asks(Change::Remove, Party::Gateway, "gateway-1", 0)
        .unwrap();
    scene.registry.let_go();
    fresh.gateway_key = signing(10).verifying_key();
    assert_eq!(scene.registry.enrol(&fresh), Err(Reason::WrongGateway));
    scene
        .asks(Change::Readmit, Party::Gateway, "gateway-1", 0)
        .unwrap();
    assert!(scene.is_in("meter-5"), "it comes back with the gateway");
    assert!(!scene.is_in("meter-1"), "its keys are stolen");
    assert!(scene.registry.enrol(&fresh).is_ok());
}

#[test]
fn an_analytics_service_leaves_the_plan_and_comes_back_with_another_key() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::enrolled(dir.path());
    scene
        .registry
        .enrol_analytics(&analytics("one", 3, &[]))
        .unwrap();
    scene
        .asks(Change::Rekey, Party::Analytics, "one", 0)
        .unwrap();
    let fresh = EnrolmentRequest::Analytics(analytics("one", 4, &[]));
    assert!(scene.registry.awaits_departure(&fresh));
    assert_eq!(scene.registry.let_go().analytics.len(), 1);
    assert!(scene.registry.plan.plan().analytics.is_empty());
    assert!(
        scene
            .registry
            .enrol_analytics(&analytics("one", 3, &[]))
            .is_err()
    );
    assert_eq!(
        scene.registry.enrol_analytics(&analytics("one", 4, &[])),
        Ok(true)
    );
    assert!(scene.registry.let_go().is_empty());
}

#[test]
fn a_window_whose_reports_may_be_in_sums_keeps_its_meters() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::enrolled(dir.path());
    let grid = scene.registry.plan.plan().grid().unwrap();
    let tolerance = scene.registry.limits.future_tolerance;
    let first = |seconds: u64, asked: Option<u64>, at_once| {
        let asked = asked.map(|asked| UnixSeconds(START + asked));
        let now = UnixMillis((START + seconds) * 1000);
        let first = first_window(grid, asked, at_once, now, tolerance);
        first.map(|first| (first.0 - START) / WINDOW_S)
    };
    assert_eq!(first(10, None, false).unwrap(), 1, "the next one");
    assert_eq!(first(10, None, true).unwrap(), 0);
    assert_eq!(first(10, Some(WINDOW_S + 1), false).unwrap(), 2);
    // A meter whose clock is ahead may have sent its report of the window.
    assert_eq!(first(WINDOW_S - 100, None, true).unwrap(), 1);
    let past = first(2 * WINDOW_S, Some(WINDOW_S), false);
    assert!(matches!(past, Err(LeaveError::Past { .. })), "{past:?}");
    // No operator was there to take the request up.
    let mut late = Scene::at(dir.path(), 5 * WINDOW_S);
    late.asks(Change::Remove, Party::Meter, "meter-1", 1)
        .unwrap();
    assert_eq!(
        (late.members(4), late.members(5)),
        (vec![0, 1, 2], vec![1, 2])
    );
    for (party, id) in [
        (Party::Meter, "gateway-1"),
        (Party::Gateway, "meter-1"),
        (Party::Analytics, "x"),
    ] {
        let unknown = scene.asks(Change::Remove, party, id, 1);
        assert!(matches!(unknown, Err(LeaveError::Unknown { .. })), "{id}");
    }
}

#[test]
fn a_meter_that_spoils_sums_is_out_at_once_and_still_in_the_sums_it_spoilt() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::enrolled(dir.path());
    let culprit: MeterId = "meter-2".parse().unwrap();
    let named = [culprit.clone(), "nobody".parse().unwrap()];
    assert_eq!(
        scene.registry.put_out(&named),
        std::slice::from_ref(&culprit)
    );
    assert_eq!(scene.registry.put_out(&named), [], "once");
    assert_eq!(scene.registry.let_go().meters, [culprit]);
    let before = WindowStart(START - WINDOW_S);
    assert!(scene.registry.roster.members(&feeder()).is_in(1, before));
    assert_eq!(scene.members(0), [0, 2]);
    assert_eq!(scene.ask(&[(2, "a", 7_000)]), [Reason::UnknownMeter]);
    // A person decides that it has new keys, and with these it may come.
    scene
        .asks(Change::Rekey, Party::Meter, "meter-2", 0)
        .unwrap();
    assert_eq!(scene.ask(&[(2, "a", 7_000)]), [Reason::WrongKey]);
    let mut fresh = gateway("gateway-1", 1, &[(2, "a", 7_000)]);
    fresh.meters[0].key = signing(201).verifying_key();
    fresh.meters[0].mask_key = MaskKey([202; 32]);
    assert_eq!(scene.registry.enrol(&fresh).unwrap().added, 1);
}
