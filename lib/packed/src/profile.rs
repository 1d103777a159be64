//! The ring that all ciphertexts live in, and the profiles: how finely a report is sent.

/// Calls a function that is generic over the width of packed values, in bits: the one place that lists the widths the kernels
/// are compiled for.
macro_rules! of_width {
    ($width:expr, $($function:ident)::+($($argument:expr),*), _ => $other:expr) => {
        match $width {
            37 => $($function)::+::<37>($($argument),*),
            42 => $($function)::+::<42>($($argument),*),
            45 => $($function)::+::<45>($($argument),*),
            47 => $($function)::+::<47>($($argument),*),
            48 => $($function)::+::<48>($($argument),*),
            50 => $($function)::+::<50>($($argument),*),
            _ => $other,
        }
    };
}
pub(crate) use of_width;

/// `Z_q[X]/(X^N + 1)`: the parameters of the encryption itself (RLWE).
///
/// Keys and sums belong to a ring and to no profile, so one key serves every profile.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ring {
    /// `N`, the number of coefficients of a polynomial; a power of two.
    pub dimension: usize,
    /// The prime `q`, congruent to 1 modulo `2N`.
    pub modulus: u64,
    /// Width in bits of a residue modulo `q`.
    pub modulus_bits: u32,
}

/// `N` = 2048 and the last prime below 2^50 that is 1 modulo 4096 (OpenFHE's `LastPrime(50, 4096)`).
///
/// With a ternary secret and errors of standard deviation 3.2 that is 128-bit security against
/// quantum computers too, by the tables that OpenFHE checks parameters against.
pub static RING: Ring = Ring::new(2048, 1_125_899_906_826_241, 50);

impl Ring {
    /// The checks here run at compile time for a `static`.
    pub(crate) const fn new(dimension: usize, modulus: u64, modulus_bits: u32) -> Self {
        assert!(dimension.is_power_of_two() && dimension >= 64);
        assert!(is_compiled_for(modulus_bits));
        assert!(modulus >> modulus_bits == 0 && modulus >> (modulus_bits - 1) != 0);
        assert!(modulus % (2 * dimension as u64) == 1);
        Self {
            dimension,
            modulus,
            modulus_bits,
        }
    }

    /// Bytes of this many packed residues, a multiple of eight.
    #[must_use]
    pub const fn packed_len(&self, words: usize) -> usize {
        words * self.modulus_bits as usize / 8
    }

    /// A canonical byte string of `N` and `q`, for the fingerprint of a key.
    #[must_use]
    pub fn parameter_bytes(&self) -> Vec<u8> {
        [self.dimension as u64, self.modulus]
            .map(u64::to_le_bytes)
            .concat()
    }

    /// A residue as the number of the smallest size that is congruent to it.
    #[must_use]
    pub const fn centre(&self, residue: u64) -> i64 {
        if residue > self.modulus / 2 {
            residue as i64 - self.modulus as i64
        } else {
            residue as i64
        }
    }

    /// The residue of a number.
    #[must_use]
    pub const fn residue(&self, value: i64) -> u64 {
        value.rem_euclid(self.modulus as i64) as u64
    }
}

/// A named choice of scale and of low bits that a report leaves out.
///
/// A ciphertext is two polynomials `c0` and `c1`. A report carries the first residues of `c0`, as
/// many as its [shape](crate::layout::Shape) has coefficients, and all of `c1`, each without its
/// low bits (`x >> t`), which are little more than noise. Two parties that name the same profile
/// and shape agree on every byte of a report.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// The name a plan carries.
    pub name: &'static str,
    /// The ring of its ciphertexts.
    pub ring: &'static Ring,
    /// `p`: the number 1 is encrypted as `2^p`.
    pub scale_bits: u32,
    /// Low bits that are dropped from residues of `c0` and of `c1`.
    pub dropped: [u32; 2],
}

/// The smallest reports, of up to 1,023 meters: exact to 1 Wh where a reading is below 128 kWh.
pub static ADDITIVE_SMALL: Profile = Profile::new("additive-small", &RING, 39, [13, 8]);

