//! The run on a whole terminal.

mod charts;
mod draw;
mod panes;
#[cfg(unix)]
mod stage;

use crate::Watch;
use lagrange::machine::{NoThread, start_thread};
use std::io;

#[cfg(unix)]
use self::stage::Stage;
pub use draw::{Look, draw};

/// Why there is no screen.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// The terminal, or what there is in its place.
    #[error("the terminal cannot be used as a screen: {0}")]
    Terminal(#[from] io::Error),
    /// The system gives no thread.
    #[error("{0}")]
    Thread(#[from] NoThread),
}

/// A run on the terminal that stderr is, for as long as this value lives; then the terminal is as it was, and
/// has what was said meanwhile.
///
/// Whatever this process and its children write to stderr is shown among what was said: it cannot tear the
/// screen. A terminal that is slow or closed holds up nothing.
#[derive(Debug)]
pub struct Screen {
    #[cfg(unix)]
    stage: std::sync::Arc<Stage>,
}

#[cfg(unix)]
impl Screen {
    /// Shows the run that `watch` looks at. Who presses q or Ctrl-C has `quit` called.
    ///
    /// # Errors
    /// [`ScreenError`], and the terminal is as it was.
    pub fn open(
        watch: Watch,
        look: Look,
        quit: impl Fn() + Send + 'static,
    ) -> Result<Self, ScreenError> {
        let (stage, said) = Stage::open(watch)?;
        let screen = Self { stage };
        let of_thread = screen.stage.clone();
        start_thread("stderr", move || of_thread.listen(&said))?;
        let of_thread = screen.stage.clone();
        start_thread("screen", move || of_thread.show(&look, &quit))?;
        Ok(screen)
    }
}

#[cfg(unix)]
impl Drop for Screen {
    fn drop(&mut self) {
        self.stage.leave();
    }
}

#[cfg(not(unix))]
impl Screen {
    /// Shows nothing: how to keep others from writing to a terminal is known of Unix only.
    ///
    /// # Errors
    /// Always.
    pub fn open(_: Watch, _: Look, _: impl Fn() + Send + 'static) -> Result<Self, ScreenError> {
        Err(io::Error::from(io::ErrorKind::Unsupported).into())
    }
}

/// Gives the terminal back if a [`Screen`] has it: for a process that is about to end at once.
pub fn leave_screen() {
    #[cfg(unix)]
    stage::leave_present();
}
