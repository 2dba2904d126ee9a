//! Where a worker computes.

use std::future::Future;
use std::pin::Pin;
use tokio::sync::oneshot;

/// A piece of computation.
pub type Task = Box<dyn FnOnce() + Send>;

/// Runs computations one at a time, away from the network.
pub trait Executor: std::fmt::Debug + Send + Sync {
    /// Runs `task`; the future is done when the task is.
    fn run(&self, task: Task) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Threads for computation only: the async runtime goes on meanwhile.
#[derive(Debug)]
pub struct Threads(rayon::ThreadPool);

impl Threads {
    /// A pool of `count` threads.
    ///
    /// # Errors
    /// What the system says if it has no more threads.
    pub fn new(count: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|index| format!("compute-{index}"))
            .build()?;
        Ok(Self(pool))
    }
}

impl Executor for Threads {
    fn run(&self, task: Task) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (done, ended) = oneshot::channel();
        self.0.spawn(move || {
            task();
            let _ = done.send(());
        });
        Box::pin(async {
            let _ = ended.await;
        })
    }
}
