//! A bad network: a TCP proxy between a process and the broker or the database that cuts, delays, stalls and goes deaf.
//!
//! What happens to a connection, and when, follows from the seed and the connection's number. After a calm while one of
//! these befalls it:
//!
//! * *cut*: both ends are closed, whatever is under way;
//! * *delay*: everything takes longer for a while, each direction on its own;
//! * *stall*: nothing passes for a while, then everything does;
//! * *deaf*: what the process sends arrives, no answer comes back, then the connection is cut. The process sends what was
//!   not acknowledged again, so the other side gets it twice, and later than what it overtook: that is how duplicates and
//!   changed order come about over TCP.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use super::serve::Role;

/// Bytes passed on at once.
const CHUNK: usize = 16 * 1024;

/// What a connection goes through now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    Calm,
    Delay(Duration),
    Stall,
    /// Only what the process sends passes.
    Deaf,
}

/// What comes next on a connection: so long of this, and whether it is cut then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spell {
    weather: Weather,
    lasts: Duration,
    cut: bool,
}

/// What there is once all faults are over.
const CALM: Spell = Spell {
    weather: Weather::Calm,
    lasts: Duration::from_secs(1),
    cut: false,
};

/// How often each fault happened.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    cut: AtomicU64,
    delay: AtomicU64,
    stall: AtomicU64,
    deaf: AtomicU64,
    /// Whether there are no more.
    over: AtomicBool,
}

/// Faults of the networks of a run.
#[derive(Debug)]
pub(crate) struct Networks {
    /// Between each process and the broker.
    pub(crate) broker: BTreeMap<Role, Arc<Faults>>,
    /// Between analytics and the database.
    pub(crate) database: Arc<Faults>,
}

impl Networks {
    /// Of all but the broker.
    pub(crate) fn of(roles: Vec<Role>) -> Self {
        let others = roles.into_iter().filter(|role| *role != Role::Broker);
        Self {
            broker: others.map(|role| (role, Arc::default())).collect(),
            database: Arc::default(),
        }
    }

    /// Ends all faults, within two seconds: no process is asked to end while it cannot reach what it needs for that.
    pub(crate) async fn calm(&self) {
        for faults in self.broker.values().chain([&self.database]) {
            faults.over.store(true, Ordering::Relaxed);
        }
        sleep(Duration::from_secs(2)).await;
    }
}

/// [`Faults`] at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct FaultCounts {
    /// Connections cut without warning.
    pub(crate) cuts: u64,
    pub(crate) delays: u64,
    /// Spells in which nothing passed.
    pub(crate) stalls: u64,
    /// Spells without an answer, followed by a cut.
    pub(crate) deaf: u64,
}

impl Sum for FaultCounts {
    fn sum<I: Iterator<Item = Self>>(each: I) -> Self {
        each.fold(Self::default(), |sum, counts| Self {
            cuts: sum.cuts + counts.cuts,
            delays: sum.delays + counts.delays,
            stalls: sum.stalls + counts.stalls,
            deaf: sum.deaf + counts.deaf,
        })
    }
}

impl Faults {
    pub(crate) fn counts(&self) -> FaultCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FaultCounts {
            cuts: of(&self.cut),
            delays: of(&self.delay),
            stalls: of(&self.stall),
            deaf: of(&self.deaf),
        }
    }

    fn count(&self, spell: &Spell) {
        let counter = match spell.weather {
            Weather::Calm if spell.cut => &self.cut,
            Weather::Calm => return,
            Weather::Delay(_) => &self.delay,
            Weather::Stall => &self.stall,
            Weather::Deaf => &self.deaf,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Listens on a free port of the loopback interface and passes on to `server`. Ends when dropped with the runtime.
pub(crate) async fn listen(
    server: SocketAddr,
    seed: u64,
    faults: Arc<Faults>,
) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .context("a port for the proxy")?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((process, _)) = listener.accept().await {
            number += 1;
            let random = ChaCha8Rng::seed_from_u64(seed ^ (number << 32));
            tokio::spawn(connection(process, server, random, faults.clone()));
        }
    });
    Ok(address)
}

