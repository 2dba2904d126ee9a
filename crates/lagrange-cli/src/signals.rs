//! When to stop: Ctrl-C, SIGTERM, a closed terminal, or a parent that is gone.

use lagrange::machine::{NoThread, start_thread};
use std::time::{Duration, Instant};

/// Copies of one wish come within this: `timeout` and shells signal a process and then its whole group.
const SAME_WISH: Duration = Duration::from_secs(1);

/// The user's wish to stop. Signals are caught from its making on.
#[derive(Debug)]
pub struct Stop(platform::Signals);

impl Stop {
    /// Begins to catch signals, within an async runtime.
    #[must_use]
    pub fn listen() -> Self {
        Self(platform::Signals::listen())
    }

    /// Resolves at the first signal. A second one, that is no copy of the first, ends the process at once.
    pub async fn wished(mut self) {
        self.0.next().await;
        let first = Instant::now();
        tokio::spawn(async move {
            loop {
                self.0.next().await;
                if first.elapsed() >= SAME_WISH {
                    lagrange_watch::leave_screen();
                    std::process::exit(crate::INTERRUPTED.into());
                }
            }
        });
    }

    /// Catches every signal and does nothing about it: for workers whose parent gets it too and decides.
    pub fn leave_to_parent(mut self) {
        tokio::spawn(async move {
            loop {
                self.0.next().await;
            }
        });
    }
}

/// Resolves when stdin closes. A thread of its own waits for that: a read of stdin cannot be cancelled.
///
/// # Errors
/// If there is no thread to be had.
pub fn stdin_closed() -> Result<impl Future<Output = ()>, NoThread> {
    let (closed, wait) = tokio::sync::oneshot::channel();
    start_thread("stdin", move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = closed.send(());
    })?;
    Ok(async {
        let _ = wait.await;
    })
}

pub use platform::survive_limits;

#[cfg(unix)]
mod platform {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// Signals that ask a process to end.
    #[derive(Debug)]
    pub(super) struct Signals(Vec<Signal>);

    impl Signals {
        pub(super) fn listen() -> Self {
            // Past the soft limit of processor time: the hard one kills.
            let time_is_up = SignalKind::from_raw(libc::SIGXCPU);
            let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate(), time_is_up];
            if !is_ignored(libc::SIGHUP) {
                kinds.push(SignalKind::hangup());
            }
            Self(
                kinds
                    .into_iter()
                    .filter_map(|kind| signal(kind).ok())
                    .collect(),
            )
        }

        pub(super) async fn next(&mut self) {
            std::future::poll_fn(|context| {
                let mut came = false;
                for signal in &mut self.0 {
                    came |= signal.poll_recv(context).is_ready();
                }
                match came {
                    true => std::task::Poll::Ready(()),
                    false => std::task::Poll::Pending,
                }
            })
            .await;
        }
    }

    /// Whether whoever started this process wants a signal ignored, as `nohup` does with SIGHUP.
    #[allow(unsafe_code)]
    fn is_ignored(number: i32) -> bool {
        // SAFETY: all zeros are a valid `sigaction`; with no new action given, the call only writes the
        // present one to `action`, which lives on.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let known = libc::sigaction(number, std::ptr::null(), &raw mut action) == 0;
            known && action.sa_sigaction == libc::SIG_IGN
        }
    }

    /// A file that reaches its size limit (`ulimit -f`) shall be an error of that write, not the end of the
    /// process.
    pub fn survive_limits() {
        // What is caught does not kill, whether anybody asks for it or not.
        let _ = signal(SignalKind::from_raw(libc::SIGXFSZ));
    }
}

#[cfg(not(unix))]
mod platform {
    /// Ctrl-C.
    #[derive(Debug)]
    pub(super) struct Signals;

    impl Signals {
        pub(super) fn listen() -> Self {
            Self
        }

        pub(super) async fn next(&mut self) {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Nothing to survive here.
    pub fn survive_limits() {}
}
