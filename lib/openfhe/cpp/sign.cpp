#include "sign.h"

#include <string.h>

#include <map>

#include "binfhe-base-scheme.h"
#include "internal.h"
#include "lwe-pke.h"

namespace cipherwatt {

using lbcrypto::LWECiphertextImpl;
using lbcrypto::LWECryptoParams;
using lbcrypto::NativePoly;
using lbcrypto::RingGSWCryptoParams;

namespace {

const std::uint32_t DIMENSION = 1305;
const std::uint32_t RING_DIMENSION = 2048;
const std::uint32_t PRIME_BITS = 54;
const std::uint64_t SWITCH_MODULUS = std::uint64_t{1} << 35;
const std::uint32_t SWITCH_BASE = 4;
const std::uint32_t SWITCH_DIGITS = 18;
const std::uint32_t GADGET_BASE = 1u << 27;
// Half the distance that OpenFHE keeps between two values, of 4096.
const std::uint64_t BETA = 128;

// A refresh key has two rows, since the least of its two digits is left out, and each row two polynomials. There are two for
// each coefficient of a ternary secret.
const std::size_t ROWS = 2;
const std::size_t REFRESH_WORDS = 2 * ROWS * 2 * RING_DIMENSION;
const std::size_t SWITCH_WORDS = std::size_t{SWITCH_BASE} * SWITCH_DIGITS * (DIMENSION + 1);

const lbcrypto::BINFHE_METHOD METHOD = lbcrypto::GINX;

std::shared_ptr<lbcrypto::BinFHECryptoParams> parameters() {
    const NativeInteger small = 2 * RING_DIMENSION;
    const auto prime = lbcrypto::LastPrime<NativeInteger>(PRIME_BITS, 2 * RING_DIMENSION);
    const double deviation = 3.19;
    // The third base is of a method that is not used.
    return std::make_shared<lbcrypto::BinFHECryptoParams>(
        std::make_shared<LWECryptoParams>(DIMENSION, RING_DIMENSION, small, prime, NativeInteger(SWITCH_MODULUS), deviation,
                                          SWITCH_BASE, lbcrypto::UNIFORM_TERNARY),
        std::make_shared<RingGSWCryptoParams>(RING_DIMENSION, prime, small, GADGET_BASE, 23, METHOD, deviation,
                                              lbcrypto::UNIFORM_TERNARY, false));
}

void check(const char* what, std::size_t expected, std::size_t actual) {
    if (expected != actual)
        throw std::runtime_error(std::string(what) + ": " + std::to_string(expected) + " expected, " +
                                 std::to_string(actual) + " given");
}

}  // namespace

struct SignKeyInternals {
    std::shared_ptr<lbcrypto::BinFHECryptoParams> parameters;
    lbcrypto::BinFHEScheme scheme;
    std::map<std::uint32_t, lbcrypto::RingGSWBTKey> keys;
    std::vector<std::vector<std::vector<lbcrypto::NativeVector>>> switch_a;
    std::vector<std::vector<std::vector<NativeInteger>>> switch_b;

    SignKeyInternals() : parameters(cipherwatt::parameters()), scheme(METHOD) {}

