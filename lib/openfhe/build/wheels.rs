//! What is fetched, and what of it is used.
//!
//! Two wheels: the official Python build of OpenFHE for its libraries, and HEIR's for exactly the
//! headers of the same version. HEIR's own `libopenfhe.so` is left alone: it is built without
//! OpenMP, so all threads would share one random number generator without a lock.

/// A package on the index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wheel {
    /// Distribution name, with underscores as in the file name.
    pub name: &'static str,
    /// Exact version.
    pub version: &'static str,
    /// Hash of the wheel, in hex.
    pub sha256: &'static str,
}

/// The packages of OpenFHE 1.4.2, pinned by hash.
pub(crate) const WHEELS: [Wheel; 2] = [
    Wheel {
        name: "openfhe",
        version: "1.4.2.0.22.4",
        sha256: "36fc605e929790cb2c12ad6696d632fa478499b83b75ea6772774a0daf055e75",
    },
    Wheel {
        name: "heir_py",
        version: "2026.6.1",
        sha256: "704ac3b4a0ba84d976fb7761027899bb620b10e3ef94590ed754ec693ed5e70f",
    },
];

/// The `tree_hash` of what is unpacked from them: whoever can write to the cache cannot have another header compiled in, or
/// another library linked, without being noticed.
pub(crate) const TREE: &str = "45a578d8c7024c72cfcf69990322cfe418687fa7eeff5d9b822ef6792973a7fa";

/// The libraries, and the name without a version that the linker looks for.
pub(crate) const LIBRARIES: [(&str, &str); 3] = [
    ("libOPENFHEcore.so.1", "libOPENFHEcore.so"),
    ("libOPENFHEbinfhe.so.1", "libOPENFHEbinfhe.so"),
    ("libOPENFHEpke.so.1", "libOPENFHEpke.so"),
];

/// How the libraries were configured. The header inside the wheel describes another build.
pub(crate) const CONFIG_CORE: &str = "\
#ifndef __CMAKE_GENERATED_CONFIG_CORE_H__
#define __CMAKE_GENERATED_CONFIG_CORE_H__
#define WITH_BE2
#define WITH_BE4
#define WITH_OPENMP
#define CKKS_M_FACTOR 1
#define HAVE_INT128 TRUE
#define HAVE_INT64 TRUE
#define MATHBACKEND 4
#define NATIVEINT 64
#endif
";
