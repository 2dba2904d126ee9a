//! The gRPC shell: streams in, events out; commands in, streams out. It decides nothing.

use crate::admission::Admission;
use crate::connections::{Connections, Outgoing, Peer};
use crate::membership::WorkerId;
use crate::refusals::Refusal;
use crate::training::Event;
use lagrange_protocol::limits::{HANDSHAKE_TIMEOUT, MAX_TEXT_BYTES, TOKEN_PENALTY};
use lagrange_protocol::v1::training_server::Training;
use lagrange_protocol::v1::{self, coordinator_message, worker_message};
use lagrange_protocol::{Assembler, Expected, Ledger, Reply, ReplyHeader, Token};
use lagrange_protocol::{check_hello, check_ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::server::TlsConnectInfo;
use tonic::{Code, Request, Response, Status, Streaming};

/// The service that workers dial.
pub(crate) struct Service {
    pub(crate) run: String,
    /// The run's text.
    pub(crate) spec: String,
    pub(crate) expected: Expected,
    pub(crate) connections: Arc<Connections>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) events: UnboundedSender<Event>,
    pub(crate) next_worker: AtomicU64,
    pub(crate) lease: Duration,
    pub(crate) token: Option<Token>,
}

#[tonic::async_trait]
impl Training for Service {
    type JoinStream = UnboundedReceiverStream<Outgoing>;

    async fn join(
        &self,
        request: Request<Streaming<v1::WorkerMessage>>,
    ) -> Result<Response<Self::JoinStream>, Status> {
        let admission = admission(request.extensions());
        let (hello, incoming) = self.meet(request).await.inspect_err(|status| {
            if let Some(admission) = &admission {
                tell_of(admission, status);
            }
        })?;
        if let Some(admission) = &admission {
            admission.admit();
        }
        let worker = self.next_worker.fetch_add(1, Ordering::Relaxed);
        let (outgoing, stream) = unbounded_channel();
        let welcome = v1::CoordinatorMessage {
            kind: Some(coordinator_message::Kind::Welcome(v1::Welcome {
                run: self.run.clone(),
                worker_id: worker,
                spec: self.spec.clone(),
                lease_ms: u32::try_from(self.lease.as_millis()).unwrap_or(u32::MAX),
            })),
        };
        self.ledger.count_sent(&welcome);
        let _ = outgoing.send(Ok(welcome));
        tracing::info!(worker, name = %hello.name, threads = hello.threads, "worker connected");
        self.compare_kernels(worker, &hello);
        let session = Session {
            worker,
            threads: hello.threads,
            peer: Peer {
                name: hello.name,
                address: admission.as_ref().map(Admission::peer),
            },
            expected: self.expected.clone(),
            connections: Arc::clone(&self.connections),
            ledger: Arc::clone(&self.ledger),
            events: self.events.clone(),
            lease: self.lease,
        };
        tokio::spawn(session.run(incoming, outgoing));
        Ok(Response::new(UnboundedReceiverStream::new(stream)))
    }
}

impl Service {
    /// Checks token and hello: whoever passes may join.
    async fn meet(
        &self,
        request: Request<Streaming<v1::WorkerMessage>>,
    ) -> Result<(v1::Hello, Streaming<v1::WorkerMessage>), Status> {
        if let Some(token) = &self.token
            && !token.is_shown(request.metadata())
        {
            tokio::time::sleep(TOKEN_PENALTY).await;
            return Err(Status::unauthenticated(
                "the join token is missing or wrong: give the worker the coordinator's --token-file",
            ));
        }
        let mut incoming = request.into_inner();
        let worker_message::Kind::Hello(hello) = next_message(&mut incoming, &self.ledger).await?
        else {
            return Err(Status::invalid_argument(
                "the first message must be a hello",
            ));
        };
        check_hello(&hello, &self.expected)?;
        Ok((hello, incoming))
    }

    /// Other kernels do no harm but to reproducibility, so the worker may stay; the user should know.
    fn compare_kernels(&self, worker: WorkerId, hello: &v1::Hello) {
        let ours = lagrange_core::blas::core_name();
        if hello.kernels != ours {
            tracing::warn!(
                worker,
                name = %hello.name,
                "this worker computes with OpenBLAS kernels `{}`, the coordinator with `{ours}`: the result will depend on who computed what; set OPENBLAS_CORETYPE alike everywhere",
                hello.kernels
            );
        }
    }
}

/// The admission of a request's connection, encrypted or not.
fn admission(extensions: &tonic::Extensions) -> Option<Admission> {
    let encrypted = || {
        let info = extensions.get::<TlsConnectInfo<Admission>>()?;
        Some(info.get_ref().clone())
    };
    extensions.get::<Admission>().cloned().or_else(encrypted)
}

