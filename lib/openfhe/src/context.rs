//! The ring as OpenFHE holds it, and the lock around OpenFHE's global tables.
#![allow(unsafe_code, reason = "calls across the bridge")]

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use cxx::UniquePtr;
use packed::RING;

use crate::Error;
use crate::bridge::ffi;

/// The context of this process, and the lock that orders calls into OpenFHE: written while the
/// context or a key is made (both touch OpenFHE's global tables), read during everything else.
static CONTEXT: RwLock<Option<Context>> = RwLock::new(None);

/// OpenFHE set up for the ring [`RING`], which all profiles share. Clones share the same setup.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    context: UniquePtr<ffi::Context>,
}

// SAFETY: the C++ object holds shared pointers to parameters that nothing changes after
// `new_context` has used each of them once. It is created and destroyed without thread affinity.
// Calls that touch OpenFHE's global tables hold the write side of `CONTEXT`, all others its read side.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Context {
    /// The context, made on the first call in a process and shared by all later ones.
    ///
    /// # Errors
    /// [`Error::OpenFhe`] if the parameters are refused, [`Error::Modulus`] if OpenFHE's prime is not
    /// the ring's.
    pub fn new() -> Result<Self, Error> {
        if let Some(context) = &*shared() {
            return Ok(context.clone());
        }
        let mut made = exclusive();
        // Another thread may have made it between the two locks.
        if let Some(context) = &*made {
            return Ok(context.clone());
        }
        Ok(made.insert(Self::create()?).clone())
    }

    fn create() -> Result<Self, Error> {
        let dimension = u32::try_from(RING.dimension).unwrap_or(u32::MAX);
        let context = ffi::new_context(dimension, RING.modulus_bits)
            .map_err(Error::thrown("create a context"))?;
        let actual = ffi::modulus(&context);
        if actual != RING.modulus {
            return Err(Error::Modulus { actual });
        }
        let inner = Inner { context };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    pub(crate) fn ffi(&self) -> &ffi::Context {
        &self.inner.context
    }
}

/// Held during calls that may run side by side. Not re-entrant.
pub(crate) fn shared() -> RwLockReadGuard<'static, Option<Context>> {
    // A panic while the lock was held leaves the context whole.
    CONTEXT.read().unwrap_or_else(PoisonError::into_inner)
}

/// Held during calls that touch OpenFHE's global tables. Not re-entrant.
pub(crate) fn exclusive() -> RwLockWriteGuard<'static, Option<Context>> {
    CONTEXT.write().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OpenFHE is asked for 128 bits of security against quantum computers, and does check it: it lets
    /// the ring's modulus pass and refuses one of 53 bits, which is within its limit for classical computers only.
    #[test]
    fn openfhe_accepts_the_ring_at_128_bits_against_quantum_computers() {
        Context::new().unwrap();
        let refused = {
            let _exclusive = exclusive();
            ffi::new_context(2048, 53)
        };
        let message = refused.map(drop).unwrap_err().to_string();
        assert!(message.contains("ring dimension"), "{message}");
    }
}
