//! TLS for strangers: their handshakes go on side by side, and whoever has completed one is a connection
//! like any other. Who fails is told why, and so is the log.

use crate::admission::Guarded;
use crate::refusals::Refusal;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::server::Connected as _;

/// How long a peer may take to hear why its handshake failed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Connections whose handshake has succeeded. How many are under way, and for how long, is bounded by their
/// admission.
pub(crate) fn encrypted<I>(
    incoming: impl Stream<Item = io::Result<Guarded<I>>> + Send + 'static,
    config: Arc<ServerConfig>,
) -> impl Stream<Item = io::Result<TlsStream<Guarded<I>>>>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (ready, encrypted) = channel(1);
    tokio::spawn(accept(incoming, TlsAcceptor::from(config), ready));
    ReceiverStream::new(encrypted)
}

/// Shakes hands with everybody, until nobody takes the connections any more.
async fn accept<I>(
    incoming: impl Stream<Item = io::Result<Guarded<I>>>,
    acceptor: TlsAcceptor,
    ready: Sender<io::Result<TlsStream<Guarded<I>>>>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut incoming = pin!(incoming);
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            () = ready.closed() => return,
            Some(_) = handshakes.join_next() => {}
            stranger = incoming.next() => match stranger {
                Some(Ok(stranger)) => {
                    handshakes.spawn(shake_hands(stranger, acceptor.clone(), ready.clone()));
                }
                Some(Err(error)) => {
                    let _ = ready.send(Err(error)).await;
                }
                None => break,
            }
        }
    }
    handshakes.join_all().await;
}

async fn shake_hands<I>(
    stranger: Guarded<I>,
    acceptor: TlsAcceptor,
    ready: Sender<io::Result<TlsStream<Guarded<I>>>>,
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let admission = stranger.connect_info();
    match acceptor.accept(stranger).into_fallible().await {
        Ok(stream) => {
            let _ = ready.send(Ok(stream)).await;
        }
        Err((error, stranger)) => {
            if let Some(refusal) = Refusal::of_handshake(&error) {
                admission.refuse(&refusal);
            }
            hang_up(stranger).await;
        }
    }
}

/// Closes a connection so that the alert sent on it arrives: closed with bytes unread it would be reset,
/// and the alert be lost.
async fn hang_up<I>(mut stranger: Guarded<I>)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let _ = tokio::time::timeout(LAST_WORDS, async {
        stranger.shutdown().await?;
        tokio::io::copy(&mut stranger, &mut tokio::io::sink()).await
    })
    .await;
}
