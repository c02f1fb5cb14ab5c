//! Messages between a server and its worker: JSON after its length. Large data goes through the shared memory.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// More than the longest message: a query of 16 KiB in JSON, with each byte escaped.
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// Sends a message.
pub fn write(mut to: impl Write, message: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    to.write_all(&[length.to_le_bytes().as_slice(), &text].concat())
}

/// Receives a message; `None` if the other side has hung up.
pub fn read<T: DeserializeOwned>(mut from: impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the worker sent a message that is too long"));
    }
    Ok(Some(serde_json::from_slice(&read_bytes(from, length)?)?))
}

/// Receives `length` bytes.
pub fn read_bytes(from: impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(io::Error::other)?;
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_and_an_end_is_none() {
        let mut line = Vec::new();
        write(&mut line, &("hello", 7)).expect("writes");
        let mut line = line.as_slice();
        assert_eq!(read::<(String, u32)>(&mut line).expect("a message"), Some(("hello".to_owned(), 7)));
        assert_eq!(read::<(String, u32)>(&mut line).expect("an end"), None);
    }

    #[test]
    fn an_endless_message_is_not_read() {
        let line = io::repeat(0xff);
        assert_eq!(read::<String>(line).err().map(|error| error.kind()), Some(io::ErrorKind::InvalidData));
    }
}
