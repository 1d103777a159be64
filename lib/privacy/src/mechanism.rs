//! How noise is distributed.

/// How noise is distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// Discrete Laplace: ε alone.
    Laplace,
    /// Discrete Gaussian: ε but for a chance δ.
    Gaussian,
}

impl Mechanism {
    /// As in settings and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Laplace => "laplace",
            Self::Gaussian => "gaussian",
        }
    }
}
