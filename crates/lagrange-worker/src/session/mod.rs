//! The life of a worker: find the coordinator, shake hands, take work until the run is over. A lost
//! coordinator is looked for again.

mod handshake;
mod stream;

use crate::connect::Search;
use crate::error::WorkerError;
use crate::options::WorkerOptions;
use handshake::Worker;
use std::future::Future;
use std::pin::Pin;

/// Works for a run until it is over, or until `stop` resolves: then it answers what it has in hand and goes.
///
/// # Errors
/// [`WorkerError`]
pub async fn run(
    options: WorkerOptions,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), WorkerError> {
    let mut stop = Stop {
        signal: Box::pin(stop),
        came: false,
    };
    let mut worker = Worker::prepare(options).await?;
    let mut search = Search::new(worker.options());
    loop {
        let opened = tokio::select! {
            biased;
            () = stop.wait() => return Ok(()),
            opened = worker.open(search.deadline()) => opened,
        };
        let cause = match opened {
            Ok((session, incoming)) => {
                let ended = session.serve(incoming, &mut stop).await;
                search = Search::new(worker.options());
                match ended {
                    Err(WorkerError::Lost(cause)) if !stop.came => {
                        tracing::warn!(
                            coordinator = %worker.options().coordinator,
                            reason = cause,
                            "lost the coordinator; dialling again"
                        );
                        cause
                    }
                    Err(WorkerError::Lost(_)) | Ok(()) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            // The coordinator may be back soon, or a successor in its place.
            Err(WorkerError::Lost(cause)) => cause,
            Err(error) => return Err(error),
        };
        tokio::select! {
            biased;
            () = stop.wait() => return Ok(()),
            waited = search.pause(cause) => waited?,
        }
    }
}

/// The wish to stop, which comes once.
struct Stop<'a> {
    signal: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
    came: bool,
}

impl Stop<'_> {
    /// Resolves when the wish comes, and never again.
    async fn wait(&mut self) {
        if self.came {
            std::future::pending::<()>().await;
        }
        self.signal.as_mut().await;
        self.came = true;
    }
}
