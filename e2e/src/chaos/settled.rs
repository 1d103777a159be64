//! What a run waits for at its end.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::LOOK;
use super::bills::Bill;
use super::stage::Stage;
use super::totals::{Total, read_lines};

/// Waits until every bill is there, or none has come for `quiet`.
pub(super) async fn all_bills(stage: &Stage, quiet: Duration) {
    let (mut before, mut since) = (0, Instant::now());
    while since.elapsed() < quiet && before < stage.billed.expected() {
        let bills = read_lines::<Bill>(&stage.settings.operator.bills_file).unwrap_or_default();
        if bills.len() > before {
            (before, since) = (bills.len(), Instant::now());
        }
        sleep(LOOK).await;
    }
}

/// Waits until every window has its total, or none has come for `quiet`.
pub(super) async fn all_totals(stage: &Stage, quiet: Duration) {
    let mut before = 0;
    let mut since = Instant::now();
    while since.elapsed() < quiet {
        let totals = read_lines::<Total>(&stage.settings.operator.totals_file).unwrap_or_default();
        let released = totals.iter().map(|total| u64::from(total.meters)).sum();
        if released >= stage.reports() {
            break;
        }
        if released > before {
            before = released;
            since = Instant::now();
        }
        sleep(Duration::from_millis(250)).await;
    }
}
