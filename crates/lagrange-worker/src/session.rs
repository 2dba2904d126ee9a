//! The gRPC shell: dial, shake hands, take work, send replies, until the coordinator says that the run is over. A lost coordinator is dialled again.

use crate::compute::{Answer, Compute};
use crate::connect::{Dial, Pauses, connect, root_cause};
use crate::executor::Executor;
use crate::store::{DataSource, ShardStore, StoreError};
use lagrange_core::network::{Network, NetworkError, NetworkSpec, Shape};
use lagrange_data::{DataError, Dataset, Task, TaskError};
use lagrange_protocol::limits::{HANDSHAKE_TIMEOUT, MAX_MESSAGE_BYTES, PROTOCOL_VERSION};
use lagrange_protocol::v1::training_client::TrainingClient;
use lagrange_protocol::v1::{self, coordinator_message, worker_message};
use lagrange_protocol::{
    Assembler, ConversionError, FrameError, RunSpec, Token, Work, WorkHeader, frames,
};
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::{Channel, ClientTlsConfig};
use tonic::{Code, Request, Status, Streaming};

/// How long a worker that wants to go may take over what it has in hand.
const DRAIN: Duration = Duration::from_secs(30);
/// Heartbeats within one lease.
const HEARTBEATS: u32 = 4;

/// How a worker is run.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// `host:port` of the coordinator.
    pub coordinator: String,
    /// Name for the coordinator's log.
    pub name: String,
    /// Threads to compute on.
    pub threads: usize,
    /// Where it computes.
    pub executor: Arc<dyn Executor>,
    /// How it connects.
    pub dial: Arc<dyn Dial>,
    /// How it proves that it may join.
    pub security: Security,
    /// Where the data comes from.
    pub source: DataSource,
    /// The network and task to insist on, if any.
    pub insist: Option<(NetworkSpec, Task)>,
    /// How long to try to reach the coordinator, at first and whenever it was lost.
    pub connect_timeout: Duration,
}

/// How a worker proves that it may join, and the coordinator that it is the one.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// Certificates; without, nothing is encrypted.
    pub tls: Option<ClientTlsConfig>,
    /// The token that the coordinator wants to see.
    pub token: Option<Token>,
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
    /// Certificates that are none.
    #[error("the TLS certificates: {0}")]
    Certificates(String),
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
    Store(#[from] StoreError),
}

/// Works for a run until it is over, or until `stop` resolves: then it answers what it has in hand and goes.
///
/// # Errors
/// [`WorkerError`]
pub async fn run(
    options: WorkerOptions,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), WorkerError> {
    let mut stop = Stop {
        signal: Box::pin(stop),
        came: false,
    };
    let mut worker = Worker::prepare(options).await?;
    let limit = worker.options.connect_timeout;
    let mut contact = Instant::now();
    loop {
        let patience = limit.saturating_sub(contact.elapsed());
        let dialled = tokio::select! {
            biased;
            () = stop.wait() => return Ok(()),
            channel = connect(&worker.options, patience) => channel?,
        };
        let opened = tokio::select! {
            biased;
            () = stop.wait() => return Ok(()),
            opened = tokio::time::timeout(HANDSHAKE_TIMEOUT, worker.open(dialled)) => opened,
        };
        let silent = "it accepted the connection but did not answer";
        let ended = match opened.unwrap_or_else(|_| Err(WorkerError::Lost(silent.to_owned()))) {
            Ok((session, incoming)) => {
                let ended = session.serve(incoming, &mut stop).await;
                contact = Instant::now();
                worker.pauses = Pauses::new(&worker.options.name);
                ended
            }
            Err(error) => Err(error),
        };
        let reason = match ended {
            Err(WorkerError::Lost(reason)) if !stop.came => reason,
            Err(WorkerError::Lost(_)) | Ok(()) => return Ok(()),
            Err(error) => return Err(error),
        };
        // Whatever it was, the coordinator may be back soon, or a successor in its place.
        if contact.elapsed() >= limit {
            return Err(WorkerError::Unreachable {
                address: worker.options.coordinator,
                seconds: limit.as_secs(),
                cause: reason,
            });
        }
        tracing::warn!(coordinator = %worker.options.coordinator, reason, "lost the coordinator; dialling again");
        tokio::select! {
            biased;
            () = stop.wait() => return Ok(()),
            () = tokio::time::sleep(worker.pauses.next()) => {}
        }
    }
}

