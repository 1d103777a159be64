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

mod ausgrid;
mod cer;
mod dsmr;
mod espi;
pub(super) mod long;
mod nem12;
mod net;
#[cfg(test)]
mod tests;
pub(super) mod wide;

/// A form that its first lines tell.
pub(super) struct Known {
    pub(super) form: Form,
    pub(super) is: fn(&[String]) -> bool,
    pub(super) read:
        fn(&mut Text<'_>, &With<'_>, &mut Found, &mut dyn Sink) -> Result<(), FileError>,
}

/// The forms that are told by their first lines.
pub(super) const KNOWN: &[Known] = &[
    Known {
        form: Form::Nem12,
        is: nem12::is,
        read: nem12::read,
    },
    Known {
        form: Form::Espi,
        is: espi::is,
        read: espi::read,
    },
    Known {
        form: Form::Dsmr,
        is: dsmr::is,
        read: dsmr::read,
    },
    Known {
        form: Form::Ausgrid,
        is: ausgrid::is,
        read: ausgrid::read,
    },
    Known {
        form: Form::Cer,
        is: cer::is,
        read: cer::read,
    },
];
