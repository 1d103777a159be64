use std::path::Path;
use std::time::Duration;

use service::config::Enrolment;
use tokio::sync::mpsc;
use wire::{AnalyticsEnrol, FeederId, UnixMillis};

use super::*;
use crate::enrolment::approvals::{ApprovalError, Waits};
use crate::enrolment::message::tests::{analytics, deployment, gateway, signing, topics};
use crate::enrolment::registry::tests::open;
use crate::event::Event;

/// An operator that enrols by hand, with three feeders in its plan.
struct Scene {
    handler: EnrolmentHandler,
    schedule: Schedule,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Scene {
    fn new(dir: &Path) -> Self {
        let mut settings = Settings::defaults();
        settings.deployment.state_dir = dir.to_owned();
        settings.deployment.id = deployment();
        settings.operator.enrolment = Enrolment::Manual;
        std::fs::create_dir_all(folder(&settings)).unwrap();
        let (mut registry, keyring) = open(&folder(&settings));
        let meters = [(1, "a", 7_000), (2, "b", 7_000), (3, "c", 7_000)];
        registry.enrol(&gateway("gateway-1", 1, &meters)).unwrap();
        let (observer, events) = mpsc::unbounded_channel();
        let keyring = Arc::new(keyring);
        let observer = Observer(Some(observer));
        let mut handler = EnrolmentHandler::new(&settings, topics(), registry, keyring, observer);
        assert!(handler.save());
        Self {
            handler,
            schedule: Schedule::new(Duration::from_secs(30), Instant::now()),
            events,
        }
    }

    /// The service says which feeders it is to have.
    fn says(&mut self, name: &str, seed: u8, feeders: &[&str]) {
        self.says_at(1, name, seed, feeders);
    }

    /// With a request that was made at this time.
    fn says_at(&mut self, millis: u64, name: &str, seed: u8, feeders: &[&str]) {
        let mut request: AnalyticsEnrol = analytics(name, seed, feeders);
        request.issued_at = UnixMillis(millis);
        self.asks(&request, seed);
    }

    /// The service says which pool it is to be a member of.
    fn joins(&mut self, name: &str, seed: u8, pool: &str) {
        let pool = Some(pool.parse().unwrap());
        let request = AnalyticsEnrol {
            pool,
            ..analytics(name, seed, &[])
        };
        self.asks(&request, seed);
    }

    /// How many are in the pool.
    fn members(&self) -> usize {
        self.handler.registry.plan.plan().pool.len()
    }

    fn asks(&mut self, request: &AnalyticsEnrol, seed: u8) {
        let topic = topics().analytics_enrol(&request.id);
        let (payload, _) = wire::seal(request, None, &deployment(), &topic, &signing(seed));
        self.handler.handle(&topic, &payload, &mut self.schedule);
    }

    /// A person approves what it asks for now.
    fn approve(&mut self, name: &str) -> Result<(), ApprovalError> {
        let requests = self.handler.approvals.requests().unwrap();
        let mut digests = requests
            .iter()
            .filter(|request| request.parts[0].0.id == name);
        let digest = digests.next().map_or_else(String::new, Waits::digest);
        self.handler.approvals.approve(name, &digest).map(drop)
    }

    /// It says so, and a person approves it.
    fn approves(&mut self, name: &str, seed: u8, feeders: &[&str]) {
        self.says(name, seed, feeders);
        self.approve(name).unwrap();
        self.look();
    }

    fn look(&mut self) {
        self.handler.apply_approved(&mut self.schedule);
    }

    fn feeders(&self, name: &str) -> Option<Vec<FeederId>> {
        let plan = self.handler.registry.plan.plan();
        let service = plan
            .analytics
            .iter()
            .find(|entry| entry.id.as_str() == name);
        service.map(|entry| entry.feeders.clone())
    }

    fn waiting(&self) -> usize {
        let approvals = &self.handler.approvals;
        approvals.waiting().unwrap().len() + approvals.approved().unwrap().len()
    }

    fn refusals(&mut self) -> usize {
        let mut refusals = 0;
        while let Ok(event) = self.events.try_recv() {
            refusals += usize::from(matches!(event, Event::EnrolmentRefused { .. }));
        }
        refusals
    }
}

fn ids(feeders: &[&str]) -> Option<Vec<FeederId>> {
    Some(feeders.iter().map(|name| name.parse().unwrap()).collect())
}

/// Approved after its sender was started with the old list again, it would take a feeder with open windows.
#[test]
fn a_request_to_give_a_feeder_up_is_void_once_the_service_says_that_it_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::new(dir.path());
    scene.approves("one", 1, &["a", "b"]);
    scene.says("one", 1, &["a"]);
    assert_eq!(scene.waiting(), 1);
    scene.says("one", 1, &["a", "b"]);
    assert_eq!(scene.waiting(), 0);
    assert!(scene.approve("one").is_err());
    // Nor does it count if it was approved before.
    scene.says("one", 1, &["a"]);
    scene.approve("one").unwrap();
    scene.says("one", 1, &["a", "b"]);
    scene.look();
    assert_eq!(scene.feeders("one"), ids(&["a", "b"]));
    // Of two that differ from the plan, the newer one counts.
    scene.says("one", 1, &["a"]);
    scene.approve("one").unwrap();
    scene.says("one", 1, &["b"]);
    scene.look();
    assert_eq!(scene.feeders("one"), ids(&["a", "b"]));
    scene.approve("one").unwrap();
    scene.look();
    assert_eq!(scene.feeders("one"), ids(&["b"]));
}

