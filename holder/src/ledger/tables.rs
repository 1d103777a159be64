//! What is in which table.

use redb::TableDefinition;

pub(crate) const FILE: &str = "holder.redb";

pub(super) const FORMAT: &str = "3";

/// Bytes of the file that are kept in memory.
pub(super) const CACHE: usize = 16 << 20;

/// What the file says of itself: its `format`.
pub(super) const META: TableDefinition<&str, &str> = TableDefinition::new("meta");

/// Windows, by what they bound.
pub(super) const BOUNDS: TableDefinition<&str, u64> = TableDefinition::new("bounds");

/// In [`BOUNDS`]: the first window that is answered for.
pub(super) const FIRST: &str = "first window";

/// In [`BOUNDS`]: the newest window that was consented to.
pub(super) const NEWEST: &str = "newest window";

/// Start of the window, feeder, what the masks follow from: epoch, whether it took the place of a part, subject, terms, set.
pub(super) const CONSENTS: TableDefinition<ConsentKey, ConsentRow> =
    TableDefinition::new("consents");
pub(super) type ConsentKey = (u64, &'static str, &'static [u8; 32]);
type ConsentRow = (
    u32,
    bool,
    &'static [u8; 32],
    &'static [u8; 32],
    &'static [u8],
);

/// By the same, but for the feeder whose topic a sum came on alone: whether it is to be audited, and the COSE_Sign1 of it.
pub(super) const SUMS: TableDefinition<ConsentKey, SumRow> = TableDefinition::new("sums");
pub(super) type SumRow = (u8, &'static [u8]);

/// Start of the window, what the masks follow from: SHA-256 of the ciphertext, as analytics signed it.
pub(super) const CIPHERTEXTS: TableDefinition<(u64, &[u8; 32]), &[u8; 32]> =
    TableDefinition::new("ciphertexts");

/// Feeder and start of the window: what its sums with noise gave away of a household, in billionths of ε and 10⁻¹² of ρ.
pub(super) const GIVEN: TableDefinition<(&str, u64), (u64, u64)> =
    TableDefinition::new("given_away");

/// Feeder and number: meter, what it signs with, mask key, class of capacity, whether it is billed, gateway.
pub(super) const MEMBERS: TableDefinition<(&str, u32), MemberRow> = TableDefinition::new("members");
type MemberRow = (
    &'static str,
    &'static [u8; 32],
    &'static [u8; 32],
    u8,
    bool,
    &'static str,
);

/// Page of the roster and meter, of those that are in it now.
pub(super) const PRESENT: TableDefinition<(u16, &str), ()> = TableDefinition::new("present");

/// By page of the roster: the newest version of it that was taken or countersigned.
pub(super) const PAGES: TableDefinition<u16, u64> = TableDefinition::new("pages");

/// By number: fingerprint of the public key, mask key, first window, length of the public key.
pub(super) const EPOCHS: TableDefinition<u32, EpochRow> = TableDefinition::new("epochs");
type EpochRow = (&'static [u8; 32], &'static [u8; 32], u64, u32);
