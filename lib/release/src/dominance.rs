//! How much of a group its largest meters may be.

/// The `largest` meters of a group may hold at most `share` of its declared capacity. With 1 and 0.15, and a minimum of 15 meters,
/// it is the "15/15" rule of the United States; a share of 1 is no rule.
///
/// The rule there is about energy. What a group consumes is not known before its sum is opened, so this is about declared
/// capacity, each meter at the upper bound of its class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dominance {
    /// How many of the largest meters are looked at together.
    pub largest: u32,
    /// The most that they may hold, from 0 to 1.
    pub share: f64,
}

impl Dominance {
    /// No rule.
    pub const OFF: Self = Self {
        largest: 1,
        share: 1.0,
    };

    /// Whether there is a bound.
    pub fn is_a_rule(&self) -> bool {
        self.share < 1.0
    }

    /// Whether meters of these capacities, in any unit, are no more dominated than allowed. Nobody is.
    pub(crate) fn allows(&self, capacities: impl Iterator<Item = u64>) -> bool {
        if !self.is_a_rule() {
            return true;
        }
        let mut capacities: Vec<u64> = capacities.collect();
        capacities.sort_unstable_by(|a, b| b.cmp(a));
        let sum = |of: &[u64]| {
            of.iter()
                .map(|&capacity| u128::from(capacity))
                .sum::<u128>()
        };
        let largest = capacities.len().min(self.largest as usize);
        sum(&capacities[..largest]) as f64 <= self.share * sum(&capacities) as f64
    }
}
