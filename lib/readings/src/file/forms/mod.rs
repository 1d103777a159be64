//! The forms of file: each is a module that says whether a file is of it (`is`), and writes its rows into a sink (`read`).
//!
//! A form fills in what it finds (`found.unit`, `label`, `values`, `separator`, `decimal`) before its first row. What none of the
//! others is has fields: `wide` or `long`, as `roles` tells them apart.

use super::{
    error::FileError,
    found::{Form, Found},
    row::Sink,
    text::Text,
};

pub(super) use super::options::With;

pub(super) mod long;
pub(super) mod wide;

/// A form that its first lines tell.
pub(super) struct Known {
    pub(super) form: Form,
    pub(super) is: fn(&[String]) -> bool,
    pub(super) read:
        fn(&mut Text<'_>, &With<'_>, &mut Found, &mut dyn Sink) -> Result<(), FileError>,
}

/// The forms that are told by their first lines.
pub(super) const KNOWN: &[Known] = &[];
