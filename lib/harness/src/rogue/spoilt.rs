//! What may be wrong with a report.

use packed::RING;
use packed::layout::Encoding;
use rand::RngExt as _;
use wire::Reason;

/// What a hostile meter sends in the place of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoilt {
    /// Limbs that are no ciphertext.
    Noise,
    /// What brings coefficients of the key into the totals.
    Key,
    /// Readings that are no whole number of quanta, in a report that is in order otherwise.
    Readings,
    /// A reading beyond what all meters together can have entered.
    Range,
    /// A thousand readings where one can be.
    Presence,
    /// Masks of another salt than the report names.
    Salt,
    /// Masks of another setting than the report names.
    Setting,
    /// Limbs of which the last is missing.
    Truncated,
    /// A value that is beyond the modulus.
    Limb,
    /// The setting of a plan that does not hold for the window.
    OtherPlan,
    /// The salt of another meter's report.
    CopiedSalt,
}

impl Spoilt {
    /// Why analytics refuses the report, if it does: no sum has it then.
    #[must_use]
    pub fn refusal(self) -> Option<Reason> {
        match self {
            Self::Truncated => Some(Reason::WrongLength),
            Self::Limb => Some(Reason::LimbOutOfRange),
            Self::OtherPlan => Some(Reason::OutdatedConfig),
            Self::CopiedSalt => Some(Reason::SaltTaken),
            _ => None,
        }
    }

    /// Whether its zero checks are wrong, so that a search finds its meter.
    #[must_use]
    pub fn is_found(self) -> bool {
        matches!(self, Self::Noise | Self::Key | Self::Salt | Self::Setting)
    }

    /// Spoils the coefficients of readings of 0 Wh.
    pub(super) fn plaintext(self, encoding: &Encoding, plaintext: &mut [u64]) {
        match self {
            Self::Readings => {
                let quantum_bits = encoding.quantum_wh.ilog2() + encoding.profile.scale_bits;
                plaintext[0] = 1 << (quantum_bits - encoding.reference_wh.ilog2() - 1);
            }
            // A reading of the reference is one such unit.
            Self::Range => plaintext[0] = 200 << encoding.profile.scale_bits,
            Self::Presence => plaintext[encoding.shape.presence().start] *= 1_000,
            _ => {}
        }
    }

    /// Spoils a ciphertext.
    pub(super) fn ciphertext(self, c0: &mut [u64], c1: &mut [u64]) {
        match self {
            Self::Noise => {
                for word in c0.iter_mut().chain(c1) {
                    *word = rand::rng().random_range(0..RING.modulus);
                }
            }
            Self::Key => c1[7] = (c1[7] + (1 << 40)) % RING.modulus,
            _ => {}
        }
    }

    /// Spoils what is packed.
    pub(super) fn limbs(self, limbs: &mut Vec<u8>) {
        match self {
            Self::Truncated => drop(limbs.pop()),
            Self::Limb => limbs.fill(0xff),
            _ => {}
        }
    }
}
