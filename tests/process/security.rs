//! Who may join, who may listen, and what a hostile network can do to a run.

use crate::binary::coordinator::{Coordinator, certificates};
use crate::binary::process::{alive, borrowed, short_run, signal, wait_until};
use crate::binary::{failure, json, lagrange, path, stderr};
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A worker that does not get in: what it says.
fn refused(coordinator: &Coordinator, extra: &[&str]) -> String {
    let extra = [&["--connect-timeout", "1"], extra].concat();
    let output = coordinator.worker(&extra).wait_with_output().expect("ends");
    assert_eq!(
        output.status.code(),
        Some(1),
        "{extra:?}: {}",
        stderr(&output)
    );
    stderr(&output)
}

#[test]
fn only_who_has_certificate_and_token_joins_and_the_bits_are_the_same() {
    let folder = tempfile::tempdir().expect("folder");
    let plain = json(&borrowed(&short_run(
        folder.path(),
        "plain",
        1,
        &["--workers", "1"],
    )));
    let ours = certificates(folder.path(), "ours");
    let others = certificates(folder.path(), "others");
    let coordinator = Coordinator::start(folder.path(), 1, &["--tls", path(&ours)]);

    // No certificate at all, one of another authority, and ours with another token.
    let unencrypted = refused(&coordinator, &[]);
    assert!(unencrypted.contains("give --tls"), "{unencrypted}");
    let stranger = refused(&coordinator, &["--tls", path(&others)]);
    assert!(stranger.contains("certificate"), "{stranger}");
    let without = folder.path().join("without");
    std::fs::create_dir(&without).expect("folder");
    for name in ["ca.pem", "worker.pem", "worker.key"] {
        std::fs::copy(ours.join(name), without.join(name)).expect("copied");
    }
    let wrong = others.join("token");
    for flags in [
        &["--tls", path(&without)][..],
        &["--tls", path(&without), "--token-file", path(&wrong)],
    ] {
        let message = refused(&coordinator, flags);
        assert!(
            message.contains("join token is missing or wrong"),
            "{message}"
        );
    }
    // Our authority's certificate, but of the wrong role: who may join may not take the coordinator's place.
    std::fs::copy(ours.join("worker.pem"), without.join("coordinator.pem")).expect("copied");
    std::fs::copy(ours.join("worker.key"), without.join("coordinator.key")).expect("copied");
    let elsewhere = tempfile::tempdir().expect("folder");
    let impostor = Coordinator::start(elsewhere.path(), 1, &["--tls", path(&without)]);
    let message = refused(&impostor, &["--tls", path(&ours)]);
    assert!(message.contains("certificate"), "{message}");
    let _ = impostor.kill();

    let mut worker = coordinator.worker(&["--tls", path(&ours)]);
    let encrypted = coordinator.result();
    assert!(worker.wait().expect("ends").success());
    for key in ["weights_sha256", "multipliers_sha256"] {
        assert_eq!(encrypted[key], plain[key]);
    }
}

#[test]
fn plain_text_does_not_leave_the_machine_unless_asked_to() {
    let listen = failure(&["coordinator", "--listen", "0.0.0.0:0"], 1);
    let dial = failure(&["worker", "--connect", "192.0.2.1:7400"], 1);
    for message in [listen, dial] {
        assert!(
            message.contains("--tls") && message.contains("--insecure"),
            "{message}"
        );
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    let folder = tempfile::tempdir().expect("folder");
    let missing = path(folder.path());
    let message = failure(&["coordinator", "--tls", missing], 1);
    assert!(
        message.contains("coordinator.pem") && message.contains("lagrange certs"),
        "{message}"
    );
    let made = certificates(folder.path(), "made");
    let again = failure(&["certs", path(&made)], 1);
    assert!(again.contains("already"), "{again}");
    assert!(
        lagrange(&["certs", "--keep", path(&made)])
            .status()
            .expect("runs")
            .success()
    );
    std::fs::write(made.join("token"), "short").expect("written");
    let message = failure(&["worker", "--tls", path(&made)], 1);
    assert!(message.contains("16 to 512"), "{message}");
}

#[test]
#[cfg(unix)]
fn keys_are_for_their_owner_and_tokens_for_no_log() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("folder");
    let made = certificates(folder.path(), "made");
    for name in ["ca.key", "coordinator.key", "worker.key", "token"] {
        let mode = std::fs::metadata(made.join(name))
            .expect(name)
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
    let token = std::fs::read_to_string(made.join("token")).expect("token");
    let extra = ["--tls", path(&made), "--workers", "1", "--log", "trace"];
    let output = lagrange(&borrowed(&short_run(folder.path(), "run", 1, &extra)))
        .output()
        .expect("runs");
    assert!(output.status.success());
    let log = stderr(&output);
    assert!(log.contains("TRACE") && !log.contains(token.trim()));
}

#[test]
#[cfg(unix)]
fn secrets_that_everybody_can_read_are_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("folder");
    let made = certificates(folder.path(), "made");
    let key = made.join("worker.key");
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&key, open).expect("set");
    let said = in_vain(&made);
    assert!(
        said.contains("can read this secret; chmod 600 it"),
        "{said}"
    );
    assert!(said.contains(path(&key)), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
}

