//! A model behind HTTP: what it answers, and what it refuses.

use crate::binary::coordinator::certificates;
use crate::binary::process::signal;
use crate::binary::{failure, lagrange, path, text};
use crate::take_away::trained;
use lagrange_protocol::certificates as pem;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;

/// A server of the model in a folder, stopped when it goes.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(folder: &Path, more: &[&str]) -> Self {
        let run = folder.join("run");
        let mut command = vec!["serve", path(&run), "--listen", "127.0.0.1:0"];
        command.extend(more);
        let mut command = lagrange(&command);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut server = Self {
            child: command.spawn().expect("runs"),
            address: String::new(),
        };
        let stderr = server.child.stderr.as_mut().expect("piped");
        for line in BufReader::new(stderr).lines() {
            let line = line.expect("text");
            if let Some((_, rest)) = line.split_once("://") {
                server.address = rest.split(": POST").next().expect("an address").to_owned();
                return server;
            }
        }
        panic!("it has ended");
    }

    /// Status and body of the answer to a request.
    pub(crate) fn ask(&self, request: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let stream = TcpStream::connect(&self.address).expect("connects");
        answer(stream, request, headers, body)
    }

    /// Stops it; what it has said since it began.
    pub(crate) fn stop(mut self) -> String {
        signal(self.child.id(), "TERM");
        let mut said = String::new();
        let stderr = self.child.stderr.as_mut().expect("piped");
        stderr.read_to_string(&mut said).expect("text");
        assert_eq!(self.child.wait().expect("ends").code(), Some(0), "{said}");
        said
    }

    fn json(&self, request: &str, body: &[u8]) -> Value {
        let (status, text) = self.ask(request, "", body);
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// Status and body of the answer to a request by a connection of its own; 0 without an answer.
fn answer(
    mut stream: impl Read + Write,
    request: &str,
    headers: &str,
    body: &[u8],
) -> (u16, String) {
    let length = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    // A refused connection may not take the head, and a refused body not be read to its end.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = text(&answer);
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.unwrap_or(0), body.to_owned())
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn pictures_and_tensors_are_judged_alike_over_http() {
    let folder = trained();
    let server = Server::start(folder.path(), &["--name", "colours"]);
    assert_eq!(server.ask("GET /v2/health/live", "", b"").0, 200);
    let about = server.json("GET /v2/models/colours", b"");
    assert_eq!(about["inputs"][0]["shape"], json!([-1, 3, 8, 10]));
    let picture = folder.path().join("pictures/test/red/1.png");
    let said = server.json("POST /predict?top=2", &fs::read(&picture).expect("read"));
    assert_eq!(
        (&said["label"], said["classes"].as_array().map(Vec::len)),
        (&json!("red"), Some(2))
    );

    let pixels = image::open(&picture).expect("a picture").to_rgb8();
    let plane =
        |channel: usize| -> Vec<u8> { pixels.pixels().map(|pixel| pixel.0[channel]).collect() };
    let image = json!([plane(0), plane(1), plane(2)]);
    let request = json!({
        "id": "one",
        "inputs": [{ "name": "image", "datatype": "UINT8", "shape": [2, 3, 8, 10], "data": [image, image] }],
    });
    let answer = server.json(
        "POST /v2/models/colours/infer",
        request.to_string().as_bytes(),
    );
    assert_eq!(
        (&answer["id"], &answer["outputs"][2]["data"]),
        (&json!("one"), &json!(["red", "red"]))
    );
    let scores = answer["outputs"][0]["data"].as_array().expect("scores");
    let alone = said["scores"].as_array().expect("scores");
    assert!(
        scores.len() == 2 * alone.len() && scores.starts_with(alone) && scores.ends_with(alone)
    );
}

#[test]
fn what_cannot_be_judged_is_refused_with_the_reason() {
    let folder = trained();
    let server = Server::start(folder.path(), &["--body-limit", "1"]);
    let infer = |input: Value| {
        let body = json!({ "inputs": [input] }).to_string();
        server.ask("POST /v2/models/model/infer", "", body.as_bytes())
    };
    let tensor = |shape: Value, data: Value| {
        infer(json!({ "name": "image", "datatype": "UINT8", "shape": shape, "data": data }))
    };
    let huge = vec![b' '; 3 << 20];
    for ((status, body), expected, words) in [
        (
            server.ask("POST /predict", "", b"no picture"),
            400,
            "it is not a picture",
        ),
        (server.ask("POST /predict", "", b""), 400, "it is empty"),
        (server.ask("POST /predict", "", &huge), 413, ""),
        (
            server.ask("POST /v2/models/model/infer", "", b"{"),
            400,
            "the body",
        ),
        (
            server.ask("POST /v2/models/other/infer", "", b"{}"),
            404,
            "is called `model`",
        ),
        (server.ask("GET /nothing", "", b""), 404, "no such address"),
        (
            tensor(json!([1, 3, 10, 8]), json!([])),
            400,
            "wanted is [n, 3, 8, 10]",
        ),
        (
            tensor(json!([1, 3, 8, 10]), json!([1, 2])),
            400,
            "2 numbers are not 1 images of 240",
        ),
        (
            tensor(json!([9, 3, 8, 10]), json!([300])),
            400,
            "300 is above 255",
        ),
        (
            tensor(json!([u64::MAX, 3, 8, 10]), json!([0])),
            400,
            "are not",
        ),
        (
            infer(json!({ "name": "x", "datatype": "FP32", "shape": [], "data": [] })),
            400,
            "`image` of UINT8",
        ),
    ] {
        assert_eq!(status, expected, "{words}: {body}");
        assert!(body.contains(words), "{words}: {body}");
    }
    // And goes on.
    let picture = fs::read(folder.path().join("pictures/test/red/1.png")).expect("read");
    assert_eq!(server.json("POST /predict", &picture)["label"], "red");
    let open = failure(
        &[
            "serve",
            path(&folder.path().join("run")),
            "--listen",
            "0.0.0.0:0",
        ],
        1,
    );
    assert!(open.contains("--tls"), "{open}");
}

#[test]
fn only_those_with_the_token_are_answered_and_a_signal_ends_it() {
    let folder = trained();
    let token = folder.path().join("token");
    fs::write(&token, "0123456789abcdef").expect("written");
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&token, own).expect("its owner's");
    let mut server = Server::start(folder.path(), &["--token-file", path(&token)]);
    let picture = fs::read(folder.path().join("pictures/test/red/1.png")).expect("read");
    let with = |headers: &str| server.ask("POST /predict", headers, &picture).0;
    assert_eq!(with(""), 401);
    assert_eq!(with("authorization: Bearer 0123456789abcdee\r\n"), 401);
    assert_eq!(with("authorization: Bearer 0123456789abcdef\r\n"), 200);
    assert_eq!(
        server.ask("GET /v2/health/ready", "", b"").0,
        200,
        "probes have no token"
    );
    signal(server.child.id(), "INT");
    assert_eq!(server.child.wait().expect("ends").code(), Some(0));
}

