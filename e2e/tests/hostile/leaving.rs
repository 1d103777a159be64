//! Meters, gateways and analytics services leave or change their keys in mid-stream, by their first window without the old keys,
//! whatever is sent on with those.

use harness::rogue::{Asked, Observed, RogueAnalytics, ciphertext};
use operator::{Change, Party};
use service::Stop;
use service::clock::Clock as _;
use wire::{AnalyticsId, Reason, WindowStart};

use super::scene::{HONEST, Scene, WINDOW_S, WINDOWS, WITHOUT, window};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_removed_counts_until_its_first_window_without_it_and_never_after() {
    for party in [(Party::Meter, "rogue-0"), (Party::Gateway, "rogue")] {
        let state = tempfile::tempdir().unwrap();
        let (_keep, stop) = Stop::manual();
        let mut scene = Scene::start(state.path(), stop).await;
        scene.pass_before(Change::Remove, party).await;
        scene.roster_has(true).await;
        scene.set(WITHOUT * WINDOW_S + 1);
        scene.roster_has(false).await;
        // Whoever has stolen its key goes on.
        for number in WITHOUT..WINDOWS {
            scene.pass(number).await;
        }
        scene.releases(WINDOWS).await;
        assert_eq!(scene.refused, []);
        scene.check(|at| at < window(WITHOUT)).await;
    }
}

/// Old and new keys under one name: what is signed by the old ones counts nowhere from the first window on.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_keys_change_counts_in_every_window_by_one_of_them() {
    let state = tempfile::tempdir().unwrap();
    let (_keep, stop) = Stop::manual();
    let mut scene = Scene::start(state.path(), stop).await;
    let party = (Party::Gateway, "rogue");
    scene.pass_before(Change::Rekey, party).await;
    scene.set(WITHOUT * WINDOW_S + 1);
    scene.roster_has(false).await;
    let keys = scene.rogue.new_keys().unwrap();
    let mut stolen = scene.rogue.exchange(keys);
    scene.rogue.ask(scene.clock.now(), 1).await.unwrap();
    scene.roster_has(true).await;
    for number in WITHOUT..WINDOWS {
        scene.set((number + 1) * WINDOW_S);
        for _ in 0..2 {
            // The thief comes first.
            stolen = scene.rogue.exchange(stolen);
            scene.rogue.send(0, window(number), None).await.unwrap();
        }
    }
    scene.releases(WINDOWS).await;
    assert_eq!(scene.refused, [], "a report of the thief would spoil a sum");
    scene.check(|_| true).await;
}

/// Its windows are released once each, by the old service, and from the first window on by another or by the same with another
/// key. The old key opens nothing more.
async fn analytics_changes(change: Change, next: &str) {
    let state = tempfile::tempdir().unwrap();
    let (_keep, stop) = Stop::manual();
    let mut scene = Scene::start(state.path(), stop).await;
    let old: AnalyticsId = "analytics-1".parse().unwrap();
    scene
        .pass_before(change, (Party::Analytics, old.as_str()))
        .await;
    scene.set(WITHOUT * WINDOW_S + 1);
    let services = |seen: &Observed| seen.plan.as_ref().map(|(plan, _)| plan.analytics.clone());
    let outsider = &scene.rogue.outsider;
    let is_out = outsider.until("a plan without it", |seen| services(seen) == Some(vec![]));
    is_out.await.unwrap();

    let file = state.path().join("analytics-1/signing.key");
    let stolen = service::files::load_or_create_signing_key(&file).unwrap();
    scene.stack.stop_analytics().await.unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::remove_file(service::files::verifying_key_path(&file)).unwrap();
    scene.stack.rename_analytics(next.parse().unwrap());
    scene.stack.start_analytics();
    let is_in = |seen: &Observed| services(seen).is_some_and(|services| !services.is_empty());
    outsider.until("a plan with the next", is_in).await.unwrap();

    let feeder = meter::feeder_of(0, 1);
    let settings = &scene.settings;
    let thief = RogueAnalytics::thief(settings, "thief", (old, stolen), feeder).unwrap();
    let has_plan = thief.outsider.until("a plan", |seen| seen.plan.is_some());
    has_plan.await.unwrap();
    for number in WITHOUT..WINDOWS {
        scene.pass(number).await;
    }
    steal(&thief, window(WITHOUT)).await;
    while scene.refused.is_empty() {
        scene.next().await;
    }
    scene.releases(WINDOWS).await;
    let refusals = [
        Reason::BadSignature,
        Reason::UnknownAnalytics,
        Reason::WrongKey,
    ];
    assert!(scene.refused.iter().all(|reason| refusals.contains(reason)));
    scene.check(|_| true).await;
}

/// Signs the sum of all reports of a window.
async fn steal(thief: &RogueAnalytics, window: WindowStart) {
    let meters = HONEST as usize + 1;
    let has_all = |seen: &Observed| seen.windows().get(&window) == Some(&meters);
    thief.outsider.until("all reports", has_all).await.unwrap();
    let encoding = thief.encoding(window).unwrap();
    let asked = {
        let seen = thief.outsider.seen();
        let reports = seen.reports.iter().filter(|((at, _), _)| *at == window);
        let (meters, limbs): (Vec<_>, Vec<_>) = reports
            .map(|((_, meter), report)| (meter.clone(), report.limbs.as_slice()))
            .unzip();
        Asked {
            window,
            part: 0,
            named: seen.named(window, &meters),
            limbs: ciphertext::add(&encoding, limbs).unwrap(),
        }
    };
    thief.present(&asked).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analytics_service_that_is_removed_is_followed_by_another() {
    analytics_changes(Change::Remove, "analytics-2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analytics_service_whose_key_changes_goes_on_under_its_name() {
    analytics_changes(Change::Rekey, "analytics-1").await;
}
