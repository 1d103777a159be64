//! Loops over packed limbs, in one version per instruction set, chosen at run time.

mod portable;

/// Adds or subtracts one packed limb; see [`Fold`].
pub(crate) type Loop = fn(&mut [u64], &[u8], u64) -> bool;

/// An instruction set the fold is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Plain Rust, for any processor.
    Portable,
    /// 256-bit vectors of x86-64.
    Avx2,
    /// 512-bit vectors of x86-64 (AVX-512 F is enough).
    Avx512,
}

/// A kernel that this processor does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this processor has no {kernel}")]
pub struct KernelUnavailable {
    /// The kernel that was asked for.
    pub kernel: Kernel,
}

impl Kernel {
    /// Every kernel, slowest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The fastest kernel of this processor.
    #[must_use]
    pub fn best() -> Self {
        Self::available().last().unwrap_or(Self::Portable)
    }

    /// The kernels of this processor, slowest first; never empty.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kernel| kernel.is_available())
    }

    /// Whether this processor can run it.
    #[must_use]
    pub fn is_available(self) -> bool {
        self == Self::Portable
    }
}

impl std::fmt::Display for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
        })
    }
}

/// The two directions of one kernel at one width.
///
/// Both take the words of a limb, its packed bytes (`words × width / 8` of them) and its modulus,
/// work modulo 2^64, process every value even if one is out of range, and return whether all
/// were below the modulus.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fold {
    pub add: Loop,
    pub subtract: Loop,
}

impl Fold {
    /// The loops for limbs of `width` bits, one of [`crate::profile::WIDTHS`].
    pub fn select(kernel: Kernel, width: u32) -> Result<Self, KernelUnavailable> {
        if !kernel.is_available() {
            return Err(KernelUnavailable { kernel });
        }
        Ok(Self::of_width(kernel, width))
    }

    fn of_width(kernel: Kernel, width: u32) -> Self {
        match width {
            50 => Self::of::<50>(kernel),
            53 => Self::of::<53>(kernel),
            54 => Self::of::<54>(kernel),
            60 => Self::of::<60>(kernel),
            _ => unreachable!("Profile::new checks the width"),
        }
    }

    /// The loops of the fastest kernel.
    pub fn best(width: u32) -> Self {
        Self::of_width(Kernel::best(), width)
    }

    fn of<const B: usize>(_kernel: Kernel) -> Self {
        Self {
            add: portable::fold::<B, false>,
            subtract: portable::fold::<B, true>,
        }
    }
}

/// Packs one limb of `width` bits; true if every word was below `modulus`.
pub(crate) fn pack(width: u32, words: &[u64], packed: &mut [u8], modulus: u64) -> bool {
    match width {
        50 => portable::pack::<50>(words, packed, modulus),
        53 => portable::pack::<53>(words, packed, modulus),
        54 => portable::pack::<54>(words, packed, modulus),
        60 => portable::pack::<60>(words, packed, modulus),
        _ => unreachable!("Profile::new checks the width"),
    }
}
