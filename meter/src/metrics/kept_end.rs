//! Why reports are not kept any more.

/// Why a report that is in a sum is not kept any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeptEnd {
    Released,
    Refused,
    Wanted,
    Age,
    Bytes,
}

impl KeptEnd {
    pub(super) const ALL: [Self; 5] = [
        Self::Released,
        Self::Refused,
        Self::Wanted,
        Self::Age,
        Self::Bytes,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Wanted => "wanted",
            Self::Age => "age",
            Self::Bytes => "bytes",
        }
    }
}
