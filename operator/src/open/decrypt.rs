//! Decryption: from the packed sum to the residues of the coefficients that reports use.

use packed::PackError;
use packed::layout::Encoding;
use packed::sum::lift;
use wire::Reason;
use zeroize::Zeroizing;

use crate::keys::keyring::EpochKeys;

/// The plaintext of a sum of `contributors` reports, with its masks and its noise.
pub(super) fn decrypt(
    limbs: &[u8],
    encoding: &Encoding,
    contributors: u32,
    keys: &EpochKeys,
) -> Result<Zeroizing<Vec<u64>>, Reason> {
    let coefficients = encoding.shape.coefficients();
    let lifted = lift(encoding.profile, coefficients, limbs, contributors);
    let lifted = lifted.map_err(|error| match error {
        PackError::WrongLength { .. } => Reason::WrongLength,
        PackError::TooManyContributors { .. } => Reason::BatchFull,
        _ => Reason::LimbOutOfRange,
    })?;
    let residues = keys.secret.open(&lifted);
    residues.map(Zeroizing::new).map_err(|error| {
        // Residues below the modulus are all it needs.
        tracing::error!(%error, "OpenFHE could not decrypt a sum");
        Reason::LimbOutOfRange
    })
}
