//! Connections before they are workers: few of them, for a short time, and with little to say.
//!
//! Whoever reaches the port can open connections and send what he likes. Until a connection has shown what a worker shows (certificate, token, a hello
//! that fits the run) it is a stranger: it holds one of a fixed number of places, and is cut off when its time or its bytes are used up. So
//! nothing that strangers do takes more than a fixed amount of memory.

use lagrange_protocol::limits::{ADMISSION_BYTES, ADMISSION_TIMEOUT, MAX_STRANGERS};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::server::Connected;

/// What a connection and its service share: whether it has been admitted.
#[derive(Debug, Clone)]
pub(crate) struct Admission(Arc<State>);

#[derive(Debug)]
struct State {
    admitted: AtomicBool,
    /// A stranger's place.
    place: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Admission {
    /// The connection is a worker's from here on.
    pub(crate) fn admit(&self) {
        self.0.admitted.store(true, Ordering::Release);
        let mut place = self.0.place.lock().unwrap_or_else(PoisonError::into_inner);
        place.take();
    }

    fn is_admitted(&self) -> bool {
        self.0.admitted.load(Ordering::Acquire)
    }
}

/// Admits strangers from `incoming` as long as there are places; others are hung up on at once.
pub(crate) fn strangers<I>(
    incoming: impl Stream<Item = io::Result<I>>,
) -> impl Stream<Item = io::Result<Guarded<I>>> {
    let places = Arc::new(Semaphore::new(MAX_STRANGERS));
    incoming.filter_map(move |connection| {
        let connection = match connection {
            Ok(connection) => connection,
            Err(error) => return Some(Err(error)),
        };
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => Some(Ok(Guarded::new(connection, place))),
            Err(_) => {
                tracing::debug!("too many connections that are no workers; one more is refused");
                None
            }
        }
    })
}

/// A connection that is cut off unless it is admitted in time.
#[derive(Debug)]
pub(crate) struct Guarded<I> {
    connection: I,
    admission: Admission,
    deadline: Pin<Box<Sleep>>,
    /// Bytes that it may still send as a stranger.
    left: usize,
}

impl<I> Guarded<I> {
    fn new(connection: I, place: OwnedSemaphorePermit) -> Self {
        Self {
            connection,
            admission: Admission(Arc::new(State {
                admitted: AtomicBool::new(false),
                place: Mutex::new(Some(place)),
            })),
            deadline: Box::pin(tokio::time::sleep(ADMISSION_TIMEOUT)),
            left: ADMISSION_BYTES,
        }
    }
}

impl<I> Connected for Guarded<I> {
    type ConnectInfo = Admission;

    fn connect_info(&self) -> Admission {
        self.admission.clone()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Guarded<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.admission.is_admitted() {
            return Pin::new(&mut self.connection).poll_read(context, buffer);
        }
        if self.deadline.as_mut().poll(context).is_ready() {
            let slow = io::Error::new(io::ErrorKind::TimedOut, "it did not join in time");
            return Poll::Ready(Err(slow));
        }
        if self.left == 0 {
            let long = io::Error::new(
                io::ErrorKind::InvalidData,
                "it said too much before it joined",
            );
            return Poll::Ready(Err(long));
        }
        // One read more than allowed may slip through: a buffer's worth.
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.connection).poll_read(context, buffer))?;
        self.left = self.left.saturating_sub(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Guarded<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    async fn stranger(places: usize) -> (DuplexStream, Guarded<DuplexStream>, Arc<Semaphore>) {
        let (far, near) = duplex(1 << 20);
        let places = Arc::new(Semaphore::new(places));
        let place = Arc::clone(&places).try_acquire_owned().expect("a place");
        (far, Guarded::new(near, place), places)
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_has_little_time_unless_it_is_admitted() {
        let (_far, mut guarded, places) = stranger(1).await;
        let error = guarded.read_u8().await.expect_err("cut off");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(places.available_permits(), 0);
        drop(guarded);
        assert_eq!(places.available_permits(), 1);

        let (mut far, mut guarded, places) = stranger(1).await;
        guarded.connect_info().admit();
        assert_eq!(
            places.available_permits(),
            1,
            "a worker takes no stranger's place"
        );
        tokio::time::sleep(2 * ADMISSION_TIMEOUT).await;
        far.write_u8(7).await.expect("written");
        assert_eq!(guarded.read_u8().await.expect("read"), 7);
    }

    #[tokio::test]
    async fn a_stranger_may_say_little() {
        let (mut far, mut guarded, _places) = stranger(1).await;
        let babble = tokio::spawn(async move { while far.write_all(&[0; 4096]).await.is_ok() {} });
        let mut buffer = vec![0; 4096];
        let mut heard = 0;
        let error = loop {
            match guarded.read(&mut buffer).await {
                Ok(count) => heard += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(heard <= ADMISSION_BYTES + buffer.len(), "{heard}");
        drop(guarded);
        tokio::time::timeout(Duration::from_secs(5), babble)
            .await
            .expect("hung up")
            .expect("ends");
    }

    #[tokio::test]
    async fn more_strangers_than_places_are_hung_up_on() {
        let connections: Vec<_> = (0..MAX_STRANGERS + 3).map(|_| duplex(16)).collect();
        let (far, near): (Vec<_>, Vec<_>) = connections.into_iter().unzip();
        let incoming = tokio_stream::iter(near.into_iter().map(Ok));
        let admitted: Vec<_> = strangers(incoming).collect().await;
        assert_eq!(admitted.len(), MAX_STRANGERS);
        drop(far);
    }
}