    const lbcrypto::RingGSWBTKey& key() const { return keys.at(GADGET_BASE); }
};

SignKey::SignKey(std::unique_ptr<SignKeyInternals> i) : internals(std::move(i)) {}
SignKey::~SignKey() = default;

std::uint64_t sign_modulus() {
    return guarded([] { return parameters()->GetLWEParams()->GetQ().ConvertToInt<std::uint64_t>(); });
}

std::unique_ptr<SignKey> generate_sign_key(std::uint64_t* secret, std::size_t len) {
    return guarded([&] {
        check("words of the secret", DIMENSION, len);
        auto in = std::make_unique<SignKeyInternals>();
        auto key = lbcrypto::LWEEncryptionScheme().KeyGen(DIMENSION, NativeInteger(SWITCH_MODULUS));
        in->keys[GADGET_BASE] = in->scheme.KeyGen(in->parameters, key, lbcrypto::SYM_ENCRYPT);
        auto element = key->GetElement();
        key->SetElement(lbcrypto::NativeVector(DIMENSION, NativeInteger(SWITCH_MODULUS)));
        for (std::size_t i = 0; i < len; ++i)
            secret[i] = element[i].ConvertToInt<std::uint64_t>();
        explicit_bzero(&element[0], len * sizeof(std::uint64_t));
        return std::make_unique<SignKey>(std::move(in));
    });
}

std::unique_ptr<SignKey> empty_sign_key() {
    return guarded([] {
        auto in = std::make_unique<SignKeyInternals>();
        auto& key = in->keys[GADGET_BASE];
        key.BSkey = std::make_shared<lbcrypto::RingGSWACCKeyImpl>(1, 2, DIMENSION);
        in->switch_a.resize(RING_DIMENSION);
        in->switch_b.resize(RING_DIMENSION);
        return std::make_unique<SignKey>(std::move(in));
    });
}

void read_refresh_key(const SignKey& key, std::size_t index, std::uint64_t* words, std::size_t len) {
    guarded([&] {
        check("words of a refresh key", REFRESH_WORDS, len);
        const auto& both = key.internals->key().BSkey->GetElements().at(0);
        for (const auto& of_all : both) {
            const auto& rows = of_all.at(index)->GetElements();
            check("rows of a refresh key", ROWS, rows.size());
            for (const auto& row : rows) {
                for (const NativePoly& poly : row) {
                    check("coefficients", RING_DIMENSION, poly.GetLength());
                    for (std::size_t i = 0; i < RING_DIMENSION; ++i)
                        *words++ = poly[i].ConvertToInt<std::uint64_t>();
                }
            }
        }
    });
}

void write_refresh_key(SignKey& key, std::size_t index, const std::uint64_t* words, std::size_t len) {
    guarded([&] {
        check("words of a refresh key", REFRESH_WORDS, len);
        const auto& ring = key.internals->parameters->GetRingGSWParams()->GetPolyParams();
        for (std::size_t sign = 0; sign < 2; ++sign) {
            auto part = std::make_shared<lbcrypto::RingGSWEvalKeyImpl>(ROWS, 2);
            for (std::size_t row = 0; row < ROWS; ++row) {
                for (std::size_t column = 0; column < 2; ++column) {
                    NativePoly poly(ring, Format::EVALUATION, true);
                    for (std::size_t i = 0; i < RING_DIMENSION; ++i)
                        poly[i] = NativeInteger(*words++);
                    (*part)[row][column] = std::move(poly);
                }
            }
            (*key.internals->keys.at(GADGET_BASE).BSkey)[0][sign].at(index) = std::move(part);
        }
    });
}

void read_switch_key(const SignKey& key, std::size_t index, std::uint64_t* words, std::size_t len) {
    guarded([&] {
        check("words of a switching key", SWITCH_WORDS, len);
        const auto& a = key.internals->key().KSkey->GetElementsA().at(index);
        const auto& b = key.internals->key().KSkey->GetElementsB().at(index);
        check("digit values of a switching key", SWITCH_BASE, a.size());
        for (std::size_t value = 0; value < SWITCH_BASE; ++value) {
            check("digits of a switching key", SWITCH_DIGITS, a[value].size());
            for (std::size_t digit = 0; digit < SWITCH_DIGITS; ++digit) {
                for (std::size_t i = 0; i < DIMENSION; ++i)
                    *words++ = a[value][digit][i].ConvertToInt<std::uint64_t>();
                *words++ = b[value][digit].ConvertToInt<std::uint64_t>();
            }
        }
    });
}

void write_switch_key(SignKey& key, std::size_t index, const std::uint64_t* words, std::size_t len) {
    guarded([&] {
        check("words of a switching key", SWITCH_WORDS, len);
        auto& in = *key.internals;
        auto& a = in.switch_a.at(index);
        auto& b = in.switch_b.at(index);
        a.resize(SWITCH_BASE);
        b.resize(SWITCH_BASE);
        for (std::size_t value = 0; value < SWITCH_BASE; ++value) {
            for (std::size_t digit = 0; digit < SWITCH_DIGITS; ++digit) {
                lbcrypto::NativeVector of_digit(DIMENSION, NativeInteger(SWITCH_MODULUS));
                for (std::size_t i = 0; i < DIMENSION; ++i)
                    of_digit[i] = NativeInteger(*words++);
                a[value].push_back(std::move(of_digit));
                b[value].emplace_back(*words++);
            }
        }
        // With the last part the key is whole.
        if (index + 1 == RING_DIMENSION)
            in.keys.at(GADGET_BASE).KSkey =
                std::make_shared<lbcrypto::LWESwitchingKeyImpl>(std::move(in.switch_a), std::move(in.switch_b));
    });
}

void sign(const SignKey& key, std::uint32_t bits, std::uint64_t* words, std::size_t len) {
    guarded([&] {
        check("words of a ciphertext", DIMENSION + 1, len);
        const auto& in = *key.internals;
        if (!in.key().BSkey || !in.key().KSkey)
            throw std::runtime_error("the evaluation keys are not complete");
        const NativeInteger modulus = std::uint64_t{1} << bits;
        lbcrypto::NativeVector a(DIMENSION, modulus);
        for (std::size_t i = 0; i < DIMENSION; ++i)
            a[i] = NativeInteger(words[i]);
        const auto given = std::make_shared<const LWECiphertextImpl>(std::move(a), NativeInteger(words[DIMENSION]));
        const auto bit = in.scheme.EvalSign(in.parameters, in.keys, given, NativeInteger(BETA));
        check("words of the result", DIMENSION, bit->GetLength());
        for (std::size_t i = 0; i < DIMENSION; ++i)
            words[i] = bit->GetA(i).ConvertToInt<std::uint64_t>();
        words[DIMENSION] = bit->GetB().ConvertToInt<std::uint64_t>();
    });
}

}  // namespace cipherwatt