/// The message that takes it back can be lost: the service may have started again with its old list while nobody listened.
#[tokio::test(start_paused = true)]
async fn an_approved_request_to_give_a_feeder_up_is_granted_only_while_its_sender_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::new(dir.path());
    let long = Duration::from_secs(60);
    scene.says("one", 1, &["a", "b"]);
    scene.approve("one").unwrap();
    tokio::time::advance(long).await;
    scene.look();
    assert_eq!(
        scene.feeders("one"),
        ids(&["a", "b"]),
        "it gives nothing up"
    );
    for list in [["a"], ["b"]] {
        scene.says("one", 1, &list);
        scene.approve("one").unwrap();
        tokio::time::advance(long).await;
        scene.look();
        assert_eq!(scene.feeders("one"), ids(&["a", "b"]));
        scene.says("one", 1, &list);
        scene.look();
        assert_eq!(scene.feeders("one"), ids(&list));
        scene.approves("one", 1, &["a", "b"]);
    }
    // All that nobody names is given up, too.
    scene.approves("rest", 2, &[]);
    scene.says("rest", 2, &["c"]);
    scene.approve("rest").unwrap();
    tokio::time::advance(long).await;
    scene.look();
    assert_eq!(scene.feeders("rest"), ids(&[]));
}

#[test]
fn an_approved_request_waits_for_a_feeder_or_for_the_rest_and_is_refused_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::new(dir.path());
    for (owner, kept, waiting, wanted) in [
        ("owner", vec!["b"], "named", vec!["a"]),
        ("rest", vec!["c"], "rest-2", vec![]),
    ] {
        scene.approves(owner, 1, &wanted);
        scene.approves(waiting, 2, &wanted);
        for _ in 0..5 {
            scene.look();
            // Services ask again and again.
            scene.says(waiting, 2, &wanted);
        }
        assert_eq!(scene.refusals(), 1);
        assert_eq!(scene.waiting(), 1);
        assert_eq!(scene.handler.pending(), 0, "nobody is to approve it again");
        // The plan changes, but not so that it is granted.
        scene.approves(&format!("third-to-{owner}"), 3, &[owner]);
        scene.look();
        assert_eq!(scene.refusals(), 0);
        assert_eq!(scene.feeders(waiting), None);

        scene.approves(owner, 1, &kept);
        scene.look();
        assert_eq!(scene.feeders(owner), ids(&kept));
        assert_eq!(scene.feeders(waiting), ids(&wanted));
        assert_eq!(scene.waiting(), 0);
    }
}

