//! The parameters of a profile as OpenFHE holds them, and the lock around its global tables.
#![allow(unsafe_code, reason = "calls across the bridge")]

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use cxx::UniquePtr;
use packed::Profile;

use crate::Error;
use crate::bridge::ffi;

/// Every context of this process, and the lock that orders calls into OpenFHE: written while a
/// context or a key is made (both touch OpenFHE's global tables), read during everything else.
static CONTEXTS: RwLock<Vec<Context>> = RwLock::new(Vec::new());

/// OpenFHE set up for one profile. Clones share the same setup.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    profile: &'static Profile,
    context: UniquePtr<ffi::Context>,
}

// SAFETY: the C++ object holds shared pointers to parameters that nothing changes after
// `new_context` has used each of them once. It is created and destroyed without thread affinity.
// Calls that touch OpenFHE's global tables hold the write side of `CONTEXTS`, all others its read side.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Context {
    /// The context of this profile, made on the first call in a process and shared by all later ones.
    ///
    /// # Errors
    /// [`Error::OpenFhe`] if the parameters are refused, [`Error::Moduli`] if OpenFHE's primes are not
    /// the profile's.
    pub fn new(profile: &'static Profile) -> Result<Self, Error> {
        let find = |contexts: &[Self]| {
            contexts
                .iter()
                .find(|context| context.profile() == profile)
                .cloned()
        };
        if let Some(context) = find(&shared()) {
            return Ok(context);
        }
        let mut contexts = exclusive();
        if let Some(context) = find(&contexts) {
            return Ok(context);
        }
        let context = Self::create(profile)?;
        contexts.push(context.clone());
        Ok(context)
    }

    fn create(profile: &'static Profile) -> Result<Self, Error> {
        let context = ffi::new_context(
            u32::try_from(profile.ring_dimension).unwrap_or(u32::MAX),
            u32::try_from(profile.limbs()).unwrap_or(u32::MAX),
            profile.modulus_bits,
            profile.scale_bits,
        )
        .map_err(Error::thrown("create a context"))?;
        let actual = (0..ffi::limbs(&context))
            .map(|limb| ffi::modulus(&context, limb).map_err(Error::thrown("name its moduli")))
            .collect::<Result<Vec<_>, _>>()?;
        if actual != profile.moduli {
            return Err(Error::Moduli {
                profile: profile.name,
                expected: profile.moduli.to_vec(),
                actual,
            });
        }
        let inner = Inner { profile, context };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The profile that this context implements.
    #[must_use]
    pub fn profile(&self) -> &'static Profile {
        self.inner.profile
    }

    pub(crate) fn check_profile(&self, profile: &'static Profile) -> Result<(), Error> {
        if profile == self.profile() {
            return Ok(());
        }
        Err(Error::ProfileMismatch {
            expected: self.profile().name,
            actual: profile.name,
        })
    }

    pub(crate) fn ffi(&self) -> &ffi::Context {
        &self.inner.context
    }
}

/// Held during calls that may run side by side. Not re-entrant.
pub(crate) fn shared() -> RwLockReadGuard<'static, Vec<Context>> {
    // A panic while the lock was held leaves the list of contexts whole.
    CONTEXTS.read().unwrap_or_else(PoisonError::into_inner)
}

/// Held during calls that touch OpenFHE's global tables. Not re-entrant.
pub(crate) fn exclusive() -> RwLockWriteGuard<'static, Vec<Context>> {
    CONTEXTS.write().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context")
            .field(&self.profile().name)
            .finish()
    }
}
