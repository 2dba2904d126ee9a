//! A whole coordinator: the service on a listener, the driver on a thread, until the run ends.

use crate::admission::{Gate, strangers};
use crate::checkpoint::CheckpointStore;
use crate::connections::Connections;
use crate::driver::{Driver, Observed};
use crate::health::Health;
use crate::plan::Outcome;
use crate::records::{Journal, Recorder, Records};
use crate::service::Service;
use crate::tls::encrypted;
use crate::training::{Event, Training, TrainingError};
use lagrange_protocol::limits::{
    FRAME_BYTES, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, MAX_MESSAGE_BYTES, MAX_TEXT_BYTES,
    WINDOW_BYTES,
};
use lagrange_protocol::v1::training_server::TrainingServer;
use lagrange_protocol::{Expected, Ledger, Token};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::rustls::ServerConfig;
use tokio_stream::{Stream, StreamExt as _};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::{Connected, TcpIncoming};

/// How long workers may take to hang up once they have been told that the run is over.
const GOODBYE: Duration = Duration::from_secs(3);

/// What a coordinator needs beside its plan.
#[derive(Debug)]
pub struct ServeOptions {
    /// SHA-256 of the dataset.
    pub dataset_sha256: [u8; 32],
    /// Where checkpoints are written, if anywhere.
    pub checkpoints: Option<CheckpointStore>,
    /// What keeps every event, if anything.
    pub journal: Option<Box<dyn Journal>>,
    /// Who may join.
    pub security: Security,
    /// Where reports go.
    pub observer: Sender<Observed>,
    /// Whether solves and records get threads of their own. Without, they hold up the network: for
    /// simulations, where time stands still meanwhile.
    pub own_threads: bool,
}

/// Why a run is to end before its last step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The user wants it to, with what there is.
    Wished,
    /// Whoever starts its workers will start no more. Once the last one is gone, the run ends with this
    /// reason.
    Abandoned(String),
}

impl From<Stop> for Event {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Wished => Self::Interrupted,
            Stop::Abandoned(reason) => Self::Abandoned { reason },
        }
    }
}

/// How workers prove that they may join, and the coordinator that it is the one.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// Certificates: with them everything is encrypted, and only workers with a certificate of the same
    /// authority are heard.
    pub tls: Option<Arc<ServerConfig>>,
    /// A token that every worker must show.
    pub token: Option<Token>,
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
    #[error("{0}")]
    Training(#[from] TrainingError),
    /// The gRPC server.
    #[error("the coordinator's server failed: {0}")]
    Server(#[from] tonic::transport::Error),
    /// The system gives no thread.
    #[error(
        "cannot start a thread ({0}): raise the limit on processes (`ulimit -u`, or the container's pids limit)"
    )]
    Threads(io::Error),
    /// The driver's thread died: a defect of Lagrange.
    #[error("the coordinator's training thread died; please report this")]
    DriverDied,
}

/// Pause before the next connection is accepted when one could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The connections of a listener, and where they come from. One that cannot be accepted, because too many
/// files are open, waits until it can.
pub fn connections_of(
    listener: TcpListener,
) -> impl Stream<Item = io::Result<(TcpStream, SocketAddr)>> {
    let told = Arc::new(AtomicBool::new(false));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let patient = incoming.then(move |accepted| {
        let told = Arc::clone(&told);
        async move {
            if let Err(error) = &accepted {
                if !told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "a connection cannot be accepted; trying again (`ulimit -n` is the number of open files)");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            accepted.ok()
        }
    });
    // Who has no address any more has hung up.
    patient.filter_map(|connection| {
        let peer = connection.as_ref()?.peer_addr().ok()?;
        Some(Ok((connection?, peer)))
    })
}

