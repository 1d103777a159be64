//! The meters: who they are, where they are, and what they ask the operator.
//!
//! Reports are numbered by *rows*. A *cell* is one feeder in one window; its rows are those of the feeder's meters. Cells
//! go through the feeders and then to the next window, so that any run of rows is a number of whole cells.

use anyhow::{Context as _, Result, ensure};
use masks::MaskSecret;
use meter::feeder_of;
use wire::{
    CapacityClass, DeploymentId, Digest, EnrolFeeder, EnrolMeter, EnrolRequest, FeederId,
    GatewayId, MaskKey, MeterId, SigningKey, Topics, UnixMillis, VerifyingKey, Watts, WindowStart,
};

/// Length of a window, in seconds: a quarter of an hour.
pub(crate) const INTERVAL_S: u32 = 900;
/// The first window: 2025-01-01, far enough in the past for every window of a run to be over, and the same in all runs,
/// so that signed reports can be used again.
const FIRST_WINDOW: u64 = 1_735_689_600;
/// Meters in one enrolment request.
const CHUNK: usize = 4_096;
/// Greatest reading, in Wh: a household's connection at full power for a quarter of an hour.
pub(crate) const GREATEST_WH: i64 = 3_600;

#[derive(Debug)]
pub(crate) struct Fleet {
    seed: u64,
    /// Meters on each feeder.
    pub(crate) a_feeder: u32,
    pub(crate) feeders: Vec<FeederId>,
    pub(crate) gateways: Vec<GatewayId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) meter: u32,
    pub(crate) feeder: u32,
    pub(crate) window: WindowStart,
    pub(crate) gateway: u32,
}

impl Fleet {
    /// `meters` on `feeders`, the same number on each, rounded down.
    pub(crate) fn new(meters: u32, feeders: u32, gateways: u32, seed: u64) -> Result<Self> {
        let a_feeder = meters.checked_div(feeders).unwrap_or(0);
        ensure!(
            a_feeder >= 2,
            "{meters} meters on {feeders} feeders: a feeder needs at least two"
        );
        Ok(Self {
            seed,
            a_feeder,
            feeders: (0..feeders as usize)
                .map(|index| feeder_of(index, feeders))
                .collect(),
            gateways: (0..gateways)
                .map(|gateway| Ok(format!("load-{gateway}").parse()?))
                .collect::<Result<_>>()?,
        })
    }

    pub(crate) fn meters(&self) -> u32 {
        self.a_feeder * self.feeders.len() as u32
    }

    pub(crate) fn feeder(&self, index: u32) -> &FeederId {
        &self.feeders[index as usize % self.feeders.len()]
    }

    pub(crate) fn cell(&self, cell: u64) -> (u32, WindowStart) {
        let feeders = self.feeders.len() as u64;
        let window = FIRST_WINDOW + cell / feeders * u64::from(INTERVAL_S);
        ((cell % feeders) as u32, WindowStart(window))
    }

    pub(crate) fn place(&self, row: u64) -> Place {
        let a_feeder = u64::from(self.a_feeder);
        let (feeder, window) = self.cell(row / a_feeder);
        let member = (row % a_feeder) as u32;
        Place {
            meter: feeder * self.a_feeder + member,
            feeder,
            window,
            gateway: self.gateway(feeder, member),
        }
    }

    /// In turn, so that what is due at one time is spread over all gateways.
    fn gateway(&self, feeder: u32, member: u32) -> u32 {
        (feeder + member) % self.gateways.len() as u32
    }

    /// How many meters of a feeder are behind a gateway.
    fn members(&self, feeder: u32, gateway: u32) -> u32 {
        let members = (0..self.a_feeder).filter(|member| self.gateway(feeder, *member) == gateway);
        members.count() as u32
    }

    pub(crate) fn row(&self, meter: &MeterId, window: WindowStart) -> Option<u64> {
        let meter: u32 = meter.as_ref().strip_prefix("load-")?.parse().ok()?;
        let since = window.0.checked_sub(FIRST_WINDOW)? / u64::from(INTERVAL_S);
        let cell = since * self.feeders.len() as u64 + u64::from(meter / self.a_feeder);
        (meter < self.meters())
            .then(|| cell * u64::from(self.a_feeder) + u64::from(meter % self.a_feeder))
    }