/// Somebody who recorded it sends an old request again, to take a feeder from its owner or to give it back one.
#[test]
fn a_request_older_than_the_newest_of_its_sender_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::new(dir.path());
    scene.says_at(10, "one", 1, &["a", "b"]);
    scene.approve("one").unwrap();
    scene.look();
    // It asks again, for the same, and then for less.
    scene.says_at(20, "one", 1, &["a", "b"]);
    scene.says_at(30, "one", 1, &["a"]);
    scene.approve("one").unwrap();
    scene.look();
    assert_eq!(scene.feeders("one"), ids(&["a"]));
    assert_eq!(scene.refusals(), 0);
    for millis in [10, 29] {
        scene.says_at(millis, "one", 1, &["a", "b"]);
        assert_eq!((scene.refusals(), scene.waiting()), (1, 0), "{millis}");
    }
    // One that waits for a person is not replaced by an older one either, nor by one of another key.
    scene.says_at(40, "one", 1, &["a", "c"]);
    scene.says_at(35, "one", 1, &["b"]);
    assert_eq!((scene.refusals(), scene.waiting()), (1, 1));
    scene.says_at(50, "one", 1, &["a", "c"]);
    scene.approve("one").unwrap();
    // The same content at another time keeps its approval.
    scene.says_at(60, "one", 1, &["a", "c"]);
    scene.look();
    assert_eq!(scene.feeders("one"), ids(&["a", "c"]));
    // A gateway's likewise, unless it asks for what there is; and the newest is known after a restart.
    for (millis, watts, refusals) in [(70, 7_000, 0), (69, 4_000, 1), (69, 7_000, 0)] {
        let mut request = gateway("gateway-1", 1, &[(1, "a", watts)]);
        request.issued_at = UnixMillis(millis);
        let topic = topics().enrol(&request.gateway);
        let (payload, _) = wire::seal(&request, None, &deployment(), &topic, &signing(1));
        scene.handler.handle(&topic, &payload, &mut scene.schedule);
        assert_eq!(
            (scene.refusals(), scene.waiting()),
            (refusals, 0),
            "{millis}"
        );
    }
    assert!(scene.handler.save());
    let gateways = &std::fs::read_to_string(dir.path().join("operator/gateways.json")).unwrap();
    assert!(gateways.contains("70"), "{gateways}");
}

/// Remembered, it would make everything outdated that its sender asks for until then.
#[test]
fn a_request_from_the_future_is_refused_and_not_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::new(dir.path());
    scene.handler.automatic = true;
    let latest = scene.handler.registry.clock.now().0 + 120_000;
    scene.says_at(latest + 1, "one", 1, &["a"]);
    assert_eq!((scene.refusals(), scene.feeders("one")), (1, None));
    scene.says_at(latest, "one", 1, &["a"]);
    assert_eq!((scene.refusals(), scene.feeders("one")), (0, ids(&["a"])));
    // What is known is not taken either, and what was made before it is not outdated.
    scene.says_at(latest + 1, "one", 1, &["a"]);
    assert_eq!(scene.refusals(), 1);
    scene.says_at(latest, "one", 1, &["b"]);
    assert_eq!((scene.refusals(), scene.feeders("one")), (0, ids(&["b"])));
}

/// An approved gateway asks for feeders that none of its meters is on: with the largest scale there is, or by the thousand.
#[test]
fn a_gateway_without_meters_creates_no_feeder() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::new(dir.path());
    let before = scene.handler.registry.plan.plan().clone();
    for millis in [10, 20] {
        let mut request = gateway("gateway-1", 1, &[]);
        request.issued_at = UnixMillis(millis);
        let feeder = |number: u64| wire::EnrolFeeder {
            feeder: format!("x-{number}").parse().unwrap(),
            max_capacity: wire::CapacityClass::of(wire::Watts(7_000)).unwrap(),
            meters: u32::MAX,
        };
        request.feeders = (0..millis).map(feeder).collect();
        let topic = topics().enrol(&request.gateway);
        let (payload, _) = wire::seal(&request, None, &deployment(), &topic, &signing(1));
        scene.handler.handle(&topic, &payload, &mut scene.schedule);
        scene.look();
    }
    assert_eq!(scene.handler.registry.plan.plan(), &before);
}

