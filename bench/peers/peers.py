"""The peers of `bench --peers` that are Python packages, each a process of its own.

A line of JSON on standard input is a request, a line on standard output its answer; `src/lib.rs` beside this file
says what they mean. The argument names the peer. Times are processor time of the whole process, so that a library that
starts threads pays for them.
"""

import json
import sys
import time


class Stages:
    """Processor time of each stage, in seconds."""

    def __init__(self):
        self.client = {}
        self.server = {}

    def time(self, side, stage, work):
        before = time.process_time()
        done = work()
        used = time.process_time() - before
        stages = getattr(self, side)
        stages[stage] = stages.get(stage, 0.0) + used
        return done


class TenSeal:
    """CKKS vectors as TenSEAL makes, serialises and adds them."""

    # Whether the server multiplies and rotates, and has the keys for it.
    KEYS = False

    def __init__(self, readings, reference_wh, degree, moduli, scale_bits):
        import tenseal

        self.tenseal = tenseal
        self.readings = readings
        self.reference_wh = reference_wh
        self.parameters = f"N={degree} {moduli}, scale 2^{scale_bits}"
        self.secret = tenseal.context(
            tenseal.SCHEME_TYPE.CKKS, poly_modulus_degree=degree, coeff_mod_bit_sizes=moduli, n_threads=1
        )
        self.secret.global_scale = 2.0**scale_bits
        if self.KEYS:
            self.secret.generate_galois_keys()
        # Clients and the server hold what a deployment would give them: no secret key.
        public = self.secret.copy()
        public.make_context_public()
        data = public.serialize(save_public_key=True, save_secret_key=False, save_galois_keys=self.KEYS, save_relin_keys=self.KEYS)
        self.keys_bytes = len(data) if self.KEYS else 0
        self.public = tenseal.context_from(data, n_threads=1)
        self.sum = None
        self.included = []

    def describe(self):
        return f"TenSEAL {self.tenseal.__version__}, {self.parameters}"

    def round(self, reports):
        stages, sent = Stages(), 0
        for report in reports:

            def encrypt():
                slots = [wh / self.reference_wh for wh in self.readings[report]]
                return self.tenseal.ckks_vector(self.public, slots)

            ciphertext = stages.time("client", "encrypt", encrypt)
            data = stages.time("client", "serialise", ciphertext.serialize)
            sent += len(data)
            read = stages.time("server", "load", lambda: self.tenseal.ckks_vector_from(self.public, data))
            if self.KEYS:
                loaded = read
                read = stages.time("server", "compute", lambda: self.compute(loaded))
            if self.sum is None:
                self.sum = read
            else:
                stages.time("server", "add", lambda: self.sum.add_(read))
            self.included.append(report)
        return {"reports": len(reports), "client": stages.client, "server": stages.server, "bytes": sent}

    # What one in a slot stands for, in watt-hours.
    def unit(self):
        return self.reference_wh

    def finish(self):
        self.sum.link_context(self.secret)
        totals = [slot * self.unit() for slot in self.sum.decrypt()]
        return {"totals_wh": totals, "included": self.included}


class TenSealSquares(TenSeal):
    """Squares on the server: what a variance takes. Totals are in square watt-hours."""

    KEYS = True

    def compute(self, read):
        return read.square()

    def unit(self):
        return self.reference_wh**2


class TenSealTariff(TenSeal):
    """The energy of the readings 28 to 79 of each report: multiplied by 0 and 1, and the slots added up."""

    KEYS = True

    def compute(self, read):
        return read.dot([1.0 if 28 <= slot < 80 else 0.0 for slot in range(read.size())])


