#include "levelled.h"

#include <string.h>

#include <atomic>
#include <cmath>
#include <map>

#include "internal.h"
#include "key/evalkeyrelin.h"

namespace cipherwatt {

using lbcrypto::DCRTPoly;
using lbcrypto::EvalKey;
using lbcrypto::EvalKeyRelinImpl;

namespace {

const std::uint32_t RING_DIMENSION = 4096;
const std::uint32_t FIRST_BITS = 60;
const std::uint32_t SCALE_BITS = 40;
const std::size_t PRIMES = 2;
const std::uint32_t DIGIT_BITS = 10;
const std::size_t POLYNOMIAL_WORDS = PRIMES * RING_DIMENSION;

// OpenFHE keeps evaluation keys for the whole process, by a tag: each context has its own.
std::string new_tag() {
    static std::atomic<std::uint64_t> contexts{0};
    return "cipherwatt-levelled-" + std::to_string(contexts++);
}

void check(const char* what, std::size_t expected, std::size_t actual) {
    if (expected != actual)
        throw std::runtime_error(std::string(what) + ": " + std::to_string(expected) + " expected, " +
                                 std::to_string(actual) + " given");
}

void wipe(DCRTPoly& poly) {
    for (auto& residues : poly.GetAllElements())
        if (residues.GetLength() > 0)
            explicit_bzero(&residues[0], residues.GetLength() * sizeof(std::uint64_t));
}

// In evaluation form, as OpenFHE holds them.
void write_words(const DCRTPoly& poly, std::uint64_t*& words, std::size_t primes = PRIMES) {
    check("primes of a polynomial", primes, poly.GetAllElements().size());
    for (const auto& residues : poly.GetAllElements()) {
        check("values of a polynomial", RING_DIMENSION, residues.GetLength());
        for (std::size_t i = 0; i < RING_DIMENSION; ++i)
            *words++ = residues[i].ConvertToInt<std::uint64_t>();
    }
}

}  // namespace

struct LevelledInternals {
    lbcrypto::CryptoContext<DCRTPoly> context;
    std::string tag = new_tag();
    std::uint32_t slots;
    lbcrypto::PublicKey<DCRTPoly> key;
    std::vector<std::uint32_t> rotations;
    std::map<std::uint32_t, EvalKey<DCRTPoly>> rotation_keys;
};

struct LevelledCiphertextInternals {
    lbcrypto::Ciphertext<DCRTPoly> ciphertext;
};

struct LevelledSecretInternals {
    lbcrypto::KeyPair<DCRTPoly> pair;
    // The relinearisation key, then the rotation keys.
    std::vector<EvalKey<DCRTPoly>> keys;

