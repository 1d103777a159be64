//! Meters that send their readings: over a socket, and over a broker of their own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use meter::Event;
use service::clock::MockClock;
use service::config::{FeedMapping, SourceKind};
use service::mqtt;
use service::{Settings, Stop};
use wire::{UnixMillis, UnixSeconds, WindowStart};

use crate::gateway::{Gateway, at};
use crate::sender::Sender;
use crate::world::{WINDOW_S, World, windows};

/// A world whose readings are lines on a socket, of two meters.
async fn world() -> (World, PathBuf) {
    let mut world = World::start().await;
    let socket = world.folder.path().join("lines");
    let meters = world.folder.path().join("meters.csv");
    let csv = "id,feeder,capacity_w\nhome-1,feeder-1,11000\nhome-2,feeder-2,11000\n";
    std::fs::write(&meters, csv).unwrap();
    let meter = &mut world.settings.meter;
    (meter.start, meter.duration, meter.speed) = (None, None, 1.0);
    meter.source = SourceKind::Lines;
    meter.meters_file = Some(meters);
    meter.lines = format!("unix:{}", socket.display());
    (world, socket)
}

/// A gateway whose first window is about to begin.
async fn begun(settings: &Settings) -> (Gateway, std::sync::Arc<MockClock>) {
    let clock = MockClock::new(UnixMillis((windows()[0] - 100) * 1000));
    let mut gateway = Gateway::start_at(settings, clock.clone());
    gateway
        .until(Event::Started(UnixSeconds(windows()[0])))
        .await;
    (gateway, clock)
}

