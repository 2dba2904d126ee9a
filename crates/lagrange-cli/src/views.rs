//! What shows a run while it goes: progress on stderr, the screen, the page.

use crate::args::{ProgressKind, SecurityArgs, ViewArgs};
use crate::output::{has_colours, has_terminal, tell, tell_as_well};
use crate::progress::Progress;
use crate::security;
use anyhow::{Context as _, Result};
use lagrange::{Cluster, Run, RunError};
use lagrange_watch::{Dashboard, Look, Screen, Watch};
use std::net::TcpListener;

/// What shows a run.
#[derive(Debug)]
pub struct Views {
    kind: ProgressKind,
    /// What the page and the screen look at.
    watch: Watch,
    screen: Option<Screen>,
    dashboard: Option<Dashboard>,
}

impl Views {
    /// Listens where the page is to be had.
    ///
    /// # Errors
    /// If that is taken, or would show the run to others.
    pub fn new(args: &ViewArgs, quiet: bool, safety: &SecurityArgs) -> Result<Self> {
        let watch = Watch::default();
        let dashboard = match args.dashboard {
            None => None,
            Some(address) => {
                let access = security::of_dashboard(safety, address)?;
                let listener = TcpListener::bind(address).with_context(|| {
                    let port = address.port();
                    format!(
                        "--dashboard {address}: cannot be listened on; is port {port} in use? Choose another one, or 0 for \
                         any that is free"
                    )
                })?;
                Some(Dashboard::start(listener, watch.clone(), access)?)
            }
        };
        Ok(Self {
            kind: if quiet {
                ProgressKind::None
            } else {
                args.progress
            },
            watch,
            screen: None,
            dashboard,
        })
    }

    /// Shows what `cluster` does from now on.
    pub fn show(&mut self, cluster: Cluster) -> Cluster {
        let url = self.dashboard.as_ref().map(Dashboard::url);
        if self.kind == ProgressKind::Tui {
            self.open_screen(url.as_deref());
        }
        let cluster = match (&self.screen, &url) {
            (Some(_), _) => return cluster.observe(self.watch.observer()),
            (None, None) => cluster,
            (None, Some(url)) => {
                tell_as_well(self.watch.clone());
                if self.kind != ProgressKind::None {
                    tell(format_args!("dashboard on {url}"));
                }
                cluster.observe(self.watch.observer())
            }
        };
        cluster.observe(Progress::new(self.kind))
    }

    /// Takes the terminal; where there is none, progress is plain lines.
    fn open_screen(&mut self, url: Option<&str>) {
        let look = Look {
            colours: has_colours(),
            // The font of Linux' own console has no Braille.
            braille: std::env::var_os("TERM").is_none_or(|name| name != "linux"),
            footer: url
                .map(|url| format!("dashboard on {url}"))
                .unwrap_or_default(),
        };
        let opened = match has_terminal() {
            true => Screen::open(self.watch.clone(), look, interrupt).map_err(|e| e.to_string()),
            false => Err("stderr is no terminal".to_owned()),
        };
        match opened {
            Ok(screen) => self.screen = Some(screen),
            Err(fault) => {
                tell(format_args!("--progress tui: {fault}; plain lines instead"));
                self.kind = ProgressKind::Plain;
            }
        }
    }

    /// The run is over. The terminal is as it was, and pages that are open have the result.
    pub fn end(self, ended: &Result<Run, RunError>) {
        match ended {
            Ok(run) => self.watch.end(Some(&run.result), None),
            Err(error) => {
                let result = match error {
                    RunError::Unsaved(unsaved) => Some(&*unsaved.result),
                    _ => None,
                };
                self.watch.end(result, Some(error.to_string()));
            }
        }
    }
}

/// Stops the run as Ctrl-C does: in a terminal that is a screen, it is a key like others.
fn interrupt() {
    #[cfg(unix)]
    {
        use rustix::process::{Signal, getpid, kill_process};
        // It is this process: it is there.
        let _ = kill_process(getpid(), Signal::INT);
    }
}
