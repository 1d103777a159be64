//! A gateway of whose meters not all are in the roster.

use std::time::Duration;

use meter::Event;
use wire::WindowStart;

use crate::gateway::{Gateway, at, live};
use crate::world::{LIMIT, WINDOW_S, World, windows};

/// One of the five.
const OTHER: &str = "gateway-1-meter-000005";

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_with_the_meters_that_are_enrolled() {
    let mut world = World::start().await;
    world.settings.meter.enrolment_wait = Duration::from_millis(300);
    world.enrol_without(&[OTHER]);
    let summary = Gateway::start(&world.settings).ended().await;
    world.check_taken(&windows(), 4);
    let is_other = |meter: &wire::MeterId| meter.as_str() == OTHER;
    assert!(!world.books().taken.keys().any(|(meter, _)| is_other(meter)));
    assert_eq!((summary.lost, summary.unsettled), (0, 0));
    assert_eq!(summary.missing, 8 * 4, "its readings are in no total");
    world.end().await;
}

/// Waits until the gateway has taken a roster with the meter, or without.
async fn roster_has(world: &World, meter: &str, is_in: bool) {
    let pages = world
        .settings
        .deployment
        .state_dir
        .join("gateway-1/own-roster.pages");
    let has = || {
        let pages = std::fs::read(&pages).unwrap_or_default();
        pages
            .windows(meter.len())
            .any(|bytes| bytes == meter.as_bytes())
    };
    let waits = async {
        while has() != is_in {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // It is on disk just before it is used.
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    tokio::time::timeout(LIMIT, waits)
        .await
        .expect("no such roster");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_that_leaves_the_roster_is_read_no_more_until_it_is_back() {
    let mut world = World::start().await;
    let first = windows()[0];
    // What it sends of the second window is not answered, and waits.
    let second = first + WINDOW_S;
    world.answer(move |arrival, _| {
        let waits = arrival.meter.as_str() == OTHER && arrival.window == second;
        (!waits).then_some(wire::Status::Folded)
    });
    let (mut gateway, clock) = live(&mut world).await;
    let mut taken = 0;
    for (number, meters) in [(0, 5), (1, 5), (2, 4), (3, 5)] {
        match number {
            2 => {
                world.enrol_without(&[OTHER]);
                roster_has(&world, OTHER, false).await;
            }
            3 => {
                world.enrol_without(&[]);
                roster_has(&world, OTHER, true).await;
            }
            _ => {}
        }
        clock.set(at((number + 1) * WINDOW_S));
        let window = WindowStart(first + number * WINDOW_S);
        gateway.until(Event::Window(window)).await;
        taken += meters;
        world
            .until("the window", |books| books.taken.len() == taken)
            .await;
    }
    let summary = gateway.end().await;
    // It ends before all of the last window is answered.
    assert_eq!(summary.lost, 1, "nobody takes what waited");
    world.end().await;
}