fn line(meter: &str, seconds: u64, rest: &str) -> String {
    let time = windows()[0] + seconds;
    format!(r#"{{"meter":"{meter}","time":{time},{rest}}}"#)
}

fn register(meter: &str, seconds: u64, wh: u64) -> String {
    line(meter, seconds, &format!(r#""register_wh":{wh}"#))
}

/// What each meter's report of the first window has: energy, or none.
fn reported(world: &World) -> BTreeMap<String, Vec<Option<i64>>> {
    let books = world.books();
    let taken = books.taken.iter();
    let taken = taken.filter(|((_, window), _)| *window == windows()[0]);
    taken
        .map(|((meter, _), arrival)| {
            let totals = &arrival.totals;
            let readings = totals.energy_wh.iter().zip(&totals.present);
            let readings = readings.map(|(wh, present)| (*present == 1).then_some(*wh));
            (meter.to_string(), readings.collect())
        })
        .collect()
}

/// What the report of the first window has, once it is taken: only home-1 has one.
async fn first_window(world: &World, gateway: &mut Gateway) -> Vec<Option<i64>> {
    gateway
        .until(Event::Window(WindowStart(windows()[0])))
        .await;
    world
        .until("the first window", |books| books.taken.len() == 1)
        .await;
    reported(world)["home-1"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_answered_and_their_intervals_reported_across_a_restart() {
    let (mut world, socket) = world().await;
    world.settings.meter.live_grace = Duration::from_secs(300);
    let (gateway, clock) = begun(&world.settings).await;
    let mut sender = Sender::connect(&socket).await;
    clock.set(at(1_000));
    for (text, result) in [
        (register("home-1", 5, 5_000), "taken"),
        (register("home-1", 5, 5_000), "repeated"),
        (register("home-1", 5, 5_001), "conflict"),
        (register("home-1", 400, 5_010), "spare"),
        (register("home-1", 890, 5_200), "taken"),
        (line("home-2", 0, r#""power_w":400"#), "taken"),
        (line("home-2", 900, r#""energy_wh":7"#), "ahead"),
        (line("home-3", 0, r#""energy_wh":7"#), "unknown_meter"),
        ("{}".to_owned(), "keys"),
        ("power".to_owned(), "not_json"),
    ] {
        assert_eq!(sender.send(&text).await.unwrap(), result, "{text}");
    }
    gateway.end().await;

    // What was on disk before is there, and the interval is open still.
    let mut gateway = Gateway::start_at(&world.settings, clock.clone());
    gateway
        .until(Event::Started(UnixSeconds(windows()[0])))
        .await;
    let mut sender = Sender::connect(&socket).await;
    let again = register("home-1", 890, 5_200);
    assert_eq!(sender.send(&again).await.unwrap(), "repeated");
    // Open for the grace of 300 s after this start.
    clock.set(at(1_299));
    let closer = register("home-1", 899, 5_300);
    assert_eq!(sender.send(&closer).await.unwrap(), "taken");
    clock.set(at(1_301));
    gateway
        .until(Event::Interval(UnixSeconds(windows()[0])))
        .await;
    let late = line("home-2", 0, r#""power_w":400,"interval_s":450"#);
    assert_eq!(sender.send(&late).await.unwrap(), "late");
    clock.set(at(WINDOW_S + 100));
    for (seconds, wh) in [(WINDOW_S, 9_000), (WINDOW_S - 900, 8_000)] {
        let read = register("home-1", seconds, wh);
        assert_eq!(sender.send(&read).await.unwrap(), "taken");
    }
    clock.set(at(WINDOW_S + 300));
    gateway
        .until(Event::Window(WindowStart(windows()[0])))
        .await;
    world
        .until("the window of both", |books| books.taken.len() == 2)
        .await;
    let reported = reported(&world);
    assert_eq!(reported["home-1"], [Some(300), None, None, Some(1_000)]);
    assert_eq!(reported["home-2"], [Some(100), None, None, None]);
    gateway.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn intervals_that_passed_while_it_was_down_take_what_was_sent_before_and_what_comes_soon_after()
 {
    let (world, socket) = world().await;
    let (gateway, clock) = begun(&world.settings).await;
    let mut sender = Sender::connect(&socket).await;
    clock.set(at(1_000));
    let sent = line("home-1", 0, r#""energy_wh":42"#);
    assert_eq!(sender.send(&sent).await.unwrap(), "taken");
    gateway.end().await;
    clock.set(at(2 * WINDOW_S));
    let mut gateway = Gateway::start_at(&world.settings, clock.clone());
    let started = Event::Started(UnixSeconds(windows()[0]));
    gateway.until(started).await;
    let mut sender = Sender::connect(&socket).await;
    let sent = line("home-1", 900, r#""energy_wh":43"#);
    assert_eq!(sender.send(&sent).await.unwrap(), "taken");
    clock.set(at(2 * WINDOW_S + 301));
    assert_eq!(
        first_window(&world, &mut gateway).await,
        [Some(42), Some(43), None, None]
    );
    gateway.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_writers_of_a_fifo_come_and_go() {
    let (mut world, _) = world().await;
    let fifo = world.folder.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    world.settings.meter.lines = fifo.display().to_string();
    let (mut gateway, clock) = begun(&world.settings).await;
    clock.set(at(1_000));
    for (seconds, wh) in [(5, 5_000), (905, 5_250)] {
        // Two lines in pieces, one of which is refused, and the writer goes.
        let text = format!("{{}}\n{}\n", register("home-1", seconds, wh));
        std::fs::write(&fifo, text).unwrap();
        gateway.until_live(1).await;
    }
    clock.set(at(WINDOW_S + 300));
    assert_eq!(
        first_window(&world, &mut gateway).await,
        [Some(250), None, None, None]
    );
    gateway.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_broker_are_readings_and_are_acknowledged_once_they_are_on_disk() {
    let (mut world, _) = world().await;
    let (stop, stopped) = Stop::manual();
    let mut house = Settings::defaults();
    house.broker.listen = "127.0.0.1:0".parse().unwrap();
    house.broker.metrics_listen = None;
    let broker = broker::bind(&house).await.unwrap();
    let address = broker.address().to_string();
    let broker = tokio::spawn(broker.run(stopped.clone()));
    let meter = &mut world.settings.meter;
    meter.source = SourceKind::Mqtt;
    meter.feed.address = address.clone();
    meter.feed.mappings = vec![FeedMapping {
        ready: Some("tasmota-sml".to_owned()),
        topic: Some("tele/+/SENSOR/+".to_owned()),
        ..FeedMapping::default()
    }];
    let (mut gateway, clock) = begun(&world.settings).await;
    clock.set(at(1_000));
    house.mqtt.address = address;
    let (publisher, _inbox) = mqtt::connect(&house.mqtt, "house", Vec::new(), stopped);
    // 23:00 is the start of the first window, in UTC as the settings have it. The broker retains each: the gateway may
    // subscribe before or after.
    for (number, time, total) in [(1, "23:00:07", 12.5), (2, "23:14:58", 12.625)] {
        let payload = format!(r#"{{"Time":"2023-11-14T{time}","SML":{{"Total_in":{total}}}}}"#);
        let topic = format!("tele/Home_1/SENSOR/{number}");
        let published = publisher.publish(topic, payload.into_bytes(), true);
        published.await.unwrap();
    }
    gateway.until_live(2).await;
    clock.set(at(WINDOW_S + 1_000));
    assert_eq!(
        first_window(&world, &mut gateway).await,
        [Some(125), None, None, None]
    );
    gateway.end().await;
    publisher.close().await;
    stop.stop();
    broker.await.unwrap().unwrap();
    world.end().await;
}
