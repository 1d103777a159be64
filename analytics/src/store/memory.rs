//! A store in memory: it survives the engine, not the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use wire::{Digest, FeederId, MeterId};

use super::{
    ContributorRow, ReleaseRow, Snapshot, Store, StoreError, SumKey, SumRow, Terms, Transaction,
};

/// Keeps all rows in memory. Clones share them, so a test can restart an engine on what the last one committed.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    sums: BTreeMap<SumKey, Entry>,
    times: BTreeMap<FeederId, u64>,
}

#[derive(Debug)]
struct Entry {
    row: SumRow,
    limbs: Option<Vec<u8>>,
    contributors: BTreeMap<MeterId, Digest>,
    release: Option<(Digest, Bytes)>,
}

impl Store for MemoryStore {
    fn load(&mut self, _: &Terms) -> Result<Snapshot, StoreError> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut snapshot = Snapshot::default();
        for (key, entry) in &rows.sums {
            snapshot.sums.push((entry.row.clone(), entry.limbs.clone()));
            snapshot
                .contributors
                .extend(
                    entry
                        .contributors
                        .iter()
                        .map(|(meter, digest)| ContributorRow {
                            key: key.clone(),
                            meter: meter.clone(),
                            digest: *digest,
                        }),
                );
            snapshot
                .releases
                .extend(entry.release.iter().map(|(digest, bytes)| ReleaseRow {
                    key: key.clone(),
                    digest: *digest,
                    bytes: bytes.clone(),
                }));
        }
        snapshot.times = rows
            .times
            .iter()
            .map(|(feeder, time)| (feeder.clone(), *time))
            .collect();
        Ok(snapshot)
    }

    fn commit(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (row, accumulator) in &transaction.sums {
            let limbs = accumulator.map(packed::Accumulator::to_packed);
            rows.sums
                .entry(row.key.clone())
                .and_modify(|entry| {
                    entry.row = row.clone();
                    entry.limbs.clone_from(&limbs);
                })
                .or_insert_with(|| Entry {
                    row: row.clone(),
                    limbs,
                    contributors: BTreeMap::new(),
                    release: None,
                });
        }
        for added in &transaction.contributors {
            if let Some(entry) = rows.sums.get_mut(&added.key) {
                entry.contributors.insert(added.meter.clone(), added.digest);
            }
        }
        for (feeder, time) in &transaction.times {
            rows.times.insert(feeder.clone(), *time);
        }
        for release in &transaction.releases {
            if let Some(entry) = rows.sums.get_mut(&release.key) {
                entry.release = Some((release.digest, release.bytes.clone()));
            }
        }
        for key in &transaction.settled {
            if let Some(entry) = rows.sums.get_mut(key) {
                entry.release = None;
            }
        }
        for (feeder, window) in &transaction.reclaimed {
            rows.sums
                .retain(|key, _| key.feeder != *feeder || key.window != *window);
        }
        Ok(())
    }
}
