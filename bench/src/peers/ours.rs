//! Our own steps, one by one and on one thread: what peers and the budget are measured against.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use analytics::{Admission, AssignedPlan, Incoming, verify};
use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use openfhe::secret::{self, SecretKey};
use openfhe::{Context, PublicKey, reference};
use packed::layout::{self, Layout};
use packed::{ADDITIVE, Accumulator, noise};
use service::config::Settings;
use service::trust::{HeldPlan, Roster};
use wire::{
    EpochPlan, FeederPlan, KeyEpoch, Plan, PlanVersion, Report, RosterEntry, RosterPage, Sequence,
    SigningKey, Topics, UnixMillis, Watts, WindowStart,
};

use super::work::{BATCH, INTERVAL_S, Work};
use harness::usage::thread_time;

/// Wall time of the run, as far as the messages are concerned.
const NOW: UnixMillis = UnixMillis(1_700_600_000_000);
/// A window that is over by then, and aligned.
const WINDOW: WindowStart = WindowStart(1_699_660_800);
/// Times a round repeats what takes only microseconds.
const REPEAT: usize = 20;

/// A deployment in memory: the keys of operator and meters, plan and roster.
pub(crate) struct Ours {
    settings: Settings,
    topics: Topics,
    plan: AssignedPlan,
    roster: Roster,
    context: Context,
    secret: SecretKey,
    public: PublicKey,
    members: Vec<Member>,
    work: Work,
    sum: Accumulator,
    included: Vec<usize>,
}

struct Member {
    report: Report,
    topic: String,
    key: SigningKey,
}

#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) index: usize,
    pub(crate) limbs: Vec<u8>,
    pub(crate) envelope: Bytes,
}

/// Processor time of each step for a report, in seconds, and its bytes: `encrypt` and `sign`, both together `seal`; `admit`
/// (decode and verify) and `fold`, both together `server`; `fold_alone` and `copy`, the ciphertext being in the cache.
pub(crate) type Steps = BTreeMap<&'static str, f64>;

impl Ours {
    pub(crate) fn new(settings: &Settings, work: Work) -> Result<Self> {
        let topics = Topics::new(&settings.deployment.root)?;
        let context = Context::new(&ADDITIVE)?;
        let (secret, public) = secret::generate(&context)?;
        let members = members(&topics, work.readings.len())?;
        Ok(Self {
            plan: AssignedPlan::new(
                Arc::new(HeldPlan::new(
                    plan(settings, work.reference_wh)?,
                    Vec::new(),
                )?),
                settings.analytics.id.clone(),
            ),
            roster: roster(&members)?,
            settings: settings.clone(),
            topics,
            context,
            secret,
            public,
            members,
            work,
            sum: Accumulator::new(&ADDITIVE),
            included: Vec::new(),
        })
    }

    pub(crate) fn slots(&self, index: usize) -> Result<Vec<f64>> {
        let readings = &self.work.readings[index];
        Ok(layout::encode(
            Layout::Profile,
            readings,
            self.work.reference_wh,
        )?)
    }

    pub(crate) fn openfhe_alone(&self, slots: &[f64]) -> Result<()> {
        let made = reference::Ciphertext::encrypt(&self.context, &self.public, slots)?;
        drop(black_box(made));
        Ok(())
    }

    pub(crate) fn encrypt(&self, index: usize) -> Result<Vec<u8>> {
        Ok(self.context.encrypt(&self.public, &self.slots(index)?)?)
    }

    pub(crate) fn sign(&self, index: usize, limbs: &[u8]) -> Bytes {
        let Member { report, topic, key } = &self.members[index];
        let deployment = &self.settings.deployment.id;
        Bytes::from(wire::seal(report, Some(limbs), deployment, topic, key).0)
    }

    pub(crate) fn seal(&self, index: usize) -> Result<Sealed> {
        let limbs = self.encrypt(index)?;
        let envelope = self.sign(index, &limbs);
        Ok(Sealed {
            index,
            limbs,
            envelope,
        })
    }

