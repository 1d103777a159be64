//! What a run reads: a file, which must leave no doubt, or a simulated fleet.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use meter::{replayed, simulated};
use readings::{Doubt, Replay, Simulated, Source, Subject, open_replay};
use service::config::Settings;
use wire::{Grid, WindowStart};

use crate::ledger::Ledger;
use crate::oracle::{Clear, FileTruth, Seeded};

/// The input, to learn its range and its meters.
pub(crate) enum Input {
    File(PathBuf, Box<Replay>),
    Simulated(Box<Simulated>),
}

impl Input {
    pub(crate) fn open(settings: &Settings) -> Result<Self> {
        Ok(match &settings.meter.replay {
            Some(path) => {
                let replay = open_replay(path, &replayed(settings))?;
                Self::File(path.clone(), Box::new(replay))
            }
            None => Self::Simulated(Box::new(Simulated::new(&simulated(settings))?)),
        })
    }

    pub(crate) fn as_source(&self) -> &dyn Source {
        match self {
            Self::File(_, replay) => replay.as_ref(),
            Self::Simulated(fleet) => fleet.as_ref(),
        }
    }

    /// Refuses a file that may be read wrongly. A change of the length of intervals is answered by `said`, an interval of
    /// `interval_s` seconds that was asked for.
    pub(crate) fn undoubted(&self, interval_s: u32, said: bool) -> Result<()> {
        let Self::File(path, replay) = self else {
            return Ok(());
        };
        let open = |doubt: &&Doubt| match doubt.subject {
            Subject::Interval(longest) => !(said && interval_s.is_multiple_of(longest)),
            _ => true,
        };
        let doubts: Vec<String> = replay
            .doubts()
            .iter()
            .filter(open)
            .map(Doubt::to_string)
            .collect();
        ensure!(
            doubts.is_empty(),
            "{} may be read wrongly (settings are given with --set meter.NAME=VALUE): {}; it was found to be {}",
            path.display(),
            doubts.join("; "),
            replay.found()
        );
        Ok(())
    }

    pub(crate) fn ledger(
        &mut self,
        grid: Grid,
        windows: (WindowStart, u64),
    ) -> Result<Option<Ledger>> {
        match self {
            Self::File(_, replay) => Ledger::new(replay, grid, windows).map(Some),
            Self::Simulated(_) => Ok(None),
        }
    }

    /// The input in words, and its readings by code of their own.
    pub(crate) fn clear(self, settings: &Settings, seed: u64) -> Result<(String, Box<dyn Clear>)> {
        Ok(match self {
            Self::File(path, replay) => {
                let found = replay.found().clone();
                // A long file is large: it is in memory once at a time.
                drop(replay);
                let clear = FileTruth::open(&path, &replayed(settings), &found)?;
                (path.display().to_string(), Box::new(clear))
            }
            Self::Simulated(fleet) => {
                let meters = fleet.meters().len();
                let words = format!("{meters} simulated meters, seed {seed}");
                (words, Box::new(Seeded(fleet)))
            }
        })
    }
}
