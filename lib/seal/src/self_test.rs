//! The test at start-up.

use thiserror::Error;

use crate::PublicKey;
use crate::kernel::Kernel;
use crate::known_answers::{FormatError, KnownAnswers, OPENFHE, compute};

/// Why the self-test failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SelfTestError {
    /// The known answers that were compiled in cannot be read.
    #[error("the known answers cannot be read")]
    Answers(#[from] FormatError),
    /// There are none.
    #[error("there are no known answers")]
    NoAnswers,
    /// The processor, the compiler or this crate is wrong.
    #[error(
        "the {kernel} kernel does not give OpenFHE's answer {answer}: seal nothing on this machine"
    )]
    Differs {
        /// The kernel.
        kernel: Kernel,
        /// Counted from 0.
        answer: usize,
    },
}

/// Recomputes the ciphertexts that OpenFHE computed, with every kernel of this processor, in a millisecond or two.
/// Gives the number of answers.
///
/// # Errors
/// One differs.
pub fn self_test() -> Result<usize, SelfTestError> {
    check(&KnownAnswers::parse(OPENFHE)?)
}

pub(crate) fn check(known: &KnownAnswers) -> Result<usize, SelfTestError> {
    if known.answers.is_empty() {
        return Err(SelfTestError::NoAnswers);
    }
    let key = PublicKey::from_packed(&known.key).map_err(FormatError::from)?;
    for kernel in Kernel::available() {
        for (answer, (input, output)) in known.answers.iter().enumerate() {
            if compute(kernel, &key, input).as_ref() != Ok(output) {
                return Err(SelfTestError::Differs { kernel, answer });
            }
        }
    }
    Ok(known.answers.len())
}
