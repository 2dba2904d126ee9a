//! A coordinator and workers of its own, with what they say.

use super::process::{borrowed, short_run, wait_until};
use super::{lagrange, last_json, path, stderr};
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// Makes certificates and a token.
#[must_use]
pub fn certificates(folder: &Path, name: &str) -> PathBuf {
    let made = folder.join(name);
    let output = lagrange(&["certs", path(&made)]).output().expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
    made
}

/// A coordinator on a port of its own, for a short run.
#[derive(Debug)]
pub struct Coordinator {
    /// The process.
    pub child: Child,
    /// Where it listens.
    pub address: String,
    /// What it says on stderr.
    log: PathBuf,
}

impl Coordinator {
    /// Starts it, and waits until it listens.
    #[must_use]
    pub fn start(folder: &Path, epochs: u32, extra: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("port");
        let address = port.local_addr().expect("address").to_string();
        drop(port);
        let flags = [&["--listen", &address, "--quiet"], extra].concat();
        let mut arguments = short_run(folder, "run", epochs, &flags);
        "coordinator".clone_into(&mut arguments[0]);
        let log = folder.join("coordinator.log");
        let child = lagrange(&borrowed(&arguments))
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("log"))
            .spawn()
            .expect("starts");
        wait_until("the port", || TcpStream::connect(&address).is_ok());
        Self {
            child,
            address,
            log,
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).expect("log")
    }

    /// Waits until it has said something: who is refused hears of it before the log does.
    pub fn wait_for_log(&self, words: &str) {
        wait_until(words, || self.said().contains(words));
    }

    /// Starts a worker.
    #[must_use]
    pub fn worker(&self, extra: &[&str]) -> Child {
        let arguments = ["worker", "--connect", &self.address, "--threads", "1"];
        let arguments = [&arguments, extra].concat();
        let mut command = lagrange(&arguments);
        command.env("NO_COLOR", "1").stderr(Stdio::piped());
        command.spawn().expect("starts")
    }

    /// Ends as it should, with the result.
    #[must_use]
    pub fn result(self) -> serde_json::Value {
        let said = self.log.clone();
        let output = self.child.wait_with_output().expect("ends");
        assert!(
            output.status.success(),
            "{}",
            std::fs::read_to_string(said).expect("log")
        );
        last_json(&output)
    }

    /// Kills it: what it has said so far.
    #[must_use]
    pub fn kill(mut self) -> String {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
        self.said()
    }
}
