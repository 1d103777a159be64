//! The running holder.

use service::config::Settings;
use service::{SharedClock, Stop};

use crate::HolderError;

/// Runs a holder until `stop` fires.
///
/// # Errors
/// [`HolderError`].
pub async fn run(_: &Settings, _: SharedClock, stop: Stop) -> Result<(), HolderError> {
    stop.stopped().await;
    Ok(())
}
