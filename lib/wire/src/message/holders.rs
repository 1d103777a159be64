//! Holders of mask keys: what they agreed on, what they consent to, and what they answer.
//!
//! - `terms`: who the holders are, how many it takes, and the streams of masks that meters add · `noise`: what they add to totals
//! - `agreement`: terms that all signed, and that enough of the holders before them closed their windows for
//! - `proposal`, `setup`: what holders exchange before there is an agreement
//! - `ask`, `answer`: what the operator asks for and a holder gives · `consent`: that a sum may be opened
//! - `countersignature`: that a page of the roster is right
//! - `audit`: that a gateway is to show the reports behind a sum

mod agreement;
mod answer;
mod ask;
mod audit;
mod consent;
mod countersignature;
mod noise;
mod proposal;
mod setup;
mod terms;

pub(super) use agreement::read_signed;
pub use agreement::{Acceptance, Agreement, AgreementError, Closing, MAX_AGREEMENT_LEN};
pub use answer::{AnswerBody, HolderAnswer};
pub use ask::{Ask, Group, MAX_GROUPS, Step};
pub use audit::{AuditDemand, MAX_DEMANDED};
pub use consent::Consent;
pub use countersignature::Countersignature;
pub use noise::{NoiseTerms, most_quanta};
pub use proposal::Proposal;
pub use setup::{Card, Deal, DealtKey, MAX_DEALT};
pub use terms::{HolderEntry, HolderSet, MAX_HOLDERS, Stream, Terms};
