//! The gRPC shell: dial, shake hands, take work, send replies, until the coordinator says that the run is over.

use crate::compute::{Answer, Compute};
use crate::store::{DataSource, ShardStore};
use lagrange_core::network::{Network, NetworkError, NetworkSpec, Shape};
use lagrange_data::{DataError, Dataset, PartitionError, Task, TaskError};
use lagrange_protocol::limits::{
    CONNECT_TIMEOUT, FRAME_BYTES, HANDSHAKE_TIMEOUT, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT,
    MAX_MESSAGE_BYTES, PROTOCOL_VERSION, WINDOW_BYTES,
};
use lagrange_protocol::v1::training_client::TrainingClient;
use lagrange_protocol::v1::{self, coordinator_message, worker_message};
use lagrange_protocol::{
    Assembler, ConversionError, FrameError, RunSpec, Work, WorkHeader, frames,
};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

/// First pause between attempts to connect; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a farewell may take to reach the coordinator.
const FAREWELL: Duration = Duration::from_millis(200);

/// How a worker is run.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// `host:port` of the coordinator.
    pub coordinator: String,
    /// Name for the coordinator's log.
    pub name: String,
    /// Threads to compute on.
    pub threads: usize,
    /// Where the data comes from.
    pub source: DataSource,
    /// The network and task to insist on, if any.
    pub insist: Option<(NetworkSpec, Task)>,
    /// How long to try to reach the coordinator.
    pub connect_timeout: Duration,
}

