//! Open stream: work comes in, replies and heartbeats go out.

use super::Stop;
use crate::compute::{Answer, Compute};
use crate::error::WorkerError;
use crate::link::root_cause;
use lagrange_protocol::v1::{self, coordinator_message, worker_message};
use lagrange_protocol::{Address, Assembler, FrameError, Work, WorkHeader, frames};
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tonic::{Code, Status, Streaming};

/// Time limit of a leaving worker for its outstanding work.
const DRAIN: Duration = Duration::from_secs(30);
/// Heartbeats within one lease.
const HEARTBEATS: u32 = 4;

pub(super) type Incoming = Streaming<v1::CoordinatorMessage>;

/// A message in progress: complete with its payload, not yet complete, or damaged.
type Assembled = Result<Option<(WorkHeader, Vec<f32>)>, FrameError>;

/// Work to compute, with the stream for its reply.
pub(super) struct Order {
    work: Work,
    compute: Arc<Compute>,
    pub(super) outgoing: UnboundedSender<v1::WorkerMessage>,
}

/// An open stream with all that is needed to reply on it.
pub(super) struct Session {
    pub(super) address: Address,
    pub(super) run: String,
    pub(super) lease: Duration,
    pub(super) compute: Arc<Compute>,
    pub(super) orders: UnboundedSender<Order>,
    pub(super) outgoing: UnboundedSender<v1::WorkerMessage>,
}

impl Session {
    /// Takes work until the run is over, or until `stop` resolves and all outstanding work is answered.
    pub(super) async fn serve(
        self,
        mut incoming: Incoming,
        stop: &mut Stop<'_>,
    ) -> Result<(), WorkerError> {
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
        let sizes = self.compute.check(&header).map_err(|error| fault(&error))?;
        let expected = sizes.work_values(header.shards.len());
        Ok(assembler.begin(header, expected))
    }
}

/// Computes an order and sends its reply.
pub(super) fn carry_out(order: Order) {
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

fn send_answer(outgoing: &UnboundedSender<v1::WorkerMessage>, answer: Answer) {
    let key = (answer.header.round, answer.header.attempt);
    send(outgoing, worker_message::Kind::Reply(answer.header.into()));
    for chunk in frames(key, &answer.payload) {
        send(outgoing, worker_message::Kind::Chunk(chunk));
    }
}

/// Queues a message. If the stream is closed, the receiving side reports it.
pub(super) fn send(outgoing: &UnboundedSender<v1::WorkerMessage>, kind: worker_message::Kind) {
    let _ = outgoing.send(v1::WorkerMessage { kind: Some(kind) });
}

pub(super) async fn next(
    incoming: &mut Incoming,
) -> Result<Option<coordinator_message::Kind>, WorkerError> {
    let message = incoming
        .message()
        .await
        .map_err(|status| from_status(&status))?;
    Ok(message.and_then(|message| message.kind))
}

pub(super) fn from_status(status: &Status) -> WorkerError {
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

pub(super) fn protocol_error(address: &Address, fault: impl ToString) -> WorkerError {
    WorkerError::Protocol {
        address: address.clone(),
        fault: fault.to_string(),
    }
}
