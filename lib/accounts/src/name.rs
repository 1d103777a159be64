//! What a client is called: its role, and its id among those of the role.

use std::fmt;
use std::str::FromStr;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Longest part of a name, which is that of the ids of gateways and of analytics services.
const MAX_PART: usize = 64;

/// `gateway.gateway-1`: the role, and the id within it. A role with one member needs no id: `operator`.
///
/// Both are of `[a-z0-9-]`, so that a name can be a user name, a common name and a DNS name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    text: String,
    /// Where the role ends.
    dot: usize,
}

/// It is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is not a client's name: expected its role and its id with a dot in between, such as gateway.gateway-1, both of \
     a-z, 0-9 and -"
)]
pub struct NameError {
    name: String,
}

impl Name {
    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The role.
    pub fn role(&self) -> &str {
        &self.text[..self.dot]
    }

    /// The id, if it has one.
    pub fn id(&self) -> Option<&str> {
        self.text.get(self.dot + 1..)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let part = |part: &str| {
            let allowed =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            (1..=MAX_PART).contains(&part.len()) && part.bytes().all(allowed)
        };
        let (role, id) = match text.split_once('.') {
            Some((role, id)) => (role, Some(id)),
            None => (text, None),
        };
        if !part(role) || id.is_some_and(|id| !part(id)) {
            return Err(NameError {
                name: text.to_owned(),
            });
        }
        Ok(Self {
            dot: role.len(),
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The names that a certificate gives its holder: its common name and its DNS names, in that order, as far as they
/// are names of clients.
///
/// It is empty for what is not a certificate.
pub fn of_certificate(der: &[u8]) -> Vec<Name> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return Vec::new();
    };
    let common = certificate.subject().iter_common_name();
    let common = common.filter_map(|name| name.as_str().ok());
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let alternative = alternative.map(|extension| &extension.value.general_names);
    let alternative = alternative.into_iter().flatten();
    let alternative = alternative.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    });
    let mut names: Vec<Name> = Vec::new();
    for name in common
        .chain(alternative)
        .filter_map(|name| name.parse().ok())
    {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_role_and_an_id() {
        let name: Name = "gateway.gateway-1".parse().unwrap();
        assert_eq!((name.role(), name.id()), ("gateway", Some("gateway-1")));
        let name: Name = "operator".parse().unwrap();
        assert_eq!((name.role(), name.id()), ("operator", None));
    }

    #[test]
    fn what_could_be_two_names_or_a_wildcard_is_none() {
        let long = "a".repeat(65);
        for text in [
            "", ".", "a.", ".a", "a.b.c", "A.b", "a.+", "a.#", "a b", "a:b", &long,
        ] {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
        }
    }
}