/// A worker that finds nobody, with the files of a folder: what it says.
fn in_vain(folder: &Path) -> String {
    let worker = [
        "worker",
        "--connect",
        "127.0.0.1:1",
        "--connect-timeout",
        "0.1",
    ];
    failure(&[&worker[..], &["--tls", path(folder)]].concat(), 1)
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let folder = tempfile::tempdir().expect("folder");
    for (file, text, words) in [
        ("worker.pem", "", "worker.pem: no certificate in it"),
        (
            "worker.key",
            "ssh-rsa AAAA",
            "worker.key: no private key in it",
        ),
        (
            "ca.pem",
            "-----BEGIN CERTIFICATE-----\n",
            "ca.pem: damaged PEM",
        ),
        ("token", "", "token: a join token has 16 to 512"),
        (
            "token",
            "two words that are long",
            "visible characters without spaces",
        ),
    ] {
        let made = certificates(folder.path(), &format!("{}-{file}", text.len()));
        std::fs::write(made.join(file), text).expect("written");
        let said = in_vain(&made);
        assert!(said.contains(words), "{words}: {said}");
        assert!(said.contains(path(&made)), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let (ours, others) = ["ours", "others"]
        .map(|name| certificates(folder.path(), name))
        .into();
    std::fs::copy(others.join("worker.key"), ours.join("worker.key")).expect("copied");
    let said = in_vain(&ours);
    let words = "worker.pem and worker.key: the key is not that of the certificate";
    assert!(said.contains(words), "{said}");
}

/// Peak memory of a process in kB.
#[cfg(target_os = "linux")]
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .expect("peak");
    line.split_whitespace()
        .nth(1)
        .and_then(|kb| kb.parse().ok())
        .expect("kB")
}

/// Sends up to `bytes` of `pattern`, until it is hung up on; tells how many got away.
fn babble(address: &str, pattern: &[u8], bytes: usize) -> usize {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return 0;
    };
    let _ = stream.set_write_timeout(Some(Duration::from_secs(5)));
    let mut sent = 0;
    while sent < bytes {
        match stream.write(pattern) {
            Ok(count) if count > 0 => sent += count,
            _ => break,
        }
    }
    sent
}

/// What a peer that knows HTTP/2 begins with, and then a frame of data without end.
fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    bytes
}

#[test]
#[cfg(target_os = "linux")]
fn a_gibibyte_of_garbage_leaves_the_run_unharmed_and_memory_bounded() {
    let folder = tempfile::tempdir().expect("folder");
    let baseline = json(&borrowed(&short_run(
        folder.path(),
        "baseline",
        60,
        &["--workers", "1"],
    )));
    let coordinator = Coordinator::start(folder.path(), 60, &[]);
    let mut worker = coordinator.worker(&[]);
    let metrics = folder.path().join("run/metrics.jsonl");
    wait_until("the first steps", || {
        std::fs::read_to_string(&metrics).is_ok_and(|text| text.contains("\"step\":3,"))
    });
    let before = peak(coordinator.child.id());

    // Silent ones, more than there are places.
    let silent: Vec<_> = (0..100)
        .filter_map(|_| TcpStream::connect(&coordinator.address).ok())
        .collect();
    drop(silent);
    // Each connection says what it can until it is hung up on; a gibibyte was meant for the port.
    const GIBIBYTE: usize = 1 << 30;
    let (mut meant, mut sent, begin) = (0, 0, Instant::now());
    let zeros = vec![0u8; 1 << 16];
    let random: Vec<u8> = (0..1u32 << 16)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let settings: Vec<u8> = preface()
        .into_iter()
        .chain([0, 0, 0, 4, 0, 0, 0, 0, 0].repeat(8_000))
        .collect();
    while meant < GIBIBYTE {
        for pattern in [&zeros, &random, &settings] {
            sent += babble(&coordinator.address, pattern, 1 << 24);
            meant += 1 << 24;
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(120));
    println!("of 1 GiB {sent} bytes got away before the connections were cut");

    let after = peak(coordinator.child.id());
    assert!(
        after < before + (64 << 10),
        "peak grew from {before} to {after} kB"
    );
    let result = coordinator.result();
    assert!(worker.wait().expect("ends").success());
    for key in ["weights_sha256", "multipliers_sha256"] {
        assert_eq!(result[key], baseline[key]);
    }
}

#[test]
fn a_worker_drains_on_sigterm() {
    let folder = tempfile::tempdir().expect("folder");
    let baseline = json(&borrowed(&short_run(
        folder.path(),
        "baseline",
        30,
        &["--workers", "1"],
    )));
    let coordinator = Coordinator::start(folder.path(), 30, &["--workers", "2"]);
    let workers = [coordinator.worker(&[]), coordinator.worker(&[])];
    let metrics = folder.path().join("run/metrics.jsonl");
    wait_until("the first steps", || {
        std::fs::read_to_string(&metrics).is_ok_and(|text| text.contains("\"step\":9,"))
    });
    signal(workers[0].id(), "TERM");
    let [first, mut second] = workers;
    let left = first.wait_with_output().expect("ends");
    assert!(left.status.success(), "{}", stderr(&left));
    assert!(alive(coordinator.child.id()));
    let result = coordinator.result();
    assert!(second.wait().expect("ends").success());
    assert_eq!(result["weights_sha256"], baseline["weights_sha256"]);
    let text = std::fs::read_to_string(&metrics).expect("metrics");
    assert!(text.contains("left: it left"), "it was let go, not lost");
}
