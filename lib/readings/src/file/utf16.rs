//! UTF-16 as UTF-8.

use std::io::{self, BufRead, Read, Write as _};

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

/// The encoding of bytes of which every other one is zero, as those of UTF-16 in western languages are.
pub(super) fn utf16(first: &[u8]) -> Option<&'static Encoding> {
    let pairs = &first[..first.len().min(64) & !1];
    let zero = |offset: usize| pairs.iter().skip(offset).step_by(2).all(|byte| *byte == 0);
    match pairs.len() >= 4 {
        true if zero(1) => Some(UTF_16LE),
        true if zero(0) => Some(UTF_16BE),
        _ => None,
    }
}

/// UTF-16 as UTF-8.
pub(super) struct Utf16<R> {
    bytes: R,
    decoder: encoding_rs::Decoder,
    text: Vec<u8>,
    given: usize,
    finished: bool,
}

impl<R: BufRead> Utf16<R> {
    pub(super) fn new(bytes: R, encoding: &'static Encoding) -> Self {
        Self {
            bytes,
            decoder: encoding.new_decoder_with_bom_removal(),
            text: Vec::new(),
            given: 0,
            finished: false,
        }
    }
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, mut buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() && !self.finished {
            let bytes = self.bytes.fill_buf()?;
            self.finished = bytes.is_empty();
            let room = self.decoder.max_utf8_buffer_length(bytes.len());
            self.text.resize(room.unwrap_or(0), 0);
            let (_, consumed, written, _) =
                self.decoder
                    .decode_to_utf8(bytes, &mut self.text, self.finished);
            self.bytes.consume(consumed);
            self.text.truncate(written);
            self.given = 0;
        }
        let length = buffer.write(&self.text[self.given..])?;
        self.given += length;
        Ok(length)
    }
}
