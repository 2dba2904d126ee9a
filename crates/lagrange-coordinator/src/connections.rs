//! The live streams of workers: who is at their other end, and what it owes.

use crate::membership::WorkerId;
use crate::report::WorkerStatus;
use lagrange_protocol::v1::{self, coordinator_message};
use lagrange_protocol::{Ledger, Payload, ReplyHeader, WorkHeader, frames};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tonic::Status;

pub(crate) type Outgoing = Result<v1::CoordinatorMessage, Status>;

/// A worker's stream, and the replies it owes: (round, attempt) to payload size.
#[derive(Debug)]
struct Connection {
    outgoing: UnboundedSender<Outgoing>,
    owed: HashMap<(u64, u32), usize>,
    peer: Peer,
    /// Dropped with the connection: its session then listens no longer.
    _open: oneshot::Sender<()>,
}

/// Who is at the other end of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// The name that it gives itself.
    pub(crate) name: String,
    /// Where it dials from, if that is known.
    pub(crate) address: Option<SocketAddr>,
}

/// All live streams. What waits in a stream's queue is bounded by the state machine: one round's work.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    live: Mutex<BTreeMap<WorkerId, Connection>>,
    ledger: Arc<Ledger>,
}

impl Connections {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            live: Mutex::default(),
            ledger,
        }
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Connection>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues work. A worker that has just been lost will be reported as such; nothing is to be done here.
    pub(crate) fn send(
        &self,
        worker: WorkerId,
        header: WorkHeader,
        payload: &Payload,
        reply_floats: usize,
    ) {
        let mut live = self.live();
        let Some(connection) = live.get_mut(&worker) else {
            return;
        };
        let key = (header.round, header.attempt);
        if !header.replay {
            connection.owed.insert(key, reply_floats);
        }
        self.queue(connection, coordinator_message::Kind::Work(header.into()));
        for chunk in frames(key, payload) {
            self.queue(connection, coordinator_message::Kind::Chunk(chunk));
        }
    }

    fn queue(&self, connection: &Connection, kind: coordinator_message::Kind) {
        let message = v1::CoordinatorMessage { kind: Some(kind) };
        self.ledger.count_sent(&message);
        // A closed queue means the worker is being lost.
        let _ = connection.outgoing.send(Ok(message));
    }

    /// Ends one worker's stream with an error, after which it may dial again or not.
    pub(crate) fn close(&self, worker: WorkerId, reason: &str, may_return: bool) {
        if let Some(connection) = self.live().remove(&worker) {
            let status = match may_return {
                true => Status::aborted(reason.to_owned()),
                false => Status::failed_precondition(reason.to_owned()),
            };
            let _ = connection.outgoing.send(Err(status));
        }
    }

    /// Lets a worker go that wanted to.
    pub(crate) fn release(&self, worker: WorkerId) {
        if let Some(connection) = self.live().remove(&worker) {
            self.bid_farewell(&connection, "as you wished");
        }
    }

    /// Tells every worker that the run is over, and ends the streams.
    pub(crate) fn finish(&self, message: &str) {
        for connection in std::mem::take(&mut *self.live()).values() {
            self.bid_farewell(connection, message);
        }
    }

    fn bid_farewell(&self, connection: &Connection, message: &str) {
        let finish = v1::Finish {
            message: message.to_owned(),
        };
        self.queue(connection, coordinator_message::Kind::Finish(finish));
    }

    /// Adds what the connections tell of the workers.
    pub(crate) fn describe(&self, workers: &mut [WorkerStatus]) {
        let live = self.live();
        for status in workers {
            if let Some(connection) = live.get(&status.worker) {
                status.name.clone_from(&connection.peer.name);
                status.address = connection.peer.address;
            }
        }
    }

    /// Adds the stream of `worker`, which owes nothing yet. What is returned resolves when it is closed from
    /// here.
    pub(crate) fn open(
        &self,
        worker: WorkerId,
        peer: Peer,
        outgoing: UnboundedSender<Outgoing>,
    ) -> oneshot::Receiver<()> {
        let (open, closed) = oneshot::channel();
        let connection = Connection {
            outgoing,
            owed: HashMap::new(),
            peer,
            _open: open,
        };
        self.live().insert(worker, connection);
        closed
    }

    /// Takes note that a stream has ended by itself.
    pub(crate) fn lose(&self, worker: WorkerId) {
        self.live().remove(&worker);
    }

    /// Values that the payload of a reply must have, if it is one that is owed; it is no more after this.
    pub(crate) fn owed(&self, worker: WorkerId, header: &ReplyHeader) -> Option<usize> {
        let key = (header.round, header.attempt);
        self.live().get_mut(&worker)?.owed.remove(&key)
    }
}
