//! The root that all topics of a deployment lie under.

/// The longest root, in bytes.
pub(super) const MAX_ROOT_LEN: usize = 128;

/// The text is not a topic root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{root:?} is not a topic root: it must be 1 to {MAX_ROOT_LEN} characters of [A-Za-z0-9._-] \
     in levels separated by single slashes"
)]
pub struct RootError {
    /// The text.
    pub root: String,
}
