//! OpenFHE as it comes, at our parameters: its own ciphertext objects, serialisation and addition.

use anyhow::{Context as _, Result};
use cipherwatt_peers::{Measured, Opened, Peer, serve, time};
use openfhe::reference::Ciphertext;
use openfhe::secret::{self, SecretKey};
use openfhe::{Context, PublicKey};
use packed::ADDITIVE;
use packed::layout::{self, Layout};

struct OpenFhe {
    readings: Vec<Vec<i64>>,
    reference_wh: u64,
    context: Context,
    secret: SecretKey,
    public: PublicKey,
    sum: Option<Ciphertext>,
    included: Vec<usize>,
}

impl Peer for OpenFhe {
    fn prepare(readings: Vec<Vec<i64>>, reference_wh: u64) -> Result<Self> {
        let context = Context::new(&ADDITIVE)?;
        let (secret, public) = secret::generate(&context)?;
        Ok(Self {
            readings,
            reference_wh,
            context,
            secret,
            public,
            sum: None,
            included: Vec::new(),
        })
    }

    fn describe(&self) -> String {
        let profile = self.context.profile();
        format!(
            "OpenFHE 1.4.2, N={}, one {}-bit modulus, scale 2^{}, binary serialisation",
            profile.ring_dimension, profile.modulus_bits, profile.scale_bits
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
                let readings = &self.readings[report];
                let slots = layout::encode(Layout::Profile, readings, self.reference_wh)?;
                anyhow::Ok(Ciphertext::encrypt(&self.context, &self.public, &slots)?)
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
        let slots = self.secret.decrypt(&sum.to_packed()?)?;
        let intervals = self.readings.first().map_or(0, Vec::len);
        Ok(Opened {
            totals_wh: slots[..intervals]
                .iter()
                .map(|slot| slot * self.reference_wh as f64)
                .collect(),
            included: self.included.clone(),
        })
    }
}

fn main() -> Result<()> {
    serve::<OpenFhe>()
}
