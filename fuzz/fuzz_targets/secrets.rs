//! What is signed or encrypted and comes back from a client: as it is, nothing of it is believed; and what was signed by
//! this server, by another version of it say, is read or refused.
#![no_main]

use eyeline_core::Strategy;
use eyeline_fuzz::secrets::{Secrets, from_hex, to_hex};
use eyeline_fuzz::server::cursor::Cursor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let secrets = Secrets::new([7; 32], vec![[9; 32]]);
    let text = String::from_utf8_lossy(bytes);
    assert_eq!(secrets.decrypt("purpose", bytes), None, "forged");
    assert!(!secrets.verify("purpose", bytes, &text), "forged");
    assert!(Cursor::unseal(&secrets, &text).is_none() && secrets.unseal("purpose", &text).is_none(), "forged");
    assert_eq!(secrets.unseal("purpose", &secrets.seal("purpose", bytes)).as_deref(), Some(bytes));
    assert_eq!(secrets.decrypt("purpose", &secrets.encrypt("purpose", bytes)).as_deref(), Some(bytes));
    // A secret is written in hexadecimal digits, and only so.
    let digits = from_hex::<32>(&text);
    assert!(digits.is_none_or(|bytes| to_hex(&bytes) == text.to_ascii_lowercase()));
    assert!(Secrets::parse(&text).is_ok() || digits.is_none(), "{text}");

    let sealed = secrets.seal("place in an order", bytes);
    let is_cursor = bytes.len() == 38 && usize::from(bytes[32]) < Strategy::ALL.len();
    let cursor = Cursor::unseal(&secrets, &sealed);
    assert_eq!(cursor.map(|cursor| cursor.seal(&secrets)), is_cursor.then_some(sealed));
});
