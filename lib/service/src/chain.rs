//! An error with its sources, for a log.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

/// Shows an error and what caused it on one line, as `{:#}` does for an `anyhow::Error`: an error's own `Display` never repeats
/// its source.
#[derive(Debug)]
pub struct Chain<'a>(pub &'a dyn Error);

impl Display for Chain<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(formatter, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the file")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn each_error_is_said_once() {
        let error = Outer(std::io::Error::other("the disk fails"));
        let chain = Chain(&error).to_string();
        assert_eq!(chain, "cannot read the file: the disk fails");
        assert_eq!(format!("{:#}", anyhow::Error::from(error)), chain);
    }
}
