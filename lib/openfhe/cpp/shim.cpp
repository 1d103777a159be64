#include "internal.h"

#include <string.h>

#include <chrono>
#include <cmath>

namespace cipherwatt {

using lbcrypto::DCRTPoly;
using NativePoly = DCRTPoly::PolyType;

static_assert(sizeof(NativeInteger) == sizeof(std::uint64_t), "OpenFHE must be built with 64-bit native integers");

Context::Context(std::unique_ptr<Internals> i) : internals(std::move(i)) {}
Context::~Context() = default;
PublicKey::PublicKey(std::unique_ptr<PublicKeyInternals> i) : internals(std::move(i)) {}
PublicKey::~PublicKey() = default;
SecretKey::SecretKey(std::unique_ptr<SecretKeyInternals> i) : internals(std::move(i)) {}
Ciphertext::Ciphertext(std::unique_ptr<CiphertextInternals> i) : internals(std::move(i)) {}
Ciphertext::~Ciphertext() = default;

namespace {

// Keys are told apart by the caller; OpenFHE only compares tags.
const std::string KEY_TAG = "cipherwatt";

void check_length(const char* what, std::size_t expected, std::size_t actual) {
    if (expected != actual) {
        throw std::runtime_error(std::string(what) + ": " + std::to_string(expected) + " words expected, " +
                                 std::to_string(actual) + " given");
    }
}

DCRTPoly polynomial(const Internals& in, const std::uint64_t* words) {
    const auto params = in.context->GetElementParams();
    DCRTPoly poly(params, Format::EVALUATION, true);
    for (std::size_t limb = 0; limb < in.limbs; ++limb) {
        auto& values = poly.GetAllElements()[limb];
        for (std::size_t i = 0; i < in.ring_dimension; ++i)
            values[i] = NativeInteger(words[limb * in.ring_dimension + i]);
    }
    return poly;
}

std::vector<DCRTPoly> two_polynomials(const Internals& in, const std::uint64_t* words) {
    const std::size_t stride = in.limbs * in.ring_dimension;
    std::vector<DCRTPoly> polys;
    polys.reserve(2);
    polys.push_back(polynomial(in, words));
    polys.push_back(polynomial(in, words + stride));
    return polys;
}

std::uint64_t* write_words(const DCRTPoly& poly, std::uint64_t* words) {
    if (poly.GetFormat() != Format::EVALUATION)
        throw std::runtime_error("a polynomial is not in evaluation form");
    for (const NativePoly& limb : poly.GetAllElements()) {
        const auto& values = limb.GetValues();
        for (std::size_t i = 0; i < values.GetLength(); ++i)
            *words++ = values[i].ConvertToInt<std::uint64_t>();
    }
    return words;
}

void write_words(const std::vector<DCRTPoly>& polys, std::uint64_t* words, std::size_t len) {
    std::size_t expected = 0;
    for (const DCRTPoly& poly : polys)
        expected += poly.GetNumOfElements() * poly.GetRingDimension();
    check_length("output", expected, len);
    for (const DCRTPoly& poly : polys)
        words = write_words(poly, words);
}

// The key object is shared only inside the shim, and this is its last use.
void wipe(const lbcrypto::PrivateKey<DCRTPoly>& key) {
    if (!key)
        return;
    auto& poly = const_cast<DCRTPoly&>(key->GetPrivateElement());
    for (NativePoly& limb : poly.GetAllElements()) {
        if (limb.GetLength() > 0)
            explicit_bzero(&limb[0], limb.GetLength() * sizeof(std::uint64_t));
    }
}

lbcrypto::Ciphertext<DCRTPoly> rebuild(const Internals& in, const std::uint64_t* words, std::size_t len) {
    check_length("ciphertext", 2 * in.limbs * in.ring_dimension, len);
    const auto params =
        std::dynamic_pointer_cast<lbcrypto::CryptoParametersRNS>(in.context->GetCryptoParameters());
    auto ciphertext = std::make_shared<lbcrypto::CiphertextImpl<DCRTPoly>>(in.context, KEY_TAG,
                                                                           lbcrypto::CKKS_PACKED_ENCODING);
    ciphertext->SetElements(two_polynomials(in, words));
    ciphertext->SetNoiseScaleDeg(1);
    ciphertext->SetLevel(0);
    ciphertext->SetSlots(in.ring_dimension / 2);
    ciphertext->SetScalingFactor(params->GetScalingFactorReal(0));
    ciphertext->SetScalingFactorInt(NativeInteger(1));
    return ciphertext;
}

lbcrypto::Plaintext encode(const Internals& in, const double* slots, std::size_t count) {
    const std::vector<double> values(slots, slots + count);
    return in.context->MakeCKKSPackedPlaintext(values, 1, 0, nullptr, in.ring_dimension / 2);
}

lbcrypto::Ciphertext<DCRTPoly> seal(const Internals& in, const lbcrypto::PublicKey<DCRTPoly>& key, const double* slots,
                                    std::size_t count) {
    return in.context->Encrypt(key, encode(in, slots, count));
}

std::vector<double> open(const Internals& in, const lbcrypto::PrivateKey<DCRTPoly>& key,
                         const lbcrypto::Ciphertext<DCRTPoly>& ciphertext) {
    lbcrypto::Plaintext plaintext;
    if (!in.context->Decrypt(key, ciphertext, &plaintext).isValid)
        throw std::runtime_error("the decryption is not valid");
    plaintext->SetLength(in.ring_dimension / 2);
    return plaintext->GetRealPackedValue();
}

}  // namespace

SecretKey::~SecretKey() {
    try {
        wipe(internals->key);
    } catch (...) {
        // Only an empty polynomial throws, and it holds nothing to overwrite.
    }
}

std::unique_ptr<Context> new_context(std::uint32_t ring_dimension, std::uint32_t limbs, std::uint32_t first_modulus_bits,
                                     std::uint32_t scale_bits) {
    return guarded([&] {
        lbcrypto::CCParams<lbcrypto::CryptoContextCKKSRNS> params;
        params.SetSecurityLevel(lbcrypto::HEStd_128_classic);
        params.SetSecretKeyDist(lbcrypto::UNIFORM_TERNARY);
        params.SetRingDim(ring_dimension);
        params.SetBatchSize(ring_dimension / 2);
        params.SetMultiplicativeDepth(limbs - 1);
        params.SetFirstModSize(first_modulus_bits);
        params.SetScalingModSize(scale_bits);
        params.SetScalingTechnique(lbcrypto::FIXEDMANUAL);
        params.SetKeySwitchTechnique(lbcrypto::BV);
        params.SetDigitSize(10);
        auto in = std::make_unique<Internals>();
        in->context = lbcrypto::GenCryptoContext(params);
        in->context->Enable(lbcrypto::PKE);
        in->context->Enable(lbcrypto::LEVELEDSHE);
        in->ring_dimension = in->context->GetRingDimension();
        in->limbs = in->context->GetElementParams()->GetParams().size();
        if (in->ring_dimension != ring_dimension || in->limbs != limbs)
            throw std::runtime_error("OpenFHE chose another ring dimension or number of limbs");

        const auto keys = in->context->KeyGen();
        const double one = 1.0;
        const auto slots = open(*in, keys.secretKey, seal(*in, keys.publicKey, &one, 1));
        wipe(keys.secretKey);
        if (std::abs(slots.at(0) - one) > 0.01 || std::abs(slots.at(1)) > 0.01)
            throw std::runtime_error("a first encryption does not decrypt to what it should");
        return std::make_unique<Context>(std::move(in));
    });
}

std::uint64_t modulus(const Context& context, std::size_t limb) {
    return guarded([&] {
        const auto& primes = context.internals->context->GetElementParams()->GetParams();
        return primes.at(limb)->GetModulus().ConvertToInt<std::uint64_t>();
    });
}

std::size_t limbs(const Context& context) {
    return context.internals->limbs;
}

void generate(const Context& context, std::uint64_t* secret, std::size_t secret_len, std::uint64_t* key,
              std::size_t key_len) {
    guarded([&] {
        const Internals& in = *context.internals;
        check_length("secret key", in.limbs * in.ring_dimension, secret_len);
        const auto keys = in.context->KeyGen();
        if (!keys.good())
            throw std::runtime_error("the key generation gave no keys");
        write_words(keys.secretKey->GetPrivateElement(), secret);
        wipe(keys.secretKey);
        write_words(keys.publicKey->GetPublicElements(), key, key_len);
    });
}

std::unique_ptr<PublicKey> public_key(const Context& context, const std::uint64_t* words, std::size_t len) {
    return guarded([&] {
        const Internals& in = *context.internals;
        check_length("public key", 2 * in.limbs * in.ring_dimension, len);
        auto key = std::make_shared<lbcrypto::PublicKeyImpl<DCRTPoly>>(in.context, KEY_TAG);
        key->SetPublicElements(two_polynomials(in, words));
        return std::make_unique<PublicKey>(std::make_unique<PublicKeyInternals>(PublicKeyInternals{std::move(key)}));
    });
}

std::unique_ptr<SecretKey> secret_key(const Context& context, const std::uint64_t* words, std::size_t len) {
    return guarded([&] {
        const Internals& in = *context.internals;
        check_length("secret key", in.limbs * in.ring_dimension, len);
        auto key = std::make_shared<lbcrypto::PrivateKeyImpl<DCRTPoly>>(in.context);
        key->SetKeyTag(KEY_TAG);
        // Moved, not copied: a copy would be freed without being overwritten.
        key->SetPrivateElement(polynomial(in, words));
        return std::make_unique<SecretKey>(std::make_unique<SecretKeyInternals>(SecretKeyInternals{std::move(key)}));
    });
}

void secret_key_words(const SecretKey& key, std::uint64_t* words, std::size_t len) {
    guarded([&] {
        const DCRTPoly& poly = key.internals->key->GetPrivateElement();
        check_length("secret key", poly.GetNumOfElements() * poly.GetRingDimension(), len);
        write_words(poly, words);
    });
}

std::uint64_t encrypt(const Context& context, const PublicKey& key, const double* slots, std::size_t count,
                      std::uint64_t* words, std::size_t len) {
    return guarded([&] {
        const Internals& in = *context.internals;
        const auto start = std::chrono::steady_clock::now();
        const auto plaintext = encode(in, slots, count);
        const auto encoding = std::chrono::steady_clock::now() - start;
        const auto ciphertext = in.context->Encrypt(key.internals->key, plaintext);
        write_words(ciphertext->GetElements(), words, len);
        return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(encoding).count());
    });
}

