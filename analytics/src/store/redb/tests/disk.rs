//! A disk in memory that fails, tears a write, or loses power, at its n-th operation.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use redb::{Builder, Database, DatabaseError, StorageBackend};

use super::super::medium::Medium;

/// What happens at the n-th write, change of length, or sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It and so many after it are refused without effect, as by a full disk.
    Refuse(u64),
    /// Half of it happens, and it is reported as failed. A sync happens, and is reported as failed.
    Tear,
    /// The power goes: nothing works from here on.
    Crash,
}

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What a sync made durable.
    durable: Vec<u8>,
    /// What a read sees.
    live: Vec<u8>,
    /// What happened since the last sync, in order.
    pending: Vec<Change>,
    operations: u64,
    fault: Option<(u64, Fault)>,
    dead: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Length(length) => image.resize(*length, 0),
            Self::Write(offset, data) => {
                let end = offset + data.len();
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[*offset..end].copy_from_slice(data);
            }
        }
    }
}

impl Disk {
    /// A disk on which all of `image` is durable.
    pub(super) fn holding(image: Vec<u8>) -> Self {
        let disk = Self::default();
        let mut state = disk.state();
        state.live.clone_from(&image);
        state.durable = image;
        drop(state);
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Lets the `n`-th operation from now, counted from 0, go wrong.
    pub(super) fn fail(&self, n: u64, fault: Fault) {
        let mut state = self.state();
        state.fault = Some((state.operations + n, fault));
    }

    /// Writes, changes of length and syncs so far.
    pub(super) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Whether the fault has happened.
    pub(super) fn failed(&self) -> bool {
        let state = self.state();
        state.fault.is_some_and(|(at, _)| state.operations > at)
    }

    /// What the disk may hold after the power went: all that was synced, and any part of what was not, in any order,
    /// the sectors of a write included. The first seeds lose everything and nothing.
    pub(super) fn after_power_loss(&self, seed: u64) -> Self {
        let state = self.state();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut image = state.durable.clone();
        for change in &state.pending {
            match (seed, change) {
                (0, _) => {}
                (1, change) => change.apply(&mut image),
                (_, Change::Length(_)) if rng.random() => change.apply(&mut image),
                (_, Change::Length(_)) => {}
                (_, Change::Write(offset, data)) => {
                    for (sector, part) in data.chunks(512).enumerate() {
                        if rng.random() {
                            Change::Write(offset + sector * 512, part.to_vec()).apply(&mut image);
                        }
                    }
                }
            }
        }
        Self::holding(image)
    }

    /// Counts an operation. `Ok(true)`: it happens by half and is then reported as failed.
    fn begin(state: &mut State) -> io::Result<bool> {
        let now = state.operations;
        state.operations += 1;
        match state.fault {
            _ if state.dead => Err(io::Error::other("no power")),
            Some((at, Fault::Refuse(count))) if (at..at + count).contains(&now) => {
                Err(io::ErrorKind::StorageFull.into())
            }
            Some((at, Fault::Tear)) if at == now => Ok(true),
            Some((at, Fault::Crash)) if at == now => {
                state.dead = true;
                Err(io::Error::other("no power"))
            }
            _ => Ok(false),
        }
    }
}

fn reported(torn: bool) -> io::Result<()> {
    if torn {
        return Err(io::Error::other("torn"));
    }
    Ok(())
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if state.dead {
            return Err(io::Error::other("no power"));
        }
        let start = offset as usize;
        let there = state.live.get(start..start + out.len());
        out.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let state = &mut *self.state();
        let torn = Self::begin(state)?;
        let change = Change::Length(len as usize);
        change.apply(&mut state.live);
        state.pending.push(change);
        reported(torn)
    }

    fn sync_data(&self) -> io::Result<()> {
        let state = &mut *self.state();
        let torn = Self::begin(state)?;
        state.durable.clone_from(&state.live);
        state.pending.clear();
        reported(torn)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let state = &mut *self.state();
        let torn = Self::begin(state)?;
        let kept = if torn { data.len() / 2 } else { data.len() };
        let change = Change::Write(offset as usize, data[..kept].to_vec());
        change.apply(&mut state.live);
        state.pending.push(change);
        reported(torn)
    }
}

impl Medium for Disk {
    fn open(&mut self, builder: Builder) -> Result<Database, DatabaseError> {
        builder.create_with_backend(self.clone())
    }

    fn path(&self) -> &Path {
        Path::new("disk")
    }

    fn replaced(&self) -> Option<String> {
        None
    }
}
