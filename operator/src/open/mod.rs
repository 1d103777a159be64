//! From the ciphertext of a sum to the totals in it, for the exact set of reports that it is said to be of.
//!
//! The order is the protection, and each step assumes those before it:
//! 1. signature ([`crate::release`]), contributors within the feeder's roster, none of them in another opened sum of the
//!    window ([`rules`](crate::release::rules));
//! 2. decrypt, and take off the masks of the named contributors: for any other set of reports what is left is uniform noise;
//! 3. the zero checks, which hold nothing but noise: where more is in them, something else than reports was added, such as a
//!    multiple of a power of X that would bring coefficients of the key into the totals;
//! 4. the contributors are spent, durably ([`Ledger::spend`](crate::release::ledger::Ledger::spend)): whether a total is a whole
//!    number of quanta can depend on readings, so it is asked once for each set;
//! 5. the grid: every coefficient is a whole number of its units. Rounding could else be made to fall on one side or the other
//!    by a coefficient of the key;
//! 6. the range: no total is beyond what its contributors can have entered, unless holders have added noise to it;
//! 7. release, from whole numbers.
//!
//! Of a sum that did not open, parts are opened instead, at most one of each group of a partition that nobody can choose
//! ([`ContributorSet::partition`](wire::ContributorSet::partition)). A group whose reports did not all come again leaves out
//! meters, and these may be fewer than the minimum: that the whole failed then tells one comparison of readings of theirs, whether
//! their share made it fail. Such answers are counted as refusals, and the budget of refusals bounds them.
//!
//! Steps 3, 5 and 6 fail alike, in what is said and, as far as that goes, in time. The sum is spent in each case, and each
//! failure counts against the refusals of its key epoch: thousands of such answers would give the key away.

pub(crate) mod bill;
pub(crate) mod checks;
mod shown;
#[cfg(test)]
mod tests;
mod under;

use std::ops::Range;
use std::sync::Arc;

use packed::layout::{Encoding, Totals};
use privacy::Agreed;
use service::failpoint;
#[cfg(test)]
use wire::KeyEpoch;
use wire::{DeploymentId, FeederId, Opened, Plan, Reason, Sum};
use zeroize::Zeroizing;

use crate::holders::masks::HolderMasks;
use crate::keys::keyring::Keyring;
use crate::keys::pads::PadKeys;
use crate::release::ledger::Spent;
use crate::release::take_result::Unagreed;
use checks::ChecksOpener;
use service::trust::Members;
pub(crate) use shown::{Masks, Shown};
use under::{At, Under};

/// Decrypts and unmasks sums.
pub(crate) struct Opener {
    keyring: Arc<Keyring>,
    pads: PadKeys,
    /// What the tests leave out, to show what it is there for.
    #[cfg(test)]
    pub(crate) left_out: Vec<Check>,
}

/// A check that can be left out, to show what it is there for: in tests, and in development by
/// [`SABOTAGE`](service::failpoint::SABOTAGE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Masks,
    Zeros,
    Grid,
    #[cfg(test)]
    Range,
}

impl Check {
    /// Its name, for [`SABOTAGE`](service::failpoint::SABOTAGE).
    fn name(self) -> &'static str {
        match self {
            Self::Masks => "masks",
            Self::Zeros => "zeros",
            Self::Grid => "grid",
            #[cfg(test)]
            Self::Range => "range",
        }
    }

    fn is_enforced(self) -> bool {
        !failpoint::sabotaged(self.name())
    }
}

/// A sum without its masks. What it says is not looked at yet.
pub(crate) struct Unmasked {
    encoding: Encoding,
    /// Of the coefficients that reports use.
    residues: Zeroizing<Vec<u64>>,
    contributors: u32,
    /// Standard deviation of one report's coefficient.
    sigma: f64,
    /// Whether the zero checks hold nothing but noise.
    zeros_pass: bool,
    /// Holders have added noise to its energies.
    is_noisy: bool,
    #[cfg(test)]
    left_out: Vec<Check>,
}

/// A sum did not open. What of it failed is nobody's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotOpened;

impl Opener {
    pub(crate) fn new(keyring: Arc<Keyring>, deployment: DeploymentId) -> Self {
        Self {
            keyring,
            pads: PadKeys::new(deployment),
            #[cfg(test)]
            left_out: Vec::new(),
        }
    }

