//! Keys of holders' streams, in hands that add masks up of whatever they like.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use masks::{Label, MaskSecret, PadKey, Parties};
use packed::RING;
use service::Settings;
use service::files;
use wire::{Acceptance, Agreement, Digest, MaskKey, MeterId, Plan, Salt, Terms, WindowStart};

use super::RogueMeter;
use super::observed::Observed;

/// The longest file of keys. Bytes.
const MAX_LEN: u64 = 8 << 10;

/// What the masks of one report follow from, beside the keys.
#[derive(Clone, Copy, Debug)]
pub struct Masked<'a> {
    /// The plan that it is sealed under.
    pub plan: &'a Plan,
    /// The digest of its complete setting.
    pub setting: Digest,
    /// Its meter.
    pub meter: &'a MeterId,
    /// The key that the meter's masks are agreed with.
    pub mask_key: MaskKey,
    /// Its window.
    pub window: WindowStart,
    /// Its salt.
    pub salt: Salt,
}

/// The secrets of some streams, by the streams' places.
#[derive(Debug, Default)]
pub struct StreamKeys(BTreeMap<usize, MaskSecret>);

/// Makes an agreement of holders whose keys are in their state folders say that it follows another, from this window on, whose holders
/// signed nothing of that.
///
/// # Errors
/// They have no agreement with themselves yet, or a file cannot be written.
pub fn follow(before: &Terms, holders: &[Settings], from: WindowStart) -> Result<Agreement> {
    let first = holders.first().context("no holders")?;
    let file = first.holders.agreements.first().context("no agreement")?;
    let own = Agreement::from_bytes(&std::fs::read(file)?)?.terms;
    let terms = Terms {
        generation: before.generation + 1,
        previous: Some(before.digest()),
        from,
        ..own.clone()
    };
    let mut acceptances = Vec::new();
    for holder in holders {
        let folder = folder(holder);
        std::fs::rename(folder.join(keys_of(&own)), folder.join(keys_of(&terms)))?;
        let key = files::load_or_create_signing_key(&folder.join(files::SIGNING_KEY))?;
        let accepted = Acceptance {
            terms: terms.digest(),
            holder: holder.holder.id.clone(),
        };
        let place = (&terms.deployment, Agreement::TOPIC);
        let (signed, _) = wire::sign(&accepted, None, place.0, place.1, &key);
        acceptances.push(signed.into());
    }
    Ok(Agreement {
        terms,
        acceptances,
        closings: Vec::new(),
    })
}

fn folder(holder: &Settings) -> PathBuf {
    let name = format!("holder-{}", holder.holder.id);
    holder.deployment.state_dir.join(name)
}

/// The file of the keys that a holder has under these terms.
fn keys_of(terms: &Terms) -> String {
    let digest = terms.digest().to_string();
    format!("agreement-{}-{}.keys", terms.generation, &digest[..16])
}

impl<'a> Masked<'a> {
    /// Of a report of a meter that was ever in the roster.
    ///
    /// # Errors
    /// Neither plan nor roster that name it were seen.
    pub fn of(
        seen: &'a Observed,
        meter: &'a MeterId,
        (window, salt): (WindowStart, Salt),
    ) -> Result<Self> {
        let (plan, _) = seen.plan.as_ref().context("there is no plan")?;
        let entry = seen.entries.get(meter).context("no such meter")?;
        let setting = plan.feeder(&entry.feeder, window);
        let epoch = plan.epoch_for(window);
        let setting = setting.context("the plan has no such feeder")?;
        let epoch = epoch.context("the window has no key epoch")?;
        Ok(Self {
            plan,
            setting: plan.setting_digest(setting, epoch, window),
            meter,
            mask_key: entry.mask_key,
            window,
            salt,
        })
    }

    /// The terms of the holders that have the streams of its window.
    ///
    /// # Errors
    /// There are none.
    pub fn terms(&self) -> Result<&'a Terms> {
        let terms = self.plan.terms_for(self.window);
        terms.context("the plan has no holders for the window")
    }

    pub(super) fn label(&self) -> Label<'_> {
        Label {
            setting: &self.setting.0,
            window: self.window.0,
            salt: self.salt.0,
        }
    }

    /// What a verifier of this key and the meter share; `secret` is of either.
    pub(super) fn agree(
        &self,
        secret: &MaskSecret,
        verifier: MaskKey,
        epoch: u32,
    ) -> Result<PadKey> {
        let meter = self.mask_key.0;
        let their = match secret.public() == meter {
            true => verifier.0,
            false => meter,
        };
        let parties = Parties {
            deployment: self.plan.deployment.as_str(),
            meter: self.meter.as_str(),
            epoch,
            meter_key: &meter,
            verifier_key: &verifier.0,
        };
        Ok(PadKey::agree(secret, &their, &parties)?)
    }

    /// Adds the masks of the streams whose secrets these are; a meter's own secret is one for every stream.
    fn add<'s>(
        &self,
        secrets: impl Iterator<Item = (usize, &'s MaskSecret)>,
        words: &mut [u64],
    ) -> Result<()> {
        let terms = self.terms()?;
        for (stream, secret) in secrets {
            let key = self.agree(secret, terms.streams[stream].key, terms.generation)?;
            key.add(&self.label(), RING.modulus, words);
        }
        Ok(())
    }
}

impl StreamKeys {
    /// Adds those that a holder has, out of its state folder.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn take_from(&mut self, holder: &Settings, terms: &Terms) -> Result<()> {
        let path = folder(holder).join(keys_of(terms));
        let content = files::read_private(&path, MAX_LEN)?.context("a holder without keys")?;
        let text = std::str::from_utf8(&content)?;
        // After its head and the terms there is a line for each stream.
        for line in text.lines().skip(2) {
            let (place, secret) = stream(line, &path)?;
            self.0.insert(place, secret);
        }
        Ok(())
    }

    /// Adds the masks that a meter adds for these streams.
    ///
    /// # Errors
    /// The plan has no holders for the window.
    pub fn add(&self, masked: &Masked<'_>, words: &mut [u64]) -> Result<()> {
        let secrets = self.0.iter();
        masked.add(secrets.map(|(place, secret)| (*place, secret)), words)
    }
}

impl RogueMeter {
    /// The masks that it adds for all streams: it knows them without any holder.
    ///
    /// # Errors
    /// The plan has no holders for the window.
    pub fn add_streams(&self, masked: &Masked<'_>, words: &mut [u64]) -> Result<()> {
        let streams = 0..masked.terms()?.streams.len();
        masked.add(streams.map(|stream| (stream, &self.mask)), words)
    }
}

fn stream(line: &str, path: &Path) -> Result<(usize, MaskSecret)> {
    let (place, _) = line.split_once(' ').context("no line of a stream")?;
    let head = format!("{place} ");
    let secret = files::parse_secret(head.as_bytes(), line.as_bytes(), path)?;
    Ok((place.parse()?, MaskSecret::from_bytes(&secret)))
}
