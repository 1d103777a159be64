//! How far a decrypted slot may be off.

use crate::Profile;

/// Standard deviation of one fresh encryption's slot after decryption, in slot units.
#[must_use]
pub fn slot_std(profile: &Profile) -> f64 {
    let n = profile.ring_dimension as f64;
    let sigma = 3.19;
    let coefficient = sigma * (1.0 + n * 4.0 / 3.0).sqrt();
    coefficient * n.sqrt() / profile.scale()
}

/// Bound on the error of every slot of a decrypted sum, in slot units.
#[must_use]
pub fn bound(profile: &Profile, contributors: u32) -> f64 {
    7.0 * slot_std(profile) * f64::from(contributors).sqrt()
}
