//! Connections: a bounded number of them, each for as long as it asks for something. Handshakes go on side by
//! side, so that a slow one keeps nobody waiting.

use crate::refused::Refused;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection may be without a request where connections have to give way.
const HURRY: Duration = Duration::from_secs(1);
/// Most connections at once.
const MOST: usize = 1024;
/// How long requests that are under way may take once the server is to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// Pause after a connection could not be accepted: mostly for want of files, of which some will be closed.
const PAUSE: Duration = Duration::from_millis(200);

/// How long connections may be without a request (before the first, between two, over the head of one, and for
/// taking an answer), and whether they shall end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    idle: Duration,
    ending: bool,
}

/// Serves connections until `stop` resolves, and then for [`FAREWELL`] at most those that have a request under
/// way, until it is answered. Each may be without a request for `patience`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<ServerConfig>>,
    patience: Duration,
    stop: impl Future<Output = ()>,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    let refused = Arc::new(Refused::default());
    let (rule, _) = watch::channel(Rule {
        idle: patience,
        ending: false,
    });
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let crowded = connections.len() >= MOST;
        let idle = if crowded { HURRY } else { patience };
        rule.send_if_modified(|rule| std::mem::replace(&mut rule.idle, idle) != idle);
        let stream = tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept(), if !crowded => accepted,
        };
        match stream {
            Ok((stream, _)) => {
                let (acceptor, refused) = (acceptor.clone(), Arc::clone(&refused));
                let held = hold(stream, router.clone(), acceptor, rule.subscribe(), refused);
                connections.spawn(held);
            }
            Err(error) => {
                tracing::debug!(%error, "a connection cannot be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    rule.send_replace(Rule {
        idle: HURRY,
        ending: true,
    });
    let all = async { while connections.join_next().await.is_some() {} };
    // Who is not done by then is cut off.
    let _ = tokio::time::timeout(FAREWELL, all).await;
}

/// A connection from its handshake to its end.
async fn hold(
    stream: TcpStream,
    router: Router,
    acceptor: Option<TlsAcceptor>,
    mut rule: watch::Receiver<Rule>,
    refused: Arc<Refused>,
) {
    let Some(acceptor) = acceptor else {
        return answer(stream, router, rule).await;
    };
    let peer = stream.peer_addr();
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)) => accepted,
        _ = rule.wait_for(|rule| rule.ending) => return,
    };
    match accepted {
        Ok(Ok(stream)) => answer(stream, router, rule).await,
        Ok(Err(error)) => {
            if let Ok(peer) = peer {
                refused.tell(peer, &error);
            }
        }
        Err(_) => tracing::debug!(?peer, "no TLS handshake in time"),
    }
}

/// Answers the requests of a connection, as long as there are any.
async fn answer<I>(stream: I, router: Router, mut rule: watch::Receiver<Rule>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let router = router.layer(from_fn_with_state(Arc::clone(&activity), counted));
    let builder = Builder::new(TokioExecutor::new());
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    loop {
        let Rule { idle, ending } = *rule.borrow_and_update();
        if ending {
            connection.as_mut().graceful_shutdown();
        }
        tokio::select! {
            _ = &mut connection => return,
            () = activity.idle_for(idle) => return,
            Ok(()) = rule.changed() => {}
        }
    }
}

/// Counts a request as long as it is under way.
async fn counted(State(activity): State<Arc<Activity>>, request: Request, next: Next) -> Response {
    let _busy = activity.begin();
    next.run(request).await
}

/// Requests that are under way on a connection, and since when there are none.
#[derive(Debug)]
struct Activity(Mutex<(usize, Instant)>);

impl Default for Activity {
    fn default() -> Self {
        Self(Mutex::new((0, Instant::now())))
    }
}

impl Activity {
    fn state(&self) -> MutexGuard<'_, (usize, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Busy<'_> {
        self.state().0 += 1;
        Busy(self)
    }

    /// Resolves once there has been no request for so long.
    async fn idle_for(&self, patience: Duration) {
        loop {
            let left = match *self.state() {
                (0, since) => patience.saturating_sub(since.elapsed()),
                _ => patience,
            };
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// A request under way.
struct Busy<'a>(&'a Activity);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        *state = (state.0 - 1, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_idle_from_its_last_answer_on() {
        let activity = Activity::default();
        let short = Duration::from_millis(10);
        let busy = activity.begin();
        let idle = activity.idle_for(short);
        let waited = tokio::time::timeout(Duration::from_millis(100), idle).await;
        assert!(waited.is_err(), "as long as there is a request");
        drop(busy);
        let begin = Instant::now();
        activity.idle_for(short).await;
        assert!(begin.elapsed() >= short);
    }
}