    ~LevelledSecretInternals() {
        if (!pair.secretKey)
            return;
        wipe(const_cast<DCRTPoly&>(pair.secretKey->GetPrivateElement()));
    }
};

LevelledContext::LevelledContext(std::unique_ptr<LevelledInternals> i) : internals(std::move(i)) {}
LevelledContext::~LevelledContext() = default;
LevelledCiphertext::LevelledCiphertext(std::unique_ptr<LevelledCiphertextInternals> i) : internals(std::move(i)) {}
LevelledCiphertext::~LevelledCiphertext() = default;
LevelledSecret::LevelledSecret(std::unique_ptr<LevelledSecretInternals> i) : internals(std::move(i)) {}
LevelledSecret::~LevelledSecret() = default;

namespace {

DCRTPoly read_polynomial(const LevelledInternals& in, const std::uint64_t*& words, std::size_t primes = PRIMES) {
    DCRTPoly poly(in.context->GetElementParams(), Format::EVALUATION, true);
    for (std::size_t prime = primes; prime < PRIMES; ++prime)
        poly.DropLastElement();
    for (auto& residues : poly.GetAllElements())
        for (std::size_t i = 0; i < RING_DIMENSION; ++i)
            residues[i] = NativeInteger(*words++);
    return poly;
}

EvalKey<DCRTPoly> read_key(const LevelledInternals& in, const std::uint64_t* words, std::size_t len) {
    const std::size_t each = len / (2 * POLYNOMIAL_WORDS);
    check("words of an evaluation key", 2 * POLYNOMIAL_WORDS * each, len);
    std::vector<DCRTPoly> a, b;
    for (std::size_t i = 0; i < each; ++i)
        a.push_back(read_polynomial(in, words));
    for (std::size_t i = 0; i < each; ++i)
        b.push_back(read_polynomial(in, words));
    auto key = std::make_shared<EvalKeyRelinImpl<DCRTPoly>>(in.context);
    key->SetAVector(std::move(a));
    key->SetBVector(std::move(b));
    key->SetKeyTag(in.tag);
    return key;
}

lbcrypto::Plaintext encoded(const LevelledInternals& in, const double* values, std::size_t count, std::uint32_t level) {
    check("values", in.slots, count);
    return in.context->MakeCKKSPackedPlaintext(std::vector<double>(values, values + count), 1, level, nullptr, in.slots);
}

}  // namespace

std::unique_ptr<LevelledContext> levelled_context(std::uint32_t slots) {
    return guarded([&] {
        lbcrypto::CCParams<lbcrypto::CryptoContextCKKSRNS> params;
        params.SetSecurityLevel(lbcrypto::HEStd_128_classic);
        params.SetSecretKeyDist(lbcrypto::UNIFORM_TERNARY);
        params.SetRingDim(RING_DIMENSION);
        params.SetBatchSize(RING_DIMENSION / 2);
        params.SetMultiplicativeDepth(1);
        params.SetFirstModSize(FIRST_BITS);
        params.SetScalingModSize(SCALE_BITS);
        params.SetScalingTechnique(lbcrypto::FIXEDMANUAL);
        params.SetKeySwitchTechnique(lbcrypto::BV);
        params.SetDigitSize(DIGIT_BITS);
        auto in = std::make_unique<LevelledInternals>();
        in->context = lbcrypto::GenCryptoContext(params);
        for (auto feature : {lbcrypto::PKE, lbcrypto::KEYSWITCH, lbcrypto::LEVELEDSHE})
            in->context->Enable(feature);
        check("ring dimension", RING_DIMENSION, in->context->GetRingDimension());
        check("primes", PRIMES, in->context->GetElementParams()->GetParams().size());
        in->slots = slots;
        for (std::uint32_t rotation = 1; rotation < slots; rotation *= 2)
            in->rotations.push_back(rotation);
        return std::make_unique<LevelledContext>(std::move(in));
    });
}

std::uint64_t levelled_prime(const LevelledContext& context, std::size_t index) {
    const auto& primes = context.internals->context->GetElementParams()->GetParams();
    return primes.at(index)->GetModulus().ConvertToInt<std::uint64_t>();
}

std::unique_ptr<LevelledSecret> generate_levelled(const LevelledContext& context) {
    return guarded([&] {
        const auto& in = *context.internals;
        auto secret = std::make_unique<LevelledSecretInternals>();
        secret->pair = in.context->KeyGen();
        const auto& key = secret->pair.secretKey;
        in.context->EvalMultKeyGen(key);
        secret->keys.push_back(in.context->GetEvalMultKeyVector(key->GetKeyTag()).at(0));
        std::vector<std::int32_t> rotations(in.rotations.begin(), in.rotations.end());
        in.context->EvalRotateKeyGen(key, rotations);
        const auto& of_all = in.context->GetEvalAutomorphismKeyMap(key->GetKeyTag());
        for (auto rotation : in.rotations)
            secret->keys.push_back(of_all.at(in.context->FindAutomorphismIndex(rotation)));
        // OpenFHE keeps them by the key's tag, for good; they are given to a context in words.
        in.context->ClearEvalMultKeys(key->GetKeyTag());
        in.context->ClearEvalAutomorphismKeys(key->GetKeyTag());
        return std::make_unique<LevelledSecret>(std::move(secret));
    });
}

std::size_t levelled_key_words(const LevelledSecret& secret, std::size_t part) {
    if (part == 0)
        return 2 * POLYNOMIAL_WORDS;
    return 2 * POLYNOMIAL_WORDS * secret.internals->keys.at(part - 1)->GetAVector().size();
}

void read_levelled_key(const LevelledSecret& secret, std::size_t part, std::uint64_t* words, std::size_t len) {
    guarded([&] {
        if (!secret.internals->pair.publicKey)
            throw std::runtime_error("the keys of a secret from a file are in a file of their own");
        check("words of a key", levelled_key_words(secret, part), len);
        if (part == 0) {
            for (const auto& poly : secret.internals->pair.publicKey->GetPublicElements())
                write_words(poly, words);
            return;
        }
        const auto& key = secret.internals->keys.at(part - 1);
        for (const auto* polys : {&key->GetAVector(), &key->GetBVector()})
            for (const auto& poly : *polys)
                write_words(poly, words);
    });
}

void write_levelled_key(LevelledContext& context, std::size_t part, const std::uint64_t* words, std::size_t len) {
    guarded([&] {
        auto& in = *context.internals;
        if (part == 0) {
            check("words of a public key", 2 * POLYNOMIAL_WORDS, len);
            in.key = std::make_shared<lbcrypto::PublicKeyImpl<DCRTPoly>>(in.context, in.tag);
            DCRTPoly b = read_polynomial(in, words), a = read_polynomial(in, words);
            in.key->SetPublicElements({std::move(b), std::move(a)});
            return;
        }
        auto key = read_key(in, words, len);
        if (part == 1) {
            in.context->ClearEvalMultKeys(in.tag);
            in.context->InsertEvalMultKey({key}, in.tag);
            return;
        }
        in.rotation_keys[in.context->FindAutomorphismIndex(in.rotations.at(part - 2))] = key;
        if (in.rotation_keys.size() == in.rotations.size()) {
            in.context->ClearEvalAutomorphismKeys(in.tag);
            in.context->InsertEvalAutomorphismKey(
                std::make_shared<std::map<std::uint32_t, EvalKey<DCRTPoly>>>(in.rotation_keys), in.tag);
        }
    });
}

void read_levelled_secret(const LevelledSecret& secret, std::int8_t* coefficients, std::size_t len) {
    guarded([&] {
        check("coefficients of a secret", RING_DIMENSION, len);
        DCRTPoly poly = secret.internals->pair.secretKey->GetPrivateElement();
        poly.SetFormat(Format::COEFFICIENT);
        auto& residues = poly.GetAllElements().at(0);
        for (std::size_t i = 0; i < len; ++i) {
            const auto word = residues[i].ConvertToInt<std::uint64_t>();
            coefficients[i] = word > 1 ? -1 : static_cast<std::int8_t>(word);
        }
        wipe(poly);
    });
}

std::unique_ptr<LevelledSecret> write_levelled_secret(const LevelledContext& context, const std::int8_t* coefficients, std::size_t len) {
    return guarded([&] {
        check("coefficients of a secret", RING_DIMENSION, len);
        const auto& in = *context.internals;
        DCRTPoly poly(in.context->GetElementParams(), Format::COEFFICIENT, true);
        for (auto& residues : poly.GetAllElements())
            for (std::size_t i = 0; i < len; ++i)
                residues[i] = coefficients[i] < 0 ? residues.GetModulus() - NativeInteger(1) : NativeInteger(coefficients[i]);
        poly.SetFormat(Format::EVALUATION);
        auto secret = std::make_unique<LevelledSecretInternals>();
        secret->pair.secretKey = std::make_shared<lbcrypto::PrivateKeyImpl<DCRTPoly>>(in.context);
        secret->pair.secretKey->SetPrivateElement(std::move(poly));
        return std::make_unique<LevelledSecret>(std::move(secret));
    });
}

void read_levelled(const LevelledCiphertext& ciphertext, std::uint64_t* words, std::size_t len) {
    guarded([&] {
        const auto& polys = ciphertext.internals->ciphertext->GetElements();
        check("polynomials", 2, polys.size());
        const std::size_t primes = polys.at(0).GetAllElements().size();
        check("words of a ciphertext", 2 * primes * RING_DIMENSION, len);
        for (const auto& poly : polys)
            write_words(poly, words, primes);
    });
}

std::unique_ptr<LevelledCiphertext> write_levelled(const LevelledContext& context, const std::uint64_t* words, std::size_t len) {
    return guarded([&] {
        const auto& in = *context.internals;
        const std::size_t primes = len == 2 * POLYNOMIAL_WORDS ? PRIMES : 1;
        check("words of a ciphertext", 2 * primes * RING_DIMENSION, len);
        DCRTPoly c0 = read_polynomial(in, words, primes), c1 = read_polynomial(in, words, primes);
        auto ciphertext = std::make_shared<lbcrypto::CiphertextImpl<DCRTPoly>>(in.context, in.tag, lbcrypto::CKKS_PACKED_ENCODING);
        ciphertext->SetElements({std::move(c0), std::move(c1)});
        // As OpenFHE leaves them after encryption, and after its one rescaling.
        ciphertext->SetNoiseScaleDeg(1);
        ciphertext->SetLevel(PRIMES - primes);
        ciphertext->SetScalingFactor(std::ldexp(1.0, SCALE_BITS));
        ciphertext->SetSlots(in.slots);
        return std::make_unique<LevelledCiphertext>(
            std::make_unique<LevelledCiphertextInternals>(LevelledCiphertextInternals{std::move(ciphertext)}));
    });
}

void clear_levelled_keys(const LevelledContext& context) {
    guarded([&] {
        const auto& in = *context.internals;
        in.context->ClearEvalMultKeys(in.tag);
        in.context->ClearEvalAutomorphismKeys(in.tag);
    });
}

std::unique_ptr<LevelledCiphertext> levelled_encrypt(const LevelledContext& context, const double* values, std::size_t count) {
    return guarded([&] {
        const auto& in = *context.internals;
        if (!in.key)
            throw std::runtime_error("the public key is not there");
        auto ciphertext = in.context->Encrypt(in.key, encoded(in, values, count, 0));
        return std::make_unique<LevelledCiphertext>(
            std::make_unique<LevelledCiphertextInternals>(LevelledCiphertextInternals{std::move(ciphertext)}));
    });
}

std::unique_ptr<LevelledCiphertext> levelled_zero() {
    return std::make_unique<LevelledCiphertext>(std::make_unique<LevelledCiphertextInternals>());
}

namespace {

void add(const LevelledInternals& in, lbcrypto::Ciphertext<DCRTPoly>& sum, const lbcrypto::Ciphertext<DCRTPoly>& other) {
    if (sum)
        in.context->EvalAddInPlace(sum, other);
    else
        sum = other->Clone();
}

}  // namespace

void levelled_add(const LevelledContext& context, LevelledCiphertext& sum, const LevelledCiphertext& other) {
    guarded([&] { add(*context.internals, sum.internals->ciphertext, other.internals->ciphertext); });
}

void levelled_add_square(const LevelledContext& context, LevelledCiphertext& sum, const LevelledCiphertext& other) {
    guarded([&] {
        const auto& in = *context.internals;
        const auto& factor = other.internals->ciphertext;
        add(in, sum.internals->ciphertext, in.context->EvalMultNoRelin(factor, factor));
    });
}

void levelled_relinearise(const LevelledContext& context, LevelledCiphertext& sum) {
    guarded([&] { sum.internals->ciphertext = context.internals->context->Relinearize(sum.internals->ciphertext); });
}

void levelled_rescale(const LevelledContext& context, LevelledCiphertext& sum) {
    guarded([&] { context.internals->context->RescaleInPlace(sum.internals->ciphertext); });
}

void levelled_weigh(const LevelledContext& context, LevelledCiphertext& sum, const double* weights, std::size_t count) {
    guarded([&] {
        const auto& in = *context.internals;
        auto& ciphertext = sum.internals->ciphertext;
        ciphertext = in.context->EvalMult(ciphertext, encoded(in, weights, count, ciphertext->GetLevel()));
    });
}

void levelled_sum_slots(const LevelledContext& context, LevelledCiphertext& sum) {
    guarded([&] {
        const auto& in = *context.internals;
        auto& ciphertext = sum.internals->ciphertext;
        for (auto rotation : in.rotations)
            ciphertext = in.context->EvalAdd(ciphertext, in.context->EvalRotate(ciphertext, rotation));
    });
}

void levelled_decrypt(const LevelledContext& context, const LevelledSecret& secret, const LevelledCiphertext& sum, double* values,
                      std::size_t count) {
    guarded([&] {
        const auto& in = *context.internals;
        check("values", in.slots, count);
        // The same key: OpenFHE compares tags.
        auto key = std::make_shared<lbcrypto::PrivateKeyImpl<DCRTPoly>>(in.context);
        key->SetKeyTag(sum.internals->ciphertext->GetKeyTag());
        key->SetPrivateElement(secret.internals->pair.secretKey->GetPrivateElement());
        lbcrypto::Plaintext plaintext;
        in.context->Decrypt(key, sum.internals->ciphertext, &plaintext);
        plaintext->SetLength(count);
        const auto decoded = plaintext->GetRealPackedValue();
        for (std::size_t i = 0; i < count; ++i)
            values[i] = decoded.at(i);
        wipe(const_cast<DCRTPoly&>(key->GetPrivateElement()));
    });
}

}  // namespace cipherwatt
