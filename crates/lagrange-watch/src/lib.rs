//! A run as it goes: a page that the coordinator serves, and a screen of a terminal.
//!
//! Both show one [`RunState`], which the run's events keep up to date; a [`Watch`] is what they look at it
//! through. Nothing here can hold up the run: its events only change that state, on the thread of its
//! observers, and every view draws a copy of it on a thread of its own.
//!
//! The [`Dashboard`] answers on its own port, and needs nothing from elsewhere:
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | the page: curves, residuals, workers and shards, kernels, what was said |
//! | `GET /api/run` | where the run is, as JSON: [`run_json`] |
//! | `GET /api/curves` | every curve as lists of `[step, value]`, at most 2000 points each: [`lagrange_report::Curves::to_json`] |
//! | `GET /updates` | changed parts of the page as server-sent events |
//!
//! Where there is a token, requests show it as `authorization: Bearer TOKEN` or as `?token=TOKEN`. On a
//! loopback address, a request must name this machine: pages of the internet cannot have their own name lead
//! here.
//!
//! # Layout
//!
//! | module | what it holds |
//! |---|---|
//! | `state`, `pace`, `lines` | [`RunState`]: what is known of a run, in bounded room |
//! | `watch` | [`Watch`]: that state, shared |
//! | `api` | the state as JSON |
//! | `page` | the page: a shell, and its parts |
//! | `server` | [`Dashboard`]: connections, who is let in, requests, updates |
//! | `screen` | [`Screen`]: the terminal, its panes, its charts |
//! | `words` | figures in words |

mod api;
#[cfg(test)]
mod fixture;
mod lines;
mod pace;
mod page;
mod screen;
mod server;
mod state;
mod watch;
mod words;

pub use api::run_json;
pub use lines::{Line, Lines, listening, resumed, sentence};
pub use pace::{Pace, StepCost};
pub use screen::{Look, Screen, ScreenError, draw, leave_screen};
pub use server::{Access, Dashboard, DashboardError};
pub use state::{Ending, Phase, Rollback, RunState, Workers};
pub use watch::Watch;
