// What the units of the shim share: OpenFHE's types behind the opaque ones, and the guard that every
// function of shim.h runs in.
#pragma once

#include "shim.h"

#include <omp.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "openfhe.h"

namespace cipherwatt {

struct Internals {
    lbcrypto::CryptoContext<lbcrypto::DCRTPoly> context;
    std::size_t ring_dimension;
    std::uint64_t modulus;
};

struct PublicKeyInternals {
    lbcrypto::PublicKey<lbcrypto::DCRTPoly> key;
};

struct SecretKeyInternals {
    lbcrypto::PrivateKey<lbcrypto::DCRTPoly> key;
};

struct CiphertextInternals {
    lbcrypto::Ciphertext<lbcrypto::DCRTPoly> ciphertext;
};

// Runs f with OpenMP off and turns whatever it throws into a std::runtime_error: the bridge above
// catches only std::exception, and anything else would end the process.
template <typename F>
auto guarded(F&& f) -> decltype(f()) {
    // The setting belongs to the calling thread, so each thread makes it once. Without it OpenFHE
    // starts a team of threads per caller, and a loaded machine becomes several times slower.
    thread_local const bool quiet = (omp_set_max_active_levels(0), true);
    (void)quiet;
    try {
        return std::forward<F>(f)();
    } catch (const std::exception& e) {
        throw std::runtime_error(e.what());
    } catch (...) {
        throw std::runtime_error("an exception that is not a std::exception");
    }
}

}  // namespace cipherwatt
