//! Reads some parts of a file as if there were no others, without copying.

use std::io::{BufRead, Error, ErrorKind, Read, Result, Seek, SeekFrom};

/// Slices, read one after the other.
#[derive(Default)]
pub(crate) struct Parts<'a> {
    parts: Vec<&'a [u8]>,
    /// The current part, and the position in it.
    current: usize,
    at: usize,
}

impl<'a> Parts<'a> {
    pub fn push(&mut self, part: &'a [u8]) {
        self.parts.push(part);
    }

    fn rest(&self) -> &'a [u8] {
        self.parts.get(self.current).map_or(&[], |part| &part[self.at..])
    }
}

impl<'a> FromIterator<&'a [u8]> for Parts<'a> {
    fn from_iter<T: IntoIterator<Item = &'a [u8]>>(parts: T) -> Self {
        Self { parts: parts.into_iter().collect(), ..Self::default() }
    }
}

impl Read for Parts<'_> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        let from = self.fill_buf()?;
        let count = from.len().min(to.len());
        to[..count].copy_from_slice(&from[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Parts<'_> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        while self.rest().is_empty() && self.current < self.parts.len() {
            (self.current, self.at) = (self.current + 1, 0);
        }
        Ok(self.rest())
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

impl Seek for Parts<'_> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let length = |parts: &[&[u8]]| parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let (base, offset) = match to {
            SeekFrom::Start(place) => (place, 0),
            SeekFrom::Current(offset) => (length(&self.parts[..self.current]) + self.at as u64, offset),
            SeekFrom::End(offset) => (length(&self.parts), offset),
        };
        let place = base.checked_add_signed(offset).ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
        let mut left = place;
        for (number, part) in self.parts.iter().enumerate() {
            if left < part.len() as u64 {
                (self.current, self.at) = (number, left as usize);
                return Ok(place);
            }
            left -= part.len() as u64;
        }
        // At the end or beyond it there is nothing to read.
        (self.current, self.at) = (self.parts.len(), 0);
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alphabet() -> Parts<'static> {
        [b"".as_slice(), b"abc", b"", b"d", b"efg", b""].into_iter().collect()
    }

    #[test]
    fn parts_read_as_one_file() {
        let mut all = String::new();
        alphabet().read_to_string(&mut all).expect("reads");
        assert_eq!(all, "abcdefg");
    }

    #[test]
    fn every_place_can_be_found() {
        let mut parts = alphabet();
        for place in 0..7 {
            assert_eq!(parts.seek(SeekFrom::Start(place)).expect("seeks"), place);
            assert_eq!(parts.stream_position().expect("seeks"), place);
            let mut byte = [0];
            parts.read_exact(&mut byte).expect("reads");
            assert_eq!(u64::from(byte[0] - b'a'), place);
        }
        assert_eq!(parts.seek(SeekFrom::End(-2)).expect("seeks"), 5);
        assert_eq!(parts.seek_relative(-4).and_then(|()| parts.stream_position()).expect("seeks"), 1);
        assert_eq!(parts.fill_buf().expect("reads"), b"bc");
        assert_eq!(parts.seek(SeekFrom::Start(99)).expect("seeks"), 99);
        assert_eq!(parts.fill_buf().expect("reads"), b"");
        assert!(parts.seek(SeekFrom::End(-8)).is_err());
    }
}
