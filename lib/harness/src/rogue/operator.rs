//! The operator's own keys, out of its folder, in hands that do with them what its program does not.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use masks::MaskSecret;
use openfhe::secret::SecretKey;
use packed::sum::lift;
use packed::{RING, noise};
use service::Settings;
use service::files::{self, SIGNING_KEY};
use wire::{
    AnswerBody, Ask, Digest, FeederId, Group, HolderId, Plan, Reason, RosterPage, SigningKey, Step,
    Terms, Topic,
};

use super::ciphertext::{add, encoding};
use super::holders::Masked;
use super::observed::{Observed, SeenReport};
use super::outsider::Outsider;

/// How often holders are asked for the same, and how long they have each time.
const ATTEMPTS: usize = 8;
const AGAIN: Duration = Duration::from_secs(1);

/// How the file of a mask key begins, and how long it may be, in bytes.
const MASK_HEAD: &[u8] = b"cipherwatt mask key 1 ";
const MAX_MASK_FILE: u64 = 128;

/// Whoever has the keys of the first key epoch, and what the operator signs with.
pub struct RogueOperator {
    /// Its connection, and what it saw.
    pub outsider: Outsider,
    signing: SigningKey,
    secret: SecretKey,
    mask: MaskSecret,
}

impl RogueOperator {
    /// Takes the keys, and connects under a name of its own.
    ///
    /// # Errors
    /// The operator has no keys yet.
    pub fn connect(settings: &Settings, name: &str) -> Result<Self> {
        let folder = settings.deployment.operator_folder();
        let context = openfhe::Context::new()?;
        let mask = folder.join("mask-1.key");
        let content = files::read_private(&mask, MAX_MASK_FILE)?;
        let content = content.context("there is no mask key")?;
        let mask = files::parse_secret(MASK_HEAD, &content, &mask)?;
        Ok(Self {
            outsider: Outsider::connect(settings, name)?,
            signing: files::load_or_create_signing_key(&folder.join(SIGNING_KEY))?,
            secret: SecretKey::load(&context, &folder.join("epoch-1.key"))?,
            mask: MaskSecret::from_bytes(&mask),
        })
    }

    /// The readings in reports of one feeder and window, added up, in Wh, if `streams` are all masks on them beside the operator's own.
    ///
    /// # Errors
    /// There are none, or they are of no plan or roster that was seen.
    pub fn open(
        &self,
        seen: &Observed,
        reports: &[&SeenReport],
        streams: &[u64],
    ) -> Result<Option<Vec<i64>>> {
        let (plan, _) = seen.plan.as_ref().context("there is no plan")?;
        let first = &reports.first().context("no reports")?.report;
        let setting = plan.feeder(&first.feeder, first.window);
        let encoding = encoding(plan, setting.context("no such feeder")?)?;
        let epoch = plan.epoch_for(first.window).context("no key epoch")?;
        let count = u32::try_from(reports.len())?;
        let sum = add(&encoding, reports.iter().map(|seen| seen.limbs.as_slice()))?;
        let lifted = lift(encoding.profile, encoding.shape.coefficients(), &sum, count)?;
        let mut residues = self.secret.open(&lifted)?;
        for SeenReport { report, .. } in reports {
            let masked = Masked::of(seen, &report.meter, (report.window, report.salt))?;
            let own = masked.agree(&self.mask, epoch.mask_key, epoch.epoch.0)?;
            own.subtract(&masked.label(), RING.modulus, &mut residues);
        }
        subtract(streams, &mut residues);
        let sigma = noise::sigma(encoding.profile, &self.secret.norms());
        if !encoding.checks_pass(&residues, count, sigma) {
            return Ok(None);
        }
        let totals = encoding.decode(&residues, count, sigma).ok();
        Ok(totals.map(|totals| totals.energy_wh))
    }

