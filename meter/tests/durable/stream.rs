//! The real process, killed while meters send it lines.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::sender::Sender;
use crate::world::{BATCH, World};

const METERS: u64 = 3;
/// How long meters send, in intervals of a second.
const SECONDS: u64 = 20;
const KILLS: u64 = 4;

/// A meter's number, and the start of an interval.
type Interval = (u64, u64);

/// What a meter uses in an interval: it can be told apart from those beside it.
fn energy((meter, time): Interval) -> i64 {
    (meter * 97 + time % 89) as i64
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// The gateway as a process, with the meters' lines on a socket.
fn gateway(world: &World) -> Command {
    let path = |name: &str| world.folder.path().join(name).display().to_string();
    let mut command = crate::kill::bare(world);
    for (key, value) in [
        ("meter.source", "lines".to_owned()),
        ("meter.meters_file", path("meters.csv")),
        ("meter.lines", format!("unix:{}", path("lines"))),
        ("meter.live_grace", "6s".to_owned()),
        ("meter.live_tolerance", "0s".to_owned()),
        ("meter.retry_min", "100ms".to_owned()),
        ("meter.retry_max", "200ms".to_owned()),
    ] {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    command
}

/// Meters that send an interval each second, and send it again until it is answered.
struct Meters {
    socket: PathBuf,
    connected: Option<Sender>,
    /// The first second whose intervals are not over yet.
    next: u64,
    unanswered: VecDeque<Interval>,
    answered: BTreeMap<Interval, String>,
}

impl Meters {
    fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            connected: None,
            next: now(),
            unanswered: VecDeque::new(),
            answered: BTreeMap::new(),
        }
    }

    /// The connection and what is to be sent over it, if there are both.
    async fn ready(&mut self) -> Option<(&mut Sender, Interval)> {
        let now = now();
        for time in self.next..now {
            let all = (1..=METERS).map(|meter| (meter, time));
            self.unanswered.extend(all);
        }
        self.next = now;
        if self.connected.is_none() {
            let stream = UnixStream::connect(&self.socket).await;
            self.connected = stream.ok().map(Sender::over);
        }
        let interval = *self.unanswered.front()?;
        Some((self.connected.as_mut()?, interval))
    }

    /// Sends one interval, or waits for one. If there is a process to kill, it is while the line is under way, and so is the answer,
    /// perhaps.
    async fn step(&mut self, kill: Option<(&mut Child, Duration)>) -> bool {
        let Some((sender, interval)) = self.ready().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            return false;
        };
        let (meter, time) = interval;
        let energy = energy(interval);
        let line = format!(r#"{{"meter":"home-{meter}","time":{time},"energy_wh":{energy}}}"#);
        let killed = kill.is_some();
        let answer = match kill {
            None => sender.send(&line).await,
            Some((child, after)) => {
                sender.write(&line).await;
                tokio::time::sleep(after).await;
                child.start_kill().unwrap();
                child.wait().await.unwrap();
                None
            }
        };
        match answer {
            Some(answer) => {
                self.answered.insert(interval, answer);
                self.unanswered.pop_front();
            }
            None => self.connected = None,
        }
        killed
    }

    /// What was taken, by the answers.
    fn acknowledged(&self) -> impl Iterator<Item = Interval> {
        let counts = |answer: &str| ["taken", "repeated"].contains(&answer);
        let answered = self.answered.iter();
        answered
            .filter(move |(_, answer)| counts(answer))
            .map(|(interval, _)| *interval)
    }
}

/// What arrived, by meter and interval.
fn reported(world: &World) -> BTreeMap<Interval, i64> {
    let books = world.books();
    assert_eq!(books.conflicts, []);
    let mut reported = BTreeMap::new();
    for ((meter, window), arrival) in &books.taken {
        let number = meter.as_str().strip_prefix("home-").unwrap();
        let number: u64 = number.parse().unwrap();
        let totals = &arrival.totals;
        let readings = totals.energy_wh.iter().zip(&totals.present);
        for (time, (wh, present)) in (*window..).zip(readings) {
            if *present == 1 {
                reported.insert((number, time), *wh);
            }
        }
    }
    reported
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_mid_stream_it_loses_no_line_that_it_answered_and_counts_none_twice() {
    let world = World::start_under(|plan| plan.interval_s = 1).await;
    let line = |meter: u64| format!("home-{meter},feeder-{},3600000\n", meter % 2 + 1);
    let csv = (1..=METERS).map(line).collect::<String>();
    let csv = "id,feeder,capacity_w\n".to_owned() + &csv;
    std::fs::write(world.folder.path().join("meters.csv"), csv).unwrap();

    let mut child = gateway(&world).spawn().unwrap();
    let mut meters = Meters::new(&world.folder.path().join("lines"));
    let end = now() + SECONDS;
    let mut kills = 0;
    while now() < end {
        let due = kills < KILLS && meters.answered.len() as u64 > 8 * (kills + 1);
        let after = Duration::from_micros(700 * kills);
        let kill = due.then_some((&mut child, after));
        if meters.step(kill).await {
            kills += 1;
            child = gateway(&world).spawn().unwrap();
        }
    }
    assert_eq!(kills, KILLS);

    let last = meters.acknowledged().map(|(_, time)| time).max().unwrap();
    let window = last - last % u64::from(BATCH);
    world
        .until("the last window of all", |books| {
            let of_last = books.taken.keys().filter(|(_, other)| *other == window);
            of_last.count() as u64 == METERS
        })
        .await;
    child.start_kill().unwrap();
    child.wait().await.unwrap();

    let reported = reported(&world);
    for (interval, wh) in &reported {
        assert_eq!(*wh, energy(*interval), "{interval:?} counts once");
    }
    let mut acknowledged = 0;
    for interval in meters.acknowledged() {
        let arrived = reported.contains_key(&interval);
        assert!(arrived, "{interval:?} was acknowledged and is lost");
        acknowledged += 1;
    }
    assert!(acknowledged > 8 * KILLS, "{acknowledged}");
    world.end().await;
}
