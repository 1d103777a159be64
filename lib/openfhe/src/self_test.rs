//! Whether OpenFHE works on this machine.

use packed::{ADDITIVE_FINE, Lifted, RING, noise};

use crate::{Context, Error, Fresh, secret};

/// Encrypts and decrypts with a key pair made for this. Returns the largest error of a coefficient in
/// standard deviations of the noise: below 7 unless something is broken.
///
/// # Errors
/// [`Error::OpenFhe`] if a step fails, [`Error::Modulus`] as for [`Context::new`].
pub fn self_test() -> Result<f64, Error> {
    let context = Context::new()?;
    let (secret, public) = secret::generate(&context)?;
    let step = RING.modulus / RING.dimension as u64;
    let plaintext: Vec<u64> = (0..RING.dimension as u64).map(|i| i * step).collect();
    let mut fresh = Fresh::default();
    context.encrypt(&public, &plaintext, &mut fresh)?;
    let Fresh { c0, c1 } = fresh;
    let opened = secret.open(&Lifted { c0, c1 })?;
    let errors = opened.iter().zip(&plaintext).map(|(&opened, &expected)| {
        let distance = opened.abs_diff(expected);
        distance.min(RING.modulus - distance)
    });
    let largest = errors.max().unwrap_or(0);
    // Nothing is truncated here, and of this profile nearly nothing is.
    Ok(largest as f64 / noise::sigma(&ADDITIVE_FINE, &secret.norms()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_passes_and_its_error_is_noise() {
        let largest = self_test().unwrap();
        // The greatest of 2,048 Gaussian errors is about 3.5 standard deviations.
        assert!((2.0..6.0).contains(&largest), "{largest}");
    }
}