/// The service for all feeders has the reports of every new feeder. One that names a feeder first would have them instead.
#[test]
fn a_service_that_names_a_feeder_of_the_one_for_all_needs_a_person_also_where_enrolment_is_automatic()
 {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::new(dir.path());
    scene.handler.automatic = true;
    scene.says("rest", 1, &[]);
    assert_eq!(scene.feeders("rest"), ids(&[]));
    scene.says("other", 2, &["new"]);
    assert_eq!((scene.feeders("other"), scene.waiting()), (None, 1));
    scene.approve("other").unwrap();
    scene.look();
    assert_eq!(scene.feeders("other"), ids(&["new"]));
    // A pool has every new feeder, too: whoever joins it was given its name, and where enrolment is automatic that is enough.
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::new(dir.path());
    scene.handler.automatic = true;
    for (name, seed) in [("one", 1), ("two", 2)] {
        scene.joins(name, seed, "north");
    }
    assert_eq!((scene.members(), scene.waiting()), (2, 0));
    // Of one that nobody would have, it is granted at once.
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::new(dir.path());
    scene.handler.automatic = true;
    scene.says("other", 2, &["new"]);
    assert_eq!(scene.feeders("other"), ids(&["new"]));
}

/// Nobody is asked about meters that are not in the list, so strangers do not come to the desk.
#[test]
fn with_a_list_of_meters_only_those_with_its_keys_come_to_the_desk() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::new(dir.path());
    let file = dir.path().join("list.csv");
    let key = signing(105).verifying_key();
    std::fs::write(
        &file,
        format!("meter,feeder,capacity,key\nmeter-5,a,7000,{key}\n"),
    )
    .unwrap();
    crate::enrolment::physical::import(&file, &dir.path().join("operator")).unwrap();
    scene.handler.apply_departures(&mut scene.schedule);
    let mut asks = |name: &str, seed: u8, meters: &[(u8, &str, u64)], key: u8| {
        let mut request = gateway(name, seed, meters);
        request.meters[0].key = signing(key).verifying_key();
        let topic = topics().enrol(&request.gateway);
        let (payload, _) = wire::seal(&request, None, &deployment(), &topic, &signing(seed));
        scene.handler.handle(&topic, &payload, &mut scene.schedule);
        (scene.waiting(), scene.refusals())
    };
    assert_eq!(asks("stranger", 9, &[(6, "a", 7_000)], 106), (0, 1));
    assert_eq!(
        asks("thief", 9, &[(5, "a", 7_000)], 107),
        (0, 1),
        "another key"
    );
    assert_eq!(asks("other-feeder", 9, &[(5, "b", 7_000)], 105), (0, 1));
    assert_eq!(asks("gateway-2", 2, &[(5, "a", 7_000)], 105), (1, 0));
}

/// It sees the roster alone otherwise, where a meter that is refused looks like one that nobody has looked at yet.
#[test]
fn a_gateway_is_told_that_its_request_waits_or_why_its_meters_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::new(dir.path());
    let mut asks = |millis: u64, seed: u8, meters: &[(u8, &str, u64)], automatic: bool| {
        scene.handler.automatic = automatic;
        let mut request = gateway("gateway-1", seed, meters);
        request.issued_at = UnixMillis(millis);
        let topic = topics().enrol(&request.gateway);
        let (payload, _) = wire::seal(&request, None, &deployment(), &topic, &signing(seed));
        scene.handler.handle(&topic, &payload, &mut scene.schedule);
        let answers = scene.handler.take_answers();
        answers.first().map(|(topic, bytes)| {
            assert_eq!(*topic, topics().enrol_answer(&request.gateway));
            let key = scene.handler.keyring.verifying();
            let answer = wire::decode::<wire::EnrolAnswer>(bytes, bytes.len()).unwrap();
            let answer = answer.verify(&deployment(), topic, &key).unwrap().message;
            assert_eq!(answer.gateway_key, request.gateway_key);
            let refused = answer.refused.iter();
            let refused = refused.map(|refusal| (refusal.reason, refusal.meters));
            (answer.waits, refused.collect::<Vec<_>>())
        })
    };
    let known = (1, "a", 7_000);
    assert_eq!(asks(10, 1, &[known], false), None, "enrolled");
    let new = (4, "a", 7_000);
    assert_eq!(asks(20, 1, &[new], false), Some((true, vec![])));
    let works = (5, "a", 100_000_000);
    assert_eq!(
        asks(30, 1, &[known, works], true),
        Some((false, vec![(Reason::CapacityAboveReference, 1)]))
    );
    assert_eq!(
        asks(40, 9, &[new, (6, "a", 7_000)], true),
        Some((false, vec![(Reason::WrongKey, 2)]))
    );
}