    pub(crate) fn admission(&self) -> Admission<'_> {
        Admission::new(&self.settings, &self.topics, &self.plan, &self.roster, NOW)
    }

    pub(crate) fn topic(&self, index: usize) -> &str {
        &self.members[index].topic
    }

    /// Every step for these reports, added to the sum; the mean of each.
    pub(crate) fn round(&mut self, reports: &[usize]) -> Result<Steps> {
        let (mut encrypt, mut sign) = (Duration::ZERO, Duration::ZERO);
        let mut sealed = Vec::with_capacity(reports.len());
        for &index in reports {
            let began = thread_time();
            let limbs = self.encrypt(index)?;
            let encrypted = thread_time();
            let envelope = self.sign(index, &limbs);
            sign += thread_time() - encrypted;
            encrypt += encrypted - began;
            sealed.push(Sealed {
                index,
                limbs,
                envelope,
            });
        }
        let mut sum = self.sum.clone();
        let admission = self.admission();
        let incoming: Vec<Incoming> = sealed
            .iter()
            .map(|sealed| Incoming {
                topic: self.topic(sealed.index).to_owned(),
                payload: sealed.envelope.clone(),
            })
            .collect();
        let began = thread_time();
        // As the service does, but on this thread alone, whose clock is read.
        let verdicts = verify(&admission, &incoming, 1);
        let admitted_at = thread_time();
        for verdict in verdicts {
            let admitted = verdict.map_err(|refusal| anyhow!("refused: {}", refusal.detail))?;
            sum.add(&admitted.limbs)?;
        }
        let admit = admitted_at - began;
        let fold = thread_time() - admitted_at;
        self.sum = sum;
        self.included.extend_from_slice(reports);
        let (fold_alone, copy) = repeat_cached(&sealed)?;
        let bytes: usize = sealed.iter().map(|sealed| sealed.envelope.len()).sum();
        let each = |time: Duration| time.as_secs_f64() / reports.len() as f64;
        Ok(Steps::from([
            ("encrypt", each(encrypt)),
            ("sign", each(sign)),
            ("seal", each(encrypt + sign)),
            ("admit", each(admit)),
            ("fold", each(fold)),
            ("server", each(admit + fold)),
            ("fold_alone", each(fold_alone)),
            ("copy", each(copy)),
            ("bytes", bytes as f64 / reports.len() as f64),
        ]))
    }

    /// The sum of all rounds, opened: each interval in watt-hours, which reports are in it, and the error the noise allows.
    pub(crate) fn open(&self) -> Result<(Vec<f64>, &[usize], f64)> {
        let slots = self.secret.decrypt(&self.sum.to_packed())?;
        let reference = self.work.reference_wh as f64;
        let totals = slots[..BATCH].iter().map(|slot| slot * reference).collect();
        let bound = noise::bound(&ADDITIVE, self.sum.contributors()) * reference;
        Ok((totals, &self.included, bound))
    }
}

/// Adding and copying these ciphertexts once: what takes so little that a single time would be the clock's.
fn repeat_cached(sealed: &[Sealed]) -> Result<(Duration, Duration)> {
    let mut sum = Accumulator::new(&ADDITIVE);
    let mut copy = vec![0; ADDITIVE.packed_len()];
    let began = thread_time();
    for sealed in std::iter::repeat_n(sealed, REPEAT).flatten() {
        sum.add(black_box(&sealed.limbs))?;
    }
    let folded = thread_time();
    for sealed in std::iter::repeat_n(sealed, REPEAT).flatten() {
        copy.copy_from_slice(black_box(&sealed.limbs));
        black_box(&mut copy);
    }
    let copied = thread_time();
    black_box(&sum);
    let times = REPEAT as u32;
    Ok(((folded - began) / times, (copied - folded) / times))
}

fn members(topics: &Topics, count: usize) -> Result<Vec<Member>> {
    (0..count)
        .map(|index| {
            let report = Report {
                plan_version: PlanVersion(1),
                epoch: KeyEpoch(1),
                feeder: "feeder-1".parse()?,
                meter: format!("meter-{index:06}").parse()?,
                gateway: "gateway-1".parse()?,
                window: WINDOW,
                sequence: Sequence(1),
                sealed_at: NOW,
                clamped: 0,
                missing: 0,
            };
            Ok(Member {
                topic: topics.report(&report.feeder, &report.meter),
                key: SigningKey::generate(),
                report,
            })
        })
        .collect()
}

fn plan(settings: &Settings, reference_wh: u64) -> Result<Plan> {
    Ok(Plan {
        deployment: settings.deployment.id.clone(),
        version: PlanVersion(1),
        interval_s: INTERVAL_S,
        batch: u16::try_from(BATCH)?,
        layout: Layout::Profile.as_str().parse()?,
        profile: ADDITIVE.name.parse()?,
        min_meters: settings.plan.min_meters,
        feeders: vec![FeederPlan {
            feeder: "feeder-1".parse()?,
            reference_wh,
            since: PlanVersion(1),
            first_window: WindowStart(0),
        }],
        epochs: vec![EpochPlan {
            epoch: KeyEpoch(1),
            fingerprint: [1; 32],
            first_window: WindowStart(0),
            key_len: 1,
        }],
        analytics: vec![wire::AnalyticsEntry {
            id: settings.analytics.id.clone(),
            key: SigningKey::generate().verifying_key(),
            feeders: Vec::new(),
        }],
    })
}

fn roster(members: &[Member]) -> Result<Roster> {
    let entries = members
        .iter()
        .map(|member| RosterEntry {
            meter: member.report.meter.clone(),
            feeder: member.report.feeder.clone(),
            gateway: member.report.gateway.clone(),
            capacity_w: Watts(1),
            key: member.key.verifying_key(),
        })
        .collect();
    let page = RosterPage {
        version: 1,
        page: 0,
        pages: 1,
        entries,
    };
    Roster::from_pages([page]).context("a roster of one page")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_adds_its_reports_and_the_sum_is_true_within_the_bound() {
        let work = Work::real(4).unwrap();
        let mut ours = Ours::new(&Settings::defaults(), work.clone()).unwrap();
        let steps = ours.round(&[0, 1]).unwrap();
        ours.round(&[2, 3, 0]).unwrap();
        assert!(
            ["encrypt", "admit", "fold_alone"]
                .iter()
                .all(|step| steps[step] > 0.0)
        );
        assert!((27_136.0..27_500.0).contains(&steps["bytes"]));
        let (totals, included, bound) = ours.open().unwrap();
        assert_eq!(included, [0, 1, 2, 3, 0]);
        for (total, truth) in totals.iter().zip(work.totals_wh(included, BATCH)) {
            assert!((total - truth as f64).abs() <= bound);
        }
    }
}
