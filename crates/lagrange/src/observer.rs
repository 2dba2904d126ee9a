//! Watching a run: every event of it goes to every observer, in order.

use crate::machine::start_thread;
use crate::{Config, Model, Observed, RunError, RunEvent};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

/// What watches a run while it goes: a progress bar, a page, a log.
///
/// Observers of a run share one thread, away from the run: a slow one holds up nothing but other observers,
/// and one that panics is left out from then on. A closure over events is an observer too:
///
/// ```
/// use lagrange::{Cluster, Observed, RunEvent};
///
/// let cluster = Cluster::in_process(2).observe(|observed: &Observed| {
///     if let RunEvent::Evaluation(evaluation) = &observed.event {
///         println!("step {}: {}", evaluation.step, evaluation.accuracy);
///     }
/// });
/// ```
pub trait Observer: Send {
    /// What is trained: the run's configuration, and its model with weights of zero.
    fn prepared(&mut self, config: &Config, model: &Model) {
        let _ = (config, model);
    }

    /// The run begins, or goes on: `steps` completed, of all that it is to have.
    fn begin(&mut self, steps: (u64, u64)) {
        let _ = steps;
    }

    /// Something happened.
    fn event(&mut self, observed: &Observed);

    /// The coordinator listens on `address`, and waits for `workers` workers.
    fn listening(&mut self, address: SocketAddr, workers: usize) {
        let _ = (address, workers);
    }

    /// What was found where the data are: one line, and a line more for each thing out of the ordinary.
    fn data(&mut self, found: &str) {
        let _ = found;
    }

    /// A person should know this; it changes nothing about the run.
    fn notice(&mut self, text: &str) {
        let _ = text;
    }

    /// There are no more events.
    fn end(&mut self) {}
}

impl<F: FnMut(&Observed) + Send> Observer for F {
    fn event(&mut self, observed: &Observed) {
        self(observed);
    }
}

/// The observers of a run, in the order in which they hear of an event.
#[derive(Default)]
pub(crate) struct Observers(pub(crate) Vec<Box<dyn Observer>>);

impl std::fmt::Debug for Observers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} observers", self.0.len())
    }
}

/// What observers have seen, once there is no more.
pub(crate) type Watched = oneshot::Receiver<Seen>;

/// What observers have seen of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// Whether a step was completed.
    pub(crate) step: bool,
}

impl Observers {
    /// Tells every observer what a person should know.
    pub(crate) fn notice(&mut self, text: &str) {
        for observer in &mut self.0 {
            observer.notice(text);
        }
    }

    /// Tells every observer what is trained.
    pub(crate) fn prepared(&mut self, config: &Config, model: &Model) {
        for observer in &mut self.0 {
            observer.prepared(config, model);
        }
    }

    /// Tells every observer what the data are.
    pub(crate) fn data(&mut self, found: &str) {
        for observer in &mut self.0 {
            observer.data(found);
        }
    }

    /// Tells every observer where the coordinator can be reached.
    pub(crate) fn listening(&mut self, address: SocketAddr, workers: usize) {
        for observer in &mut self.0 {
            observer.listening(address, workers);
        }
    }

    /// Lets a thread tell them of every event that is sent, until the sender is gone.
    pub(crate) fn watch(
        mut self,
        steps: (u64, u64),
    ) -> Result<(Sender<Observed>, Watched), RunError> {
        let (sender, events) = channel();
        let (done, watched) = oneshot::channel();
        start_thread("observers", move || {
            let _ = done.send(self.tell(steps, &events));
        })?;
        Ok((sender, watched))
    }

    fn tell(&mut self, steps: (u64, u64), events: &Receiver<Observed>) -> Seen {
        let mut seen = Seen::default();
        self.each(|observer| observer.begin(steps));
        for observed in events {
            seen.step |= matches!(observed.event, RunEvent::Step(_));
            self.each(|observer| observer.event(&observed));
        }
        self.each(|observer| observer.end());
        seen
    }

    /// Has every observer do something. One that panics hears no more of the run, which goes on.
    fn each(&mut self, work: impl Fn(&mut dyn Observer)) {
        self.0.retain_mut(|observer| {
            let done = catch_unwind(AssertUnwindSafe(|| work(&mut **observer)));
            if done.is_err() {
                tracing::warn!("an observer of the run panicked; the run goes on without it");
            }
            done.is_ok()
        });
    }
}
