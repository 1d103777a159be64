//! Writes deterministic CBOR: every value has exactly one encoding.

use ciborium_ll::{Encoder, Header, simple};

/// Writes the fields of a message.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `capacity` bytes.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            out: Vec::with_capacity(capacity),
        }
    }

    /// What was written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    fn head(&mut self, header: Header) {
        let mut head = [0; 9];
        let mut space = &mut head[..];
        Encoder::from(&mut space)
            .push(header)
            .expect("nine bytes hold every head");
        let written = 9 - space.len();
        self.out.extend_from_slice(&head[..written]);
    }

    /// The head of an array of `len` items; the items follow.
    pub(crate) fn array(&mut self, len: usize) {
        self.head(Header::Array(Some(len)));
    }

    /// The head of a map of `len` pairs; the pairs follow. Only for COSE headers.
    pub(crate) fn map(&mut self, len: usize) {
        self.head(Header::Map(Some(len)));
    }

    /// An unsigned integer.
    pub(crate) fn uint(&mut self, value: impl Into<u64>) {
        self.head(Header::Positive(value.into()));
    }

    /// A signed integer.
    pub(crate) fn int(&mut self, value: i64) {
        self.head(match u64::try_from(value) {
            Ok(positive) => Header::Positive(positive),
            Err(_) => Header::Negative(!value as u64),
        });
    }

    /// A byte string.
    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.bytes_head(value.len());
        self.out.extend_from_slice(value);
    }

    /// The head of a byte string of `len` bytes; they follow.
    pub(crate) fn bytes_head(&mut self, len: usize) {
        self.head(Header::Bytes(Some(len)));
    }

    /// An item that is encoded already.
    pub(crate) fn raw(&mut self, item: &[u8]) {
        self.out.extend_from_slice(item);
    }

    /// A text string.
    pub(crate) fn text(&mut self, value: &str) {
        self.head(Header::Text(Some(value.len())));
        self.out.extend_from_slice(value.as_bytes());
    }

    /// `null`.
    pub(crate) fn null(&mut self) {
        self.head(Header::Simple(simple::NULL));
    }

    /// An unsigned integer, or `null`.
    pub(crate) fn optional_uint(&mut self, value: Option<impl Into<u64>>) {
        match value {
            Some(value) => self.uint(value),
            None => self.null(),
        }
    }

    /// The last item of an array whose head counts it where it is set: 1 if it is, else nothing, as before there was one.
    pub(crate) fn flag(&mut self, is_set: bool) {
        if is_set {
            self.uint(1u8);
        }
    }

    /// A signed integer, or `null`.
    pub(crate) fn optional_int(&mut self, value: Option<i64>) {
        match value {
            Some(value) => self.int(value),
            None => self.null(),
        }
    }

    /// An array of items, each written by `item`.
    pub(crate) fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.array(items.len());
        for one in items {
            item(self, one);
        }
    }
}