/// The wish to stop, which comes once.
struct Stop<'a> {
    signal: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
    came: bool,
}

impl Stop<'_> {
    /// Resolves when the wish comes, and never again.
    async fn wait(&mut self) {
        if self.came {
            std::future::pending::<()>().await;
        }
        self.signal.as_mut().await;
        self.came = true;
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

type Incoming = Streaming<v1::CoordinatorMessage>;

/// A message in progress: complete with its payload, not yet complete, or damaged.
type Assembled = Result<Option<(WorkHeader, Vec<f32>)>, FrameError>;

/// Something to compute, for whom, and where the answer goes.
struct Order {
    work: Work,
    compute: Arc<Compute>,
    outgoing: UnboundedSender<v1::WorkerMessage>,
}

/// What outlives a connection.
struct Worker {
    options: WorkerOptions,
    sha256: [u8; 32],
    /// The network insisted on, described; empty for any.
    architecture: String,
    /// The set as loaded, until the first run's shards are cut from it.
    dataset: Option<Arc<Dataset>>,
    /// The run worked for last: a coordinator that comes back wants the same again.
    known: Option<(String, RunSpec, Arc<Compute>)>,
    orders: UnboundedSender<Order>,
    /// Between one session and the next.
    pauses: Pauses,
}

impl Worker {
    async fn prepare(options: WorkerOptions) -> Result<Self, WorkerError> {
        let (dataset, sha256) = load(&options).await?;
        let (orders, mut waiting) = unbounded_channel::<Order>();
        let executor = Arc::clone(&options.executor);
        // One after the other: a round of the classic schedule goes on from the one before.
        tokio::spawn(async move {
            while let Some(order) = waiting.recv().await {
                if !order.outgoing.is_closed() {
                    executor.run(Box::new(move || carry_out(order))).await;
                }
            }
        });
        Ok(Self {
            architecture: insisted(&options, &dataset)?,
            pauses: Pauses::new(&options.name),
            dataset: Some(dataset),
            known: None,
            options,
            sha256,
            orders,
        })
    }

    /// Shakes hands.
    async fn open(&mut self, channel: Channel) -> Result<(Session, Incoming), WorkerError> {
        let address = self.options.coordinator.clone();
        let (outgoing, stream) = unbounded_channel();
        send(
            &outgoing,
            worker_message::Kind::Hello(v1::Hello {
                protocol_version: PROTOCOL_VERSION,
                software_version: env!("CARGO_PKG_VERSION").to_owned(),
                name: self.options.name.clone(),
                threads: self.options.threads as u32,
                dataset_sha256: self.sha256.to_vec(),
                architecture: self.architecture.clone(),
                kernels: lagrange_core::blas::kernels(),
            }),
        );
        let mut client = TrainingClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let mut request = Request::new(UnboundedReceiverStream::new(stream));
        if let Some(token) = &self.options.security.token {
            token.show(request.metadata_mut());
        }
        let mut incoming = client
            .join(request)
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
        let compute = self.compute(&welcome.run, spec).await?;
        let architecture = compute.network().describe();
        tracing::info!(run = %welcome.run, worker = welcome.worker_id, network = %architecture, "joined");
        send(
            &outgoing,
            worker_message::Kind::Ready(v1::Ready { architecture }),
        );
        let session = Session {
            address,
            run: welcome.run,
            lease: Duration::from_millis(welcome.lease_ms.max(1).into()),
            compute,
            orders: self.orders.clone(),
            outgoing,
        };
        Ok((session, incoming))
    }

    /// What computes for `run`: with the shards held already if it is the run worked for last.
    async fn compute(&mut self, run: &str, spec: RunSpec) -> Result<Arc<Compute>, WorkerError> {
        if let Some((known, known_spec, compute)) = &self.known
            && (known.as_str(), known_spec) == (run, &spec)
        {
            compute.forget_states();
            return Ok(Arc::clone(compute));
        }
        let dataset = match self.dataset.take() {
            Some(dataset) => dataset,
            None => load(&self.options).await?.0,
        };
        spec.task.check_labels("training", &dataset.train.labels)?;
        spec.task.check_labels("test", &dataset.test.labels)?;
        let network = spec.resolve()?;
        let source = self.options.source.clone();
        let store = ShardStore::new(source, dataset, self.sha256, &spec)?;
        let compute = Arc::new(Compute::new(spec.clone(), network, store));
        self.known = Some((run.to_owned(), spec, Arc::clone(&compute)));
        Ok(compute)
    }
}

/// Loads the set where everything else is computed.
async fn load(options: &WorkerOptions) -> Result<(Arc<Dataset>, [u8; 32]), DataError> {
    let source = options.source.clone();
    let (done, loaded) = oneshot::channel();
    let task = move || {
        let _ = done.send(source.load());
    };
    options.executor.run(Box::new(task)).await;
    loaded
        .await
        .unwrap_or_else(|_| unreachable!("executors run what they are given"))
}

/// Computes, and sends what comes of it.
fn carry_out(order: Order) {
    let Order {
        work,
        compute,
        outgoing,
    } = order;
    let begin = std::time::Instant::now();
    let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| compute.answer(&work)));
    tracing::debug!(job = ?work.header.job, shards = work.header.shards.len(), seconds = begin.elapsed().as_secs_f64(), "computed");
    let message = match attempt {
        Ok(Ok(_)) if work.header.replay => return,
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
}