    /// Publishes a plan, with the public keys of its epochs.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn publish_plan(&self, (plan, limbs): &(Plan, Vec<u8>)) -> Result<()> {
        let topic = self.outsider.topics.plan();
        let deployment = &self.outsider.settings.deployment.id;
        let (bytes, _) = wire::seal(plan, Some(limbs), deployment, &topic, &self.signing);
        self.outsider.publish(&topic, bytes, true).await
    }

    /// Proposes a page of the roster to the holders, and publishes it whatever they say.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn publish_roster(&self, page: &RosterPage) -> Result<()> {
        let topics = &self.outsider.topics;
        let number = page.page;
        let proposed = topics.of(&Topic::ProposedRoster { page: number });
        for topic in [proposed, topics.roster(number)] {
            let deployment = &self.outsider.settings.deployment.id;
            let (bytes, _) = wire::seal(page, None, deployment, &topic, &self.signing);
            self.outsider.publish(&topic, bytes, true).await?;
        }
        Ok(())
    }

    /// Has holders add up all streams' masks of a sum, for every coefficient: what its analytics service signed. Why they do not, where
    /// one of them says so.
    ///
    /// # Errors
    /// They say nothing.
    pub async fn masks(
        &self,
        sum: &Bytes,
        feeder: &FeederId,
        terms: &Terms,
    ) -> Result<Result<Vec<u64>, Reason>> {
        let groups = groups(terms);
        let asked = |step, groups: &[Group], consents| Ask {
            step,
            feeder: feeder.clone(),
            sum: sum.clone(),
            groups: groups.to_vec(),
            consents,
        };
        let checks = asked(Step::Checks, &groups, Vec::new());
        let subject = checks.subject();
        let all_of = |seen: &Observed, step| added_up(seen, (subject, step), &groups, terms);
        let came = |seen: &Observed| all_of(seen, Step::Checks);
        let checks = match self.step(&checks, came).await? {
            Ok(checks) => checks,
            Err(reason) => return Ok(Err(reason)),
        };
        let enough = usize::from(terms.consents);
        let consent = asked(Step::Consent, &[], Vec::new());
        let came = |seen: &Observed| {
            let consents: Vec<_> = consents(seen, subject).collect();
            (consents.len() >= enough).then_some(consents)
        };
        let consents = match self.step(&consent, came).await? {
            Ok(consents) => consents,
            Err(reason) => return Ok(Err(reason)),
        };
        let payload = asked(Step::Payload, &groups, consents);
        let payload = self.step(&payload, |seen| all_of(seen, Step::Payload));
        Ok(payload.await?.map(|payload| [payload, checks].concat()))
    }

    /// Asks until what is wanted came, or until a holder refuses for good.
    async fn step<T>(
        &self,
        ask: &Ask,
        came: impl Fn(&Observed) -> Option<T>,
    ) -> Result<Result<T, Reason>> {
        let subject = ask.subject();
        let refused = |seen: &Observed| {
            let answers = seen.masks.iter();
            let mut of_step = answers.filter(|(key, _)| (key.0, key.1) == (subject, ask.step));
            of_step.find_map(|(_, answer)| match answer {
                AnswerBody::Refused(reason) => Some(*reason),
                AnswerBody::Masks { .. } => None,
            })
        };
        let is_refused = |seen: &Observed| refused(seen).is_some_and(Reason::is_final);
        let topic = self.outsider.topics.of(&Topic::Ask);
        let deployment = &self.outsider.settings.deployment.id;
        for _ in 0..ATTEMPTS {
            let (bytes, _) = wire::seal(ask, None, deployment, &topic, &self.signing);
            self.outsider.publish(&topic, bytes, false).await?;
            let is_there = |seen: &Observed| came(seen).is_some() || is_refused(seen);
            let answered = self.outsider.until("the holders", is_there);
            // What is not there yet is asked for again.
            let _ = tokio::time::timeout(AGAIN, answered).await;
            let seen = self.outsider.seen();
            if let Some(came) = came(&seen) {
                return Ok(Ok(came));
            }
            if is_refused(&seen) {
                break;
            }
        }
        let reason = refused(&self.outsider.seen());
        let reason = reason.with_context(|| format!("no holder answers: {}", ask.step.as_str()));
        Ok(Err(reason?))
    }
}

/// Takes masks off residues, as many as there are.
fn subtract(masks: &[u64], residues: &mut [u64]) {
    for (residue, mask) in residues.iter_mut().zip(masks) {
        *residue = (*residue + RING.modulus - mask) % RING.modulus;
    }
}

/// Each stream, of the first holder that has it.
fn groups(terms: &Terms) -> Vec<Group> {
    let holders = 0..terms.holders.len();
    let group = |(stream, of): (usize, &wire::Stream)| {
        let holder = holders
            .clone()
            .find(|holder| !of.absent.contains(*holder))?;
        Some(Group {
            holder: holder as u8,
            streams: 1 << stream,
        })
    };
    let mut groups: Vec<_> = terms.streams.iter().enumerate().filter_map(group).collect();
    groups.sort();
    groups
}

/// The masks of all groups, once all have come.
fn added_up(
    seen: &Observed,
    (subject, step): (Digest, Step),
    groups: &[Group],
    terms: &Terms,
) -> Option<Vec<u64>> {
    let mut sum = Vec::new();
    for group in groups {
        let holder: HolderId = terms.holders[usize::from(group.holder)].id.clone();
        let answer = seen.masks.get(&(subject, step, holder, group.streams))?;
        let AnswerBody::Masks { words, .. } = answer else {
            return None;
        };
        sum.resize(words.len(), 0);
        for (sum, word) in sum.iter_mut().zip(words) {
            *sum = (*sum + word) % RING.modulus;
        }
    }
    Some(sum)
}

fn consents(seen: &Observed, subject: Digest) -> impl Iterator<Item = Bytes> {
    let all = seen.consents.iter();
    let of_sum = all.filter(move |((of, _), _)| *of == subject);
    of_sum.map(|(_, signed)| signed.clone())
}
