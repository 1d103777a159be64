use super::*;
use crate::guard::members::Members;
use crate::guard::rules::Scope;

fn slots() -> Slots {
    Slots::new((2, 1), Duration::from_secs(60))
}

async fn claim(slots: &Slots, id: &str) -> Claim {
    slots.claim(id, None).await.ok().unwrap()
}

#[tokio::test]
async fn of_many_that_want_a_slot_the_last_one_has_it() {
    let slots = Arc::new(slots());
    let holder = claim(&slots, "a").await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let all = slots.clone();
        waiting.push(tokio::spawn(
            async move { all.claim("a", None).await.is_ok() },
        ));
        tokio::task::yield_now().await;
    }
    holder.wanted().await;
    slots.release(holder, false);
    let mut had = Vec::new();
    for task in waiting {
        had.push(task.await.unwrap());
    }
    assert_eq!(had, [false, false, false, false, true]);
}

#[tokio::test]
async fn a_name_is_used_again_and_a_kept_session_keeps_its_own() {
    let slots = slots();
    let first = claim(&slots, "a").await;
    let name = first.router_name();
    slots.release(first, false);
    let mut second = claim(&slots, "b").await;
    assert_eq!(second.router_name(), name);
    second.session.filters.insert("x".to_owned(), 1);
    slots.release(second, true);
    let third = claim(&slots, "c").await;
    assert_ne!(third.router_name(), name);
    assert!(
        slots.claim("d", None).await.is_err(),
        "two are all there may be"
    );
    slots.release(third, false);
    let again = claim(&slots, "b").await;
    assert_eq!(
        (again.router_name(), again.session.filters.len()),
        (name, 1)
    );
}

#[tokio::test]
async fn a_session_whose_client_stays_away_ends() {
    let slots = slots();
    slots.release(claim(&slots, "a").await, true);
    let connected = claim(&slots, "b").await;
    let now = Instant::now();
    assert!(slots.expired(now).is_empty());
    let mut expired = slots.expired(now + Duration::from_secs(61));
    assert_eq!(expired.len(), 1);
    slots.release(expired.remove(0), false);
    assert!(slots.claim("c", None).await.is_ok(), "there is room again");
    drop(connected);
}

#[tokio::test]
async fn an_identity_keeps_only_so_many_sessions() {
    let slots = slots();
    let claim = async |id: &str, keeper| slots.claim(id, keeper).await.map_err(|it| it.0);
    let first = claim("a", Some("one")).await.ok().unwrap();
    slots.release(first, true);
    assert_eq!(
        claim("b", Some("one")).await.err(),
        Some("sessions_of_identity")
    );
    let again = claim("a", Some("one")).await.ok().unwrap();
    slots.release(again, true);
    let clean = claim("b", None).await.ok().unwrap();
    slots.release(clean, false);
    let ended = claim("a", None).await.ok().unwrap();
    slots.release(ended, false);
    assert!(claim("b", Some("one")).await.is_ok());
}

/// A dashboard.
fn identity(name: &str) -> Identity {
    let settings = service::Settings::defaults();
    let role = Arc::new(settings.broker.roles["dashboard"].clone());
    let scope = Scope {
        root: settings.deployment.root,
        deployment: String::new(),
        id: None,
        members: Members::default(),
    };
    Identity::of(&name.parse().unwrap(), &role, scope, "").unwrap()
}

#[tokio::test]
async fn a_session_is_that_of_its_identity_while_it_may_read_what_the_session_reads() {
    let slots = slots();
    let mut claim = claim(&slots, "a").await;
    let (one, other) = (identity("dashboard.one"), identity("dashboard.other"));
    assert!(!claim.session.is_of(&one), "it is new");
    claim.session.owner = Some("dashboard.one".to_owned());
    let totals = "cipherwatt/v2/shard/0/feeder/+/total";
    claim.session.filters.insert(totals.to_owned(), 1);
    assert!(claim.session.is_of(&one) && !claim.session.is_of(&other));
    claim.session.filters.insert("elsewhere/#".to_owned(), 1);
    assert!(!claim.session.is_of(&one));
}
