//! The thread that drives the state machine: it has the clock, and it does the solves, away from the async
//! runtime.

use crate::connections::Connections;
use crate::plan::Outcome;
use crate::records::{Record, Recorder};
use crate::report::RunEvent;
use crate::training::{Command, Event, Training, TrainingError};
use lagrange_protocol::Ledger;
use serde::Serialize;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

/// An event of a run, with what only a clock and a wire can tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observed {
    /// Seconds since the coordinator was ready for workers.
    pub seconds: f64,
    /// Bytes sent to workers so far.
    pub bytes_sent: u64,
    /// Bytes received from workers so far.
    pub bytes_received: u64,
    /// Seconds since the last report spent waiting for workers.
    pub wait_seconds: f64,
    /// Seconds since the last report spent reducing, solving and framing.
    pub work_seconds: f64,
    /// What happened.
    #[serde(flatten)]
    pub event: RunEvent,
}

/// The driver's surroundings.
pub(crate) struct Driver {
    pub(crate) training: Training,
    pub(crate) recorder: Recorder,
    pub(crate) connections: Arc<Connections>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) observer: Sender<Observed>,
}

/// What the driver did since its last report.
#[derive(Debug, Default)]
struct Spent {
    waiting: Duration,
    working: Duration,
}

impl Driver {
    /// Runs to the end. It computes, so it belongs on a thread of its own.
    pub(crate) async fn run(
        mut self,
        mut events: UnboundedReceiver<Event>,
    ) -> Result<Box<Outcome>, TrainingError> {
        let begin = Instant::now();
        let mut spent = Spent::default();
        let mut idle_since = begin;
        loop {
            let deadline = begin + self.training.deadline();
            let event = next_event(&mut events, deadline).await;
            let mut busy_since = Instant::now();
            spent.waiting += busy_since - idle_since;
            for command in self.training.handle(busy_since - begin, event) {
                if let Command::Report(_) = command {
                    let now = Instant::now();
                    spent.working += now - busy_since;
                    busy_since = now;
                }
                if let Some(result) = self.carry_out(command, begin, &mut spent) {
                    return result;
                }
            }
            spent.working += busy_since.elapsed();
            self.training.prepare();
            idle_since = Instant::now();
        }
    }

    /// What was spent until `event`, which begins the count anew. The workers are told of at any time, with
    /// what the connections know of them: that is no end of anything that takes time.
    fn spent_until(&self, event: &mut RunEvent, spent: &mut Spent) -> Spent {
        match event {
            RunEvent::Workers { present, .. } => {
                self.connections.describe(present);
                Spent::default()
            }
            _ => std::mem::take(spent),
        }
    }

    /// Carries out one command; the result, if it ends the run.
    fn carry_out(
        &mut self,
        command: Command,
        begin: Instant,
        spent: &mut Spent,
    ) -> Option<Result<Box<Outcome>, TrainingError>> {
        match command {
            Command::Send {
                worker,
                header,
                payload,
                reply_floats,
            } => self
                .connections
                .send(worker, header, &payload, reply_floats),
            Command::Drop {
                worker,
                reason,
                may_return,
            } => {
                tracing::warn!(worker, reason, "dropping worker");
                self.connections.close(worker, &reason, may_return);
            }
            Command::Release { worker } => self.connections.release(worker),
            Command::Report(mut event) => {
                let spent = self.spent_until(&mut event, spent);
                let observed = Observed {
                    seconds: begin.elapsed().as_secs_f64(),
                    bytes_sent: self.ledger.sent(),
                    bytes_received: self.ledger.received(),
                    wait_seconds: spent.waiting.as_secs_f64(),
                    work_seconds: spent.working.as_secs_f64(),
                    event,
                };
                (self.recorder)(Record::Event(Box::new(observed.clone())));
                // Nobody listening is no reason to stop training.
                let _ = self.observer.send(observed);
            }
            Command::Checkpoint(snapshot) => (self.recorder)(Record::Checkpoint(snapshot)),
            Command::End(result) => return Some(result),
        }
        None
    }
}

/// What happens next: a tick if nothing does until the state machine must be asked again.
async fn next_event(events: &mut UnboundedReceiver<Event>, deadline: Instant) -> Event {
    // Whatever has come already is heard before time is judged: a worker is not silent because nobody
    // listened.
    match tokio::time::timeout_at(deadline, events.recv()).await {
        Ok(Some(event)) => event,
        // The service is gone, and with it every way to hear of a worker or of the user.
        Ok(None) => Event::Abandoned {
            reason: "the coordinator's server has ended".to_owned(),
        },
        Err(_) => Event::Tick,
    }
}
