//! What a gateway does not seal.

use meter::{Event, Summary};
use service::clock::MockClock;
use std::sync::Arc;
use wire::{Reason, Status, UnixSeconds, WindowStart};

use crate::gateway::{Gateway, at, live};
use crate::world::{WINDOW_S, World, windows};

const METERS: u64 = 5;

/// A gateway that goes on where the one before it stopped: after so many windows.
async fn resumed(world: &World, clock: &Arc<MockClock>, windows_passed: usize) -> Gateway {
    let mut gateway = Gateway::start_at(&world.settings, clock.clone());
    let next = UnixSeconds(windows()[windows_passed]);
    gateway.until(Event::Started(next)).await;
    gateway
}

/// Lets windows pass from one number to another; their readings are in the outbox then.
async fn pass(gateway: &mut Gateway, clock: &MockClock, windows_passed: std::ops::Range<usize>) {
    for number in windows_passed {
        clock.set(at((number as u64 + 1) * WINDOW_S));
        let window = WindowStart(windows()[number]);
        gateway.until(Event::Window(window)).await;
    }
}

fn sealed(summary: &Summary) -> u64 {
    summary.sealed.1
}

/// The broker withholds the plan with a new key, and its renewals: for the gateway, they were never published.
#[tokio::test(flavor = "multi_thread")]
async fn under_a_plan_that_has_ended_nothing_is_sealed_until_it_is_renewed() {
    let end = windows()[1] + 100;
    let mut world = World::start_under(move |plan| plan.valid_until = Some(UnixSeconds(end))).await;
    let (mut gateway, clock) = live(&mut world).await;
    pass(&mut gateway, &clock, 0..1).await;
    world
        .until("the first window", |books| books.taken.len() == 5)
        .await;
    pass(&mut gateway, &clock, 1..4).await;
    let summary = gateway.end().await;
    assert_eq!((sealed(&summary), summary.lost), (METERS, 0));
    assert_eq!(summary.unsettled, 3 * METERS, "they wait in the journal");

    // So it is after a restart; what it waits for is heard meanwhile.
    let mut gateway = resumed(&world, &clock, 4).await;
    pass(&mut gateway, &clock, 4..5).await;
    assert_eq!(world.books().arrivals.len(), 5);
    world.renew_plan(windows()[7]);
    world
        .until("all windows", |books| books.taken.len() == 25)
        .await;
    assert_eq!(sealed(&gateway.end().await), 4 * METERS);

    // The renewal is kept, too, and ends as well.
    clock.set(at(7 * WINDOW_S));
    let mut gateway = resumed(&world, &clock, 5).await;
    pass(&mut gateway, &clock, 7..8).await;
    assert_eq!(sealed(&gateway.end().await), 0);
    world.check_taken(&windows()[..5], 5);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn once_a_report_is_of_the_wrong_epoch_nothing_is_sealed_until_there_is_a_newer_plan() {
    let mut world = World::start().await;
    world.answer(|arrival, _| match arrival.plan_version.0 {
        1 => Some(Status::Rejected(Reason::WrongEpoch)),
        _ => Some(Status::Folded),
    });
    let (mut gateway, clock) = live(&mut world).await;
    pass(&mut gateway, &clock, 0..1).await;
    world
        .until("it is told again", |books| books.arrivals.len() > 5)
        .await;
    pass(&mut gateway, &clock, 1..4).await;
    assert!(
        (world.books().arrivals.iter()).all(|arrival| arrival.window == windows()[0]),
        "nothing was sealed after the refusal"
    );
    // So it is after a restart: else whoever ends the gateway would get a report under the old key with every start.
    let summary = gateway.end().await;
    assert_eq!((sealed(&summary), summary.lost), (METERS, 0));
    let mut gateway = resumed(&world, &clock, 4).await;
    // A renewal is not a newer plan.
    world.renew_plan(windows()[7]);
    pass(&mut gateway, &clock, 4..5).await;
    world.change_plan();
    world
        .until("all windows", |books| books.taken.len() == 25)
        .await;
    let mut taken = world.books().taken.clone().into_values();
    assert!(taken.all(|arrival| arrival.plan_version.0 == 2));
    let is_first = |window: u64| window == windows()[0];
    assert!(
        (world.books().arrivals.iter())
            .all(|arrival| arrival.plan_version.0 == 2 || is_first(arrival.window)),
        "something was sealed under the old key after the restart"
    );
    gateway.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_plan_below_the_floor_nothing_is_sealed() {
    let mut world = World::start().await;
    world.settings.meter.min_meters_floor = 3;
    let (mut gateway, clock) = live(&mut world).await;
    pass(&mut gateway, &clock, 0..3).await;
    assert_eq!(world.books().arrivals, []);
    world.publish_plan(|plan| plan.min_meters = 3);
    world
        .until("what waited", |books| books.taken.len() == 15)
        .await;
    let summary = gateway.end().await;
    assert_eq!((sealed(&summary), summary.lost), (3 * METERS, 0));
    world.end().await;
}

#[test]
fn without_the_end_of_a_plan_the_stop_on_a_newer_key_or_the_floor_reports_are_sealed_all_the_same()
{
    for (safeguard, test) in [
        (
            "min_meters_floor",
            "under_a_plan_below_the_floor_nothing_is_sealed",
        ),
        (
            "plan_expiry",
            "under_a_plan_that_has_ended_nothing_is_sealed_until_it_is_renewed",
        ),
        (
            "wrong_epoch",
            "once_a_report_is_of_the_wrong_epoch_nothing_is_sealed_until_there_is_a_newer_plan",
        ),
    ] {
        service::failpoint::fails_without(safeguard, &format!("stale::{test}")).unwrap();
    }
}
