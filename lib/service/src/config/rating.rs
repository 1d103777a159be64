//! Feeders that are compared with a rating.

use std::fmt;

use serde::{Deserialize, Serialize};
use wire::FeederId;

/// `FEEDER = WATTS`: a feeder whose sums are compared with a rating, and never opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rating {
    /// The feeder.
    pub feeder: FeederId,
    /// The rating, in watts.
    pub watts: u32,
}

impl TryFrom<String> for Rating {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let problem = || {
            format!(
                "expected a feeder and its rating in watts, such as \"feeder-1 = 150000\", not {text:?}"
            )
        };
        let (feeder, watts) = text.split_once('=').ok_or_else(problem)?;
        let feeder = FeederId::try_from(feeder.trim()).map_err(|_| problem())?;
        let watts = watts
            .trim()
            .replace('_', "")
            .parse()
            .map_err(|_| problem())?;
        Ok(Self { feeder, watts })
    }
}

impl From<Rating> for String {
    fn from(rating: Rating) -> Self {
        rating.to_string()
    }
}

impl fmt::Display for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.feeder, self.watts)
    }
}
