//! Workers and coordinators that cannot come together however often they try: both say at once what is
//! wrong, in words of its own for each cause.

use crate::binary::authority::{Authority, EXPIRED, FUTURE, HOST, VALID};
use crate::binary::coordinator::{Coordinator, certificates};
use crate::binary::{lagrange, path, stderr};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

/// What a worker could take if it tried on.
const CONNECT_TIMEOUT: &str = "40";
/// What it takes, on a machine that is busy with other things.
const AT_ONCE: Duration = Duration::from_secs(10);

fn dial(address: &str, extra: &[&str]) -> Output {
    let worker = ["worker", "--threads", "1", "--connect", address];
    let mut command = lagrange(&[&worker, extra].concat());
    command.env("NO_COLOR", "1").output().expect("runs")
}

/// A worker that has nothing to hope for: its error, which is all it says.
fn hopeless(address: &str, extra: &[&str]) -> String {
    let begin = Instant::now();
    let patient = ["--connect-timeout", CONNECT_TIMEOUT];
    let output = dial(address, &[&patient, extra].concat());
    let said = stderr(&output);
    assert!(begin.elapsed() < AT_ONCE, "{:?}: {said}", begin.elapsed());
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` in: {text}");
    }
}

/// A coordinator refuses a worker twice: what both say, the coordinator once.
fn refuse(
    coordinator_flags: &[&str],
    worker_flags: &[&str],
    worker_words: &[&str],
    coordinator_words: &str,
) {
    let run = tempfile::tempdir().expect("folder");
    let coordinator = Coordinator::start(run.path(), 1, coordinator_flags);
    let said = hopeless(&coordinator.address, worker_flags);
    assert_has(&said, worker_words);
    assert_has(&said, &[&coordinator.address]);
    assert_eq!(hopeless(&coordinator.address, worker_flags), said);
    coordinator.wait_for_log(coordinator_words);
    let log = coordinator.kill();
    assert_has(
        &log,
        &["refused a connection", "peer=127.0.0.1", coordinator_words],
    );
    assert_eq!(log.lines().count(), 1, "{log}");
}

#[test]
fn a_worker_without_tls_is_told_that_the_coordinator_speaks_it() {
    let folder = tempfile::tempdir().expect("folder");
    let made = certificates(folder.path(), "made");
    refuse(
        &["--tls", path(&made)],
        &[],
        &["speaks TLS: give --tls DIR"],
        "it speaks plain text, and this coordinator TLS",
    );
}

#[test]
fn a_worker_with_tls_is_told_that_the_coordinator_does_not_speak_it() {
    let folder = tempfile::tempdir().expect("folder");
    let made = certificates(folder.path(), "made");
    refuse(
        &[],
        &["--tls", path(&made)],
        &["does not speak TLS: leave --tls out, or start the coordinator with --tls"],
        "it speaks TLS, and this coordinator plain text",
    );
}

#[test]
fn a_coordinator_of_another_authority_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let (ours, others) = ["ours", "others"]
        .map(|name| certificates(folder.path(), name))
        .into();
    refuse(
        &["--tls", path(&ours)],
        &["--tls", path(&others)],
        &[
            "not of the authority in --tls",
            "the same `lagrange certs`, or correct --connect",
        ],
        "it does not believe this coordinator's certificate",
    );
}

/// `worker.pem` and `worker.key` of one folder, or what passes for them, taken into another.
fn take(from: &Path, role: &str, to: &Path) {
    for extension in ["pem", "key"] {
        let source = from.join(role).with_extension(extension);
        let target = to.join("worker").with_extension(extension);
        std::fs::copy(source, target).expect("copied");
    }
}

#[test]
fn a_worker_of_another_authority_is_told_so() {
    let folder = tempfile::tempdir().expect("folder");
    let ours = certificates(folder.path(), "ours");
    let mixed = certificates(folder.path(), "mixed");
    std::fs::copy(ours.join("ca.pem"), mixed.join("ca.pem")).expect("copied");
    refuse(
        &["--tls", path(&ours)],
        &["--tls", path(&mixed)],
        &["refused this worker's certificate: it is of another authority"],
        "its certificate is not of the authority in --tls",
    );
}

#[test]
fn certificates_of_the_other_role_are_named() {
    let folder = tempfile::tempdir().expect("folder");
    let authority = Authority::new();
    let sound = authority.sound(folder.path().join("sound"));
    let swapped = authority.sound(folder.path().join("swapped"));
    take(&sound, "coordinator", &swapped);
    refuse(
        &["--tls", path(&sound)],
        &["--tls", path(&swapped)],
        &[
            "refused this worker's certificate: it is not a worker's",
            "worker.pem",
        ],
        "its certificate is of the other role",
    );
    for extension in ["pem", "key"] {
        let source = sound.join("worker").with_extension(extension);
        let target = swapped.join("coordinator").with_extension(extension);
        std::fs::copy(source, target).expect("copied");
    }
    refuse(
        &["--tls", path(&swapped)],
        &["--tls", path(&sound)],
        &["is of the other role", "coordinator.pem"],
        "it does not believe this coordinator's certificate",
    );
}

#[test]
fn a_coordinators_certificate_that_is_too_old_too_new_or_of_another_host_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let authority = Authority::new();
    for (name, host, time, words) in [
        (
            "old",
            HOST,
            EXPIRED,
            &[
                "expired",
                "days ago by this machine's clock",
                "make new ones",
            ],
        ),
        (
            "new",
            HOST,
            FUTURE,
            &["is not valid yet", "days", "set the clock"],
        ),
        (
            "elsewhere",
            "coordinator.example",
            VALID,
            &[
                "is not for 127.0.0.1",
                "only for coordinator.example",
                "--host 127.0.0.1",
            ],
        ),
    ] {
        let made = authority.folder(folder.path().join(name), host, time, VALID);
        refuse(
            &["--tls", path(&made)],
            &["--tls", path(&made)],
            words,
            "it does not believe this coordinator's certificate",
        );
    }
}

#[test]
fn a_workers_certificate_that_is_too_old_or_too_new_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let authority = Authority::new();
    for (name, time, words) in [
        ("old", EXPIRED, "its certificate expired"),
        ("new", FUTURE, "its certificate is not valid yet"),
    ] {
        let made = authority.folder(folder.path().join(name), HOST, VALID, time);
        refuse(
            &["--tls", path(&made)],
            &["--tls", path(&made)],
            &[
                "refused this worker's certificate",
                "by the coordinator's clock",
            ],
            words,
        );
    }
}

#[test]
fn the_log_tells_each_cause_once() {
    let folder = tempfile::tempdir().expect("folder");
    let (ours, others) = ["ours", "others"]
        .map(|name| certificates(folder.path(), name))
        .into();
    let coordinator = Coordinator::start(folder.path(), 1, &["--tls", path(&ours)]);
    for _ in 0..3 {
        let _ = hopeless(&coordinator.address, &[]);
        let _ = hopeless(&coordinator.address, &["--tls", path(&others)]);
        let token = others.join("token");
        let flags = ["--tls", path(&ours), "--token-file", path(&token)];
        let said = hopeless(&coordinator.address, &flags);
        assert_has(&said, &["join token is missing or wrong"]);
        // Probes that say nothing are no news.
        drop(TcpStream::connect(&coordinator.address).expect("connects"));
    }
    let causes = ["speaks plain text", "does not believe", "join token"];
    for cause in causes {
        coordinator.wait_for_log(cause);
    }
    let log = coordinator.kill();
    assert_eq!(log.lines().count(), causes.len(), "{log}");
}

/// Something that answers whoever comes, and hangs up.
fn service(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port");
    let address = listener.local_addr().expect("address").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        }
    });
    address
}

#[test]
fn other_services_are_no_coordinators() {
    let folder = tempfile::tempdir().expect("folder");
    let made = certificates(folder.path(), "made");
    let web: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    for (answer, line) in [
        (web, "it says `HTTP/1.1 400 Bad Request`"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "it says `SSH-2.0-OpenSSH_9.2`"),
    ] {
        let address = service(answer);
        for flags in [&[][..], &["--tls", path(&made)]] {
            let said = hopeless(&address, flags);
            let words = [
                &format!("what answers at {address} is no Lagrange coordinator"),
                line,
                "correct --connect",
            ];
            assert_has(&said, &words.map(|text| text as &str));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_grpc_service_is_no_coordinator() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("port");
    let address = listener.local_addr().expect("address").to_string();
    let (_, health) = tonic_health::server::health_reporter();
    let server = tonic::transport::Server::builder().add_service(health);
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(server.serve_with_incoming(incoming));
    let said = tokio::task::spawn_blocking(move || hopeless(&address, &[])).await;
    assert_has(
        &said.expect("joins"),
        &["is no Lagrange coordinator", "does not know"],
    );
}

/// Something that lets connections in and holds them.
fn silence() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port");
    let address = listener.local_addr().expect("address").to_string();
    std::thread::spawn(move || listener.incoming().flatten().collect::<Vec<_>>());
    address
}

/// A worker that hopes in vain: what it says, within the seconds that it was given.
fn in_vain(address: &str, seconds: &str, extra: &[&str]) -> String {
    let begin = Instant::now();
    let output = dial(address, &[&["--connect-timeout", seconds], extra].concat());
    let (said, took) = (stderr(&output), begin.elapsed());
    let limit = Duration::from_secs_f64(seconds.parse().expect("seconds"));
    assert!(
        took > limit.mul_f64(0.8) && took < limit + AT_ONCE / 2,
        "{took:?}: {said}"
    );
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_has(
        &said,
        &[&format!("no coordinator at {address} within {seconds} s")],
    );
    said
}

#[test]
fn who_never_answers_is_waited_for_as_long_as_was_said() {
    let folder = tempfile::tempdir().expect("folder");
    let made = certificates(folder.path(), "made");
    let address = silence();
    for flags in [&[][..], &["--tls", path(&made)]] {
        let said = in_vain(&address, "0.5", flags);
        assert_has(&said, &["it accepted the connection, but did not answer"]);
    }
    let said = in_vain(&service(b""), "0.3", &[]);
    assert_has(&said, &["it closed the connection without a word"]);
}

#[test]
fn a_search_that_takes_long_says_so_once() {
    let port = TcpListener::bind("127.0.0.1:0").expect("port");
    let address = port.local_addr().expect("address").to_string();
    drop(port);
    let said = in_vain(&address, "5", &[]);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert_has(
        said.lines().next().expect("a line"),
        &[
            "no coordinator there yet",
            "Connection refused",
            "seconds_left",
        ],
    );
}
