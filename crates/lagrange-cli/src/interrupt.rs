//! The user's wish to stop a command that runs many others.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::Poll;

/// The user asked to stop; the folder holds what was complete.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; {} holds what is complete", .0.display())]
pub struct Interrupted(pub PathBuf);

/// The wish to stop, heard from the first call on, and the folder that holds what is complete then.
#[derive(Debug)]
pub(crate) struct Interrupt<'a, F> {
    wish: Pin<Box<F>>,
    folder: &'a Path,
}

impl<'a, F: Future<Output = ()>> Interrupt<'a, F> {
    /// Begins to listen, so that a signal does not end this process while it prepares what others are to do.
    ///
    /// # Errors
    /// [`Interrupted`] if the wish has come already.
    pub(crate) async fn listen(wish: F, folder: &'a Path) -> Result<Self, Interrupted> {
        let mut wish = Box::pin(wish);
        let come = poll_fn(|context| Poll::Ready(wish.as_mut().poll(context).is_ready())).await;
        match come {
            true => Err(Interrupted(folder.to_owned())),
            false => Ok(Self { wish, folder }),
        }
    }

    /// Does `work` to its end, or until the wish comes: that is looked for first, so that no run is judged
    /// that a signal has ended.
    ///
    /// # Errors
    /// [`Interrupted`], or the error of `work`.
    pub(crate) async fn or<T>(
        self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            biased;
            () = self.wish => Err(Interrupted(self.folder.to_owned()).into()),
            result = work => result,
        }
    }
}
