//! The search for the meter that spoils a sum.
//!
//! A sum that does not open is divided by analytics, and its reports are sent again. The operator listens to them meanwhile: it
//! holds each against its meter's signature and against what the sum said of it, adds them up *itself*, and asks of few such
//! sums whether their zero checks hold more than noise: about 20 of a thousand reports until one culprit is found.
//!
//! What keeps this harmless:
//! - only the zero checks are opened. The payload is taken out while its masks are still on it, so no sum of few households
//!   is ever looked at;
//! - no sum that analytics supplies is opened: it could choose one that says more than whether a report is in order;
//! - an answer about a report is a bit about the key. So each culprit is a refusal of the key epoch, counted before it is
//!   named, and a search ends where the refusals do;
//! - there is a search after every sum that is to be divided, whatever of it failed, so that nobody can tell the zero checks
//!   from the rest by whether the operator listens.
//!
//! Parts of the sum are opened once the search has ended. Those with a meter that was named are not: analytics is to make them again
//! without it, so that the others' readings are in a total.
//!
//! A meter that spoils the payload alone is not found: its zero checks are in order. The part that it is in is burnt, and
//! other parts in later windows show who was in each of them.
//!
//! # Layout
//! * [`collect`]: the reports that count · [`listen`]: one search at a time, from the subscription to what came
//! * [`book`]: what the parts of the sum wait for meanwhile
//! * [`bisect`]: the questions, without keys · [`find`], [`found`]: their answers, and what they come to · [`searched`]: all of
//!   it · [`suspects`]: whom
//!   burnt parts isolate

mod bisect;
pub(crate) mod book;
pub(crate) mod collect;
pub(crate) mod find;
pub(crate) mod found;
pub(crate) mod listen;
pub(crate) mod searched;
pub(crate) mod suspects;
