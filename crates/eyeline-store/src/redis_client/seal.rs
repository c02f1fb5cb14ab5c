//! Sealed values: what was written by somebody else, or only in part, does not open.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

/// An installation among those that share an engine.
#[derive(Clone)]
pub struct Installation {
    pub id: Uuid,
    /// A key that all processes of the installation have, and nobody else.
    pub key: [u8; 32],
}

/// The version of the form, which is a part of what is sealed.
const VERSION: u8 = 1;
const SEAL_BYTES: usize = 16;

#[derive(Clone)]
pub(crate) struct Seal {
    mac: Hmac<Sha256>,
}

impl Seal {
    /// The bytes that [`Seal::seal`] adds.
    pub const BYTES: usize = SEAL_BYTES;

    pub fn new(key: &[u8; 32]) -> Self {
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(key);
        Seal { mac: Hmac::new(&block.into()) }
    }

    /// The seal of `value` under `name`, followed by the value.
    pub fn seal(&self, name: &str, value: &[u8]) -> Vec<u8> {
        let seal = self.over(name, value).finalize().into_bytes();
        [&seal[..SEAL_BYTES], value].concat()
    }

    /// True if [`Seal::seal`] made these bytes, under this name and key. The value follows the first [`Seal::BYTES`].
    pub fn is_whole(&self, name: &str, sealed: &[u8]) -> bool {
        let Some((seal, value)) = sealed.split_at_checked(SEAL_BYTES) else { return false };
        self.over(name, value).verify_truncated_left(seal).is_ok()
    }

    fn over(&self, name: &str, value: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(&[VERSION]);
        mac.update(&(name.len() as u64).to_le_bytes());
        mac.update(name.as_bytes());
        mac.update(value);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_under_the_same_name_and_key_open() {
        let seal = Seal::new(&[1; 32]);
        for value in [&b""[..], b"a", &[0, 255, 10, 13], &[7; 100_000]] {
            let sealed = seal.seal("name", value);
            assert!(seal.is_whole("name", &sealed));
            assert_eq!(&sealed[Seal::BYTES..], value);
            assert!(!seal.is_whole("other", &sealed));
            assert!(!seal.is_whole("nam", &[&sealed[..Seal::BYTES], b"e", value].concat()));
            assert!(!Seal::new(&[2; 32]).is_whole("name", &sealed));
            assert!(!seal.is_whole("name", &sealed[..sealed.len() - 1]), "cut");
            assert!(!seal.is_whole("name", &[&sealed[..], b"x"].concat()), "with more behind it");
            for index in [0, Seal::BYTES - 1, sealed.len() - 1] {
                let mut changed = sealed.clone();
                changed[index] ^= 1;
                assert!(!seal.is_whole("name", &changed), "changed at {index}");
            }
        }
    }
}