    pub(crate) fn meter_id(&self, meter: u32) -> Result<MeterId> {
        Ok(format!("load-{meter:07}").parse()?)
    }

    /// The signing key of a meter: it follows from the seed and protects nothing.
    pub(crate) fn meter_key(&self, meter: u32) -> SigningKey {
        SigningKey::from_bytes(&self.derived("meter", meter))
    }

    /// The secret of a meter's masks, which protects nothing either.
    pub(crate) fn mask_secret(&self, meter: u32) -> MaskSecret {
        MaskSecret::from_bytes(&self.derived("mask", meter))
    }

    fn derived(&self, kind: &str, index: u32) -> [u8; 32] {
        let text = format!("cipherwatt bench load, {kind} {index}, seed {}", self.seed);
        Digest::of(text.as_bytes()).0
    }

    /// The public keys of all meters.
    pub(crate) fn public_keys(&self) -> Result<Vec<PublicKeys>> {
        let none = (VerifyingKey::from_bytes([0; 32]), MaskKey([0; 32]));
        let mut keys = vec![none; self.meters() as usize];
        in_parallel(&mut keys, 1, |meter, keys| {
            keys[0] = self.keys_of(meter as u32);
            Ok(())
        })?;
        Ok(keys)
    }

    fn keys_of(&self, meter: u32) -> PublicKeys {
        let mask = MaskKey(self.mask_secret(meter).public());
        (self.meter_key(meter).verifying_key(), mask)
    }

    /// Requests for the first meter of each feeder, which name all feeders as large as they will be: they found the plan.
    pub(crate) fn founding(
        &self,
        deployment: &DeploymentId,
        topics: &Topics,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let mut firsts = vec![Vec::new(); self.gateways.len()];
        for feeder in 0..self.feeders.len() as u32 {
            let meter = feeder * self.a_feeder;
            let keys = self.keys_of(meter);
            firsts[self.gateway(feeder, 0) as usize].push(self.asked(meter, keys)?);
        }
        let requests = (0..).zip(firsts).map(|(gateway, meters)| {
            self.request(deployment, topics, gateway, (0, 1), (true, meters))
        });
        requests.collect()
    }

    /// What a gateway asks the operator: to enrol its meters.
    pub(crate) fn requests(
        &self,
        deployment: &DeploymentId,
        topics: &Topics,
        gateway: u32,
        keys: &[PublicKeys],
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let own: Vec<u32> = (0..self.meters())
            .filter(|meter| self.gateway(meter / self.a_feeder, meter % self.a_feeder) == gateway)
            .collect();
        let chunks = own.len().div_ceil(CHUNK) as u32;
        let requests = (0..).zip(own.chunks(CHUNK)).map(|(chunk, own)| {
            let meters = own.iter();
            let meters = meters.map(|meter| self.asked(*meter, keys[*meter as usize]));
            let meters = meters.collect::<Result<_>>()?;
            self.request(
                deployment,
                topics,
                gateway,
                (chunk, chunks),
                (false, meters),
            )
        });
        requests.collect()
    }

    fn asked(&self, meter: u32, (key, mask_key): PublicKeys) -> Result<EnrolMeter> {
        Ok(EnrolMeter {
            meter: self.meter_id(meter)?,
            feeder: self.feeder(meter / self.a_feeder).clone(),
            capacity: capacity()?,
            key,
            mask_key,
            billing: false,
        })
    }

    fn request(
        &self,
        deployment: &DeploymentId,
        topics: &Topics,
        gateway: u32,
        (chunk, chunks): (u32, u32),
        (founds, meters): (bool, Vec<EnrolMeter>),
    ) -> Result<(String, Vec<u8>)> {
        let key = SigningKey::from_bytes(&self.derived("gateway", gateway));
        let id = &self.gateways[gateway as usize];
        let max_capacity = capacity()?;
        let feeder = |(index, feeder): (u32, &FeederId)| EnrolFeeder {
            feeder: feeder.clone(),
            max_capacity,
            // Who founds a feeder asks for all that it will have, so that its setting does not change under way.
            meters: match founds {
                true => self.a_feeder,
                false => self.members(index, gateway),
            },
        };
        let mut feeders: Vec<_> = (0..).zip(&self.feeders).map(feeder).collect();
        feeders.sort_by(|a, b| a.feeder.cmp(&b.feeder));
        let request = EnrolRequest {
            gateway: id.clone(),
            gateway_key: key.verifying_key(),
            issued_at: UnixMillis(jiff::Timestamp::now().as_millisecond().unsigned_abs()),
            chunk,
            chunks,
            feeders,
            meters,
        };
        let topic = topics.enrol(id);
        let (bytes, _) = wire::seal(&request, None, deployment, &topic, &key);
        Ok((topic, bytes))
    }
}

