//! Which bills are opened: what is asked of plan, roster and ledger, and the rules of release.

use wire::{Bill, Digest, Grid, Plan, Reason, Tariff, UnixMillis, WindowStart};

use super::report::{BillStage, Period};
use crate::release::ledger::BillRow;
use service::sums::reason_of;
use service::trust::{Member, Members};

/// What to do with a bill whose signature holds.
pub(super) enum Decision {
    /// Decrypt it: the band of each interval of each group.
    Open(Vec<Vec<u8>>),
    /// It was opened before.
    Duplicate,
    Reject(Reason),
}

/// What a bill is held against, apart from the ledger.
#[derive(Clone, Copy)]
pub(super) struct Grounds<'a> {
    pub(super) plan: &'a Plan,
    pub(super) grid: Grid,
    pub(super) tariff: &'a Tariff,
    pub(super) members: &'a Members,
    /// When a window may end at the latest.
    pub(super) latest_end: UnixMillis,
}

impl<'a> Grounds<'a> {
    /// Who is billed, if it may be.
    pub(super) fn member(&self, bill: &Bill) -> Result<&'a Member, Reason> {
        let member = self.members.get(bill.number);
        let member = member.filter(|member| member.meter == bill.meter);
        let member = member.ok_or(Reason::UnknownMeter)?;
        let mut windows = bill.windows();
        if !windows.all(|window| self.members.is_in(bill.number, window)) {
            return Err(Reason::UnknownMeter);
        }
        match member.billing {
            true => Ok(member),
            false => Err(Reason::NotBilled),
        }
    }

    /// The most that the meter can have in an interval, in Wh.
    pub(super) fn capacity_wh(&self, member: &Member) -> u64 {
        let watts = u128::from(member.capacity.watts().0);
        let wh = (watts * u128::from(self.plan.interval_s)).div_ceil(3_600);
        u64::try_from(wh).unwrap_or(u64::MAX)
    }

    /// The billing period.
    pub(super) fn period(&self, bill: &Bill) -> Period {
        let (start, end) = self.tariff.period_of(&self.grid, bill.period);
        let mut windows = 0;
        let mut window = start;
        while window < end && windows < wire::MAX_PERIOD_WINDOWS {
            windows += 1;
            window = self.grid.next_window(window);
        }
        Period { end, windows }
    }

    /// The band of each interval of each group.
    pub(super) fn bands(&self, bill: &Bill) -> Result<Vec<Vec<u8>>, Reason> {
        let groups = bill.groups.iter().map(|group| {
            let mut windows = group.windows.iter().map(|window| {
                self.check_window(bill, *window, group.plan_version)?;
                let bands = self.tariff.bands_of(&self.grid, *window);
                bands.ok_or(Reason::WrongBands)
            });
            let first = windows.next().ok_or(Reason::WrongBands)??;
            for other in windows {
                if other? != first {
                    return Err(Reason::WrongBands);
                }
            }
            Ok(first)
        });
        groups.collect()
    }

    fn check_window(
        &self,
        bill: &Bill,
        window: WindowStart,
        plan_version: wire::PlanVersion,
    ) -> Result<(), Reason> {
        if !self.grid.is_aligned(window) {
            return Err(Reason::MisalignedWindow);
        }
        if self.grid.window_end(window).0.saturating_mul(1_000) > self.latest_end.0 {
            return Err(Reason::ReportTooEarly);
        }
        if self.tariff.period_of(&self.grid, window).0 != bill.period {
            return Err(Reason::WrongBands);
        }
        let setting = self.plan.feeder(&bill.feeder, window);
        let setting = setting.ok_or(Reason::UnknownFeeder)?;
        // Comparisons of a sum that nobody opens are not judged beside bills.
        if setting.rating_wh.is_some() {
            return Err(Reason::NotBilled);
        }
        match setting.since == plan_version {
            true => Ok(()),
            false => Err(Reason::OutdatedConfig),
        }
    }

    /// Intervals of each band.
    pub(super) fn intervals(&self, bill: &Bill, bands: &[Vec<u8>]) -> Vec<u32> {
        let mut intervals = vec![0_u32; self.tariff.bands.len()];
        for (group, bands) in bill.groups.iter().zip(bands) {
            for band in bands {
                intervals[usize::from(*band)] += group.windows.len() as u32;
            }
        }
        intervals
    }

    /// What plan and roster ask; returns the band of each interval of each group.
    pub(super) fn check(
        &self,
        bill: &Bill,
        rules: &release::Rules,
    ) -> Result<Vec<Vec<u8>>, Reason> {
        self.member(bill)?;
        if bill.bands.len() != self.tariff.bands.len() {
            return Err(Reason::WrongBands);
        }
        if bill
            .bands
            .iter()
            .any(|number| *number >= packed::RING.modulus)
        {
            return Err(Reason::LimbOutOfRange);
        }
        let bands = self.bands(bill)?;
        let decision = rules.bill_bands(self.intervals(bill, &bands));
        decision.released().map_err(reason_of)?;
        Ok(bands)
    }
}

/// The answer to a bill by what was opened of its meter's period, if that decides.
pub(super) fn again(known: &BillRow, digest: &Digest) -> Option<Decision> {
    match known.stage {
        BillStage::Released if known.digest == *digest => Some(Decision::Duplicate),
        // A kill came between its being spent and its answer.
        BillStage::Spent if known.digest == *digest => None,
        BillStage::Burnt if known.digest == *digest => Some(Decision::Reject(Reason::NotOpened)),
        _ => Some(Decision::Reject(Reason::AlreadyOpened)),
    }
}
