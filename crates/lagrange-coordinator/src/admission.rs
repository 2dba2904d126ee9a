//! Connections before they are workers: few of them, for a short time, and with little to say.
//!
//! Whoever reaches the port can open connections and send what he likes. Until a connection has shown what a
//! worker shows (certificate, token, a hello that fits the run) it is a stranger: it holds one of a fixed
//! number of places, and is cut off when its time or its bytes are used up. So nothing that strangers do
//! takes more than a fixed amount of memory.

use crate::refusals::{Refusal, Refusals};
use lagrange_protocol::Sniffer;
use lagrange_protocol::limits::{ADMISSION_BYTES, ADMISSION_TIMEOUT, MAX_STRANGERS};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::Sleep;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::server::Connected;

/// Where strangers wait to be admitted.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Those who wait, oldest first. Some may be gone, or workers by now.
    waiting: Mutex<VecDeque<Weak<State>>>,
    refusals: Refusals,
    /// Whether TLS is spoken here.
    tls: bool,
}

impl Gate {
    pub(crate) fn new(tls: bool) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            refusals: Refusals::default(),
            tls,
        })
    }

    /// Gives a stranger a place. If there is none left, the one who has waited longest gives up its own:
    /// those who leave connections open would keep workers out otherwise, and a worker does not wait for
    /// long.
    fn enter<I>(self: &Arc<Self>, connection: I, peer: SocketAddr) -> Guarded<I> {
        let (place, displaced) = oneshot::channel();
        let state = Arc::new(State {
            admitted: AtomicBool::new(false),
            place: Mutex::new(Some(place)),
            peer,
            gate: Arc::clone(self),
        });
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|state| state.upgrade().is_some_and(|state| state.has_place()));
        if waiting.len() >= MAX_STRANGERS
            && let Some(oldest) = waiting.pop_front().and_then(|state| state.upgrade())
        {
            tracing::debug!(
                peer = %oldest.peer,
                "too many connections that are no workers; the oldest is cut off"
            );
            oldest.leave_place();
        }
        waiting.push_back(Arc::downgrade(&state));
        Guarded {
            connection,
            admission: Admission(state),
            deadline: Box::pin(tokio::time::sleep(ADMISSION_TIMEOUT)),
            displaced,
            sniffer: Some(Sniffer::default()),
            left: ADMISSION_BYTES,
            expelled: false,
        }
    }
}

/// What a connection and its service share: whether it has been admitted.
#[derive(Debug, Clone)]
pub(crate) struct Admission(Arc<State>);

#[derive(Debug)]
struct State {
    admitted: AtomicBool,
    /// A stranger's place: when it is gone, its connection hears of it.
    place: Mutex<Option<oneshot::Sender<Infallible>>>,
    peer: SocketAddr,
    gate: Arc<Gate>,
}

impl State {
    fn place(&self) -> MutexGuard<'_, Option<oneshot::Sender<Infallible>>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_place(&self) -> bool {
        self.place().is_some()
    }

    fn leave_place(&self) {
        self.place().take();
    }
}

impl Admission {
    /// The connection is a worker's from here on.
    pub(crate) fn admit(&self) {
        self.0.admitted.store(true, Ordering::Release);
        self.0.leave_place();
    }

    /// Where the connection comes from.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    fn is_admitted(&self) -> bool {
        self.0.admitted.load(Ordering::Acquire)
    }

    /// Tells the log why the connection comes to nothing.
    pub(crate) fn refuse(&self, refusal: &Refusal) {
        self.0.gate.refusals.tell(self.0.peer, refusal);
    }
}

/// Gives every connection from `incoming` a place at `gate`.
pub(crate) fn strangers<I>(
    incoming: impl Stream<Item = io::Result<(I, SocketAddr)>>,
    gate: Arc<Gate>,
) -> impl Stream<Item = io::Result<Guarded<I>>> {
    incoming.map(move |accepted| {
        let (connection, peer) = accepted?;
        Ok(gate.enter(connection, peer))
    })
}

