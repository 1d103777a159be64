//! What the registers of a meter come to together.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::Customers;

/// Registers by name, each with what it adds (1) or takes away (−1) and its values: length and energy by start.
#[derive(Default)]
pub(super) struct Meters {
    order: Vec<String>,
    meters: BTreeMap<String, BTreeMap<String, Register>>,
}

#[derive(Default)]
struct Register {
    sign: i64,
    values: BTreeMap<u64, (u64, Option<i64>)>,
}

impl Meters {
    /// A value of a register. A repeat must be of the same value.
    pub(super) fn add(
        &mut self,
        (meter, register, sign): (&str, &str, i64),
        (start, step_s): (u64, u64),
        uwh: Option<i64>,
    ) -> Result<()> {
        if !self.meters.contains_key(meter) {
            self.order.push(meter.to_owned());
        }
        let registers = self.meters.entry(meter.to_owned()).or_default();
        let register = registers.entry(register.to_owned()).or_default();
        register.sign = sign;
        let known = register.values.entry(start).or_insert((step_s, uwh));
        ensure!(
            *known == (step_s, uwh),
            "{meter:?} has two values at {start}"
        );
        Ok(())
    }

    /// The sum of a meter's registers where all of them have a value.
    pub(super) fn sums(self, customers: &mut Customers) -> Result<()> {
        for meter in &self.order {
            let registers = &self.meters[meter];
            let starts: BTreeMap<u64, u64> = registers
                .values()
                .flat_map(|register| {
                    register
                        .values
                        .iter()
                        .map(|(start, (step_s, _))| (*start, *step_s))
                })
                .collect();
            for (start, step_s) in starts {
                let mut sum = Some(0);
                for register in registers.values() {
                    let value = register.values.get(&start);
                    ensure!(
                        value.is_none_or(|(other, _)| *other == step_s),
                        "{meter:?}: lengths differ at {start}"
                    );
                    let value = value.and_then(|(_, value)| *value);
                    sum = sum
                        .zip(value)
                        .map(|(sum, value)| sum + register.sign * value);
                }
                customers.of(meter).add(start, step_s, sum);
            }
        }
        Ok(())
    }
}
