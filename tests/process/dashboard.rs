//! The page of a run: what it shows while the run goes, that nothing done to it costs the run anything, and
//! whom it is shown to.

use crate::binary::coordinator::{Coordinator, certificates};
use crate::binary::process::{borrowed, short_run, signal, wait_until};
use crate::binary::run_files::{assert_same_result, metrics};
use crate::binary::{failure, json, lagrange, path, text};
use lagrange_protocol::certificates::{
    authority, certificates as chain, client_config, private_key,
};
use rustls::{ClientConnection, StreamOwned};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A run with a page.
struct Shown {
    child: Child,
    address: String,
}

impl Shown {
    fn start(folder: &Path, name: &str, epochs: u32, extra: &[&str]) -> Self {
        let flags = ["--workers", "2", "--dashboard", "127.0.0.1:0"];
        let arguments = short_run(folder, name, epochs, &[&flags, extra].concat());
        let mut command = lagrange(&borrowed(&arguments));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("dashboard on http://") {
            line.clear();
            assert!(stderr.read_line(&mut line).expect("text") > 0, "it ended");
        }
        // Read on, or a full pipe would hold up the run.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        let address = line.trim().trim_end_matches('/').rsplit('/').next();
        Self {
            child,
            address: address.expect("an address").to_owned(),
        }
    }

    fn get(&self, target: &str) -> String {
        let (status, body) = ask(&self.address, &format!("GET {target}"), "");
        assert_eq!(status, 200, "{target}: {body}");
        body
    }

    fn json(&self, target: &str) -> Value {
        serde_json::from_str(&self.get(target)).expect("JSON")
    }

