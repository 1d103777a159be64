//! Which `Host` a request may name.
//!
//! A page of any web site can make a browser send requests to this machine, under a name that its owner points here (DNS
//! rebinding), and then read the answers. A request that names an address, or a name that nobody else can give away, was
//! not made like this.

use std::net::IpAddr;

/// Whether `host`, the value of that header, can only mean this machine: an address (any one if `remote`, else of
/// loopback), or `localhost`, which resolvers keep to themselves.
#[must_use]
pub fn is_own_host(host: &str, remote: bool) -> bool {
    let name = without_port(host);
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    match address.parse::<IpAddr>() {
        Ok(address) => remote || address.is_loopback(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

/// The name or address in the value of a `Host` header.
pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_others_allowed_any_address_is_ours_but_still_no_name() {
        assert!(is_own_host("192.0.2.1:9470", true) && is_own_host("[2001:db8::1]", true));
        assert!(!is_own_host("evil.example", true) && !is_own_host("192.0.2.1", false));
    }
}