void decrypt(const Context& context, const SecretKey& key, const std::uint64_t* words, std::size_t len, double* slots,
             std::size_t count) {
    guarded([&] {
        const Internals& in = *context.internals;
        const auto values = open(in, key.internals->key, rebuild(in, words, len));
        check_length("slots", values.size(), count);
        std::copy(values.begin(), values.end(), slots);
    });
}

namespace {

std::unique_ptr<Ciphertext> wrap(lbcrypto::Ciphertext<DCRTPoly> ciphertext) {
    return std::make_unique<Ciphertext>(
        std::make_unique<CiphertextInternals>(CiphertextInternals{std::move(ciphertext)}));
}

}  // namespace

std::unique_ptr<Ciphertext> encrypt_only(const Context& context, const PublicKey& key, const double* slots,
                                         std::size_t count) {
    return guarded([&] { return wrap(seal(*context.internals, key.internals->key, slots, count)); });
}

std::unique_ptr<Ciphertext> ciphertext(const Context& context, const std::uint64_t* words, std::size_t len) {
    return guarded([&] { return wrap(rebuild(*context.internals, words, len)); });
}

void ciphertext_words(const Ciphertext& ciphertext, std::uint64_t* words, std::size_t len) {
    guarded([&] { write_words(ciphertext.internals->ciphertext->GetElements(), words, len); });
}

std::unique_ptr<Ciphertext> add(const Context& context, const Ciphertext& a, const Ciphertext& b) {
    return guarded([&] {
        return wrap(context.internals->context->EvalAdd(a.internals->ciphertext, b.internals->ciphertext));
    });
}

void add_in_place(const Context& context, Ciphertext& sum, const Ciphertext& other) {
    guarded([&] {
        context.internals->context->EvalAddInPlace(sum.internals->ciphertext, other.internals->ciphertext);
    });
}

std::size_t openmp_threads() {
    return guarded([] {
        int threads = 0;
#pragma omp parallel num_threads(4)
#pragma omp single
        threads = omp_get_num_threads();
        return static_cast<std::size_t>(threads);
    });
}

}  // namespace cipherwatt
