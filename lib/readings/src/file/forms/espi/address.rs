//! Addresses of a feed's resources, as its links have them.

use std::collections::{HashMap, HashSet};

/// A link's path without host, query and last slash.
pub(super) fn path(href: &str) -> String {
    let href = href.split(['?', '#']).next().unwrap_or_default();
    let path = match href.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |slash| &rest[slash..]),
        None => href,
    };
    path.trim_matches('/').to_owned()
}

/// `a/MeterReading/1` of `a/MeterReading/1/IntervalBlock/2`.
pub(super) fn through<'a>(path: &'a str, resource: &str) -> Option<&'a str> {
    let name = format!("{resource}/");
    let at = path
        .find(&name)
        .filter(|at| *at == 0 || path[..*at].ends_with('/'))?;
    let id = at + name.len();
    let end = path[id..].find('/').map_or(path.len(), |slash| id + slash);
    (end > id).then_some(&path[..end])
}

/// A customer's name for each usage point: its id, with that of its retail customer before it where two have the same.
pub(super) fn names<'a>(addresses: impl Iterator<Item = &'a str>) -> HashMap<&'a str, String> {
    let last = |address: &str| address.rsplit('/').next().unwrap_or_default().to_owned();
    let addresses: HashSet<&str> = addresses.collect();
    let mut count: HashMap<String, u32> = HashMap::new();
    for address in &addresses {
        *count.entry(last(address)).or_default() += 1;
    }
    let name = |address: &'a str| {
        let id = last(address);
        match through(address, "RetailCustomer").filter(|_| count[&id] > 1) {
            Some(customer) => format!("{}/{id}", last(customer)),
            None if count[&id] > 1 => address.to_owned(),
            None => id,
        }
    };
    addresses
        .into_iter()
        .map(|address| (address, name(address)))
        .collect()
}
