//! Extraction: a coefficient of a sum as an LWE ciphertext.

use packed::{Lifted, RING};

/// A coefficient of a sum less a number, or less the same coefficient of another sum: an LWE ciphertext `(a, b)` under the ring's
/// secret `s`, modulo `q`, whose phase is `b + ⟨a, s⟩`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub(crate) a: Vec<u64>,
    pub(crate) b: u64,
}

impl Difference {
    /// Coefficient `index` of `sum` less `number`, a residue; none if `c0` has no such coefficient.
    #[must_use]
    pub fn new(sum: &Lifted, index: usize, number: u64) -> Option<Self> {
        let b = *sum.c0.get(index)?;
        let n = sum.c1.len();
        let minus = |word: u64| (RING.modulus - word) % RING.modulus;
        // Since X^N is −1, coefficient j of c1·s is the sum of c1[j − i]·s[i], for i above j of −c1[N + j − i]·s[i].
        let a = (0..n).map(|i| match index.checked_sub(i) {
            Some(place) => sum.c1[place],
            None => minus(sum.c1[n + index - i]),
        });
        Some(Self {
            a: a.collect(),
            b: (b + minus(number % RING.modulus)) % RING.modulus,
        })
    }

    /// Less another, under the same secret.
    #[must_use]
    pub fn less(mut self, other: &Self) -> Self {
        let pairs = self.a.iter_mut().zip(&other.a);
        for (mine, theirs) in pairs.chain([(&mut self.b, &other.b)]) {
            *mine = (*mine + RING.modulus - theirs) % RING.modulus;
        }
        self
    }

    /// `a` and `b`.
    #[must_use]
    pub fn parts(&self) -> (&[u64], u64) {
        (&self.a, self.b)
    }
}