/// The finest, of up to 1,023 meters: for large references and for squares.
pub static ADDITIVE_FINE: Profile = Profile::new("additive-fine", &RING, 39, [2, 2]);

/// Up to 32,767 meters.
pub static ADDITIVE: Profile = Profile::new("additive", &RING, 34, [5, 3]);

/// Up to 1,048,575 meters.
pub static ADDITIVE_WIDE: Profile = Profile::new("additive-wide", &RING, 29, [2, 2]);

static ALL: [&Profile; 4] = [&ADDITIVE_SMALL, &ADDITIVE_FINE, &ADDITIVE, &ADDITIVE_WIDE];

/// A profile name that this build does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown parameter profile \"{name}\": known are {known}", known = names())]
pub struct UnknownProfile {
    /// The name that was asked for.
    pub name: String,
}

impl Profile {
    /// A profile that no plan can name, for tests. The checks run at compile time for a `static`.
    ///
    /// # Panics
    /// If the scale is not below half the modulus, or no kernel is compiled for the width of what
    /// is left of a residue.
    #[must_use]
    pub const fn new(
        name: &'static str,
        ring: &'static Ring,
        scale_bits: u32,
        dropped: [u32; 2],
    ) -> Self {
        assert!(scale_bits < ring.modulus_bits - 1);
        let [t0, t1] = dropped;
        assert!(t0 < ring.modulus_bits && is_compiled_for(ring.modulus_bits - t0));
        assert!(t1 < ring.modulus_bits && is_compiled_for(ring.modulus_bits - t1));
        Self {
            name,
            ring,
            scale_bits,
            dropped,
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

    /// Bits of a packed value of polynomial `poly` (0 or 1) in a report.
    #[must_use]
    pub const fn bits(&self, poly: usize) -> u32 {
        self.ring.modulus_bits - self.dropped[poly]
    }

    /// The largest value of polynomial `poly` that a report can carry: `(q − 1) >> t`.
    pub(crate) const fn largest(&self, poly: usize) -> u64 {
        (self.ring.modulus - 1) >> self.dropped[poly]
    }

    /// Bytes of a packed report that carries this many coefficients, a multiple of eight.
    #[must_use]
    pub const fn packed_len(&self, coefficients: usize) -> usize {
        self.poly_len(0, coefficients) + self.poly_len(1, coefficients)
    }

    /// Bytes of polynomial `poly` in a packed report that carries this many coefficients.
    pub(crate) const fn poly_len(&self, poly: usize, coefficients: usize) -> usize {
        let words = if poly == 0 {
            coefficients
        } else {
            self.ring.dimension
        };
        words * self.bits(poly) as usize / 8
    }

    /// How many reports may be added without a risk that a total wraps around the modulus.
    ///
    /// Every coefficient of a report is at most `2^p` in size, so `n` of them stay below `q/2` while
    /// `n × 2^p` plus the noise does. Half a unit of scale is kept for the noise:
    /// `n = floor((q/2 − 2^(p−1)) / 2^p)`, which for a prime just below `2^b` is `2^(b−1−p) − 1`.
    #[must_use]
    pub const fn max_contributors(&self) -> u32 {
        let half_unit = (1u64 << self.scale_bits) / 2;
        let count = (self.ring.modulus / 2 - half_unit) >> self.scale_bits;
        if count > u32::MAX as u64 {
            u32::MAX
        } else {
            count as u32
        }
    }

    /// A canonical byte string of everything that fixes this profile's reports, for digests: two
    /// profiles differ exactly if their parameter bytes do.
    #[must_use]
    pub fn parameter_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&(self.name.len() as u64).to_le_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.extend_from_slice(&self.ring.parameter_bytes());
        for number in [self.scale_bits, self.dropped[0], self.dropped[1]] {
            bytes.extend_from_slice(&u64::from(number).to_le_bytes());
        }
        bytes
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn is_compiled_for(width: u32) -> bool {
    const fn yes<const B: usize>() -> bool {
        true
    }
    of_width!(width, yes(), _ => false)
}

fn names() -> String {
    let names: Vec<_> = ALL.iter().map(|profile| profile.name).collect();
    names.join(", ")
}