/// Why a worker ended without the run being over.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Labels that the task has no output for.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// An address that is none.
    #[error("--connect {address}: not an address; give host:port, for example 127.0.0.1:7400")]
    BadAddress {
        /// The address given.
        address: String,
    },
    /// Nobody answers.
    #[error(
        "no coordinator at {address} within {seconds} s ({cause}); start `lagrange coordinator` there, or correct --connect"
    )]
    Unreachable {
        /// The address tried.
        address: String,
        /// For how long.
        seconds: u64,
        /// The last attempt's error.
        cause: String,
    },
    /// The coordinator refused this worker.
    #[error("refused by the coordinator: {0}")]
    Refused(String),
    /// The connection broke.
    #[error("lost the coordinator: {0}")]
    Lost(String),
    /// The coordinator sent what the contract does not allow.
    #[error("the coordinator at {address} broke the protocol: {fault}")]
    Protocol {
        /// Its address.
        address: String,
        /// What was wrong.
        fault: String,
    },
    /// The run's network does not fit.
    #[error("the run's network: {0}")]
    Network(#[from] NetworkError),
    /// The data cannot be cut as the run wants it.
    #[error("the run's shards: {0}")]
    Partition(#[from] PartitionError),
    /// No thread pool.
    #[error("cannot start {threads} threads: {cause}; lower --threads")]
    Threads {
        /// Threads wanted.
        threads: usize,
        /// What the system said.
        cause: String,
    },
}

/// Works for a run until it is over, or until `stop` resolves.
///
/// # Errors
/// [`WorkerError`]
pub async fn run(
    options: WorkerOptions,
    stop: impl Future<Output = ()>,
) -> Result<(), WorkerError> {
    tokio::pin!(stop);
    let source = options.source.clone();
    let loading = tokio::task::spawn_blocking(move || source.load());
    let (dataset, hash) = loading
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    let architecture = insisted(&options, &dataset)?;
    let channel = tokio::select! {
        channel = connect(&options) => channel?,
        () = &mut stop => return Ok(()),
    };
    let opening = Session::open(&options, channel, dataset, hash, architecture);
    let (session, incoming) = tokio::select! {
        opened = tokio::time::timeout(HANDSHAKE_TIMEOUT, opening) => opened.map_err(|_| {
            WorkerError::Lost("it accepted the connection but did not answer".to_owned())
        })??,
        () = &mut stop => return Ok(()),
    };
    tokio::select! {
        result = session.serve(incoming) => result,
        () = &mut stop => {
            session.send(worker_message::Kind::Leaving(v1::Leaving {}));
            tokio::time::sleep(FAREWELL).await;
            Ok(())
        }
    }
}

/// The description of the network that the worker insists on; empty for any.
fn insisted(options: &WorkerOptions, dataset: &Dataset) -> Result<String, WorkerError> {
    let Some((spec, task)) = &options.insist else {
        return Ok(String::new());
    };
    let input = Shape {
        height: dataset.side(),
        width: dataset.side(),
        channels: 1,
    };
    Ok(Network::resolve(spec, input, task.outputs())?.describe())
}

async fn connect(options: &WorkerOptions) -> Result<Channel, WorkerError> {
    let address = &options.coordinator;
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .ok()
        .filter(|endpoint| endpoint.uri().port().is_some())
        .ok_or_else(|| WorkerError::BadAddress {
            address: address.clone(),
        })?
        .connect_timeout(CONNECT_TIMEOUT)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    let deadline = Instant::now() + options.connect_timeout;
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match endpoint.connect().await {
            Ok(channel) => return Ok(channel),
            Err(error) => error,
        };
        if Instant::now() + pause >= deadline {
            return Err(WorkerError::Unreachable {
                address: address.clone(),
                seconds: options.connect_timeout.as_secs(),
                cause: root_cause(&error),
            });
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// The innermost error: "transport error" alone helps nobody.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

type Incoming = Streaming<v1::CoordinatorMessage>;

/// A message in progress: complete with its payload, not yet complete, or damaged.
type Assembled = Result<Option<(WorkHeader, Vec<f32>)>, FrameError>;

/// An open stream and what is needed to answer on it.
struct Session {
    address: String,
    run: String,
    compute: Arc<Compute>,
    pool: Arc<rayon::ThreadPool>,
    outgoing: UnboundedSender<v1::WorkerMessage>,
}

impl Session {
    async fn open(
        options: &WorkerOptions,
        channel: Channel,
        dataset: Arc<Dataset>,
        hash: [u8; 32],
        architecture: String,
    ) -> Result<(Self, Incoming), WorkerError> {
        let address = options.coordinator.clone();
        let (outgoing, stream) = unbounded_channel();
        send(
            &outgoing,
            worker_message::Kind::Hello(v1::Hello {
                protocol_version: PROTOCOL_VERSION,
                software_version: env!("CARGO_PKG_VERSION").to_owned(),
                name: options.name.clone(),
                threads: options.threads as u32,
                dataset_sha256: hash.to_vec(),
                architecture,
                kernels: lagrange_core::blas::kernels(),
            }),
        );
        let mut client = TrainingClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let mut incoming = client
            .join(UnboundedReceiverStream::new(stream))
            .await
            .map_err(|status| from_status(&status))?
            .into_inner();
        let Some(coordinator_message::Kind::Welcome(welcome)) = next(&mut incoming).await? else {
            return Err(protocol_error(
                &address,
                "its first message is not a welcome",
            ));
        };
        let spec: RunSpec = welcome
            .spec
            .ok_or(ConversionError::Missing("welcome.spec"))
            .and_then(RunSpec::try_from)
            .map_err(|error| protocol_error(&address, error))?;
        spec.task.check_labels("training", &dataset.train.labels)?;
        spec.task.check_labels("test", &dataset.test.labels)?;
        let network = spec.resolve()?;
        let store = ShardStore::new(options.source.clone(), dataset, hash, &spec)?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(options.threads)
            .thread_name(|index| format!("compute-{index}"))
            .build()
            .map_err(|error| WorkerError::Threads {
                threads: options.threads,
                cause: error.to_string(),
            })?;
        send(
            &outgoing,
            worker_message::Kind::Ready(v1::Ready {
                architecture: network.describe(),
            }),
        );
        tracing::info!(run = %welcome.run, worker = welcome.worker_id, network = %network.describe(), "joined");
        let session = Self {
            address,
            run: welcome.run,
            compute: Arc::new(Compute::new(spec, network, store)),
            pool: Arc::new(pool),
            outgoing,
        };
        Ok((session, incoming))
    }

    fn send(&self, kind: worker_message::Kind) {
        send(&self.outgoing, kind);
    }

    /// Takes work until the run is over.
    async fn serve(&self, mut incoming: Incoming) -> Result<(), WorkerError> {
        let mut assembler = Assembler::default();
        loop {
            let complete = match next(&mut incoming).await? {
                Some(coordinator_message::Kind::Work(work)) => self.begin(&mut assembler, work)?,
                Some(coordinator_message::Kind::Chunk(chunk)) => assembler.chunk(&chunk),
                Some(coordinator_message::Kind::Finish(finish)) => {
                    tracing::info!(run = %self.run, message = %finish.message, "finished");
                    return Ok(());
                }
                Some(_) => return Err(protocol_error(&self.address, "a message out of turn")),
                None => return Err(WorkerError::Lost("it closed the connection".to_owned())),
            };
            let complete = complete.map_err(|error| protocol_error(&self.address, error))?;
            if let Some((header, payload)) = complete {
                self.compute(Work { header, payload });
            }
        }
    }

    /// Starts a message of work; its payload follows in chunks, unless it has none.
    fn begin(
        &self,
        assembler: &mut Assembler<WorkHeader>,
        work: v1::Work,
    ) -> Result<Assembled, WorkerError> {
        let fault = |error: ConversionError| protocol_error(&self.address, error);
        let header = WorkHeader::try_from(work).map_err(fault)?;
        let shape = self.compute.shape(header.job).map_err(fault)?;
        let expected = shape.work_floats(header.shards.len());
        Ok(assembler.begin(header, expected))
    }

    /// Computes on the pool, never on the async runtime, and sends what comes of it.
    fn compute(&self, work: Work) {
        let compute = Arc::clone(&self.compute);
        let outgoing = self.outgoing.clone();
        self.pool.spawn(move || {
            let begin = Instant::now();
            let attempt =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| compute.answer(&work)));
            tracing::debug!(job = ?work.header.job, shards = work.header.shards.len(), seconds = begin.elapsed().as_secs_f64(), "computed");
            let message = match attempt {
                Ok(Ok(answer)) => return send_answer(&outgoing, answer),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it panicked; please report this".to_owned(),
            };
            send(
                &outgoing,
                worker_message::Kind::Failure(v1::Failure {
                    run: work.header.run,
                    round: work.header.round,
                    attempt: work.header.attempt,
                    message,
                }),
            );
        });
    }
}

fn send_answer(outgoing: &UnboundedSender<v1::WorkerMessage>, answer: Answer) {
    let key = (answer.header.round, answer.header.attempt);
    send(outgoing, worker_message::Kind::Reply(answer.header.into()));
    for chunk in frames(key, &answer.payload) {
        send(outgoing, worker_message::Kind::Chunk(chunk));
    }
}

/// Queues a message. If the stream is gone, the receiving side is about to say so.
fn send(outgoing: &UnboundedSender<v1::WorkerMessage>, kind: worker_message::Kind) {
    let _ = outgoing.send(v1::WorkerMessage { kind: Some(kind) });
}

async fn next(incoming: &mut Incoming) -> Result<Option<coordinator_message::Kind>, WorkerError> {
    let message = incoming
        .message()
        .await
        .map_err(|status| from_status(&status))?;
    Ok(message.and_then(|message| message.kind))
}

fn from_status(status: &Status) -> WorkerError {
    match status.code() {
        Code::FailedPrecondition => WorkerError::Refused(status.message().to_owned()),
        _ => WorkerError::Lost(match std::error::Error::source(status) {
            Some(source) => root_cause(source),
            None => status.message().to_owned(),
        }),
    }
}

fn protocol_error(address: &str, fault: impl ToString) -> WorkerError {
    WorkerError::Protocol {
        address: address.to_owned(),
        fault: fault.to_string(),
    }
}