/// Connections of a run that has ended, kept open until its result is on the disk: a crash before that leaves
/// workers ready for a coordinator that resumes the run.
#[derive(Debug)]
pub struct FinishedRun {
    connections: Arc<Connections>,
    health: Health,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl FinishedRun {
    /// Lets the workers go.
    ///
    /// # Errors
    /// [`ServeError::Server`]
    pub async fn dismiss(self, message: &str) -> Result<(), ServeError> {
        self.connections.finish(message);
        self.health.close().await;
        let _ = self.stop.send(());
        let abort = self.server.abort_handle();
        match tokio::time::timeout(GOODBYE, self.server).await {
            Ok(Ok(served)) => served?,
            Ok(Err(_)) => {}
            Err(_) => abort.abort(),
        }
        Ok(())
    }
}

/// Serves `training` on connections of any kind, each with its peer's address, until the run ends. `stop`
/// asks for an early end. Workers are let go only by [`FinishedRun::dismiss`], once the result is on the
/// disk.
///
/// # Errors
/// [`ServeError`]
pub async fn serve<I>(
    incoming: impl Stream<Item = io::Result<(I, SocketAddr)>> + Send + 'static,
    training: Training,
    options: ServeOptions,
    stop: impl Future<Output = Stop> + Send + 'static,
) -> Result<(Served, FinishedRun), ServeError>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let ledger = Arc::new(Ledger::default());
    let (events, received) = unbounded_channel();
    let service = Service {
        token: options.security.token,
        ..service(&training, options.dataset_sha256, &ledger, &events)
    };
    let connections = Arc::clone(&service.connections);
    let records = Records {
        journal: options.journal,
        checkpoints: options.checkpoints,
    };
    let (recorder, writer) = recorder(records, options.own_threads)?;
    let driver = Driver {
        training,
        recorder,
        connections: Arc::clone(&connections),
        ledger: Arc::clone(&ledger),
        observer: options.observer,
    };
    let ended = start(driver, received, options.own_threads)?;
    let stopper = tokio::spawn(async move { events.send(stop.await.into()) });

    let (stop, stopped) = oneshot::channel::<()>();
    let (health, probed) = Health::serving().await;
    let services = Routes::new(join_service(service)).add_service(probed);
    let gate = Gate::new(options.security.tls.is_some());
    let incoming = strangers(incoming, gate);
    let server = match options.security.tls {
        None => tokio::spawn(run_server(incoming, services, stopped)),
        Some(config) => tokio::spawn(run_server(encrypted(incoming, config), services, stopped)),
    };
    let result = ended.await.map_err(|_| ServeError::DriverDied);
    stopper.abort();
    health.over().await;
    if let Some(writer) = writer {
        // The driver is gone, and with it the recorder.
        let _ = tokio::task::spawn_blocking(move || writer.join()).await;
    }
    let finished = FinishedRun {
        connections,
        health,
        stop,
        server,
    };
    match result.and_then(|ended| Ok(ended?)) {
        Ok(outcome) => {
            let served = Served {
                outcome: *outcome,
                bytes_sent: ledger.sent(),
                bytes_received: ledger.received(),
            };
            Ok((served, finished))
        }
        Err(error) => {
            finished.dismiss("the run failed").await?;
            Err(error)
        }
    }
}

/// The service of `training`, which has no connection yet and asks for no token.
fn service(
    training: &Training,
    dataset_sha256: [u8; 32],
    ledger: &Arc<Ledger>,
    events: &UnboundedSender<Event>,
) -> Service {
    Service {
        expected: Expected {
            dataset_sha256,
            architecture: training.network().describe(),
            spec_sha256: training.spec().sha256(),
        },
        run: training.run().to_owned(),
        spec: training.spec().to_text(),
        connections: Arc::new(Connections::new(Arc::clone(ledger))),
        ledger: Arc::clone(ledger),
        events: events.clone(),
        next_worker: AtomicU64::new(1),
        lease: training.lease(),
        token: None,
    }
}

/// What takes records, and the thread that writes them if they get one.
fn recorder(
    records: Records,
    own_thread: bool,
) -> Result<(Recorder, Option<std::thread::JoinHandle<()>>), ServeError> {
    if !own_thread {
        return Ok((records.at_once(), None));
    }
    let (recorder, writer) = records.on_thread().map_err(ServeError::Threads)?;
    Ok((recorder, Some(writer)))
}

type Ended = oneshot::Receiver<Result<Box<Outcome>, TrainingError>>;

/// Starts the driver, on a thread of its own or as a task.
fn start(
    driver: Driver,
    events: UnboundedReceiver<Event>,
    own_thread: bool,
) -> Result<Ended, ServeError> {
    let (done, ended) = oneshot::channel();
    let driving = async move {
        let _ = done.send(driver.run(events).await);
    };
    if !own_thread {
        tokio::spawn(driving);
        return Ok(ended);
    }
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new()
        .name("training".to_owned())
        .spawn(move || runtime.block_on(driving))
        .map_err(ServeError::Threads)?;
    Ok(ended)
}

fn join_service(service: Service) -> TrainingServer<Service> {
    TrainingServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

async fn run_server<I>(
    incoming: impl Stream<Item = io::Result<I>>,
    services: Routes,
    stopped: oneshot::Receiver<()>,
) -> Result<(), tonic::transport::Error>
where
    I: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        // A worker has one stream; a probe may watch and ask beside it.
        .max_concurrent_streams(Some(2))
        .http2_max_header_list_size(MAX_TEXT_BYTES as u32 * 4)
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .add_routes(services)
        .serve_with_incoming_shutdown(incoming, async {
            let _ = stopped.await;
        })
        .await
}