    /// The result, once the run has ended well.
    fn result(mut self) -> Value {
        let mut stdout = String::new();
        let mut pipe = self.child.stdout.take().expect("piped");
        pipe.read_to_string(&mut stdout).expect("text");
        assert_eq!(self.child.wait().expect("ends").code(), Some(0));
        serde_json::from_str(stdout.lines().last().expect("a line")).expect("JSON")
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection on which something has been asked for.
fn asked(address: &str, request: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("connects");
    write!(stream, "{}", head(request, headers, address)).expect("written");
    stream
}

fn head(request: &str, headers: &str, address: &str) -> String {
    let host = match headers.contains("host:") {
        true => String::new(),
        false => format!("host: {address}\r\n"),
    };
    format!("{request} HTTP/1.1\r\n{host}connection: close\r\n{headers}\r\n")
}

/// Status and body of an answer.
fn answer(mut stream: impl Read) -> (u16, String) {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = text(&answer);
    let status = answer.split(' ').nth(1).and_then(|of| of.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.unwrap_or(0), body.to_owned())
}

fn ask(address: &str, request: &str, headers: &str) -> (u16, String) {
    answer(asked(address, request, headers))
}

#[test]
fn a_page_follows_a_run_to_its_end_and_costs_it_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let flags = ["--set", "schedule.evaluate-every=20"];
    let alone = short_run(
        folder.path(),
        "alone",
        40,
        &[&["--quiet"], &flags[..]].concat(),
    );
    let alone = json(&borrowed(&alone));

    let shown = Shown::start(folder.path(), "shown", 40, &flags);
    let watching = asked(&shown.address, "GET /updates", "");
    // Browsers that ask and do not listen, that say nothing, and that hang up in the middle.
    let deaf: Vec<TcpStream> = (0..8)
        .map(|_| asked(&shown.address, "GET /updates", ""))
        .collect();
    let _silent = TcpStream::connect(&shown.address).expect("connects");
    for target in ["/", "/api/curves", "/updates"] {
        drop(asked(&shown.address, &format!("GET {target}"), ""));
    }
    wait_until("steps", || {
        shown.json("/api/run")["step"].as_u64() >= Some(30)
    });
    let run = shown.json("/api/run");
    assert_eq!(
        (&run["phase"], &run["name"]),
        (&"training".into(), &"odd-even seed 0".into())
    );
    let workers = run["workers"]["present"].as_array().expect("a list");
    let shards: Vec<u64> = workers
        .iter()
        .flat_map(|of| of["shards"].as_array().expect("a list"))
        .map(|shard| shard.as_u64().expect("a number"))
        .collect();
    assert_eq!(shards, (0..16).collect::<Vec<u64>>(), "{workers:?}");
    assert!(workers.iter().all(|of| {
        of["address"]
            .as_str()
            .is_some_and(|at| at.starts_with("127.0.0.1:"))
    }));
    assert!(
        workers
            .iter()
            .all(|of| of["name"].as_str().is_some_and(|name| !name.is_empty()))
    );
    assert!(
        run["evaluations"][0]["accuracy"].as_f64() > Some(0.5),
        "{run}"
    );
    let curves = shown.json("/api/curves");
    let residuals = curves["steps"]["output_residual"]
        .as_array()
        .expect("stages");
    assert!(residuals.len() == 3 && residuals[0].as_array().map_or(0, Vec::len) >= 30);
    // It is drawn again when it is asked for, but not more often than browsers shall ask.
    for words in [
        "odd-even seed 0",
        "Primal residual of outputs",
        "<polyline",
        "data:image/png",
        "worker 2 joined",
    ] {
        wait_until(words, || shown.get("/").contains(words));
    }

    let result = shown.result();
    assert_same_result("shown", &result, &alone);
    // It was told of the end, with the result.
    let (status, told) = answer(watching);
    assert_eq!(status, 200);
    let (parts, end) = told.rsplit_once("event: over").expect("the end is told");
    assert!(end.len() < 40, "nothing follows it: {end}");
    let accuracy = result["test_accuracy"].as_f64().expect("evaluated");
    let words = format!(
        "the run is over: complete, test accuracy {:.2} %",
        100.0 * accuracy
    );
    assert!(
        parts.contains(&words)
            && parts.contains(result["weights_sha256"].as_str().expect("a hash"))
    );
    drop(deaf);

    let metrics = metrics(&folder.path().join("shown"));
    let mut kinds: Vec<&str> = metrics
        .iter()
        .filter_map(|line| line["event"].as_str())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(
        kinds,
        ["evaluation", "membership", "step"],
        "workers are no part of the metrics"
    );
}

#[test]
fn a_page_that_is_open_when_a_run_is_stopped_says_so() {
    let folder = tempfile::tempdir().expect("folder");
    let mut shown = Shown::start(folder.path(), "run", 200, &[]);
    let watching = asked(&shown.address, "GET /updates", "");
    wait_until("steps", || {
        shown.json("/api/run")["step"].as_u64() >= Some(5)
    });
    signal(shown.child.id(), "INT");
    let (_, told) = answer(watching);
    assert!(
        told.contains("the run is over: interrupted, test accuracy"),
        "{told}"
    );
    assert_eq!(shown.child.wait().expect("ends").code(), Some(130));
}

#[test]
fn an_address_that_is_taken_is_named_before_anything_is_trained() {
    let folder = tempfile::tempdir().expect("folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let run_dir = folder.path().join("run");
    for command in ["train", "coordinator"] {
        let flags = ["--dashboard", &address, "--run-dir", path(&run_dir)];
        let begin = Instant::now();
        let stderr = failure(&[&[command][..], &flags].concat(), 1);
        let port = address.rsplit(':').next().expect("a port");
        assert!(
            stderr.contains(&format!("--dashboard {address}"))
                && stderr.contains(&format!("is port {port} in use?")),
            "{stderr}"
        );
        assert!(!run_dir.exists() && begin.elapsed() < Duration::from_secs(20));
    }
    let stderr = failure(&["train", "--dashboard", "localhost:7401"], 2);
    assert!(stderr.contains("--dashboard"), "{stderr}");
}

#[test]
fn pages_of_the_internet_and_requests_that_change_something_are_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let shown = Shown::start(folder.path(), "run", 200, &[]);
    let refused = |request: &str, headers: &str, status: u16, words: &str| {
        let (found, body) = ask(&shown.address, request, headers);
        assert_eq!(found, status, "{request}: {body}");
        assert!(body.contains(words), "{body}");
    };
    refused("GET /", "host: evil.example:7401\r\n", 403, "foreign name");
    refused(
        "GET /style.css",
        "host: evil.example\r\n",
        403,
        "foreign name",
    );
    refused("POST /api/run", "", 405, "nothing to change");
    refused("GET /etc/passwd", "", 404, "no such address");
    let mut stream = asked(&shown.address, "GET /", "host: localhost\r\n");
    let mut whole = String::new();
    stream.read_to_string(&mut whole).expect("text");
    for header in ["default-src 'none'", "no-store", "nosniff", "no-referrer"] {
        assert!(whole.contains(header), "{header}");
    }
    for target in ["/style.css", "/live.js"] {
        assert!(shown.get(target).len() > 500, "{target}");
    }
}

/// A coordinator that shows its run at an address of its own, which is returned.
fn coordinator(folder: &Path, ip: &str, extra: &[&str]) -> (Coordinator, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let shown = format!("{ip}:{port}");
    let flags = [&["--dashboard", &shown], extra].concat();
    let coordinator = Coordinator::start(folder, 1, &flags);
    (coordinator, format!("127.0.0.1:{port}"))
}

#[test]
fn a_run_with_a_token_is_shown_to_those_who_have_it() {
    let folder = tempfile::tempdir().expect("folder");
    let token = folder.path().join("token");
    fs::write(&token, "0123456789abcdef").expect("written");
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&token, own).expect("its owner's");
    let (coordinator, address) =
        coordinator(folder.path(), "127.0.0.1", &["--token-file", path(&token)]);
    let (status, page) = ask(&address, "GET /", "");
    assert!(status == 401 && page.contains("type=\"password\"") && !page.contains("odd-even"));
    assert_eq!(
        ask(&address, "GET /api/run?token=0123456789abcdee", "").0,
        401
    );
    assert_eq!(ask(&address, "GET /updates", "").0, 401);
    assert_eq!(
        ask(&address, "GET /style.css", "").0,
        200,
        "it says nothing"
    );
    let shown = "authorization: Bearer 0123456789abcdef\r\n";
    wait_until("an answer to who has the token", || {
        let (status, run) = ask(&address, "GET /api/run", shown);
        status == 200 && run.contains("\"phase\":\"waiting\"")
    });
    let (status, page) = ask(&address, "GET /?token=0123456789abcdef", "");
    assert!(
        status == 200 && page.contains("waiting for workers"),
        "{page}"
    );
    let _ = coordinator.kill();
}

