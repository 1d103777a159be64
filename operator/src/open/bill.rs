//! From a bill to the energy of its bands: the steps are those of sums, for the reports of one meter.
//!
//! Its zero checks are opened group by group: each group is a sum of reports of its own. What carries readings is one number a
//! band, so that is all there is to look at.

use packed::bill::{self, Group, Noise, Scale};
use packed::layout::Encoding;
use wire::{Bill, Opened, Plan, Reason};
use zeroize::Zeroizing;

use super::under::{At, Under};
use super::{Check, NotOpened, Opener};
use crate::release::ledger::Spent;
use service::trust::Members;

/// A bill without its masks. What it says is not looked at yet.
pub(crate) struct UnmaskedBill {
    scale: Scale,
    groups: Vec<UnmaskedGroup>,
    /// What was sent of each band.
    numbers: Vec<u64>,
    zeros_pass: bool,
}

struct UnmaskedGroup {
    encoding: Encoding,
    /// Standard deviation of one report's coefficient.
    sigma: f64,
    reports: u32,
    /// The band of each interval.
    bands: Vec<u8>,
    residues: Zeroizing<Vec<u64>>,
}

impl Opener {
    /// Decrypts the groups of a bill and takes the masks off; `bands` are those of the intervals of each group.
    ///
    /// # Errors
    /// Why it cannot be decrypted at all.
    pub(crate) fn unmask_bill(
        &mut self,
        opened: &Opened<Bill>,
        bands: Vec<Vec<u8>>,
        (plan, members): (&Plan, &Members),
    ) -> Result<UnmaskedBill, Reason> {
        let bill = &opened.message;
        let zeros = self.enforces(Check::Zeros);
        let mut zeros_pass = true;
        let mut groups = Vec::with_capacity(bill.groups.len());
        let mut limbs = &opened.limbs[..];
        for (group, bands) in bill.groups.iter().zip(bands) {
            let window = *group.windows.first().ok_or(Reason::WrongBands)?;
            let at = At {
                feeder: &bill.feeder,
                epoch: group.epoch,
                window,
            };
            let mut under = self.under(at, plan, members)?;
            let shape = under.encoding.shape;
            let len = bill::rest_len(&shape);
            let (rest, after) = limbs.split_at_checked(len).ok_or(Reason::WrongLength)?;
            limbs = after;
            let packed = bill::whole(&shape, rest).map_err(|_| Reason::WrongLength)?;
            let reports = group.windows.len() as u32;
            let mut residues = under.decrypt(&packed, reports)?;
            let windows = group.windows.iter().zip(&group.salts);
            let masks = windows.map(|(window, salt)| (bill.number, *window, *salt));
            under.masks_at(masks)?.subtract_from(&mut residues);
            let Under {
                encoding, sigma, ..
            } = under;
            zeros_pass &= encoding.checks_pass(&residues, reports, sigma) || !zeros;
            groups.push(UnmaskedGroup {
                encoding,
                sigma,
                reports,
                bands,
                residues,
            });
        }
        if !limbs.is_empty() {
            return Err(Reason::WrongLength);
        }
        let scale = Scale::of(groups.iter().map(|group| &group.encoding));
        Ok(UnmaskedBill {
            scale: scale.ok_or(Reason::WrongBands)?,
            groups,
            numbers: bill.bands.clone(),
            zeros_pass,
        })
    }
}

impl UnmaskedGroup {
    fn group(&self) -> Group<'_> {
        Group {
            encoding: &self.encoding,
            reports: self.reports,
            bands: &self.bands,
        }
    }
}

impl UnmaskedBill {
    fn noise(&self, band: u8, capacity_wh: u64) -> Noise {
        // What is left over of a reading is carried to the next interval.
        let quantum_wh = self.groups.iter().map(|group| group.encoding.quantum_wh);
        let interval_wh = capacity_wh + quantum_wh.max().unwrap_or(0);
        let groups = self.groups.iter();
        let groups = groups.map(|group| (group.group(), group.sigma));
        self.scale.noise(groups, band, interval_wh)
    }

    fn bands(&self) -> std::ops::Range<u8> {
        0..self.numbers.len() as u8
    }

    /// Whether its profiles carry as much as a meter can draw that has at most `capacity_wh` in an interval.
    pub(crate) fn fits(&self, capacity_wh: u64) -> bool {
        let carries = |band| self.scale.carries(&self.noise(band, capacity_wh));
        self.bands().all(carries)
    }

    /// The energy of each band in Wh, of a bill whose windows are spent. Does the same work whatever it finds.
    ///
    /// # Errors
    /// [`NotOpened`], without a word about why.
    pub(crate) fn energy_wh(&self, _: &Spent, capacity_wh: u64) -> Result<Vec<i64>, NotOpened> {
        let energies = self.bands().map(|band| {
            let decrypted = self
                .groups
                .iter()
                .map(|group| self.scale.decrypted(&group.group(), &group.residues, band));
            let sent = self.numbers[usize::from(band)];
            let number = decrypted.fold(sent, |sum, more| (sum + more) % packed::RING.modulus);
            let has_any = self.groups.iter().any(|group| group.bands.contains(&band));
            match has_any {
                true => self.scale.energy_wh(number, &self.noise(band, capacity_wh)),
                false => Some(0).filter(|_| sent == 0),
            }
        });
        // All of them, before any is looked at.
        let energies: Vec<Option<i64>> = energies.collect();
        let energies: Option<Vec<i64>> = energies.into_iter().collect();
        energies.filter(|_| self.zeros_pass).ok_or(NotOpened)
    }
}
