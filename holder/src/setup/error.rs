//! Why a step of the set-up is refused.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use wire::{AgreementError, DeploymentId, HolderId, VerifyingKey, WindowStart, WireError};

use crate::keys::KeysError;
use crate::ledger::LedgerError;

/// Why a step of the set-up is refused.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The holder's own keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The ledger, which says what the holder consented to.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file cannot be read or written.
    #[error("cannot {action} {path}", path = path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is none of those that this step takes.
    #[error("{path} is not {expected}", path = path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What the step takes.
        expected: &'static str,
        /// Why it is none.
        #[source]
        cause: WireError,
    },
    /// Something cannot be read, or breaks a rule of its format.
    #[error("{what} cannot be used")]
    Unreadable {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        cause: WireError,
    },
    /// Something is of another deployment.
    #[error("{what} is for deployment {found}, and deployment.id is {own}")]
    Deployment {
        /// What.
        what: &'static str,
        /// The deployment that it is for.
        found: DeploymentId,
        /// The deployment of the settings.
        own: DeploymentId,
    },
    /// Something was changed after it was signed, or somebody else signed it.
    #[error(
        "the {what} of {holder} does not have that holder's signature: ask {holder} for it again"
    )]
    Signature {
        /// What.
        what: &'static str,
        /// Whose it says it is.
        holder: HolderId,
    },
    /// A holder, or a key, is proposed twice.
    #[error("{holder} is proposed twice, or has a key of another holder: one card for each holder")]
    CardTwice {
        /// The holder.
        holder: HolderId,
    },
    /// Later terms need a first window.
    #[error(
        "--from is missing: an agreement that follows another needs the first window that it is to hold for, such as --from 2026-07-01T00:00:00Z"
    )]
    FromMissing,
    /// The first window is not after that of the terms before.
    #[error(
        "--from is {from}, and the agreement before it holds from {previous} on: a later one must begin later"
    )]
    FromNotLater {
        /// The first window proposed.
        from: WindowStart,
        /// That of the terms before.
        previous: WindowStart,
    },
    /// The numbers are weak.
    #[error(
        "{threshold} of {holders} holders with {consents} consents is weak: two sums that differ by one meter can both get their \
         consents from {overlap} holders that lie, fewer than the {threshold} that it takes otherwise, and tell its reading. Use \
         --consents {strong}, or --weak if that is acceptable: every total then says so",
        overlap = (2 * usize::from(*consents)).saturating_sub(*holders),
        strong = (holders + usize::from(*threshold)).div_ceil(2)
    )]
    Weak {
        /// How many have every mask key.
        threshold: u8,
        /// How many consent.
        consents: u8,
        /// How many there are.
        holders: usize,
    },
    /// A holder is not part of what is proposed.
    #[error("{holder} is not one of the holders of this proposal: is holder.id right?")]
    NotProposed {
        /// The holder.
        holder: HolderId,
    },
    /// The card in the proposal has other keys than the holder.
    #[error(
        "the card of {holder} in this proposal has other keys than this holder: somebody changed it, or it is of an earlier `holder init`"
    )]
    NotOwnCard {
        /// The holder.
        holder: HolderId,
    },
    /// A holder is not pinned.
    #[error(
        "the proposal has {holder}:{key}, which is not in holders.pinned: no gateway with these pins would take it"
    )]
    NotPinned {
        /// The holder.
        holder: HolderId,
        /// Its key in the proposal.
        key: VerifyingKey,
    },
    /// The numbers are not those that are pinned.
    #[error(
        "the proposal has other numbers than holders.pinned, holders.threshold and holders.consents: no gateway with these would take it"
    )]
    NumbersNotPinned,
    /// A deal is for something else.
    #[error("the deal of {holder} is for another proposal than this one")]
    OtherProposal {
        /// Who dealt.
        holder: HolderId,
    },
    /// Something is there twice.
    #[error("there are two {what}s of {holder}: all holders must use the same one")]
    Twice {
        /// What.
        what: &'static str,
        /// Whose.
        holder: HolderId,
    },
    /// Something is missing.
    #[error("the {what} of {holder} is missing")]
    Missing {
        /// What.
        what: &'static str,
        /// Whose.
        holder: HolderId,
    },
    /// A holder dealt a stream that another one deals, or that is none.
    #[error("{holder} dealt the stream without {absent}, which is not for it to deal")]
    WrongDealer {
        /// Who dealt it.
        holder: HolderId,
        /// Who does not have the stream.
        absent: String,
    },
    /// A holder did not deal a stream.
    #[error("{holder} did not deal the stream without {absent}")]
    StreamMissing {
        /// Who has to deal it.
        holder: HolderId,
        /// Who does not have the stream.
        absent: String,
    },
    /// A stream is dealt to others than those who are to have it.
    #[error("{holder} dealt the stream without {absent} to others than all the rest")]
    WrongReceivers {
        /// Who dealt it.
        holder: HolderId,
        /// Who does not have the stream.
        absent: String,
    },
    /// A dealt secret does not open, or is not that of its stream.
    #[error(
        "the secret that {holder} dealt of the stream without {absent} is not for this holder, or not of that stream: ask {holder} to deal again"
    )]
    WrongSecret {
        /// Who dealt it.
        holder: HolderId,
        /// Who does not have the stream.
        absent: String,
    },
    /// A secret could not be wrapped.
    #[error("cannot encrypt a secret to {holder}: {cause}")]
    Wrap {
        /// Who is to have it.
        holder: HolderId,
        /// Why.
        cause: hpke::HpkeError,
    },
    /// An acceptance or a closing is for something else.
    #[error("the {what} of {holder} is for other terms, or another first window, than these")]
    OtherTerms {
        /// What.
        what: &'static str,
        /// Whose.
        holder: HolderId,
    },
    /// There is nothing to close.
    #[error("the proposal follows no agreement: there is nothing to close")]
    NothingBefore,
    /// The holder has no part of the agreement before.
    #[error(
        "this holder has no part of the agreement that the proposal follows: only a holder of that one closes it"
    )]
    NotBefore,
    /// The holder closed the agreement before for other terms.
    #[error(
        "this holder has closed the agreement before for other terms already, and closes it for the sake of one only"
    )]
    ClosedForOther,
    /// The holder has answered for a window from the first one of the later terms on.
    #[error(
        "this holder has consented to a sum of {from} or later under the agreement before: propose a later --from"
    )]
    Answered {
        /// The first window of the later terms.
        from: WindowStart,
    },
    /// What is asked for of noise is nothing that an agreement can say.
    #[error("{option} is {given}: give {expected}")]
    NoiseOption {
        /// The option, and the setting in its place.
        option: &'static str,
        /// What it is.
        given: String,
        /// What it may be.
        expected: &'static str,
    },
    /// Noise that cannot be made.
    #[error("the noise of the agreement cannot be made")]
    Noise(#[source] privacy::ParameterError),
    /// The agreement does not hold.
    #[error(transparent)]
    Agreement(#[from] AgreementError),
}