/// What a meter signs with and masks with.
pub(crate) type PublicKeys = (VerifyingKey, MaskKey);

fn capacity() -> Result<CapacityClass> {
    let watts = Watts(GREATEST_WH.unsigned_abs() * 3600 / u64::from(INTERVAL_S));
    CapacityClass::of(watts).context("no capacity class")
}

/// Fills the rows of `items`, of `row` items each, on all processors.
pub(crate) fn in_parallel<T: Send>(
    items: &mut [T],
    row: usize,
    fill: impl Fn(usize, &mut [T]) -> Result<()> + Sync,
) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let rows = (items.len() / row).div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts = items.chunks_mut(rows * row).enumerate();
        let tasks: Vec<_> = parts
            .map(|(part, items)| {
                let fill = &fill;
                scope.spawn(move || {
                    let mut rows = (part * rows..).zip(items.chunks_exact_mut(row));
                    rows.try_for_each(|(index, row)| fill(index, row))
                })
            })
            .collect();
        tasks.into_iter().try_for_each(|task| match task.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_meter_in_a_window_and_back() {
        let fleet = Fleet::new(1_000, 7, 3, 1).unwrap();
        assert_eq!((fleet.meters(), fleet.a_feeder), (994, 142));
        for row in [0, 141, 142, 993, 994, 5_000] {
            let place = fleet.place(row);
            let id = fleet.meter_id(place.meter).unwrap();
            assert_eq!(fleet.row(&id, place.window), Some(row));
            assert_eq!(place.feeder, place.meter / 142);
        }
        assert_eq!(fleet.place(994).meter, 0);
        let stranger = fleet.meter_id(994).unwrap();
        assert_eq!(fleet.row(&stranger, fleet.place(0).window), None);
        let early = WindowStart(FIRST_WINDOW - 1);
        assert_eq!(fleet.row(&fleet.meter_id(0).unwrap(), early), None);
        assert!(Fleet::new(10, 6, 1, 1).is_err());
    }

    #[test]
    fn every_meter_is_asked_for_once_and_by_the_gateway_it_is_behind() {
        let fleet = Fleet::new(20_000, 3, 4, 1).unwrap();
        let keys = fleet.public_keys().unwrap();
        assert_eq!(keys[7].0, fleet.meter_key(7).verifying_key());
        assert_eq!(keys[7].1.0, fleet.mask_secret(7).public());
        let deployment: DeploymentId = "dev".parse().unwrap();
        let topics = Topics::new("cipherwatt/v2").unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for gateway in 0..4 {
            let requests = fleet.requests(&deployment, &topics, gateway, &keys);
            for (_, bytes) in requests.unwrap() {
                let request = wire::decode::<EnrolRequest>(&bytes, 8 << 20).unwrap();
                for EnrolMeter { meter, feeder, .. } in &request.claimed().meters {
                    let row = fleet.row(meter, WindowStart(FIRST_WINDOW)).unwrap();
                    assert_eq!(fleet.place(row).gateway, gateway);
                    assert_eq!(fleet.feeder(fleet.place(row).feeder), feeder);
                    assert!(seen.insert(meter.clone()));
                }
            }
        }
        assert_eq!(seen.len(), fleet.meters() as usize);
    }

    #[test]
    fn rows_are_filled_each_once_whatever_the_number_of_threads() {
        for len in [0, 1, 2, 3, 10, 1_001] {
            let mut bytes = vec![0; len * 4];
            in_parallel(&mut bytes, 4, |index, row| {
                row.copy_from_slice(&(index as u32 + 1).to_le_bytes());
                Ok(())
            })
            .unwrap();
            let rows: Vec<u32> = bytes
                .as_chunks()
                .0
                .iter()
                .map(|row| u32::from_le_bytes(*row))
                .collect();
            assert_eq!(rows, (1..=len as u32).collect::<Vec<_>>());
        }
    }
}
