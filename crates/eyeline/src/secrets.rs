//! Uses of the installation's secret: it signs links, cookies and cursors, and encrypts secrets that must be read
//! again. API keys are only hashed.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The secrets in force. The first one signs and encrypts; all of them verify and decrypt, for rotation.
#[derive(Clone)]
pub struct Secrets {
    keys: Vec<[u8; 32]>,
}

impl Secrets {
    /// At least one key.
    pub fn new(first: [u8; 32], older: Vec<[u8; 32]>) -> Self {
        let mut keys = vec![first];
        keys.extend(older);
        Secrets { keys }
    }

    /// Reads 64 hexadecimal digits, or several such separated by commas. The error is one sentence for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let keys: Option<Vec<[u8; 32]>> = text.split(',').map(|digits| from_hex(digits.trim())).collect();
        let keys = keys.ok_or("EYELINE_SECRET has to be 64 hexadecimal digits, or two such separated by a comma")?;
        Ok(Secrets { keys })
    }

    /// A URL-safe signature of `message` for one purpose. It is invalid for every other purpose.
    pub fn sign(&self, purpose: &str, message: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(mac(&self.keys[0], purpose, message))
    }

    /// True if [`Secrets::sign`] made `signature`. Compares in constant time.
    pub fn verify(&self, purpose: &str, message: &[u8], signature: &str) -> bool {
        let Ok(given) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        self.keys.iter().any(|key| mac(key, purpose, message).ct_eq(&given).into())
    }

    /// A value and its signature in one URL-safe text, for cookies and cursors.
    pub fn seal(&self, purpose: &str, value: &[u8]) -> String {
        format!("{}.{}", URL_SAFE_NO_PAD.encode(value), self.sign(purpose, value))
    }

    /// The value of a text that [`Secrets::seal`] made for this purpose; `None` if it was changed.
    pub fn unseal(&self, purpose: &str, sealed: &str) -> Option<Vec<u8>> {
        let (value, signature) = sealed.split_once('.')?;
        let value = URL_SAFE_NO_PAD.decode(value).ok()?;
        self.verify(purpose, &value, signature).then_some(value)
    }

    /// A key for one purpose, which reveals nothing of the secret.
    pub fn key(&self, purpose: &str) -> [u8; 32] {
        mac(&self.keys[0], purpose, &[])
    }

    /// A key for one purpose under each secret, that of the first one first.
    pub fn keys(&self, purpose: &str) -> Vec<[u8; 32]> {
        self.keys.iter().map(|key| mac(key, purpose, &[])).collect()
    }

    /// A 64-bit keyed hash of `message` for one purpose. It reveals nothing without the secret.
    pub fn hash(&self, purpose: &str, message: &[u8]) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = mac(&self.keys[0], purpose, message);
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// Returns true if [`Secrets::hash`] gave `hash` under any of the secrets. The comparison takes constant time.
    pub fn verify_hash(&self, purpose: &str, message: &[u8], hash: u64) -> bool {
        self.keys.iter().any(|key| mac(key, purpose, message)[..8].ct_eq(&hash.to_le_bytes()).into())
    }

    /// Encrypts a value with AES-256-GCM.
    pub fn encrypt(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; 12] = random();
        let payload = Payload { msg: plain, aad: purpose.as_bytes() };
        let sealed = cipher(&self.keys[0], purpose).encrypt(&Nonce::from(nonce), payload).unwrap_or_default();
        [nonce.as_slice(), &sealed].concat()
    }

    pub fn decrypt(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<12>()?;
        self.keys.iter().find_map(|key| {
            let payload = Payload { msg: sealed, aad: purpose.as_bytes() };
            cipher(key, purpose).decrypt(&Nonce::from(*nonce), payload).ok()
        })
    }
}

fn mac(key: &[u8; 32], purpose: &str, message: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key)
        .unwrap_or_else(|_| unreachable!("HMAC takes any key length"));
    // The length of the purpose separates (purpose, message) from other pairs with the same concatenation.
    mac.update(&(purpose.len() as u64).to_le_bytes());
    mac.update(purpose.as_bytes());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn cipher(key: &[u8; 32], purpose: &str) -> Aes256Gcm {
    Aes256Gcm::new(&mac(key, "encryption key", purpose.as_bytes()).into())
}

/// SHA-256 of an API key, a body or a credential. An API key has 256 random bits and needs no slow hash.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Compares secrets in constant time.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Lower-case hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `None` unless `text` is exactly `2 * N` hexadecimal digits.
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(bytes)
}

/// `N` bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The system's generator fails only where the process could not continue anyway.
    getrandom::fill(&mut bytes).unwrap_or_else(|error| panic!("the system gives no random bytes: {error}"));
    bytes
}

/// A new 256-bit secret with a prefix that states its kind: `eyl_sk_…`.
pub fn new_key(prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random::<32>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        Secrets::new([7; 32], vec![])
    }

    #[test]
    fn a_signature_fits_its_purpose_and_message_alone() {
        let signature = secrets().sign("link", b"message");
        assert!(secrets().verify("link", b"message", &signature));
        assert!(!secrets().verify("cookie", b"message", &signature));
        assert!(!secrets().verify("link", b"messagf", &signature));
        assert!(!Secrets::new([8; 32], vec![]).verify("link", b"message", &signature));
    }

    #[test]
    fn an_older_secret_still_verifies_and_decrypts() {
        let rotated = Secrets::new([9; 32], vec![[7; 32]]);
        assert!(rotated.verify("link", b"message", &secrets().sign("link", b"message")));
        assert_eq!(rotated.decrypt("x", &secrets().encrypt("x", b"plain")), Some(b"plain".to_vec()));
    }

    #[test]
    fn a_secret_is_read_as_written_and_two_during_a_rotation() {
        let new = to_hex(&[9; 32]);
        let old = to_hex(&[7; 32]);
        let rotated = Secrets::parse(&format!("{new},{old}")).expect("two secrets");
        assert!(rotated.verify("link", b"message", &secrets().sign("link", b"message")));
        assert!(Secrets::parse("abc").is_err() && Secrets::parse(&format!("{new},")).is_err());
    }

    #[test]
    fn what_was_changed_does_not_decrypt() {
        let mut sealed = secrets().encrypt("x", b"plain");
        assert_eq!(secrets().decrypt("y", &sealed), None);
        sealed[14] ^= 1;
        assert_eq!(secrets().decrypt("x", &sealed), None);
    }
}
