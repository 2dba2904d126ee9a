//! Executors: where a worker computes.

use std::future::Future;
use std::pin::Pin;
use tokio::sync::oneshot;

/// A computation, to be run once.
pub type Computation = Box<dyn FnOnce() + Send>;

/// Executor of computations, one at a time, outside the async runtime.
pub trait Executor: std::fmt::Debug + Send + Sync {
    /// Runs `computation`; the future resolves when it has returned.
    fn run(&self, computation: Computation) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Executor on a pool of threads of its own.
///
/// ```
/// use lagrange_worker::{Executor as _, Threads};
///
/// let threads = Threads::new(1)?;
/// let (sender, receiver) = std::sync::mpsc::channel();
/// let computed = threads.run(Box::new(move || sender.send(6 * 7).expect("open")));
/// tokio::runtime::Runtime::new()?.block_on(computed);
/// assert_eq!(receiver.recv()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Threads(rayon::ThreadPool);

impl Threads {
    /// A pool of `count` threads.
    ///
    /// # Errors
    /// The error of a system that has no more threads.
    pub fn new(count: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|index| format!("compute-{index}"))
            .build()?;
        Ok(Self(pool))
    }

    /// Runs `work` on the pool while the caller waits for what it returns.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.install(work)
    }
}

impl Executor for Threads {
    fn run(&self, computation: Computation) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (done, ended) = oneshot::channel();
        self.0.spawn(move || {
            computation();
            let _ = done.send(());
        });
        Box::pin(async {
            let _ = ended.await;
        })
    }
}