/// Tells the log of a stranger that may not join; that a connection broke is not worth a word.
fn tell_of(admission: &Admission, status: &Status) {
    let refused = [
        Code::Unauthenticated,
        Code::FailedPrecondition,
        Code::InvalidArgument,
    ];
    if refused.contains(&status.code()) {
        // Some of it may be the stranger's own words.
        let words = status.message().replace(char::is_control, " ");
        admission.refuse(&Refusal::Join(words));
    }
}

async fn next_message(
    incoming: &mut Streaming<v1::WorkerMessage>,
    ledger: &Ledger,
) -> Result<worker_message::Kind, Status> {
    let message = tokio::time::timeout(HANDSHAKE_TIMEOUT, incoming.message())
        .await
        .map_err(|_| Status::deadline_exceeded("no message in time during the handshake"))??
        .ok_or_else(|| Status::cancelled("the stream ended during the handshake"))?;
    ledger.count_received(&message);
    message
        .kind
        .ok_or_else(|| Status::invalid_argument("a message of a kind unknown here"))
}

/// One worker's connection after its hello.
struct Session {
    worker: WorkerId,
    threads: u32,
    peer: Peer,
    expected: Expected,
    connections: Arc<Connections>,
    ledger: Arc<Ledger>,
    events: UnboundedSender<Event>,
    lease: Duration,
}

impl Session {
    async fn run(
        self,
        mut incoming: Streaming<v1::WorkerMessage>,
        outgoing: UnboundedSender<Outgoing>,
    ) {
        if let Err(status) = self.await_ready(&mut incoming).await {
            tracing::warn!(
                worker = self.worker,
                reason = status.message(),
                "handshake failed"
            );
            let _ = outgoing.send(Err(status));
            return;
        }
        let connections = &self.connections;
        let closed = connections.open(self.worker, self.peer.clone(), outgoing.clone());
        self.tell(Event::Joined {
            worker: self.worker,
            threads: self.threads,
        });
        let received = tokio::select! {
            biased;
            _ = closed => return,
            received = self.receive(&mut incoming) => received,
        };
        let reason = match received {
            Ok(reason) => reason,
            Err(status) => {
                let reason = status.message().to_owned();
                let _ = outgoing.send(Err(status));
                reason
            }
        };
        self.connections.lose(self.worker);
        self.tell(Event::Lost {
            worker: self.worker,
            reason,
        });
    }

    /// The driver may be gone already; then the run is over.
    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    async fn await_ready(&self, incoming: &mut Streaming<v1::WorkerMessage>) -> Result<(), Status> {
        match next_message(incoming, &self.ledger).await? {
            worker_message::Kind::Ready(ready) => Ok(check_ready(&ready, &self.expected)?),
            _ => Err(Status::invalid_argument(
                "the message after the welcome must be a ready",
            )),
        }
    }

    /// Takes messages until the stream ends; says how it ended.
    async fn receive(&self, incoming: &mut Streaming<v1::WorkerMessage>) -> Result<String, Status> {
        let mut assembler = Assembler::default();
        let mut heard = Instant::now();
        while let Some(message) = incoming.message().await? {
            self.ledger.count_received(&message);
            // Whatever comes shows that the worker lives; a long reply on a slow line as well as a heartbeat.
            if heard.elapsed() > self.lease / 8 {
                heard = Instant::now();
                self.tell(Event::Heard {
                    worker: self.worker,
                });
            }
            let complete = match message.kind {
                Some(worker_message::Kind::Reply(reply)) => {
                    let header = ReplyHeader::try_from(reply)
                        .map_err(|error| Status::invalid_argument(error.to_string()))?;
                    let expected = self
                        .connections
                        .owed(self.worker, &header)
                        .ok_or_else(|| Status::invalid_argument("a reply that nobody asked for"))?;
                    assembler.begin(header, expected)
                }
                Some(worker_message::Kind::Chunk(chunk)) => assembler.chunk(&chunk),
                Some(worker_message::Kind::Failure(mut failure)) => {
                    failure
                        .message
                        .truncate(failure.message.floor_char_boundary(MAX_TEXT_BYTES));
                    self.tell(Event::Failed {
                        worker: self.worker,
                        message: failure.message,
                    });
                    continue;
                }
                Some(worker_message::Kind::Leaving(_)) => {
                    self.tell(Event::Leaving {
                        worker: self.worker,
                    });
                    continue;
                }
                Some(worker_message::Kind::Heartbeat(_)) => continue,
                _ => return Err(Status::invalid_argument("a message out of turn")),
            };
            if let Some((header, payload)) =
                complete.map_err(|error| Status::data_loss(error.to_string()))?
            {
                self.tell(Event::Replied {
                    worker: self.worker,
                    reply: Reply { header, payload },
                });
            }
        }
        Ok("its connection closed".to_owned())
    }
}
