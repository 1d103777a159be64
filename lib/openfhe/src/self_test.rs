//! Whether OpenFHE works on this machine.

use packed::Profile;

use crate::{Context, Error, secret};

/// Encrypts and decrypts with a key pair made for this, and returns the largest error of a slot, in slot units.
///
/// # Errors
/// [`Error::OpenFhe`] if a step fails, [`Error::Moduli`] as for [`Context::new`].
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
