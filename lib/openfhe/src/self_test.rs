//! Whether OpenFHE works on this machine.

use packed::Profile;

use crate::{Context, Error, secret};

/// Encrypts and decrypts under a key pair that is thrown away, and says by how much a slot was off, in slot units.
///
/// # Errors
/// What OpenFHE could not do.
pub fn self_test(profile: &'static Profile) -> Result<f64, Error> {
    let context = Context::new(profile)?;
    let (secret, public) = secret::generate(&context)?;
    let values: Vec<f64> = (0..profile.slots())
        .map(|slot| 1.0 - (slot % 5) as f64 / 2.0)
        .collect();
    let slots = secret.decrypt(&context.encrypt(&public, &values)?)?;
    let errors = slots
        .iter()
        .zip(&values)
        .map(|(slot, value)| (slot - value).abs());
    Ok(errors.fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_passes() {
        for profile in [&packed::ADDITIVE, &packed::ADDITIVE_WIDE] {
            let error = self_test(profile).unwrap();
            assert!(error > 0.0 && error < 1e-4, "{}: {error}", profile.name);
        }
    }
}
