//! A whole coordinator: the service on a listener, the driver on a thread, until the run ends.

use crate::driver::{Driver, Observed};
use crate::plan::{Outcome, Plan};
use crate::service::{Connections, Service};
use crate::training::{Event, Training, TrainingError};
use lagrange_protocol::limits::{
    FRAME_BYTES, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, MAX_MESSAGE_BYTES, WINDOW_BYTES,
};
use lagrange_protocol::v1::training_server::TrainingServer;
use lagrange_protocol::{Expected, Ledger, RunSpec};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// How long workers may take to hang up once they have been told that the run is over.
const GOODBYE: Duration = Duration::from_secs(3);

/// What a coordinator needs beside its plan.
#[derive(Debug)]
pub struct ServeOptions {
    /// Name of the run.
    pub run: String,
    /// Workers to wait for before the first round.
    pub workers: usize,
    /// How long to wait for them.
    pub join_timeout: Duration,
    /// How long to wait for anybody once all workers are gone.
    pub grace: Duration,
    /// SHA-256 of the dataset.
    pub dataset_sha256: [u8; 32],
    /// Where reports go.
    pub observer: Sender<Observed>,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Served {
    /// The result.
    pub outcome: Outcome,
    /// Bytes sent to workers.
    pub bytes_sent: u64,
    /// Bytes received from workers.
    pub bytes_received: u64,
}

/// Why a coordinator ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The run itself.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The gRPC server.
    #[error("the coordinator's server failed: {0}")]
    Server(#[from] tonic::transport::Error),
    /// The driver's thread died: a defect of Lagrange.
    #[error("the coordinator's training thread died; please report this")]
    DriverDied,
}

/// Serves `plan` on `listener` until it ends. `interrupt` asks for an early end with what there is.
///
/// # Errors
/// [`ServeError`]
pub async fn serve(
    listener: TcpListener,
    plan: Plan,
    spec: RunSpec,
    options: ServeOptions,
    interrupt: impl Future<Output = ()> + Send + 'static,
) -> Result<Served, ServeError> {
    let ledger = Arc::new(Ledger::default());
    let connections = Arc::new(Connections::new(Arc::clone(&ledger)));
    let (events, received) = channel();
    let service = Service {
        expected: Expected {
            dataset_sha256: options.dataset_sha256,
            architecture: plan.network().describe(),
        },
        run: options.run.clone(),
        spec,
        connections: Arc::clone(&connections),
        ledger: Arc::clone(&ledger),
        events: events.clone(),
        next_worker: AtomicU64::new(1),
    };
    let driver = Driver {
        training: Training::new(options.run, plan, options.workers),
        connections: Arc::clone(&connections),
        ledger: Arc::clone(&ledger),
        observer: options.observer,
        join_timeout: options.join_timeout,
        grace: options.grace,
    };
    let (done, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("training".to_owned())
        .spawn(move || done.send(driver.run(&received)))
        .map_err(|_| ServeError::DriverDied)?;
    let interrupter = tokio::spawn(async move {
        interrupt.await;
        let _ = events.send(Event::Interrupted);
    });

    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(run_server(listener, service, stopped));
    let result = ended.await.map_err(|_| ServeError::DriverDied);
    interrupter.abort();
    connections.finish(match &result {
        Ok(Ok(_)) => "the run is complete",
        _ => "the run failed",
    });
    let _ = stop.send(());
    let abort = server.abort_handle();
    match tokio::time::timeout(GOODBYE, server).await {
        Ok(Ok(served)) => served?,
        Ok(Err(_)) => {}
        Err(_) => abort.abort(),
    }
    let outcome = *result??;
    Ok(Served {
        outcome,
        bytes_sent: ledger.sent(),
        bytes_received: ledger.received(),
    })
}

async fn run_server(
    listener: TcpListener,
    service: Service,
    stopped: oneshot::Receiver<()>,
) -> Result<(), tonic::transport::Error> {
    let service = TrainingServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .tcp_nodelay(true)
        .add_service(service)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            async {
                let _ = stopped.await;
            },
        )
        .await
}
