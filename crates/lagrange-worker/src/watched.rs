//! Connections that record the peer's behaviour, to explain failures. HTTP/2 errors do not: there a TLS alert
//! ends as "broken pipe", and an SSH greeting as a frame too large.

use lagrange_protocol::certificates::tls_error;
use lagrange_protocol::{Sniffer, Spoken};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::{self, AlertDescription};

/// Record of a peer's behaviour.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    sniffer: Sniffer,
    alert: Option<AlertDescription>,
    ended: bool,
}

impl Notes {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The protocol that it spoke.
    pub(crate) fn spoken(&self) -> Option<Spoken> {
        self.lock().sniffer.spoken()
    }

    /// The TLS alert with which it closed the connection.
    pub(crate) fn alert(&self) -> Option<AlertDescription> {
        self.lock().alert
    }

    /// Whether it has sent nothing.
    pub(crate) fn is_silent(&self) -> bool {
        self.lock().sniffer.is_empty()
    }

    /// Whether it ended the connection.
    pub(crate) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    fn note_error(&self, error: &io::Error) {
        let mut noted = self.lock();
        noted.ended = true;
        if let Some(rustls::Error::AlertReceived(alert)) = tls_error(error) {
            noted.alert = Some(*alert);
        }
    }
}

/// A connection that records its peer's behaviour.
#[derive(Debug)]
pub(crate) struct Watched<I> {
    connection: I,
    notes: Notes,
}

impl<I> Watched<I> {
    pub(crate) fn new(connection: I, notes: Notes) -> Self {
        Self { connection, notes }
    }
}

impl<I: AsyncRead + Unpin> Watched<I> {
    /// After a failed write the peer's last bytes may hold the reason, which HTTP/2 does not read.
    fn read_last_words(&mut self, context: &mut Context<'_>) {
        let mut bytes = [0; 512];
        let mut buffer = ReadBuf::new(&mut bytes);
        let _ = Pin::new(self).poll_read(context, &mut buffer);
    }

    fn after_writing<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &written {
            self.notes.note_error(error);
            self.read_last_words(context);
        }
        written
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.connection).poll_read(context, buffer));
        match &read {
            Err(error) => self.notes.note_error(error),
            Ok(()) => {
                let heard = &buffer.filled()[before..];
                let mut noted = self.notes.lock();
                noted.sniffer.hear(heard);
                noted.ended |= heard.is_empty();
            }
        }
        Poll::Ready(read)
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write(context, bytes);
        self.after_writing(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write_vectored(context, slices);
        self.after_writing(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.connection).poll_flush(context);
        self.after_writing(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}
