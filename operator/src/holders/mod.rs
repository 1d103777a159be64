//! Holders of mask keys: what the operator asks them for before it can open a sum, and what they countersign.
//!
//! A sum that is to be opened goes from the thread that takes sums to the [desk](desk::HolderDesk), which asks the holders, step by
//! step, and back to that thread with the masks that came. The thread itself keeps nothing of it: after a kill analytics sends
//! the sum again, and the holders give the same answers.
//!
//! # Layout
//! * `agreements`: from files into the plan · `masks`: what has come for a sum
//! * `cover`: which holder adds up which streams · `gather`: one sum · `desk`: all that wait · `dispute`: whose answers differ · `evidence`: what they signed
//! * `countersign`: the roster, before it is published

pub(crate) mod agreements;
pub(crate) mod countersign;
pub(crate) mod cover;
pub(crate) mod desk;
pub(crate) mod dispute;
pub(crate) mod evidence;
pub(crate) mod gather;
pub(crate) mod masks;
