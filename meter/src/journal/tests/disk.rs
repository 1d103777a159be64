//! A disk that dies at its n-th step, with or without the page cache, and can be read afterwards.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use redb::{Database, StorageBackend};

use crate::journal::{Open, tables};

/// How the disk dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// The step fails and nothing of it happens: the disk is full or gone.
    Fails,
    /// A part of the step happens, and the process is dead: what it wrote before is in the page cache.
    Tears,
    /// The power fails: of what was written since the last sync, any part may be there, each write whole, torn or not.
    PowerLoss,
}

#[derive(Debug)]
struct State {
    content: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Write>,
    steps: u64,
    dies_at: Option<(u64, Death)>,
    dead: bool,
    chance: StdRng,
}

#[derive(Debug, Clone)]
enum Write {
    Bytes(u64, Vec<u8>),
    Len(u64),
}

/// The disk; clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// A disk with an empty journal on it.
    pub(super) fn new(seed: u64) -> Self {
        let disk = Self::holding(seed, &[]);
        let database = disk.create();
        let change = database.begin_write().unwrap();
        tables::initialise(&change).unwrap();
        change.commit().unwrap();
        database.close().unwrap();
        disk.state().steps = 0;
        disk
    }

    /// A disk with the file `content` on it.
    pub(super) fn holding(seed: u64, content: &[u8]) -> Self {
        Self(Arc::new(Mutex::new(State {
            content: content.to_owned(),
            synced: content.to_owned(),
            unsynced: Vec::new(),
            steps: 0,
            dies_at: None,
            dead: false,
            chance: StdRng::seed_from_u64(seed),
        })))
    }

    fn create(&self) -> Database {
        Database::builder()
            .create_with_backend(self.clone())
            .unwrap()
    }

    /// Opens the store on the disk.
    pub(super) fn opener(&self) -> Open {
        let disk = self.clone();
        Box::new(move || {
            let mut builder = Database::builder();
            builder.set_check_integrity_on_open(true);
            let opened = builder.create_with_backend(disk.clone());
            opened.map_err(|error| redb::Error::from(error).into())
        })
    }

    /// Dies at the `step`-th step from the beginning.
    pub(super) fn die_at(&self, step: u64, death: Death) {
        self.state().dies_at = Some((step, death));
    }

    pub(super) fn steps(&self) -> u64 {
        self.state().steps
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Works again, with what it has.
    pub(super) fn revive(&self) {
        let mut state = self.state();
        (state.dead, state.dies_at) = (false, None);
        state.synced = state.content.clone();
        state.unsynced.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn step(&mut self, write: Option<Write>) -> io::Result<()> {
        if self.dead {
            return Err(io::Error::other("the disk is dead"));
        }
        self.steps += 1;
        if let Some((_, death)) = self.dies_at.filter(|(step, _)| *step == self.steps) {
            self.dead = true;
            match death {
                Death::Fails => {}
                Death::Tears => {
                    if let Some(write) = write {
                        let torn = self.torn(write);
                        apply(&mut self.content, &torn);
                    }
                }
                Death::PowerLoss => {
                    self.content = std::mem::take(&mut self.synced);
                    let unsynced = std::mem::take(&mut self.unsynced);
                    for write in unsynced.into_iter().chain(write) {
                        match self.chance.random_range(0..3) {
                            0 => {}
                            1 => apply(&mut self.content, &write),
                            _ => {
                                let torn = self.torn(write);
                                apply(&mut self.content, &torn);
                            }
                        }
                    }
                }
            }
            return Err(io::Error::other("the disk dies"));
        }
        match write {
            Some(write) => {
                apply(&mut self.content, &write);
                self.unsynced.push(write);
            }
            None => {
                self.synced = self.content.clone();
                self.unsynced.clear();
            }
        }
        Ok(())
    }

    fn torn(&mut self, write: Write) -> Write {
        match write {
            Write::Bytes(offset, mut data) => {
                let kept = self.chance.random_range(0..=data.len());
                data.truncate(kept);
                Write::Bytes(offset, data)
            }
            len @ Write::Len(_) => len,
        }
    }
}

fn apply(content: &mut Vec<u8>, write: &Write) {
    match write {
        Write::Bytes(offset, data) => {
            let from = *offset as usize;
            let to = from + data.len();
            if content.len() < to {
                content.resize(to, 0);
            }
            content[from..to].copy_from_slice(data);
        }
        Write::Len(len) => content.resize(*len as usize, 0),
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.state().content.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let state = self.state();
        let from = offset as usize;
        let to = from + out.len();
        let bytes = state.content.get(from..to);
        out.copy_from_slice(
            bytes
                .ok_or(io::ErrorKind::UnexpectedEof)
                .map_err(io::Error::from)?,
        );
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.state().step(Some(Write::Len(len)))
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.state().step(None)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.state().step(Some(Write::Bytes(offset, data.to_vec())))
    }
}
