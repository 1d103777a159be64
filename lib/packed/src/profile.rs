//! Parameter profiles: the numbers that fix what a ciphertext is.

/// The widths, in bits, that the kernels are compiled for.
pub(crate) const WIDTHS: [u32; 4] = [50, 53, 54, 60];

/// A named set of CKKS parameters (RLWE over `Z_q[X]/(X^N + 1)`) with 128-bit security.
///
/// Two parties that name the same profile agree on every byte of a ciphertext's shape. Profiles
/// are compiled in; a plan only ever names one.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// The name a plan and a key file carry.
    pub name: &'static str,
    /// `N`, the number of coefficients of a polynomial; a power of two.
    pub ring_dimension: usize,
    /// The primes `q_l`, each congruent to 1 modulo `2N`, in OpenFHE's order.
    pub moduli: &'static [u64],
    /// Width in bits to which every limb is packed; no modulus is wider.
    pub modulus_bits: u32,
    /// `p`: a slot value `x` is encrypted as `x × 2^p`.
    pub scale_bits: u32,
}

/// The last prime below 2^53 that is 1 modulo 4096: OpenFHE's `LastPrime(53, 4096)`.
const PRIME_53: u64 = 9_007_199_254_614_017;

/// Sums over up to 32,767 contributors at the finer scale, 2^37.
pub static ADDITIVE: Profile = Profile::new("additive", 2048, &[PRIME_53], 53, 37);

/// Sums over up to 1,048,575 contributors at the coarser scale, 2^32.
pub static ADDITIVE_WIDE: Profile = Profile::new("additive-wide", 2048, &[PRIME_53], 53, 32);

static ALL: [&Profile; 2] = [&ADDITIVE, &ADDITIVE_WIDE];

/// A profile name that this build does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown parameter profile \"{name}\": known are {known}", known = names())]
pub struct UnknownProfile {
    /// The name that was asked for.
    pub name: String,
}

impl Profile {
    /// The checks here run at compile time for a `static`.
    pub(crate) const fn new(
        name: &'static str,
        ring_dimension: usize,
        moduli: &'static [u64],
        modulus_bits: u32,
        scale_bits: u32,
    ) -> Self {
        assert!(ring_dimension.is_power_of_two() && ring_dimension >= 64);
        assert!(!moduli.is_empty());
        let mut supported = false;
        let mut i = 0;
        while i < WIDTHS.len() {
            supported |= WIDTHS[i] == modulus_bits;
            i += 1;
        }
        assert!(supported, "no kernel is compiled for this width");
        let mut l = 0;
        while l < moduli.len() {
            assert!(moduli[l] >> modulus_bits == 0);
            assert!(moduli[l] % (2 * ring_dimension as u64) == 1);
            l += 1;
        }
        assert!(scale_bits < modulus_bits);
        Self {
            name,
            ring_dimension,
            moduli,
            modulus_bits,
            scale_bits,
        }
    }

