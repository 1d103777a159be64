//! Names of things: a deployment, a feeder, an area, a meter, a gateway, an analytics service.
//!
//! An id is 1 to 64 characters of `[a-z0-9-]`, so it is a valid topic level, file name and
//! metric label as it stands, and it cannot contain an MQTT wildcard or separator.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The most characters an id may have.
pub const MAX_ID_LEN: usize = 64;

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text has no characters.
    #[error("an id is empty")]
    Empty,
    /// The text is longer than [`MAX_ID_LEN`].
    #[error("an id has {len} characters; at most {MAX_ID_LEN} are allowed")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A character is outside `[a-z0-9-]`.
    #[error("an id contains {found:?} at position {index}; allowed are a-z, 0-9 and -")]
    BadCharacter {
        /// The first such character.
        found: char,
        /// Its position in bytes.
        index: usize,
    },
}

/// Checks the alphabet and length of an id.
fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > MAX_ID_LEN {
        return Err(IdError::TooLong { len: text.len() });
    }
    match text
        .char_indices()
        .find(|(_, c)| !matches!(c, 'a'..='z' | '0'..='9' | '-'))
    {
        Some((index, found)) => Err(IdError::BadCharacter { found, index }),
        None => Ok(()),
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 1 to 64 characters of `[a-z0-9-]`. Cloning shares the text.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = IdError;
            fn try_from(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::try_from(text.as_str())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        // Sound for maps: the derived Hash, Eq and Ord are those of the text.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::try_from(text.as_str()).map_err(de::Error::custom)
            }
        }
    };
}

id! {
    /// A deployment: one operator, one plan, one set of topics.
    DeploymentId
}
id! {
    /// Who gets noisy totals.
    RecipientId
}
id! {
    /// A feeder: the group of meters whose readings are added.
    FeederId
}
id! {
    /// An area: a transformer, or the substation that several are under.
    AreaId
}
id! {
    /// A meter, unique in its deployment.
    MeterId
}
id! {
    /// A gateway: the process that publishes for one or many meters.
    GatewayId
}
id! {
    /// An analytics service: the process that adds ciphertexts.
    AnalyticsId
}
id! {
    /// A holder of mask keys: one of several without whose answers no sum is opened.
    HolderId
}
id! {
    /// A slot layout, for example `moments`. The crate `packed` defines them.
    LayoutName
}
id! {
    /// A band of a tariff, for example `peak`.
    BandName
}
id! {
    /// A parameter profile, for example `additive`. The crate `packed` defines them.
    ProfileName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_alphabet_and_both_length_limits() {
        for text in ["a", "-", "0", "feeder-12", &"z".repeat(64)] {
            assert_eq!(MeterId::try_from(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_everything_else_and_says_why() {
        assert_eq!(MeterId::try_from(""), Err(IdError::Empty));
        assert_eq!(
            MeterId::try_from("z".repeat(65)),
            Err(IdError::TooLong { len: 65 })
        );
        for bad in ["A", "a/b", "a+", "#", "a b", "é", "a\0", "_"] {
            assert!(
                matches!(FeederId::try_from(bad), Err(IdError::BadCharacter { .. })),
                "{bad:?}"
            );
        }
        assert_eq!(
            FeederId::try_from("aé"),
            Err(IdError::BadCharacter {
                found: 'é',
                index: 1
            })
        );
    }

    #[test]
    fn serde_is_a_plain_string_and_checks() {
        let id = FeederId::try_from("f-1").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"f-1\"");
        assert_eq!(serde_json::from_str::<FeederId>("\"f-1\"").unwrap(), id);
        let error = serde_json::from_str::<FeederId>("\"F 1\"").unwrap_err();
        assert!(error.to_string().contains("'F'"), "{error}");
    }
}