/// How a client with the worker's certificate of `made`, and its authority, speaks TLS.
fn client(made: &Path) -> ClientConfig {
    let read = |name: &str| fs::read(made.join(name)).expect("read");
    let chain = pem::certificates(&read("worker.pem")).expect("a certificate");
    let key = pem::private_key(&read("worker.key")).expect("a key");
    let authority = pem::certificates(&read("ca.pem")).and_then(pem::authority);
    pem::client_config(chain, key, authority.expect("an authority")).expect("they fit")
}

/// The same without a certificate of its own.
fn stranger(made: &Path) -> ClientConfig {
    let authority = fs::read(made.join("ca.pem")).expect("read");
    let authority = pem::certificates(&authority).and_then(pem::authority);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(authority.expect("an authority"))
        .with_no_client_auth()
}

#[test]
fn only_certificates_of_the_authority_are_answered_by_tls_and_the_token_is_wanted_too() {
    let folder = trained();
    let [ours, others] = ["ours", "others"].map(|name| certificates(folder.path(), name));
    let server = Server::start(folder.path(), &["--tls", path(&ours)]);
    let token = fs::read_to_string(ours.join("token")).expect("a token");
    let picture = fs::read(folder.path().join("pictures/test/red/1.png")).expect("read");
    let ask = |config: ClientConfig, protocols: &[&str], token: &str| {
        let mut config = config;
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let name = ServerName::try_from("127.0.0.1").expect("an address");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
        let socket = TcpStream::connect(&server.address).expect("connects");
        let stream = StreamOwned::new(connection, socket);
        let headers = format!("authorization: Bearer {}\r\n", token.trim());
        answer(stream, "POST /predict", &headers, &picture)
    };
    for protocols in [&["http/1.1"][..], &[]] {
        let (status, body) = ask(client(&ours), protocols, &token);
        assert_eq!(status, 200, "{protocols:?}: {body}");
        let said: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(said["label"], "red");
    }
    assert_eq!(
        ask(client(&ours), &[], "0123456789abcdef").0,
        401,
        "another token"
    );
    for (who, config) in [
        ("no certificate", stranger(&ours)),
        ("another authority", client(&others)),
    ] {
        assert_eq!(ask(config, &[], &token).0, 0, "{who}");
    }
    let plain = server.ask("POST /predict", "", &picture);
    assert_eq!(plain.0, 0, "plain text: {}", plain.1);
    // And goes on; by HTTP/2 for those who know it, as the coordinator's clients do.
    let (status, _) = ask(client(&ours), &["http/1.1"], &token);
    assert_eq!(status, 200);
    assert_eq!(
        by_http2(&server.address, client(&ours)),
        Some(b"h2".to_vec())
    );
}

/// What the handshake with a client that knows both versions agrees on.
fn by_http2(address: &str, mut config: ClientConfig) -> Option<Vec<u8>> {
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let mut connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut socket = TcpStream::connect(address).expect("connects");
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).expect("a handshake");
    }
    connection.alpn_protocol().map(<[u8]>::to_vec)
}