/// An open stream and what is needed to answer on it.
struct Session {
    address: String,
    run: String,
    lease: Duration,
    compute: Arc<Compute>,
    orders: UnboundedSender<Order>,
    outgoing: UnboundedSender<v1::WorkerMessage>,
}

impl Session {
    /// Takes work until the run is over, or until `stop` comes and all is answered.
    async fn serve(self, mut incoming: Incoming, stop: &mut Stop<'_>) -> Result<(), WorkerError> {
        let mut assembler = Assembler::default();
        let mut heartbeat = tokio::time::interval(self.lease / HEARTBEATS);
        let mut drained: Pin<Box<dyn Future<Output = ()> + Send>> =
            Box::pin(std::future::pending());
        loop {
            let message = tokio::select! {
                biased;
                _ = heartbeat.tick() => {
                    send(&self.outgoing, worker_message::Kind::Heartbeat(v1::Heartbeat {}));
                    continue;
                }
                () = stop.wait() => {
                    send(&self.outgoing, worker_message::Kind::Leaving(v1::Leaving {}));
                    drained = Box::pin(tokio::time::sleep(DRAIN));
                    continue;
                }
                () = &mut drained => return Ok(()),
                message = next(&mut incoming) => message?,
            };
            let complete = match message {
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
                // The receiving task lives as long as the worker.
                let _ = self.orders.send(Order {
                    work: Work { header, payload },
                    compute: Arc::clone(&self.compute),
                    outgoing: self.outgoing.clone(),
                });
            }
        }
    }

    /// Starts a message of work; its payload follows in chunks, unless it has none.
    fn begin(
        &self,
        assembler: &mut Assembler<WorkHeader>,
        work: v1::Work,
    ) -> Result<Assembled, WorkerError> {
        let fault = |error: &dyn Display| protocol_error(&self.address, error);
        let header = WorkHeader::try_from(work).map_err(|error| fault(&error))?;
        let shape = self.compute.check(&header).map_err(|error| fault(&error))?;
        let expected = shape.work_floats(header.shards.len());
        Ok(assembler.begin(header, expected))
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
        Code::FailedPrecondition | Code::Unauthenticated => {
            WorkerError::Refused(status.message().to_owned())
        }
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