    /// The profile called `name`.
    ///
    /// # Errors
    /// [`UnknownProfile`] when no profile has it.
    pub fn by_name(name: &str) -> Result<&'static Self, UnknownProfile> {
        Self::all()
            .iter()
            .copied()
            .find(|profile| profile.name == name)
            .ok_or_else(|| UnknownProfile {
                name: name.to_owned(),
            })
    }

    /// Every profile of this build.
    #[must_use]
    pub fn all() -> &'static [&'static Self] {
        &ALL
    }

    /// Real values one ciphertext holds: `N / 2`.
    #[must_use]
    pub const fn slots(&self) -> usize {
        self.ring_dimension / 2
    }

    /// `L`: residues modulo distinct primes that make up one polynomial.
    #[must_use]
    pub const fn limbs(&self) -> usize {
        self.moduli.len()
    }

    /// Numbers in one ciphertext: two polynomials × `L` limbs × `N` values.
    #[must_use]
    pub const fn words(&self) -> usize {
        2 * self.limbs() * self.ring_dimension
    }

    /// Bytes of one packed limb.
    #[must_use]
    pub(crate) const fn packed_limb_len(&self) -> usize {
        self.ring_dimension * self.modulus_bits as usize / 8
    }

    /// Bytes of one packed ciphertext (or public key, which has the same shape).
    #[must_use]
    pub const fn packed_len(&self) -> usize {
        2 * self.limbs() * self.packed_limb_len()
    }

    /// The scale, `2^p`.
    #[must_use]
    pub fn scale(&self) -> f64 {
        f64::from(self.scale_bits).exp2()
    }

    /// How many ciphertexts may be added without a risk that the sum wraps around the modulus.
    ///
    /// With slots in `[-1, 1]` every coefficient of an encoded vector is at most `2^p` in size
    /// (a coefficient is an average of slots times roots of unity), so `n` contributors stay
    /// below `q/2` while `n × 2^p` plus the noise does. Half a unit of scale is kept for the
    /// noise: `n = floor((q/2 − 2^(p−1)) / 2^p)`, which for a prime just below `2^b` is
    /// `2^(b−1−p) − 1`.
    #[must_use]
    pub const fn max_contributors(&self) -> u32 {
        let mut modulus: u128 = 1;
        let mut l = 0;
        while l < self.moduli.len() {
            modulus = modulus.saturating_mul(self.moduli[l] as u128);
            l += 1;
        }
        let half_unit = (1u128 << self.scale_bits) / 2;
        let count = (modulus / 2).saturating_sub(half_unit) >> self.scale_bits;
        if count > u32::MAX as u128 {
            u32::MAX
        } else {
            count as u32
        }
    }

    /// A canonical byte string of everything that fixes this profile's ciphertexts, for
    /// fingerprints: two profiles differ exactly if their parameter bytes do.
    #[must_use]
    pub fn parameter_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&(self.name.len() as u64).to_le_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.extend_from_slice(&(self.ring_dimension as u64).to_le_bytes());
        bytes.extend_from_slice(&u64::from(self.modulus_bits).to_le_bytes());
        bytes.extend_from_slice(&u64::from(self.scale_bits).to_le_bytes());
        bytes.extend_from_slice(&(self.moduli.len() as u64).to_le_bytes());
        for modulus in self.moduli {
            bytes.extend_from_slice(&modulus.to_le_bytes());
        }
        bytes
    }

    /// The modulus of the word at `index` of an unpacked ciphertext.
    pub(crate) fn modulus_of(&self, index: usize) -> u64 {
        self.moduli[(index / self.ring_dimension) % self.limbs()]
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

fn names() -> String {
    let names: Vec<_> = ALL.iter().map(|profile| profile.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_and_bounds_are_those_of_the_design() {
        assert_eq!(ADDITIVE.slots(), 1024);
        assert_eq!(ADDITIVE.words(), 4096);
        assert_eq!(ADDITIVE.packed_len(), 27_136);
        assert_eq!(ADDITIVE.max_contributors(), 32_767);
        assert_eq!(ADDITIVE_WIDE.max_contributors(), 1_048_575);
    }

    #[test]
    fn the_largest_sum_stays_below_half_the_modulus_and_one_more_would_not() {
        for profile in Profile::all() {
            let half = u128::from(profile.moduli[0] / 2);
            let largest = u128::from(profile.max_contributors()) << profile.scale_bits;
            assert!(largest < half, "{profile}");
            assert!(largest + (1 << profile.scale_bits) > half, "{profile}");
        }
    }

    #[test]
    fn names_find_profiles_and_an_unknown_one_is_named_in_the_error() {
        for profile in Profile::all() {
            assert_eq!(Profile::by_name(profile.name), Ok(*profile));
        }
        let error = Profile::by_name("levelled").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown parameter profile \"levelled\": known are additive, additive-wide"
        );
    }

    /// Half this modulus is 2^51, so without it one more would fit.
    #[test]
    fn half_a_unit_of_scale_is_kept_for_the_noise() {
        static ROUND: Profile = Profile::new("round", 64, &[(1 << 52) + 1], 53, 37);
        assert_eq!(ROUND.max_contributors(), (1 << 14) - 1);
    }

    #[test]
    fn a_plan_can_name_both_profiles() {
        assert_eq!(Profile::all(), [&ADDITIVE, &ADDITIVE_WIDE]);
        assert_eq!(Profile::by_name("additive-wide"), Ok(&ADDITIVE_WIDE));
    }

    #[test]
    fn a_bound_beyond_32_bits_is_cut_to_them() {
        static WIDE: Profile = Profile::new("wide", 2048, &[PRIME_53, PRIME_53], 53, 37);
        assert_eq!(WIDE.max_contributors(), u32::MAX);
    }

    #[test]
    fn parameters_that_no_ciphertext_can_have_are_refused() {
        // A modulus is 1 modulo twice the ring dimension; 2^52 + 1 is for every dimension here.
        const FITS: u64 = (1 << 52) + 1;
        let accepted = |n: usize, moduli: &'static [u64], modulus_bits: u32, scale_bits: u32| {
            std::panic::catch_unwind(|| Profile::new("x", n, moduli, modulus_bits, scale_bits))
                .is_ok()
        };
        assert!(accepted(64, &[FITS], 53, 52));
        assert!(accepted(2048, &[FITS, PRIME_53], 60, 37));
        const REFUSED: [(usize, &[u64], u32, u32); 8] = [
            (32, &[FITS], 53, 37),
            (96, &[FITS], 53, 37),
            (64, &[], 53, 37),
            (64, &[FITS], 50, 37),
            (64, &[FITS], 55, 37),
            (64, &[FITS, 1 << 53 | 1], 53, 37),
            (64, &[FITS, FITS + 64], 53, 37),
            (64, &[FITS], 53, 53),
        ];
        for (n, moduli, modulus_bits, scale_bits) in REFUSED {
            assert!(
                !accepted(n, moduli, modulus_bits, scale_bits),
                "{n} {moduli:?} {modulus_bits} {scale_bits}"
            );
        }
    }

    #[test]
    fn parameter_bytes_tell_profiles_apart() {
        assert_ne!(ADDITIVE.parameter_bytes(), ADDITIVE_WIDE.parameter_bytes());
    }
}
