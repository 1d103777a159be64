//! Prio3SumVec: two aggregators that each hold a share, and a proof that every reading is in range.

use anyhow::{Context as _, Result, bail};
use cipherwatt_peers::{Measured, Opened, Peer, serve, time};
use prio::codec::{Encode as _, ParameterizedDecode as _};
use prio::field::Field128;
use prio::vdaf::prio3::{Prio3InputShare, Prio3PublicShare, Prio3SumVec};
use prio::vdaf::{
    Aggregatable as _, AggregateShare, Aggregator as _, Client as _, Collector as _, OutputShare,
    VerifyTransition,
};

const BITS: u32 = 16;
/// What the proof is bound to.
const CONTEXT: &[u8] = b"cipherwatt bench";

struct Prio3 {
    readings: Vec<Vec<i64>>,
    /// Watt-hours of a step: 16 bits must span the reference.
    step_wh: u64,
    chunk: usize,
    vdaf: Prio3SumVec,
    verify_key: [u8; 32],
    sums: Option<[AggregateShare<Field128>; 2]>,
    included: Vec<usize>,
}

impl Peer for Prio3 {
    fn prepare(readings: Vec<Vec<i64>>, reference_wh: u64) -> Result<Self> {
        let len = readings.first().context("no readings")?.len();
        // The proof is shortest at the square root of the number of bits.
        let chunk = ((len * BITS as usize) as f64).sqrt().round() as usize;
        Ok(Self {
            readings,
            step_wh: (reference_wh >> BITS).max(1),
            chunk,
            vdaf: Prio3SumVec::new_sum_vec(2, (1 << BITS) - 1, len, chunk)?,
            verify_key: rand::random(),
            sums: None,
            included: Vec::new(),
        })
    }

    fn describe(&self) -> String {
        format!(
            "prio 0.18.1, {} × {BITS} bits in steps of {} Wh, chunk length {}, two aggregators, one thread",
            self.readings[0].len(),
            self.step_wh,
            self.chunk
        )
    }

    fn round(&mut self, reports: &[usize]) -> Result<Measured> {
        let mut measured = Measured {
            reports: reports.len() as f64,
            ..Measured::default()
        };
        for &report in reports {
            let nonce: [u8; 16] = rand::random();
            let measurement = self.readings[report]
                .iter()
                .map(|&wh| {
                    let wh = u128::try_from(wh).context("Prio3SumVec takes no negative reading")?;
                    Ok((wh + u128::from(self.step_wh / 2)) / u128::from(self.step_wh))
                })
                .collect::<Result<Vec<_>>>()?;
            let (public, inputs) = time(&mut measured.client, "shard", || {
                self.vdaf.shard(CONTEXT, &measurement, &nonce)
            })?;
            let (public, inputs) = time(&mut measured.client, "encode", || {
                let inputs = inputs.iter().map(|share| share.get_encoded());
                anyhow::Ok((
                    public.get_encoded()?,
                    inputs.collect::<Result<Vec<_>, _>>()?,
                ))
            })?;
            measured.bytes += public.len() + inputs.iter().map(Vec::len).sum::<usize>();
            self.aggregate(&mut measured, &nonce, &public, &inputs)?;
            self.included.push(report);
        }
        Ok(measured)
    }

    fn finish(&mut self) -> Result<Opened> {
        let sums = self.sums.take().context("nothing was added")?;
        let totals = self.vdaf.unshard(&(), sums, self.included.len())?;
        Ok(Opened {
            totals_wh: totals
                .into_iter()
                .map(|total| total as f64 * self.step_wh as f64)
                .collect(),
            included: self.included.clone(),
        })
    }
}

impl Prio3 {
    /// Both aggregators' work for a report, each under its own name.
    fn aggregate(
        &mut self,
        measured: &mut Measured,
        nonce: &[u8; 16],
        public: &[u8],
        inputs: &[Vec<u8>],
    ) -> Result<()> {
        const NAMES: [&str; 2] = ["leader", "helper"];
        let mut states = Vec::new();
        let mut shares = Vec::new();
        for (id, input) in inputs.iter().enumerate() {
            let (state, share) = time(&mut measured.server, NAMES[id], || {
                let public = Prio3PublicShare::get_decoded_with_param(&self.vdaf, public)?;
                let input = Prio3InputShare::get_decoded_with_param(&(&self.vdaf, id), input)?;
                anyhow::Ok(self.vdaf.verify_init(
                    &self.verify_key,
                    CONTEXT,
                    id,
                    &(),
                    nonce,
                    &public,
                    &input,
                )?)
            })?;
            states.push(state);
            shares.push(share);
        }
        // Either aggregator may combine the shares; here it is the leader.
        let message = time(&mut measured.server, NAMES[0], || {
            self.vdaf.verifier_shares_to_message(CONTEXT, &(), shares)
        })?;
        let mut sums = match self.sums.take() {
            Some(sums) => sums,
            None => [self.vdaf.aggregate_init(&()), self.vdaf.aggregate_init(&())],
        };
        for (id, state) in states.into_iter().enumerate() {
            let message = message.clone();
            time(&mut measured.server, NAMES[id], || {
                let share: OutputShare<Field128> =
                    match self.vdaf.verify_next(CONTEXT, state, message)? {
                        VerifyTransition::Finish(share) => share,
                        VerifyTransition::Continue(..) => bail!("Prio3 has one round"),
                    };
                Ok(sums[id].accumulate(&share)?)
            })?;
        }
        self.sums = Some(sums);
        Ok(())
    }
}

fn main() -> Result<()> {
    serve::<Prio3>()
}
