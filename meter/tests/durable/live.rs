//! A gateway whose readings are of the present.

use service::clock::{MockClock, SharedClock};
use wire::{UnixMillis, UnixSeconds, WindowStart};

use meter::Event;

use crate::gateway::Gateway;
use crate::world::{WINDOW_S, World, windows};

#[tokio::test(flavor = "multi_thread")]
async fn live_intervals_that_passed_while_it_was_down_are_missing() {
    let mut world = World::start().await;
    let meter = &mut world.settings.meter;
    (meter.start, meter.duration, meter.speed) = (None, None, 1.0);
    let first = windows()[0];
    let at = |seconds: u64| UnixMillis((first + seconds) * 1000 + 17);
    let clock = MockClock::new(UnixMillis((first - 100) * 1000 + 17));
    let shared: SharedClock = clock.clone();

    let mut gateway = Gateway::start_at(&world.settings, shared.clone());
    gateway.until(Event::Started(UnixSeconds(first))).await;
    clock.set(at(1_800));
    gateway
        .until(Event::Interval(UnixSeconds(first + 900)))
        .await;
    gateway.end().await;

    // The third interval ended while nobody was there; the fourth is under way.
    clock.set(at(2_750));
    let mut gateway = Gateway::start_at(&world.settings, shared.clone());
    gateway
        .until(Event::Interval(UnixSeconds(first + 1_800)))
        .await;
    clock.set(at(3_600));
    gateway.until(Event::Window(WindowStart(first))).await;
    world
        .until("the first window", |books| books.taken.len() == 5)
        .await;
    assert!(
        world
            .books()
            .taken
            .values()
            .all(|arrival| arrival.missing() == 1)
    );
    gateway.end().await;

    // Two windows without a reading have no report; half of the third one has passed.
    clock.set(at(3 * WINDOW_S + 1_900));
    let mut gateway = Gateway::start_at(&world.settings, shared);
    let third = first + 3 * WINDOW_S;
    gateway
        .until(Event::Interval(UnixSeconds(third + 900)))
        .await;
    clock.set(at(4 * WINDOW_S));
    gateway.until(Event::Window(WindowStart(third))).await;
    world
        .until("the third window", |books| books.taken.len() == 10)
        .await;
    gateway.end().await;
    world.check_taken(&[first, third], 5);
    let taken = world.books().taken.clone();
    let mut of_third = taken.values().filter(|arrival| arrival.window == third);
    assert!(of_third.all(|arrival| arrival.missing() == 2));
    world.end().await;
}
