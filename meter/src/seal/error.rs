//! Why a batch is not sealed.

use packed::layout::LayoutError;
use wire::{FeederId, KeyEpoch, MeterId, WindowStart};

/// Why a batch was not sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The plan has no key epoch for the window.
    #[error("the plan has no key epoch for window {0}")]
    NoEpoch(WindowStart),
    /// The plan does not have the feeder.
    #[error("the plan has no feeder {0}")]
    NoFeeder(FeederId),
    /// The plan's minimum group for the window is below the gateway's own, and stays so: a later one holds for later windows.
    #[error(
        "the plan's minimum group for window {window} is {min_meters}, and meter.min_meters_floor is {floor}"
    )]
    BelowFloor {
        window: WindowStart,
        min_meters: u32,
        floor: u32,
    },
    /// The plan has no holders of mask keys for the window, and this gateway pins some.
    #[error(
        "the plan has no holders of mask keys for window {0}, and holders.pinned names some: nothing is sealed for a window before \
         their agreement"
    )]
    NoHolders(WindowStart),
    /// Pads cannot be agreed with a stream's key.
    #[error("the plan cannot be used: a mask key of the holders' agreement {generation} is weak")]
    WeakStreamKey {
        generation: u32,
        source: masks::WeakKey,
    },
    /// The batch was made for other intervals than the plan's.
    #[error("the plan has no window {0} of as many intervals")]
    OtherGrid(WindowStart),
    /// A reading is beyond the feeder's reference. The reading itself is nobody's to see in a log.
    #[error(
        "a reading of meter {meter} is beyond the {reference_wh} Wh that feeder {feeder} allows in an interval: put the \
         meter on another feeder under a new id, or start a new deployment with a higher operator.reference_headroom"
    )]
    AboveReference {
        meter: MeterId,
        feeder: FeederId,
        reference_wh: u64,
    },
    /// Pads cannot be agreed with the plan's mask key.
    #[error("the plan cannot be used: the mask key of epoch {} is weak", epoch.0)]
    WeakMaskKey {
        epoch: KeyEpoch,
        source: masks::WeakKey,
    },
    /// The plan's scale cannot be used.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The plan's key is missing or is another than it says.
    #[error("the plan cannot be used: {0}")]
    Plan(String),
    /// Encryption refused.
    #[error("cannot encrypt")]
    Encrypt(#[from] seal::Error),
    /// OpenFHE refused.
    #[cfg(feature = "openfhe")]
    #[error(transparent)]
    Openfhe(#[from] openfhe::Error),
    /// The plan's public key is not one.
    #[error("the plan cannot be used: its public key is damaged")]
    Pack(#[from] packed::PackError),
    /// The settings ask for OpenFHE.
    #[cfg(not(feature = "openfhe"))]
    #[error(
        "meter.sealer is \"openfhe\", and this build has no OpenFHE: build with the feature `openfhe`"
    )]
    NotBuilt,
    /// The operating system has no random numbers to give.
    #[error("no salt can be drawn")]
    Random(#[source] rand::rngs::SysError),
}
