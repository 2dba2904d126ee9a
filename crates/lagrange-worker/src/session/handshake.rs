//! Handshake: load the data once, introduce both sides, and prepare the run's shards.

use super::stream::{Incoming, Order, Session, carry_out, from_status, next, protocol_error, send};
use crate::compute::Compute;
use crate::error::WorkerError;
use crate::link::{Link, SILENT};
use crate::options::WorkerOptions;
use crate::store::ShardStore;
use lagrange_core::network::Network;
use lagrange_data::Question;
use lagrange_import::{LoadError, Opened};
use lagrange_protocol::limits::{
    CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT, MAX_MESSAGE_BYTES, PROTOCOL_VERSION,
};
use lagrange_protocol::v1::training_client::TrainingClient;
use lagrange_protocol::v1::{self, coordinator_message, worker_message};
use lagrange_protocol::{Address, RunSpec};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

/// Worker state that outlives a connection.
pub(super) struct Worker {
    options: WorkerOptions,
    sha256: [u8; 32],
    /// The network insisted on, described; empty for any.
    architecture: String,
    /// The set as loaded, until the first run's shards are cut from it.
    dataset: Option<Opened>,
    /// The last run: a coordinator that comes back continues it.
    known: Option<(String, RunSpec, Arc<Compute>)>,
    orders: UnboundedSender<Order>,
}

/// A coordinator's answer to a hello, and the open streams.
struct Greeting {
    welcome: v1::Welcome,
    incoming: Incoming,
    outgoing: UnboundedSender<v1::WorkerMessage>,
}

impl Worker {
    /// Loads the data.
    pub(super) async fn prepare(options: WorkerOptions) -> Result<Self, WorkerError> {
        let (dataset, sha256) = load(&options).await?;
        let (orders, mut waiting) = unbounded_channel::<Order>();
        let executor = Arc::clone(&options.executor);
        // In order: a round of the classic schedule continues from the one before.
        tokio::spawn(async move {
            while let Some(order) = waiting.recv().await {
                if !order.outgoing.is_closed() {
                    executor.run(Box::new(move || carry_out(order))).await;
                }
            }
        });
        Ok(Self {
            architecture: insisted(&options, &dataset)?,
            dataset: Some(dataset),
            known: None,
            options,
            sha256,
            orders,
        })
    }

    pub(super) fn options(&self) -> &WorkerOptions {
        &self.options
    }

    /// Makes one attempt to join by `deadline`. After [`WorkerError::Lost`] another attempt may succeed.
    pub(super) async fn open(
        &mut self,
        deadline: Instant,
    ) -> Result<(Session, Incoming), WorkerError> {
        let by = |limit| deadline.min(Instant::now() + limit);
        let link = Link::open(&self.options, by(CONNECT_TIMEOUT)).await?;
        let greeting = timeout_at(by(HANDSHAKE_TIMEOUT), self.greet(link.channel.clone()))
            .await
            .unwrap_or_else(|_| Err(WorkerError::Lost(SILENT.to_owned())))
            .map_err(|error| link.explain(error))?;
        let address = self.options.coordinator.clone();
        let welcome = greeting.welcome;
        let spec =
            RunSpec::from_text(&welcome.spec).map_err(|error| protocol_error(&address, error))?;
        let spec_sha256 = spec.sha256().to_vec();
        let compute = self.compute(&welcome.run, spec).await?;
        tracing::info!(
            run = %welcome.run,
            worker = welcome.worker_id,
            network = %compute.network().describe(),
            "joined"
        );
        send(
            &greeting.outgoing,
            worker_message::Kind::Ready(v1::Ready { spec_sha256 }),
        );
        let session = Session {
            address,
            run: welcome.run,
            lease: Duration::from_millis(welcome.lease_ms.max(1).into()),
            compute,
            orders: self.orders.clone(),
            outgoing: greeting.outgoing,
        };
        Ok((session, greeting.incoming))
    }

    /// Sends the hello and receives the welcome.
    async fn greet(&self, channel: Channel) -> Result<Greeting, WorkerError> {
        let (outgoing, stream) = unbounded_channel();
        send(&outgoing, worker_message::Kind::Hello(self.hello()));
        let mut client = TrainingClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let mut request = Request::new(UnboundedReceiverStream::new(stream));
        if let Some(token) = &self.options.security.token {
            token.show(request.metadata_mut());
        }
        let address = &self.options.coordinator;
        let mut incoming = client
            .join(request)
            .await
            .map_err(|status| not_joined(address, &status))?
            .into_inner();
        match next(&mut incoming).await? {
            Some(coordinator_message::Kind::Welcome(welcome)) => Ok(Greeting {
                welcome,
                incoming,
                outgoing,
            }),
            _ => Err(protocol_error(
                address,
                "its first message is not a welcome",
            )),
        }
    }

    fn hello(&self) -> v1::Hello {
        v1::Hello {
            protocol_version: PROTOCOL_VERSION,
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            name: self.options.name.clone(),
            threads: self.options.threads as u32,
            dataset_sha256: self.sha256.to_vec(),
            architecture: self.architecture.clone(),
            kernels: lagrange_core::blas::core_name(),
        }
    }

    /// The computation for `run`, with the shards already held if it is the last run.
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
        let network = spec.network();
        let source = self.options.source.clone();
        let store = ShardStore::new(source, dataset, self.sha256, &spec)?;
        let compute = Arc::new(Compute::new(spec.clone(), network, store));
        self.known = Some((run.to_owned(), spec, Arc::clone(&compute)));
        Ok(compute)
    }
}

/// Error of a refused join: a service that does not know the request, or a proxy that blocks it, is not a
/// coordinator.
fn not_joined(address: &Address, status: &Status) -> WorkerError {
    match status.code() {
        Code::Unimplemented | Code::PermissionDenied => WorkerError::NotACoordinator {
            address: address.clone(),
            evidence: match status.message() {
                "" => "it speaks gRPC, but does not know lagrange.v1.Training".to_owned(),
                message => message.to_owned(),
            },
        },
        _ => from_status(status),
    }
}

/// Loads the set on the executor.
async fn load(options: &WorkerOptions) -> Result<(Opened, [u8; 32]), LoadError> {
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

/// The description of the network that the worker insists on; empty for any.
fn insisted(options: &WorkerOptions, dataset: &Opened) -> Result<String, WorkerError> {
    let Some(config) = &options.insist else {
        return Ok(String::new());
    };
    let question = Question::new(config.task, dataset.classes(), &config.positive)?;
    let network = Network::resolve(&config.network, dataset.shape(), question.outputs())?;
    Ok(network.describe())
}
