//! Why a file is refused.

/// Why a file is refused. Lines count from 1; times in a problem are in UTC.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The bytes cannot be read on.
    #[error(
        "line {line} cannot be read: a file that is damaged or cut off has to be fetched again"
    )]
    Read {
        /// Where.
        line: u64,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// What is wrong with the file as a whole, and the mend.
    #[error("{0}")]
    Whole(String),
    /// What is wrong with a line as a whole, and the mend.
    #[error("line {line}: {problem}")]
    Line {
        /// Where.
        line: u64,
        /// What is wrong, and the mend.
        problem: String,
    },
    /// A field is not what it has to be.
    #[error("line {line}, column {column:?}: {value:?} {problem}")]
    Field {
        /// Where.
        line: u64,
        /// In which column, by its name or, where it has none, its number.
        column: String,
        /// What is there.
        value: String,
        /// What is wrong with it and the mend, to be read on from the value.
        problem: String,
    },
    /// What the file says can be read in several ways.
    #[error("{question}: say which with {setting}")]
    Ambiguous {
        /// What there is to choose from, by line and value.
        question: String,
        /// The setting that chooses, with its values.
        setting: &'static str,
    },
}

impl FileError {
    /// A problem of a line as a whole.
    pub(super) fn line(line: u64, problem: impl Into<String>) -> Self {
        Self::Line {
            line,
            problem: problem.into(),
        }
    }

    /// A problem of a field: see [`FileError::Field`].
    pub(super) fn field(line: u64, column: &str, value: &str, problem: impl Into<String>) -> Self {
        Self::Field {
            line,
            column: column.to_owned(),
            value: value.to_owned(),
            problem: problem.into(),
        }
    }
}
