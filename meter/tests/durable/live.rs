//! A gateway whose readings are of the present.

use meter::Event;
use wire::{UnixSeconds, WindowStart};

use crate::gateway::{Gateway, at, live};
use crate::world::{WINDOW_S, World, windows};

#[tokio::test(flavor = "multi_thread")]
async fn live_intervals_that_passed_while_it_was_down_are_missing() {
    let mut world = World::start().await;
    let first = windows()[0];
    let (mut gateway, clock) = live(&mut world).await;
    clock.set(at(1_800));
    gateway
        .until(Event::Interval(UnixSeconds(first + 900)))
        .await;
    gateway.end().await;

    // The third interval ended while nobody was there; the fourth is under way.
    clock.set(at(2_750));
    let mut gateway = Gateway::start_at(&world.settings, clock.clone());
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
    let mut gateway = Gateway::start_at(&world.settings, clock.clone());
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
