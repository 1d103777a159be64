//! The peers, and what each gives that we do not.

use serde::Serialize;

use super::venv::{self, Packages};

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct System {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    #[serde(skip)]
    pub(crate) source: Source,
    #[serde(skip)]
    pub(crate) precision: Precision,
    pub(crate) gives: &'static str,
    pub(crate) lacks: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// A Python package, run by `bench/peers/peers.py`.
    Python(Packages),
    /// A program of `bench/peers`.
    Native,
    /// [`super::pads`], in this process.
    Pads,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Precision {
    /// To the watt-hour.
    Exact,
    /// The sum of readings rounded to 16 bits is exact.
    Rounded,
    /// Within this share of the greatest total.
    Share(f64),
}

/// Share of the greatest total that the error of a CKKS sum of this size stays below.
const CKKS: Precision = Precision::Share(1e-4);

pub(crate) const PEERS: [System; 7] = [
    System {
        name: "tenseal",
        title: "TenSEAL N=8192 [60,40,60]",
        source: Source::Python(venv::TENSEAL),
        precision: CKKS,
        gives: "multiplications and rotations on the server, 4,096 slots, the parameters most tutorials use, Python",
        lacks: "signatures, a broker path, replay and group-size rules; a parser made for hostile bytes",
    },
    System {
        name: "tenseal-small",
        title: "TenSEAL N=4096 [54,55]",
        source: Source::Python(venv::TENSEAL),
        precision: CKKS,
        gives: "2,048 slots, Python; additions only, like ours",
        lacks: "as above; it cannot do without the second modulus, so N=2048 is out of its reach",
    },
    System {
        name: "paillier",
        title: "Paillier 2048, a ciphertext a reading",
        source: Source::Python(venv::PAILLIER),
        precision: Precision::Exact,
        gives: "sums of any length, a much older assumption than ring-LWE",
        lacks: "speed; security against quantum computers; signatures and everything after them",
    },
    System {
        name: "paillier-packed",
        title: "Paillier 2048, 48 readings a ciphertext",
        source: Source::Python(venv::PAILLIER),
        precision: Precision::Exact,
        gives: "far fewer bytes than ours, and a server that does less",
        lacks: "speed on the meter; negative readings, unless offset; room for squares; security against quantum computers",
    },
    System {
        name: "prio3",
        title: "Prio3SumVec 96 × 16 bits",
        source: Source::Native,
        precision: Precision::Rounded,
        gives: "a proof that every reading is in range, which a dishonest meter cannot forge; no holder of a single key: \
                two aggregators must collude to see a reading",
        lacks: "a deployment with one aggregator; reports that outlive a lost aggregator; signatures (DAP uses HPKE and TLS)",
    },
    System {
        name: "openfhe",
        title: "OpenFHE's own serialisation, in our ring",
        source: Source::Native,
        precision: CKKS,
        gives: "every other scheme and operation of the library on the same objects",
        lacks: "a parser made for hostile bytes: ours checks every residue in the pass that adds it",
    },
    System {
        name: "pads",
        title: "pads alone: additive masks without encryption",
        source: Source::Pads,
        precision: Precision::Exact,
        gives: "exact integers and sums that prove their members, as ours do, in far fewer bytes and with far less \
                time on the meter: for plain sums they would do",
        lacks: "a second lock: who has an epoch's mask key reads every report, where ours needs the secret key too; sums that \
                are computed on before they are opened; security against quantum computers (X25519)",
    },
];

/// On the command line: all of them.
pub(crate) const ALL: &str = "all";

/// On the command line: no system but the brokers, which are always compared.
pub(crate) const BROKERS: &str = "brokers";

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    [ALL, BROKERS]
        .into_iter()
        .chain(PEERS.iter().map(|system| system.name))
}

/// What the comparison leaves out.
pub(crate) const CAVEATS: &str = "\
Times are processor time of one thread; ratios are medians over rounds in which all were measured in turn, with their extremes.
No peer signs. So \"÷ seal\" and \"÷ ours\" compare with all we do, signature included, and \"÷ encrypt\" and \"÷ fold\" with our
encryption and our addition alone. Parameters are at about 128 bits of security against classical computers; Paillier's 2048 bits are at 112.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_its_own_name_and_says_what_it_gives() {
        let mut names: Vec<_> = PEERS.iter().map(|system| system.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PEERS.len());
        for system in PEERS {
            let says = !system.gives.is_empty() && !system.lacks.is_empty();
            assert!(says, "{}", system.name);
        }
    }

    #[test]
    fn the_python_program_knows_every_python_peer() {
        for system in PEERS {
            let known = venv::PROGRAM.contains(&format!("    \"{}\": ", system.name));
            let python = matches!(system.source, Source::Python(_));
            assert_eq!(known, python, "{}", system.name);
        }
    }
}
