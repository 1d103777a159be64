//! Rows with a check, so that one that is not as it was written is noticed whenever it is read: redb looks at the checksums of its
//! pages only when it verifies a whole file.

use redb::Value;
use sha2::{Digest as _, Sha256};

use super::fault::corrupted;

/// Columns, and the start of a digest over key and columns.
pub(super) type Row<V> = (V, u32);

/// The row of a key.
pub(super) fn sealed<'v, K: Value + 'static, V: Value + 'static>(
    key: &K::SelfType<'_>,
    columns: V::SelfType<'v>,
) -> (V::SelfType<'v>, u32) {
    let check = check::<K, V>(key, &columns);
    (columns, check)
}

/// The columns of a row of a key, as they were written.
pub(super) fn columns<'v, K: Value + 'static, V: Value + 'static>(
    key: &K::SelfType<'_>,
    (columns, found): (V::SelfType<'v>, u32),
) -> Result<V::SelfType<'v>, redb::Error> {
    match found == check::<K, V>(key, &columns) {
        true => Ok(columns),
        false => Err(corrupted(format!(
            "the row {key:?} does not match its check"
        ))),
    }
}

fn check<K: Value + 'static, V: Value + 'static>(
    key: &K::SelfType<'_>,
    columns: &V::SelfType<'_>,
) -> u32 {
    let key = K::as_bytes(key);
    let mut hash = Sha256::new();
    hash.update((key.as_ref().len() as u64).to_le_bytes());
    hash.update(key);
    hash.update(V::as_bytes(columns));
    let digest: [u8; 32] = hash.finalize().into();
    u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])
}