    /// Steps 2 and 3, of a sum whose signature and contributors are checked. `holders` are the masks that holders gave for it, where
    /// there are any.
    ///
    /// # Errors
    /// Why it cannot be decrypted at all: there are no keys of its epoch, or its limbs are not the sum of so many reports.
    pub(crate) fn unmask(
        &mut self,
        opened: &Opened<Sum>,
        plan: &Plan,
        (members, others): (&Members, &[(FeederId, Arc<Members>)]),
        holders: Option<&HolderMasks>,
    ) -> Result<Unmasked, Reason> {
        let sum = &opened.message;
        let [masked, zeros] = [Check::Masks, Check::Zeros].map(|check| self.enforces(check));
        let is_noisy = is_noisy(sum, plan)?;
        let under = self.under(At::of(sum), plan, members)?;
        let contributors = sum.contributors();
        let mut residues = under.decrypt(&opened.limbs, contributors)?;
        let Under {
            encoding, sigma, ..
        } = under;
        // Each feeder's masks are bound to its own setting. The rules have seen to it that all have one scale.
        for share in sum.shares().filter(|_| masked) {
            let mut others = others.iter();
            let other = others.find(|(other, _)| other == share.feeder);
            let members = other.map_or(members, |(_, members)| &**members);
            let at = At {
                feeder: share.feeder,
                ..At::of(sum)
            };
            let mut under = self.under(at, plan, members)?;
            let masks = under.masks(share.set.iter().zip(share.salts.iter().copied()))?;
            masks.subtract_from(&mut residues);
        }
        if let Some(masks) = holders {
            masks.subtract_from(&encoding.shape, &mut residues);
        }
        Ok(Unmasked {
            zeros_pass: encoding.checks_pass(&residues, contributors, sigma) || !zeros,
            encoding,
            residues,
            contributors,
            sigma,
            is_noisy,
            #[cfg(test)]
            left_out: self.left_out.clone(),
        })
    }

    /// Opens the zero checks of sums of the reports that are in `sum`.
    ///
    /// # Errors
    /// There are no keys of its epoch, or no setting of its feeder.
    pub(crate) fn checks<'a>(
        &'a mut self,
        sum: &Sum,
        plan: &Plan,
        members: &'a Members,
    ) -> Result<ChecksOpener<'a>, Reason> {
        self.under(At::of(sum), plan, members).map(ChecksOpener)
    }

    /// Agrees on the mask keys of meters with these numbers, as far as that was not done.
    pub(crate) fn agree(&mut self, unagreed: &Unagreed, numbers: Range<u32>) {
        let Unagreed {
            feeder,
            epoch,
            members,
        } = unagreed;
        let Some(keys) = self.keyring.get(*epoch) else {
            return;
        };
        let mut pads = self
            .pads
            .of_feeder(feeder, *epoch, &keys, members.next_number());
        for number in numbers {
            if let Some(member) = members.get(number) {
                // One that cannot be agreed on is said once a sum of its meter comes.
                let _ = pads.get(number, member);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn has_agreed(&mut self, feeder: &FeederId, epoch: KeyEpoch, number: u32) -> bool {
        self.pads.has(feeder, epoch, number)
    }

    fn under<'a>(
        &'a mut self,
        at: At<'_>,
        plan: &Plan,
        members: &'a Members,
    ) -> Result<Under<'a>, Reason> {
        Under::new((&self.keyring, &mut self.pads), at, plan, members)
    }

    fn enforces(&self, check: Check) -> bool {
        #[cfg(test)]
        if self.left_out.contains(&check) {
            return false;
        }
        check.is_enforced()
    }
}

/// Whether holders add noise to the energies of a sum.
fn is_noisy(sum: &Sum, plan: &Plan) -> Result<bool, Reason> {
    let Some(terms) = plan.terms_for(sum.window) else {
        return Ok(false);
    };
    let agreed = Agreed::of(terms, sum.shares().map(|share| share.feeder));
    let agreed = agreed.map_err(|_| Reason::NotSupported)?;
    Ok(agreed.is_some())
}

impl Unmasked {
    /// Steps 5 and 6: the totals of a sum whose contributors are spent. Does the same work whatever it finds.
    ///
    /// # Errors
    /// [`NotOpened`], without a word about why.
    pub(crate) fn totals(&self, _: &Spent) -> Result<Totals, NotOpened> {
        let totals = self.decode();
        match (self.zeros_pass, totals) {
            (true, Some(totals)) => Ok(totals),
            _ => Err(NotOpened),
        }
    }

    fn decode(&self) -> Option<Totals> {
        #[cfg(test)]
        if self.left_out.contains(&Check::Range) {
            return Some(tests::rounded(&self.encoding, &self.residues));
        }
        let sigma = match self.enforces(Check::Grid) {
            true => self.sigma,
            false => f64::INFINITY,
        };
        let (encoding, residues) = (&self.encoding, &self.residues);
        let decoded = match self.is_noisy {
            true => encoding.decode_noisy(residues, self.contributors, sigma),
            false => encoding.decode(residues, self.contributors, sigma),
        };
        decoded.ok()
    }

    fn enforces(&self, check: Check) -> bool {
        #[cfg(test)]
        if self.left_out.contains(&check) {
            return false;
        }
        check.is_enforced()
    }

    pub(crate) fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    /// Whether the zero checks hold nothing but noise: holders are asked for the rest of its masks only then.
    pub(crate) fn zeros_pass(&self) -> bool {
        self.zeros_pass
    }
}
