//! Reads of requests, whose memory counts.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::held::Memory;

/// Bytes of a request that are read into the first buffer. A larger request makes it grow.
const FIRST_BYTES: usize = 8 * 1024;

/// A connection that counts more memory for a long request. Reads fail with [`ErrorKind::ConnectionAborted`] if none is
/// left.
pub struct Heard<S> {
    stream: S,
    memory: Memory,
    /// Bytes read since something was written.
    bytes: usize,
    is_large: bool,
}

impl<S> Heard<S> {
    pub fn new(stream: S, memory: Memory) -> Self {
        Heard { stream, memory, bytes: 0, is_large: false }
    }

    fn count(&mut self, bytes: usize) -> io::Result<()> {
        self.bytes += bytes;
        if self.bytes > FIRST_BYTES && !self.is_large {
            if !self.memory.enlarge() {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            // Buffers rarely shrink.
            self.is_large = true;
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        Poll::Ready(self.count(into.filled().len() - before))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.bytes = 0;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.bytes = 0;
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
