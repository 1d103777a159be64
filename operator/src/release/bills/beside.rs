//! Bills beside totals: of each sum that is opened, the minimum group is without a bill.

use std::collections::BTreeSet;

use release::{Answer, Kind, Level, Rules};
use wire::{AreaId, Areas, Bill, ContributorSet, FeederId, Reason, Sum, WindowStart};

use crate::release::ledger::LedgerError;
use crate::release::opening::{Opening, Stage};
use crate::release::rules::Decision;
use crate::release::take_result::Job;
use crate::release::take_sums::SumTaker;
use service::sums::reason_of;
use service::trust::{Member, Members};

/// One feeder's meters in the rest of an area.
struct Share<'a> {
    set: ContributorSet,
    billed: ContributorSet,
    members: &'a Members,
}

impl SumTaker {
    /// Holds a sum that would be taken against the bills of its window. Other sums of it have nobody of this one, and were
    /// held against the bills themselves.
    pub(crate) fn beside_bills(
        &mut self,
        decision: Decision,
        sum: &Sum,
        job: &Job,
    ) -> Result<Decision, LedgerError> {
        if !decision.takes() {
            return Ok(decision);
        }
        let rules = self.rules(&job.plan);
        let beside = if sum.rest.is_some() {
            let mut shares = Vec::new();
            for share in sum.shares() {
                let billed = self.ledger.billed(share.feeder, sum.window)?;
                match job.members_of(share.feeder) {
                    Some(members) => shares.push(Share {
                        set: share.set.clone(),
                        billed,
                        members,
                    }),
                    None => return Ok(Decision::Reject(Reason::UnknownFeeder)),
                }
            }
            rest_beside_bills(&shares, &rules)
        } else {
            let billed = self.ledger.billed(&sum.feeder, sum.window)?;
            beside_bills(&billed, &[&sum.set], &job.members, &rules)
        };
        Ok(beside.map_or_else(Decision::Reject, |()| decision))
    }

    /// Whether a bill may be open beside the totals of its windows. `is_spent`: its windows are spent for it already.
    pub(super) fn beside_totals(
        &mut self,
        bill: &Bill,
        job: &Job,
        is_spent: bool,
    ) -> Result<Result<(), Reason>, LedgerError> {
        let windows: BTreeSet<WindowStart> = bill.windows().collect();
        for window in windows {
            let mut billed = self.ledger.billed(&bill.feeder, window)?;
            match billed.insert(bill.number) {
                Ok(true) => {}
                Ok(false) if is_spent => {}
                _ => return Ok(Err(Reason::AlreadyOpened)),
            }
            if let Err(reason) = self.beside_totals_of(bill, window, &billed, job)? {
                return Ok(Err(reason));
            }
        }
        Ok(Ok(()))
    }

    fn beside_totals_of(
        &mut self,
        bill: &Bill,
        window: WindowStart,
        billed: &ContributorSet,
        job: &Job,
    ) -> Result<Result<(), Reason>, LedgerError> {
        let rules = Rules {
            min_meters: job.min_meters.of(window),
            ..self.rules(&job.plan)
        };
        let opened = self.ledger.window(&bill.feeder, window)?;
        let mut opened: Vec<&Opening> = opened.iter().collect();
        let setting = job.plan.feeder(&bill.feeder, window);
        let areas = setting.and_then(|setting| setting.areas.as_ref());
        for area in areas.into_iter().flat_map(Areas::iter) {
            for rest in self.ledger.rests(area, window)? {
                let before = opened.len();
                opened.retain(|other| other.digest != rest.digest);
                if opened.len() == before {
                    continue;
                }
                let Some(mut shares) = self.shares_of(&rest, area, job)? else {
                    return Ok(Err(Reason::AlreadyOpened));
                };
                for (feeder, share) in &mut shares {
                    if **feeder == bill.feeder {
                        share.billed = billed.clone();
                    }
                }
                let shares: Vec<Share<'_>> = shares.into_iter().map(|(_, share)| share).collect();
                if let Err(reason) = rest_beside_bills(&shares, &rules) {
                    return Ok(Err(reason));
                }
            }
        }
        // The parts of a sum that did not open take its place.
        opened.retain(|other| other.stage != Stage::Divided);
        let sets: Option<Vec<_>> = opened.iter().map(|other| other.set.as_ref()).collect();
        Ok(match sets {
            Some(sets) => beside_bills(billed, &sets, &job.members, &rules),
            // Of what earlier versions took it is not known who is in it: it may be anybody.
            None => Err(Reason::AlreadyOpened),
        })
    }

    /// The shares of the rest of an area; `None` if not all of them are known.
    fn shares_of<'a>(
        &mut self,
        rest: &Opening,
        area: &AreaId,
        job: &'a Job,
    ) -> Result<Option<Vec<(&'a FeederId, Share<'a>)>>, LedgerError> {
        let window = rest.window_start;
        let mut shares = Vec::new();
        let mut found = 0;
        let own = (&job.feeder, &job.members);
        let others = job.others.iter().map(|(feeder, members)| (feeder, members));
        for (feeder, members) in [own].into_iter().chain(others) {
            let setting = job.plan.feeder(feeder, window);
            let mut areas = setting
                .and_then(|setting| setting.areas.as_ref())
                .into_iter();
            if !areas.any(|areas| areas.iter().any(|other| other == area)) {
                continue;
            }
            let opened = self.ledger.window(feeder, window)?;
            let billed = self.ledger.billed(feeder, window)?;
            let mine = opened
                .into_iter()
                .filter(|other| other.digest == rest.digest);
            for set in mine.filter_map(|other| other.set) {
                found += set.count();
                let billed = billed.clone();
                let share = Share {
                    set,
                    billed,
                    members,
                };
                shares.push((feeder, share));
            }
        }
        Ok(Some(shares).filter(|_| found == rest.meters))
    }
}

/// Whether bills of these meters may be open beside the sums of these sets.
fn beside_bills(
    billed: &ContributorSet,
    sets: &[&ContributorSet],
    members: &Members,
    rules: &Rules,
) -> Result<(), Reason> {
    let answers: Vec<_> = sets.iter().copied().map(answer).collect();
    let capacity_of = |number| capacity(members, number);
    let decision = rules.beside_bills(billed, &answers, capacity_of);
    decision.released().map_err(reason_of)
}

/// The same of the rest of an area, over all its feeders.
fn rest_beside_bills(shares: &[Share<'_>], rules: &Rules) -> Result<(), Reason> {
    let meters = shares.iter().flat_map(|share| {
        let numbers = share.set.iter();
        numbers.map(|number| {
            (
                share.billed.contains(number),
                capacity(share.members, number),
            )
        })
    });
    let meters: Vec<(bool, u64)> = meters.collect();
    let set: BTreeSet<usize> = (0..meters.len()).collect();
    let billed = set.iter().copied().filter(|meter| meters[*meter].0);
    let billed: BTreeSet<usize> = billed.collect();
    let decision = rules.beside_bills(&billed, &[answer(&set)], |meter| meters[meter].1);
    decision.released().map_err(reason_of)
}

fn answer<S>(set: &S) -> Answer<'_, S> {
    Answer {
        level: Level::Feeder,
        kind: Kind(0),
        set,
    }
}

fn capacity(members: &Members, number: u32) -> u64 {
    let member = members.get(number);
    member.map_or(0, |member: &Member| member.capacity.watts().0)
}
