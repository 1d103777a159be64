//! The two encryptions that a gateway can be told to use. Their reports do not differ: analytics and the operator cannot
//! tell which it was.

use packed::Profile;
use service::Settings;
use service::config::SealerKind;

use super::SealError;

/// A public key, prepared for the encryption in use.
#[derive(Debug)]
pub(super) enum Encryption {
    Native(seal::PublicKey),
    #[cfg(feature = "openfhe")]
    OpenFhe(openfhe::Context, openfhe::PublicKey),
}

impl Encryption {
    pub(super) fn new(kind: SealerKind, public_key: &[u8]) -> Result<Self, SealError> {
        match kind {
            SealerKind::Native => Ok(Self::Native(seal::PublicKey::from_packed(public_key)?)),
            #[cfg(feature = "openfhe")]
            SealerKind::Openfhe => {
                let context = openfhe::Context::new()?;
                let key = openfhe::PublicKey::from_packed(&context, public_key)?;
                Ok(Self::OpenFhe(context, key))
            }
            #[cfg(not(feature = "openfhe"))]
            SealerKind::Openfhe => Err(SealError::NotBuilt),
        }
    }

    /// The packed report of a plaintext.
    pub(super) fn encrypt(
        &self,
        profile: &Profile,
        plaintext: &[u64],
    ) -> Result<Vec<u8>, SealError> {
        let mut limbs = Vec::with_capacity(profile.packed_len(plaintext.len()));
        match self {
            Self::Native(key) => seal::encrypt(key, profile, plaintext, &mut limbs)?,
            #[cfg(feature = "openfhe")]
            Self::OpenFhe(context, key) => {
                let mut fresh = openfhe::Fresh::default();
                context.encrypt(key, plaintext, &mut fresh)?;
                packed::report::pack(profile, &fresh.c0, &fresh.c1, &mut limbs)?;
            }
        }
        Ok(limbs)
    }
}

/// The setting that asks for an encryption which this build does not have, and what to do.
pub(crate) fn unsupported(settings: &Settings) -> Option<(&'static str, String)> {
    let missing = cfg!(not(feature = "openfhe")) && settings.meter.sealer == SealerKind::Openfhe;
    let mend = "this build has no OpenFHE: build with `cargo build --release -p meter --features openfhe` (bench: `-p bench \
                --features openfhe`), or set \"native\"";
    missing.then(|| ("meter.sealer", mend.to_owned()))
}

/// Whether encryption computes on this processor what OpenFHE computed: how many of the recorded answers it gave.
///
/// # Errors
/// [`seal::SelfTestError`] for the first that differs: nothing may be sealed then.
pub(crate) fn known_answers() -> Result<usize, seal::SelfTestError> {
    seal::self_test()
}
