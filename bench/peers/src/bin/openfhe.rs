//! OpenFHE as it comes, in our ring: its own ciphertext objects, serialisation and addition.

use anyhow::{Context as _, Result};
use cipherwatt_peers::{Measured, Opened, Peer, serve, time};
use openfhe::reference::Ciphertext;
use openfhe::secret::{self, SecretKey};
use openfhe::{Context, Fresh, PublicKey};
use packed::{ADDITIVE_FINE, Lifted, RING};

struct OpenFhe {
    readings: Vec<Vec<i64>>,
    /// Binary logarithm of what a watt-hour is in a coefficient.
    wh_bits: u32,
    context: Context,
    secret: SecretKey,
    public: PublicKey,
    sum: Option<Ciphertext>,
    included: Vec<usize>,
}

impl Peer for OpenFhe {
    fn prepare(readings: Vec<Vec<i64>>, reference_wh: u64) -> Result<Self> {
        let context = Context::new()?;
        let wh_bits = ADDITIVE_FINE
            .scale_bits
            .checked_sub(reference_wh.ilog2())
            .context("a watt-hour is less than a coefficient shows")?;
        let (secret, public) = secret::generate(&context)?;
        Ok(Self {
            readings,
            wh_bits,
            context,
            secret,
            public,
            sum: None,
            included: Vec::new(),
        })
    }

    fn describe(&self) -> String {
        format!(
            "OpenFHE 1.4.2, N={}, one {}-bit modulus, scale 2^{}, coefficients, binary serialisation",
            RING.dimension, RING.modulus_bits, ADDITIVE_FINE.scale_bits
        )
    }

    fn round(&mut self, reports: &[usize]) -> Result<Measured> {
        let mut measured = Measured {
            reports: reports.len() as f64,
            ..Measured::default()
        };
        for &report in reports {
            let client = &mut measured.client;
            let server = &mut measured.server;
            let ciphertext = time(client, "encrypt", || {
                let residue = |wh: &i64| RING.residue(wh << self.wh_bits);
                let plaintext: Vec<_> = self.readings[report].iter().map(residue).collect();
                Ciphertext::encrypt(&self.context, &self.public, &plaintext)
            })?;
            let bytes = time(client, "serialise", || ciphertext.serialise())?;
            measured.bytes += bytes.len();
            let read = time(server, "deserialise", || {
                Ciphertext::deserialise(&self.context, &bytes)
            })?;
            match &mut self.sum {
                Some(sum) => time(server, "add", || sum.add_assign(&read))?,
                None => self.sum = Some(read),
            }
            self.included.push(report);
        }
        Ok(measured)
    }

    fn finish(&mut self) -> Result<Opened> {
        let sum = self.sum.as_ref().context("nothing was added")?;
        let Fresh { mut c0, c1 } = sum.residues()?;
        c0.truncate(self.readings.first().map_or(0, Vec::len));
        let opened = self.secret.open(&Lifted { c0, c1 })?;
        let wh = f64::from(self.wh_bits).exp2();
        let total_wh = |residue| RING.centre(residue) as f64 / wh;
        Ok(Opened {
            totals_wh: opened.into_iter().map(total_wh).collect(),
            included: self.included.clone(),
        })
    }
}

fn main() -> Result<()> {
    serve::<OpenFhe>()
}