class Paillier:
    """A ciphertext a value, as phe's users write it. A few values stand for the rest of a report."""

    VALUES = 2
    REPORTS = 2

    def __init__(self, readings, reference_wh):
        import phe

        self.phe = phe
        self.readings = readings
        self.public, self.secret = phe.generate_paillier_keypair(n_length=2048)
        self.sums = [None] * self.VALUES
        self.included = []

    def describe(self):
        backend = "gmpy2" if self.phe.util.HAVE_GMP else "Python integers"
        return f"phe {self.phe.__version__} with {backend}, 2048 bits, a ciphertext a reading"

    def round(self, reports):
        stages, sent, values = Stages(), 0, 0
        reports = reports[: self.REPORTS]
        width = (self.public.nsquare.bit_length() + 7) // 8
        for report in reports:
            for k in range(self.VALUES):
                reading = self.readings[report][k]
                encrypted = stages.time("client", "encrypt", lambda: self.public.encrypt(reading))
                data = stages.time("client", "serialise", lambda: encrypted.ciphertext().to_bytes(width, "big"))
                sent += len(data)

                def load():
                    return self.phe.EncryptedNumber(self.public, int.from_bytes(data, "big"))

                read = stages.time("server", "load", load)
                if self.sums[k] is None:
                    self.sums[k] = read
                else:
                    self.sums[k] = stages.time("server", "add", lambda: self.sums[k] + read)
                values += 1
            self.included.append(report)
        done = values / len(self.readings[0])
        return {"reports": done, "client": stages.client, "server": stages.server, "bytes": sent}

    def finish(self):
        return {"totals_wh": [self.secret.decrypt(value) for value in self.sums], "included": self.included}


class PackedPaillier:
    """Many readings in one plaintext, with room for a sum of 2^15 of them: what phe allows through its raw calls."""

    REPORTS = 2
    ROOM_BITS = 15

    def __init__(self, readings, reference_wh):
        import phe

        self.phe = phe
        self.readings = readings
        self.public, self.secret = phe.generate_paillier_keypair(n_length=2048)
        self.bits = (reference_wh - 1).bit_length() + self.ROOM_BITS
        self.limit = reference_wh
        self.each = (self.public.n.bit_length() - 2) // self.bits
        self.count = -(-len(readings[0]) // self.each)
        self.sums = [None] * self.count
        self.included = []

    def describe(self):
        return (
            f"phe {self.phe.__version__}, 2048 bits, {self.each} readings of {self.bits} bits a ciphertext,"
            f" {self.count} ciphertexts"
        )

    def pack(self, readings):
        packed = 0
        for wh in reversed(readings):
            if not 0 <= wh < self.limit:
                raise ValueError(f"a packed reading of {wh} Wh is not in 0..{self.limit}")
            packed = packed << self.bits | wh
        return packed

    def round(self, reports):
        stages, sent = Stages(), 0
        reports = reports[: self.REPORTS]
        width = (self.public.nsquare.bit_length() + 7) // 8
        square = self.public.nsquare
        for report in reports:
            for index in range(self.count):

                def encrypt():
                    part = self.readings[report][index * self.each : (index + 1) * self.each]
                    return self.public.raw_encrypt(self.pack(part))

                encrypted = stages.time("client", "encrypt", encrypt)
                data = stages.time("client", "serialise", lambda: encrypted.to_bytes(width, "big"))
                sent += len(data)
                read = stages.time("server", "load", lambda: int.from_bytes(data, "big"))
                if self.sums[index] is None:
                    self.sums[index] = read
                else:
                    mulmod = self.phe.util.mulmod
                    self.sums[index] = stages.time("server", "add", lambda: mulmod(self.sums[index], read, square))
            self.included.append(report)
        return {"reports": len(reports), "client": stages.client, "server": stages.server, "bytes": sent}

    def finish(self):
        totals, mask = [], (1 << self.bits) - 1
        for total in self.sums:
            packed = self.secret.raw_decrypt(total)
            totals += [packed >> (k * self.bits) & mask for k in range(self.each)]
        return {"totals_wh": totals[: len(self.readings[0])], "included": self.included}


PEERS = {
    "tenseal": lambda *work: TenSeal(*work, 8192, [60, 40, 60], 40),
    # The smallest that carries as many contributors at our scale; TenSEAL cannot do without a second modulus.
    "tenseal-small": lambda *work: TenSeal(*work, 4096, [54, 55], 37),
    "tenseal-squares": lambda *work: TenSealSquares(*work, 8192, [60, 40, 60], 40),
    "tenseal-tariff": lambda *work: TenSealTariff(*work, 8192, [60, 40, 60], 40),
    "paillier": Paillier,
    "paillier-packed": PackedPaillier,
}


def main(name):
    peer = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "prepare":
            peer = PEERS[name](request["readings"], request["reference_wh"])
            answer = {"describe": peer.describe(), "keys_bytes": getattr(peer, "keys_bytes", 0)}
        elif request["do"] == "round":
            answer = peer.round(request["reports"])
        else:
            answer = peer.finish()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
