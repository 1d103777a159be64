//! A source of readings of your own: a street of street lamps, on from 18:00 to 06:00 UTC.
//!
//! `cargo run -p meter --example custom_source` prints one day of it as a gateway would read it;
//! `cargo run -p meter --example custom_source run` runs that gateway beside the other processes, as the README starts them.

use std::time::Duration;

use meter::{Readings, Scale, quantise};
use readings::{MeterSpec, MicroWattHours, Reading, Source, SourceError, clamp};
use service::clock::SystemClock;
use service::{Settings, Stop};
use wire::{MeterId, UnixSeconds, WattHours, Watts};

/// Length of a native interval in seconds.
const NATIVE_S: u32 = 900;
/// 2025-01-06 00:00 UTC.
const START: u64 = 1_736_121_600;
/// Power of one lamp in W.
const LAMP_W: u64 = 80;

/// Lamps that have no clock and no position: the answer depends on nothing but the question.
struct StreetLamps {
    meters: Vec<MeterSpec>,
}

impl StreetLamps {
    fn new(count: u32) -> Result<Self, wire::IdError> {
        let lamp = |n| {
            Ok(MeterSpec {
                id: MeterId::try_from(format!("lamp-{n}"))?,
                capacity_w: Watts(LAMP_W),
            })
        };
        Ok(Self {
            meters: (1..=count).map(lamp).collect::<Result<_, _>>()?,
        })
    }
}

impl Source for StreetLamps {
    fn meters(&self) -> &[MeterSpec] {
        &self.meters
    }

    fn interval_s(&self) -> u32 {
        NATIVE_S
    }

    fn range(&self) -> (UnixSeconds, Option<UnixSeconds>) {
        (UnixSeconds(START), None)
    }

    fn read(
        &mut self,
        interval_start: UnixSeconds,
        interval_s: u32,
        out: &mut Vec<Reading>,
    ) -> Result<(), SourceError> {
        out.clear();
        if interval_s == 0 || !interval_s.is_multiple_of(NATIVE_S) {
            return Err(SourceError::Interval {
                asked_s: interval_s,
                native_s: NATIVE_S,
            });
        }
        let start = interval_start.0;
        if !start.is_multiple_of(u64::from(NATIVE_S)) {
            return Err(SourceError::Misaligned {
                start,
                native_s: NATIVE_S,
            });
        }
        if start < START {
            return Err(SourceError::OutOfRange {
                start,
                from: START,
                to: u64::MAX,
            });
        }
        let end = start + u64::from(interval_s);
        let quarters = (start..end).step_by(NATIVE_S as usize);
        let lit = quarters
            .filter(|at| !(6..18).contains(&(at / 3_600 % 24)))
            .count() as u64;
        let wh = (lit * LAMP_W * u64::from(NATIVE_S) / 3_600) as i64;
        let energy = MicroWattHours(wh * MicroWattHours::PER_WH);
        // A lamp that reports nothing would be `Reading::Missing`, never a guess.
        out.resize(self.meters.len(), Reading::Energy(energy));
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("run") => run(),
        _ => print(),
    }
}

/// A gateway of the lamps, for one day.
fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut settings = Settings::defaults();
    settings.meter.speed = 3_600.0;
    settings.meter.duration = Some(Duration::from_secs(86_400));
    // The identity says which readings these are: a gateway that is started again with the same one goes on.
    let readings = Readings::new(StreetLamps::new(40)?, "street lamps, 40 of 80 W");
    let (_handle, stop) = Stop::manual();
    let clock = SystemClock::shared();
    let runtime = tokio::runtime::Runtime::new()?;
    let summary = runtime.block_on(meter::run_on(&settings, readings, clock, stop, None))?;
    println!("{summary:?}");
    Ok(())
}

fn print() -> Result<(), Box<dyn std::error::Error>> {
    let mut lamps = StreetLamps::new(40)?;
    let mut readings = Vec::new();
    let mut day = 0;
    for hour in 0..24 {
        lamps.read(UnixSeconds(START + hour * 3_600), 3_600, &mut readings)?;
        let mut sum = 0;
        for (meter, reading) in lamps.meters().iter().zip(&readings) {
            if let Reading::Energy(energy) = reading {
                // What a gateway does before it encrypts; a meter within its capacity is not changed, and whole watt-hours leave
                // no remainder.
                let (energy, clamped) = clamp(*energy, meter.capacity_w, 3_600);
                let scale = Scale {
                    quantum_wh: 1,
                    reference_wh: 1 << 14,
                };
                let (WattHours(wh), remainder) = quantise(energy, MicroWattHours(0), scale);
                assert!(!clamped && remainder == MicroWattHours(0));
                sum += wh;
            }
        }
        println!("{hour:02}:00  {sum:>5} Wh");
        day += sum;
    }
    println!("  day  {day:>5} Wh");
    assert_eq!(day, 12 * 40 * LAMP_W as i64);
    Ok(())
}

#[test]
fn it_runs() {
    print().expect("the example");
}
