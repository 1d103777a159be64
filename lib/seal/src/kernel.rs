//! The loops that touch secrets, in one version per instruction set, chosen at run time: the only `unsafe` code.
#![allow(unsafe_code, reason = "calls of functions that need instructions")]

use crate::ring::N;
use crate::sample::Block;
use crate::transform::{FORWARD, Factors, INVERSE, Roots};

/// An instruction set that sealing is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Plain Rust, for any processor.
    Portable,
    /// 256-bit vectors of x86-64.
    Avx2,
    /// 512-bit vectors of x86-64 (AVX-512 F, DQ and VPOPCNTDQ).
    Avx512,
}

/// The kernel that was asked for needs instructions that this processor does not have.
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

    fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vpopcntdq")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
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

/// The loops of one kernel, whose names are in `checked-loops.txt`. Each may only be called on a processor that has its
/// instructions.
struct Entries {
    ternary: unsafe fn(&[Block; N / 64], &mut [u64; N]),
    errors: unsafe fn(&[[Block; 2]], &mut [u64]),
    forward: unsafe fn(&Roots, &mut [u64; N], &mut [u64; N]),
    multiply: unsafe fn(&Factors, &[u64; N], &mut [u64; N]),
    inverse: unsafe fn(&Roots, &mut [u64; N], &mut [u64; N]),
    add: unsafe fn(&[u64], &mut [u64]),
}

/// Compiles the loops for the instructions of an attribute, with a way to multiply: the compiler makes vector
/// instructions of them. They are never inlined, so that their machine code can be checked.
macro_rules! compile {
    ($product:expr $(, #[$features:meta])?) => {
        use crate::ring::{self, N};
        use crate::sample::{self, Block};
        use crate::transform::{self, Factors, Roots};

        pub(super) const ENTRIES: super::Entries = super::Entries {
            ternary,
            errors,
            forward,
            multiply,
            inverse,
            add,
        };

        $(#[$features])?
        #[inline(never)]
        fn ternary(random: &[Block; N / 64], coefficients: &mut [u64; N]) {
            sample::ternary(random, coefficients);
        }

        $(#[$features])?
        #[inline(never)]
        fn errors(random: &[[Block; 2]], errors: &mut [u64]) {
            sample::errors(random, errors);
        }

        $(#[$features])?
        #[inline(never)]
        fn forward(roots: &Roots, polynomial: &mut [u64; N], values: &mut [u64; N]) {
            transform::forward(roots, polynomial, values, $product);
        }

        $(#[$features])?
        #[inline(never)]
        fn multiply(factors: &Factors, values: &[u64; N], products: &mut [u64; N]) {
            transform::multiply(factors, values, products, $product);
        }

        $(#[$features])?
        #[inline(never)]
        fn inverse(roots: &Roots, values: &mut [u64; N], polynomial: &mut [u64; N]) {
            transform::inverse(roots, values, polynomial, $product);
        }

        $(#[$features])?
        #[inline(never)]
        fn add(terms: &[u64], sums: &mut [u64]) {
            ring::add(terms, sums);
        }
    };
}

mod portable {
    compile!(ring::product);
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    compile!(ring::product_of_halves, #[target_feature(enable = "avx2")]);
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    compile!(
        ring::product_of_halves,
        #[target_feature(enable = "avx512f,avx512dq,avx512vpopcntdq")]
    );
}

/// The loops of a kernel that this processor has.
#[derive(Clone, Copy)]
pub struct Loops(&'static Entries);

impl Loops {
    /// Those of `kernel`.
    ///
    /// # Errors
    /// This processor does not have it.
    pub fn of(kernel: Kernel) -> Result<Self, KernelUnavailable> {
        if !kernel.is_available() {
            return Err(KernelUnavailable { kernel });
        }
        Ok(Self(match kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => &avx2::ENTRIES,
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => &avx512::ENTRIES,
            _ => &portable::ENTRIES,
        }))
    }

    /// `sample::ternary`.
    pub fn ternary(self, random: &[Block; N / 64], coefficients: &mut [u64; N]) {
        // SAFETY: `Loops::of` gives only loops whose instructions this processor has.
        unsafe { (self.0.ternary)(random, coefficients) }
    }

    /// `sample::errors`.
    pub fn errors(self, random: &[[Block; 2]], errors: &mut [u64]) {
        // SAFETY: as for `ternary`.
        unsafe { (self.0.errors)(random, errors) }
    }

    /// `transform::forward`.
    pub fn forward(self, polynomial: &mut [u64; N], values: &mut [u64; N]) {
        // SAFETY: as for `ternary`.
        unsafe { (self.0.forward)(&FORWARD, polynomial, values) }
    }

    /// `transform::multiply`.
    pub fn multiply(self, factors: &Factors, values: &[u64; N], products: &mut [u64; N]) {
        // SAFETY: as for `ternary`.
        unsafe { (self.0.multiply)(factors, values, products) }
    }

    /// `transform::inverse`.
    pub fn inverse(self, values: &mut [u64; N], polynomial: &mut [u64; N]) {
        // SAFETY: as for `ternary`.
        unsafe { (self.0.inverse)(&INVERSE, values, polynomial) }
    }

    /// `ring::add`.
    pub fn add(self, terms: &[u64], sums: &mut [u64]) {
        // SAFETY: as for `ternary`.
        unsafe { (self.0.add)(terms, sums) }
    }
}
