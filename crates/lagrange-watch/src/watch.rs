//! The state of a run that is shared by whoever shows it.

use crate::lines::listening;
use crate::state::{Ending, RunState};
use lagrange::{Config, Model, Observed, Observer, RunResult};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// A run that any number of views look at. Looking never waits for the run, nor the run for who looks.
///
/// ```
/// use lagrange::{Cluster, Dataset, Sources};
/// use lagrange_watch::Watch;
///
/// let config = Sources::default().preset("quick").set("train-limit=320")?.resolve()?;
/// let watch = Watch::default();
/// let data = std::sync::Arc::new(Dataset::load(None)?);
/// let run = Cluster::in_process(2).observe(watch.observer()).train_blocking(config, data)?;
/// assert_eq!(watch.look(|state| state.step), run.result.steps);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<RunState>,
    /// When the coordinator was ready for workers.
    ready: Mutex<Option<Instant>>,
    over: watch::Sender<bool>,
}

impl Watch {
    /// What the run has to tell to keep this up to date.
    #[must_use]
    pub fn observer(&self) -> impl Observer + use<> {
        Watcher(self.clone())
    }

    /// What `look` sees of the state.
    pub fn look<T>(&self, look: impl FnOnce(&RunState) -> T) -> T {
        look(&self.state())
    }

    /// Adds a line to what was said.
    pub fn say(&self, line: &str) {
        let seconds = self.elapsed();
        self.state().lines.push(line, seconds);
    }

    /// The run is over: with a result, or with the words of an error, or both where the result was not saved.
    pub fn end(&self, result: Option<&RunResult>, error: Option<String>) {
        let result = result.cloned();
        self.state().end(Ending { result, error });
        self.0.over.send_replace(true);
    }

    /// Resolves when the run is over.
    pub(crate) fn over(&self) -> watch::Receiver<bool> {
        self.0.over.subscribe()
    }

    /// Seconds since the coordinator was ready for workers; of the whole run once it is over.
    #[must_use]
    pub fn elapsed(&self) -> f64 {
        let over = self.look(|state| state.ending().map(|_| state.seconds));
        let ready = *self.0.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let since = ready.map_or(0.0, |ready| ready.elapsed().as_secs_f64());
        over.unwrap_or(since)
    }

    fn state(&self) -> MutexGuard<'_, RunState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the state up to date.
struct Watcher(Watch);

impl Observer for Watcher {
    fn prepared(&mut self, config: &Config, model: &Model) {
        self.0.state().prepared(config, model);
    }

    fn begin(&mut self, steps: (u64, u64)) {
        *(self.0.0.ready.lock()).unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.0.state().begin(steps);
    }

    fn event(&mut self, observed: &Observed) {
        self.0.state().event(observed);
    }

    fn listening(&mut self, address: SocketAddr, workers: usize) {
        self.0.state().listening = Some(address);
        self.0.say(&listening(address, workers));
    }

    fn data(&mut self, found: &str) {
        self.0.say(found);
    }

    fn notice(&mut self, text: &str) {
        self.0.say(text);
    }
}