#[test]
fn beyond_this_machine_a_run_is_shown_to_those_with_a_certificate() {
    let folder = tempfile::tempdir().expect("folder");
    let stderr = failure(&["train", "--dashboard", "0.0.0.0:0"], 1);
    assert!(
        stderr.contains("--dashboard 0.0.0.0:0 leaves this machine"),
        "{stderr}"
    );
    let made = certificates(folder.path(), "tls");
    let (coordinator, address) = coordinator(folder.path(), "0.0.0.0", &["--tls", path(&made)]);
    let (status, _) = ask(&address, "GET /", "");
    assert_eq!(status, 0, "plain text is not answered");
    let token = fs::read_to_string(made.join("token")).expect("a token");
    let read = |name: &str| fs::read(made.join(name)).expect("made");
    let own = chain(&read("worker.pem")).expect("a certificate");
    let key = private_key(&read("worker.key")).expect("a key");
    let roots = authority(chain(&read("ca.pem")).expect("a certificate")).expect("an authority");
    let mut config = client_config(own, key, roots).expect("they fit");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = "127.0.0.1".try_into().expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    let stream = TcpStream::connect(&address).expect("connects");
    let mut stream = StreamOwned::new(session, stream);
    let headers = format!("authorization: Bearer {}\r\n", token.trim());
    write!(stream, "{}", head("GET /api/run", &headers, &address)).expect("written");
    let (status, run) = answer(stream);
    assert!(status == 200 && run.contains("\"phase\":"), "{run}");
    let _ = coordinator.kill();
}
