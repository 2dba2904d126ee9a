//! The thread that drives the state machine: it has the clock, and it does the solves, away from the async runtime.

use crate::membership::WorkerId;
use crate::plan::Outcome;
use crate::report::Report;
use crate::service::Connections;
use crate::training::{Command, Event, Training, TrainingError};
use lagrange_protocol::Ledger;
use serde::Serialize;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// A report with what only a clock and a wire can tell.
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
    pub report: Report,
}

/// The driver's surroundings.
pub(crate) struct Driver {
    pub(crate) training: Training,
    pub(crate) connections: Arc<Connections>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) observer: Sender<Observed>,
    /// How long the run waits for its workers at first, and for anybody once all are gone.
    pub(crate) join_timeout: Duration,
    pub(crate) grace: Duration,
}

impl Driver {
    /// Runs to the end.
    pub(crate) fn run(mut self, events: &Receiver<Event>) -> Result<Box<Outcome>, TrainingError> {
        let begin = Instant::now();
        let mut deadline = Some(begin + self.join_timeout);
        let mut idle_since = begin;
        // Since the last report.
        let (mut waited, mut worked) = (Duration::ZERO, Duration::ZERO);
        loop {
            let event = next_event(events, deadline);
            let mut busy_since = Instant::now();
            waited += busy_since - idle_since;
            if matches!(event, Event::GraceOver) {
                deadline = None;
            }
            for command in self.training.handle(event) {
                match command {
                    Command::Send {
                        worker,
                        header,
                        payload,
                        reply_floats,
                    } => self
                        .connections
                        .send(worker, header, &payload, reply_floats),
                    Command::Drop { worker, reason } => self.drop_worker(worker, &reason),
                    Command::Report(report) => {
                        let now = Instant::now();
                        worked += now - busy_since;
                        busy_since = now;
                        // Nobody listening is no reason to stop training.
                        let _ = self.observer.send(Observed {
                            seconds: (now - begin).as_secs_f64(),
                            bytes_sent: self.ledger.sent(),
                            bytes_received: self.ledger.received(),
                            wait_seconds: std::mem::take(&mut waited).as_secs_f64(),
                            work_seconds: std::mem::take(&mut worked).as_secs_f64(),
                            report,
                        });
                    }
                    Command::StartGrace => deadline = Some(Instant::now() + self.grace),
                    Command::CancelGrace => deadline = None,
                    Command::End(result) => return result,
                }
            }
            worked += busy_since.elapsed();
            self.training.prepare();
            idle_since = Instant::now();
        }
    }

    fn drop_worker(&self, worker: WorkerId, reason: &str) {
        tracing::warn!(worker, reason, "dropping worker");
        self.connections.close(worker, reason);
    }
}

fn next_event(events: &Receiver<Event>, deadline: Option<Instant>) -> Event {
    let received = match deadline {
        None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(deadline) => events.recv_timeout(deadline.saturating_duration_since(Instant::now())),
    };
    match received {
        Ok(event) => event,
        Err(RecvTimeoutError::Timeout) => Event::GraceOver,
        // The service is gone, and with it every way to hear of a worker.
        Err(RecvTimeoutError::Disconnected) => Event::Failed {
            worker: 0,
            message: "the coordinator's service ended".to_owned(),
        },
    }
}
