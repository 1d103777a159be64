//! What is asked of released totals.

use clap::Subcommand;
use operator::answers::bill::BillSelection;
use operator::answers::select::Selection;
use operator::comparison::ranking::Request;
use operator::rotate;
use wire::{AreaId, FeederId, MeterId, UnixSeconds, WindowStart};

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
    /// How much of each feeder's budget have noisy totals spent, period by period, and how much is left
    #[command(
        after_help = "Examples:\n  operator ask budget\n  operator --output json ask budget --feeder feeder-1"
    )]
    Budget(TotalsArg),
    /// What did a transformer or a substation consume, with feeders that are too small to have a total of their own
    #[command(after_help = "Examples:\n  operator ask area --area substation-north")]
    Area {
        /// The transformer or substation
        #[arg(long)]
        area: AreaId,

        #[command(flatten)]
        time: TimeArg,
    },
    /// When was a feeder that nobody opens at its rating or over it, by the evaluator's comparisons
    #[command(
        after_help = "Examples:\n  operator ask over-rating --feeder feeder-1\n  operator ask over-rating --feeder feeder-1 --window 2026-01-01T00:00:00Z"
    )]
    OverRating {
        /// Of this feeder; may be repeated. All that have a rating unless given
        #[arg(long = "feeder")]
        feeders: Vec<FeederId>,

        /// Of the window that begins at this time, RFC 3339 or Unix seconds; all unless given
        #[arg(long, value_name = "TIME", value_parser = rotate::parse_time)]
        window: Option<UnixSeconds>,
    },
    /// Which of up to eight feeders that nobody opens consumed most; it discloses their order, once for a window
    #[command(
        after_help = "The first time it asks the evaluator, which may take minutes; ask again for the answer.\n\nExamples:\n  operator ask max --feeders feeder-1,feeder-2,feeder-3 --window 2026-01-01T00:00:00Z"
    )]
    Max(RankArg),
    /// Which of them consumed least
    #[command(
        after_help = "Examples:\n  operator ask min --feeders feeder-1,feeder-2,feeder-3 --window 2026-01-01T00:00:00Z"
    )]
    Min(RankArg),
    /// What did billed customers consume by tariff band, and what does that cost
    #[command(
        after_help = "Examples:\n  operator ask bills --meter meter-17 --period 2026-11\n  operator --output json ask bills"
    )]
    Bills(BillsArg),
}

#[derive(Debug, clap::Args)]
pub(crate) struct RankArg {
    /// Two to eight feeders that have a rating
    #[arg(long, value_delimiter = ',', required = true)]
    feeders: Vec<FeederId>,

    /// The window that begins at this time, RFC 3339 or Unix seconds
    #[arg(long, value_name = "TIME", value_parser = rotate::parse_time)]
    window: UnixSeconds,

    /// One interval of it, counted from 0; all unless given
    #[arg(long)]
    interval: Option<u16>,
}

impl From<RankArg> for Request {
    fn from(ranked: RankArg) -> Self {
        Self {
            feeders: ranked.feeders,
            window: WindowStart(ranked.window.0),
            interval: ranked.interval,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct BillsArg {
    /// Of this meter; may be repeated. All meters unless given
    #[arg(long = "meter")]
    meters: Vec<MeterId>,

    /// Of the billing periods whose first day begins so, such as 2026-11. All unless given
    #[arg(long, value_name = "DAY", default_value = "")]
    period: String,
}

impl From<BillsArg> for BillSelection {
    fn from(bills: BillsArg) -> Self {
        Self {
            meters: bills.meters,
            period: bills.period,
        }
    }
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
