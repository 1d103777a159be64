//! What is asked of released totals.

use clap::Subcommand;
use operator::answers::select::Selection;
use operator::rotate;
use wire::{AreaId, FeederId, UnixSeconds};

#[derive(Debug, Subcommand)]
pub(crate) enum Question {
    /// How does a feeder's load look: coincident peak, load factor, base load, ramps, demand a customer, diversity of feeders
    #[command(
        after_help = "Examples:\n  operator ask profile\n  operator --output json ask profile --from 2026-01-01T00:00:00Z"
    )]
    Profile(TotalsArg),
    /// How much does half of the customers use, or nine in ten, how large is the largest, and how many export or use nothing
    #[command(
        after_help = "Examples:\n  operator ask percentiles --feeder feeder-1\n  operator --output json ask percentiles --from 2026-01-01T00:00:00Z"
    )]
    Percentiles(TotalsArg),
    /// What did a transformer or a substation consume, with feeders that are too small to have a total of their own
    #[command(after_help = "Examples:\n  operator ask area --area substation-north")]
    Area {
        /// The transformer or substation
        #[arg(long)]
        area: AreaId,

        #[command(flatten)]
        time: TimeArg,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct TotalsArg {
    /// Of this feeder; may be repeated. All feeders unless given
    #[arg(long = "feeder")]
    feeders: Vec<FeederId>,

    #[command(flatten)]
    time: TimeArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TimeArg {
    /// From the interval that begins at this time or later, RFC 3339 or Unix seconds
    #[arg(long, value_name = "TIME", value_parser = rotate::parse_time)]
    from: Option<UnixSeconds>,

    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = rotate::parse_time)]
    to: Option<UnixSeconds>,
}

impl From<TotalsArg> for Selection {
    fn from(totals: TotalsArg) -> Self {
        Self {
            feeders: totals.feeders,
            ..totals.time.into()
        }
    }
}

impl From<TimeArg> for Selection {
    fn from(time: TimeArg) -> Self {
        Self {
            from: time.from,
            to: time.to,
            ..Self::default()
        }
    }
}