async fn connection(
    process: TcpStream,
    server: SocketAddr,
    mut random: ChaCha8Rng,
    faults: Arc<Faults>,
) {
    // No server: the process sees its connection close.
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let _ = (process.set_nodelay(true), server.set_nodelay(true));
    let (weather, now) = watch::channel(Weather::Calm);
    let (process_read, process_write) = process.into_split();
    let (server_read, server_write) = server.into_split();
    let out = pump(process_read, server_write, now.clone(), |weather| {
        weather == Weather::Stall
    });
    let back = pump(server_read, process_write, now, |weather| {
        matches!(weather, Weather::Stall | Weather::Deaf)
    });
    let forecast = async {
        loop {
            let spell = match faults.over.load(Ordering::Relaxed) {
                true => CALM,
                false => next(&mut random),
            };
            weather.send_replace(spell.weather);
            if spell.weather != Weather::Calm {
                faults.count(&spell);
            }
            sleep(spell.lasts).await;
            if spell.cut {
                if spell.weather == Weather::Calm {
                    faults.count(&spell);
                }
                return;
            }
        }
    };
    // Whoever ends first ends the connection: dropping the halves closes both sides.
    tokio::select! {
        () = out => {}
        () = back => {}
        () = forecast => {}
    }
}

/// Calm in half of the cases, so that no fault comes at once; otherwise one of the faults.
fn next(random: &mut ChaCha8Rng) -> Spell {
    let ms = |random: &mut ChaCha8Rng, range| Duration::from_millis(random.random_range(range));
    match random.random_range(0..8) {
        0..4 => Spell {
            weather: Weather::Calm,
            lasts: ms(random, 500..4_000),
            cut: random.random_bool(0.25),
        },
        4 | 5 => Spell {
            weather: Weather::Delay(ms(random, 1..60)),
            lasts: ms(random, 200..2_000),
            cut: false,
        },
        6 => Spell {
            weather: Weather::Stall,
            lasts: ms(random, 100..1_500),
            cut: random.random_bool(0.5),
        },
        _ => Spell {
            weather: Weather::Deaf,
            lasts: ms(random, 50..600),
            cut: true,
        },
    }
}

/// Passes bytes on in one direction, as the weather allows.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut now: watch::Receiver<Weather>,
    holds: fn(Weather) -> bool,
) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(read) if read > 0 => read,
            _ => return,
        };
        let Ok(weather) = now
            .wait_for(|weather| !holds(*weather))
            .await
            .map(|now| *now)
        else {
            return;
        };
        if let Weather::Delay(delay) = weather {
            sleep(delay).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_calm_connection_passes_everything_and_a_broker_that_is_away_closes_it() {
        let broker = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = broker.local_addr().unwrap();
        // A seed whose first connection begins calm.
        let calm = (0..)
            .find(|seed| {
                let spell = next(&mut ChaCha8Rng::seed_from_u64(seed ^ (1 << 32)));
                spell.weather == Weather::Calm
            })
            .unwrap();
        let proxy = listen(address, calm, Arc::default()).await.unwrap();
        let mut process = TcpStream::connect(proxy).await.unwrap();
        let (mut upstream, _) = broker.accept().await.unwrap();
        let sent: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        process.write_all(&sent[..50_000]).await.unwrap();
        let mut got = vec![0; 50_000];
        upstream.read_exact(&mut got).await.unwrap();
        assert_eq!(got, sent[..50_000]);
        upstream.write_all(&sent[50_000..]).await.unwrap();
        process.read_exact(&mut got).await.unwrap();
        assert_eq!(got, sent[50_000..]);
        drop((upstream, broker));
        assert!(matches!(process.read(&mut got).await, Ok(0) | Err(_)));
        let mut refused = TcpStream::connect(proxy).await.unwrap();
        assert!(matches!(refused.read(&mut got).await, Ok(0) | Err(_)));
    }

    #[test]
    fn every_kind_of_weather_comes_and_follows_from_the_seed() {
        let spells = |seed| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            (0..200).map(|_| next(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(spells(1), spells(1));
        assert_ne!(spells(1), spells(2));
        let faults = Faults::default();
        spells(1).iter().for_each(|spell| faults.count(spell));
        let FaultCounts {
            cuts,
            delays,
            stalls,
            deaf,
        } = faults.counts();
        assert!([cuts, delays, stalls, deaf].iter().all(|count| *count > 0));
    }
}
