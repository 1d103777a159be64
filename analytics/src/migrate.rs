//! `analytics migrate`: everything from the file to the database, or back, while no process uses either.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use service::trust::{HeldPlan, KeepError, PlanKeeper};
use service::{Settings, failpoint};
use wire::{FeederId, Shard};

use crate::pipeline::new_run;
use crate::store::{
    Carried, Carrying, Contents, FileStore, Mark, Marked, PostgresStore, State, StoreError,
    StoreFormat,
};

mod steps;
use steps::{Side, Step, next};

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum To {
    /// From the file to the database of `[analytics.postgres]`.
    Postgres,
    /// From the database to the file.
    File,
}

impl To {
    /// The other way.
    fn back(self) -> Self {
        match self {
            Self::Postgres => Self::File,
            Self::File => Self::Postgres,
        }
    }

    /// As `analytics.store` names it.
    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::File => "file",
        }
    }
}

/// Why nothing, or not all, was carried over.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// One of the stores cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The plan cannot be read.
    #[error(transparent)]
    Plan(#[from] KeepError),
    /// There is no plan, which says what the rows mean and in which shards they are.
    #[error(
        "there is no plan in {folder}: use the `analytics.id` and `deployment.state_dir` of a process that has run on these sums",
        folder = folder.display()
    )]
    NoPlan {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// There is nothing to carry over.
    #[error(
        "{source_store} has no sums: correct `--file` or `[analytics.postgres]`, or, if there never were any, just set \
         `analytics.store` = \"{to}\"",
        source_store = place.display()
    )]
    Nothing {
        /// The store that was to be left.
        place: PathBuf,
        /// The value of `analytics.store`.
        to: &'static str,
    },
    /// There are rows where they were to go.
    #[error(
        "{target} has sums of its own: name a store without any (`--file`, `analytics.postgres.database`)",
        target = place.display()
    )]
    NotEmpty {
        /// The store that was to be filled.
        place: PathBuf,
    },
    /// A store has a part in another migration.
    #[error(
        "{store} is of another migration, with {other}: name the stores of that one (`--file`, `[analytics.postgres]`), \
         or for this one another store without sums",
        store = place.display()
    )]
    Other {
        /// The store.
        place: PathBuf,
        /// The store that it was carried over to, or is to be filled from.
        other: String,
    },
    /// They are not the same in the end.
    #[error("{target} did not take everything: run this again", target = place.display())]
    Differs {
        /// The store that was to be filled.
        place: PathBuf,
    },
}

/// What was done.
#[derive(Debug, PartialEq, Eq)]
pub enum Migrated {
    /// All of it was carried over.
    Now(Carried),
    /// It had been, before.
    Before,
    /// The source was never whole, and the target is used again, as it was.
    Back,
}

/// The line that says so.
#[derive(Debug)]
pub struct Summary {
    migrated: Migrated,
    source: PathBuf,
    target: PathBuf,
    to: To,
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, target) = (self.source.display(), self.target.display());
        match &self.migrated {
            Migrated::Now(carried) => write!(
                formatter,
                "carried over from {source} to {target}: {carried}"
            ),
            Migrated::Before => write!(
                formatter,
                "{source} had been carried over to {target} before"
            ),
            Migrated::Back => write!(
                formatter,
                "{source} never had all of it: {target} is used again, as it was"
            ),
        }?;
        write!(
            formatter,
            "; now set analytics.store = \"{}\"",
            self.to.name()
        )
    }
}

/// Carries everything over between the file and the database of the settings. `progress` is told after each commit how much that is so far.
///
/// # Errors
/// [`MigrateError`]. What was begun goes on when this is called again; neither store is used meanwhile.
pub fn migrate(
    settings: &Settings,
    (to, file): (To, &Path),
    progress: &mut dyn FnMut(&Carried),
) -> Result<Summary, MigrateError> {
    let held = plan(settings)?;
    let way = Way {
        format: StoreFormat {
            shape: held.shape,
            grid: held.grid,
        },
        shard: &|feeder| held.plan.shard(feeder),
        number: new_run(),
    };
    let nothing = |place| MigrateError::Nothing {
        place,
        to: to.name(),
    };
    if to == To::Postgres && !file.exists() {
        return Err(nothing(file.to_owned()));
    }
    // It comes before the target, which may be made.
    let mut source = open(settings, (to.back(), file), way.number)?;
    let there = Contents::of(&mut *source, &way.format)?;
    let is_unused = |mark: &Mark| mark.state != State::Filled;
    if there.is_empty() && !source.mark().is_some_and(is_unused) {
        return Err(nothing(source.place()));
    }
    let mut target = open(settings, (to, file), way.number)?;
    Ok(Summary {
        migrated: way.go((&mut *source, &there), &mut *target, progress)?,
        source: source.place(),
        target: target.place(),
        to,
    })
}

/// How rows are carried over.
pub(crate) struct Way<'a> {
    pub(crate) format: StoreFormat,
    pub(crate) shard: &'a dyn Fn(&FeederId) -> Shard,
    /// Of the migration, if it is a new one.
    pub(crate) number: u64,
}

impl Way<'_> {
    /// Does what is left to do of the steps of a migration.
    pub(crate) fn go(
        &self,
        (source, there): (&mut dyn Marked, &Contents),
        target: &mut dyn Marked,
        progress: &mut dyn FnMut(&Carried),
    ) -> Result<Migrated, MigrateError> {
        let taken = Contents::of(target, &self.format)?;
        let sides = (Side::of(source, there), Side::of(target, &taken));
        let number = match next(&sides.0, &sides.1, self.number)? {
            Step::None => return Ok(Migrated::Before),
            Step::TakeBack => {
                target.set_mark(None, false)?;
                return Ok(Migrated::Back);
            }
            Step::Fill(number) => number,
        };
        let mark = |state, other: &Side| {
            let other = other.place.display().to_string();
            Some(Mark {
                state,
                number,
                other,
            })
        };
        target.set_mark(mark(State::Filling, &sides.0), true)?;
        failpoint::hit("analytics.migrate");
        source.set_mark(mark(State::Left, &sides.1), false)?;
        let carrying = Carrying {
            from: source,
            to: target,
            format: self.format,
            shard: self.shard,
            progress,
        };
        let carried = carrying.carry(&there.feeders)?;
        if Contents::of(target, &self.format)? != *there {
            return Err(MigrateError::Differs {
                place: target.place(),
            });
        }
        failpoint::hit("analytics.migrate");
        target.set_mark(mark(State::Filled, &sides.0), false)?;
        failpoint::hit("analytics.migrate");
        Ok(Migrated::Now(carried))
    }
}

/// The plan that the process of these settings went by.
fn plan(settings: &Settings) -> Result<Arc<HeldPlan>, MigrateError> {
    let id = &settings.analytics.id;
    let folder = settings.deployment.state_dir.join(id.as_str());
    let held = match folder.is_dir() {
        true => PlanKeeper::open(settings, &folder)?.current(),
        false => None,
    };
    held.ok_or(MigrateError::NoPlan { folder })
}

fn open(
    settings: &Settings,
    (which, file): (To, &Path),
    run: u64,
) -> Result<Box<dyn Marked>, MigrateError> {
    Ok(match which {
        To::File => {
            let deployment = &settings.deployment.id;
            Box::new(FileStore::open_marked(file, deployment)?)
        }
        To::Postgres => Box::new(PostgresStore::open_to_migrate(settings, run)?),
    })
}