/// A connection that is cut off unless it is admitted in time.
#[derive(Debug)]
pub(crate) struct Guarded<I> {
    connection: I,
    admission: Admission,
    deadline: Pin<Box<Sleep>>,
    /// Resolves when its place is gone.
    displaced: oneshot::Receiver<Infallible>,
    /// Listens until it knows what the stranger speaks.
    sniffer: Option<Sniffer>,
    /// Bytes that it may still send as a stranger.
    left: usize,
    expelled: bool,
}

impl<I> Guarded<I> {
    /// Whether a stranger may go on; a worker always may. Asked before everything that may wait, as each
    /// wait must end with the stranger's time.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.admission.is_admitted() {
            return Ok(());
        }
        let late = self.deadline.as_mut().poll(context).is_ready();
        // Who is admitted meanwhile has left its place, too.
        let gone = !self.expelled && Pin::new(&mut self.displaced).poll(context).is_ready();
        if self.admission.is_admitted() {
            return Ok(());
        }
        self.expelled |= late || gone;
        match self.expelled {
            true => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "it did not join in time",
            )),
            false => Ok(()),
        }
    }

    /// Finds out what a stranger speaks.
    fn sniff(&mut self, heard: &[u8]) {
        let Some(sniffer) = &mut self.sniffer else {
            return;
        };
        sniffer.hear(heard);
        if let Some(spoken) = sniffer.spoken() {
            self.sniffer = None;
            let tls = self.admission.0.gate.tls;
            if let Some(refusal) = Refusal::of_speech(&spoken, tls) {
                self.admission.refuse(&refusal);
            }
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
        self.check(context)?;
        if self.admission.is_admitted() {
            return Pin::new(&mut self.connection).poll_read(context, buffer);
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
        let heard = &buffer.filled()[before..];
        self.left = self.left.saturating_sub(heard.len());
        self.sniff(heard);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Guarded<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
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
        self.check(context)?;
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

    fn stranger(gate: &Arc<Gate>) -> (DuplexStream, Guarded<DuplexStream>) {
        let (far, near) = duplex(1 << 20);
        (far, gate.enter(near, ([127, 0, 0, 1], 7).into()))
    }

    fn strangers_at(gate: &Gate) -> usize {
        let waiting = gate.waiting.lock().expect("no panic before");
        let present = waiting.iter().filter_map(Weak::upgrade);
        present.filter(|state| state.has_place()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_has_little_time_unless_it_is_admitted() {
        let gate = Gate::new(false);
        let (_far, mut guarded) = stranger(&gate);
        for _ in 0..2 {
            let error = guarded.read_u8().await.expect_err("cut off");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
        let error = guarded.write_u8(7).await.expect_err("cut off");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(strangers_at(&gate), 1);
        drop(guarded);
        assert_eq!(strangers_at(&gate), 0);

        let (mut far, mut guarded) = stranger(&gate);
        guarded.connect_info().admit();
        assert_eq!(strangers_at(&gate), 0, "a worker takes no stranger's place");
        tokio::time::sleep(2 * ADMISSION_TIMEOUT).await;
        far.write_u8(7).await.expect("written");
        assert_eq!(guarded.read_u8().await.expect("read"), 7);
    }

    #[tokio::test]
    async fn a_stranger_may_say_little() {
        let (mut far, mut guarded) = stranger(&Gate::new(false));
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

    #[tokio::test(start_paused = true)]
    async fn where_places_are_taken_the_oldest_stranger_gives_way_and_no_worker() {
        let gate = Gate::new(false);
        let (mut far, mut worker) = stranger(&gate);
        worker.connect_info().admit();
        let mut waiting: Vec<_> = (0..MAX_STRANGERS).map(|_| stranger(&gate)).collect();
        // It waits already when it has to go.
        let (_far, mut oldest) = waiting.remove(0);
        let oldest = tokio::spawn(async move { oldest.read_u8().await });
        tokio::task::yield_now().await;
        let _newest = stranger(&gate);
        let begin = tokio::time::Instant::now();
        let error = oldest.await.expect("ends").expect_err("cut off");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begin.elapsed() < ADMISSION_TIMEOUT);
        assert_eq!(strangers_at(&gate), MAX_STRANGERS);
        let (other, second) = &mut waiting[0];
        for (far, stays) in [(&mut far, &mut worker), (other, second)] {
            far.write_u8(7).await.expect("written");
            assert_eq!(stays.read_u8().await.expect("read"), 7);
        }
    }
}
