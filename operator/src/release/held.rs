//! What holders of mask keys had to do with a total.

use serde::{Deserialize, Serialize};
use wire::HolderId;

use crate::publish::said::NoiseSaid;

/// The holders of mask keys that let a sum be opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldBy {
    /// How many together have every mask key, of how many: `2of4`. It says so where two sums of one meter could both be opened.
    pub of: String,
    /// Who consented.
    pub consented: Vec<HolderId>,
    /// The noise that they have added to the energies, and so to all that follows from these; absent where the total is exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<NoiseSaid>,
}
