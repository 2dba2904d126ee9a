//! Bad input as a user gives it: a one-line error that says what to do, a non-zero exit code, nothing left
//! behind.

use crate::binary::{failure, lagrange, path};
use lagrange_tests::{bars, write_idx};
use std::path::Path;

/// The error is one line that contains `parts`.
fn one_line(stderr: &str, parts: &[&str]) {
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{stderr}");
    for part in parts {
        assert!(lines[0].contains(part), "`{part}` in: {stderr}");
    }
}

#[test]
fn bad_data_is_named_by_file_and_cause() {
    let folder = tempfile::tempdir().expect("folder");
    let train = |dir: &Path| failure(&["train", "--data", path(dir)], 1);
    one_line(
        &train(folder.path()),
        &["no train-images-idx3-ubyte", "--data"],
    );

    write_idx(&bars(40, 10), folder.path());
    let images = folder.path().join("train-images-idx3-ubyte");
    let good = std::fs::read(&images).expect("read");
    std::fs::write(&images, &good[..good.len() - 5]).expect("written");
    one_line(
        &train(folder.path()),
        &["train-images-idx3-ubyte: truncated", "5755 bytes", "5760"],
    );
    std::fs::write(&images, [b"\x89PNG".as_slice(), &good[4..]].concat()).expect("written");
    one_line(
        &train(folder.path()),
        &["train-images-idx3-ubyte: wrong magic number 0x89504e47"],
    );
    std::fs::copy(folder.path().join("train-labels-idx1-ubyte"), &images).expect("copied");
    one_line(
        &train(folder.path()),
        &["IDX file of labels where one of images belongs"],
    );
}

#[test]
fn bad_settings_are_named_by_field_with_the_way_out() {
    one_line(&failure(&["train", "--set", "schedule.tau=1"], 1), &["tau"]);
    one_line(
        &failure(&["train", "--preset", "best"], 1),
        &["best", "odd-even, digits, quick"],
    );
    one_line(
        &failure(&["train", "--set", "schedule.batch=250"], 1),
        &["use 240 or 256"],
    );
    one_line(
        &failure(&["train", "--set", "schedule.trust=-1"], 1),
        &["schedule.trust is -1", "above 0"],
    );
    one_line(
        &failure(&["train", "--set", "augment.rotate=-3"], 1),
        &["augment.rotate is -3", "0 to 180"],
    );
    one_line(
        &failure(&["train", "--set", "schedule.solver=pseudo-inverse"], 1),
        &["pseudo-inverse", "schedule.kind", "classic"],
    );
    one_line(
        &failure(
            &[
                "train",
                "--preset",
                "taylor",
                "--set",
                "classic.update=step",
            ],
            1,
        ),
        &["classic.update", "output-first"],
    );
    one_line(
        &failure(&["train", "--train-limit", "3"], 1),
        &["16 shards of 3 training images", "lower data.shards"],
    );
    one_line(
        &failure(&["train", "--train-limit", "32"], 1),
        &["the smallest has 2; set schedule.batch to 32 or less"],
    );
    one_line(
        &failure(&["train", "--set", "schedule.batch=1"], 1),
        &["schedule.batch = 1", "use 16"],
    );
    one_line(
        &failure(&["train", "--validation", "60000"], 1),
        &["holds out all"],
    );
    let unknown = failure(&["train", "--wrokers", "2"], 2);
    assert!(
        unknown.contains("--wrokers") && unknown.contains("--workers"),
        "{unknown}"
    );
    let task = failure(&["train", "--task", "prime"], 2);
    assert!(
        task.contains("odd-even, classes, digits or positive"),
        "{task}"
    );
    let task = failure(&["train", "--task", "regression"], 2);
    assert!(task.contains("regression is not supported"), "{task}");
    let unknown = failure(&["train", "--positive", "3,33"], 1);
    one_line(&unknown, &["`33`", "did you mean `3`?", "8, 9"]);
    let unknown = failure(&["train", "--class-weights", "evne=2"], 1);
    one_line(&unknown, &["`evne`", "did you mean `even`?", "even, odd"]);
    let zero = failure(&["train", "--workers", "0"], 2);
    assert!(zero.contains("--workers"), "{zero}");

    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("run.toml");
    std::fs::write(&file, "[schedule]\nepoch = 3\n").expect("written");
    one_line(&failure(&["train", "--config", path(&file)], 1), &["epoch"]);
    let missing = folder.path().join("none.toml");
    one_line(
        &failure(&["train", "--config", path(&missing)], 1),
        &["none.toml"],
    );
}

#[test]
fn addresses_that_cannot_be_had_are_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("free port");
    let address = taken.local_addr().expect("address").to_string();
    let folder = tempfile::tempdir().expect("folder");
    let run_dir = folder.path().join("run");
    let run = [
        "coordinator",
        "--listen",
        &address,
        "--run-dir",
        path(&run_dir),
    ];
    one_line(&failure(&run, 1), &[&address, "in use"]);
    assert!(!run_dir.exists(), "a run that never began leaves no folder");
    drop(taken);
    let worker = ["worker", "--connect", &address, "--connect-timeout", "1"];
    one_line(
        &failure(&worker, 1),
        &["no coordinator at", &address, "Connection refused"],
    );
    // A name may be late, where containers start in any order; but not for ever.
    let unknown = "coordinator.invalid:7400";
    let worker = ["worker", "--insecure", "--connect", unknown];
    one_line(
        &failure(&[&worker[..], &["--connect-timeout", "1"]].concat(), 1),
        &["no coordinator at", unknown],
    );
}

#[test]
fn addresses_that_are_none_are_wrong_usage() {
    for (flags, parts) in [
        (
            ["worker", "--connect", "nonsense"],
            ["nonsense", "host:port"],
        ),
        (
            ["worker", "--connect", "http://h:7400"],
            ["URL", "`http://`"],
        ),
        (["worker", "--connect", "h:0"], ["`0`", "1 and 65535"]),
        (
            ["worker", "--connect", "h:70000"],
            ["`70000`", "1 and 65535"],
        ),
        (
            ["worker", "--connect", "::1:7400"],
            ["brackets", "[::1]:7400"],
        ),
        (
            ["coordinator", "--listen", "localhost:1"],
            ["`localhost`", "127.0.0.1:7400"],
        ),
        (["train", "--listen", "*:7400"], ["`*`", "0.0.0.0:7400"]),
    ] {
        let message = failure(&flags, 2);
        assert!(message.contains(flags[1]), "{message}");
        for part in parts {
            assert!(message.contains(part), "`{part}` in: {message}");
        }
    }
    // Blanks around an address do no harm.
    let worker = [
        "worker",
        "--connect",
        " [::1]:1 ",
        "--connect-timeout",
        "0.3",
    ];
    one_line(
        &failure(&worker, 1),
        &["no coordinator at [::1]:1 within 0.3 s"],
    );
}

#[test]
fn certificates_are_made_for_hosts_only() {
    let folder = tempfile::tempdir().expect("folder");
    let made = folder.path().join("made");
    let long = "a".repeat(70);
    for (host, part) in [
        ("https://h:7400", "give h alone"),
        ("h:7400", "no port belongs here"),
        ("127.0.0.1/8", "a network"),
        ("a b", "neither an IP address nor a host name"),
        ("h,,b", "an empty name"),
        ("", "an empty name"),
        (&long, "1 to 63"),
        ("*.example.org", "wildcards"),
        ("bücher.example", "xn--"),
        ("0.0.0.0", "only for listening"),
    ] {
        let message = failure(&["certs", path(&made), "--host", host], 2);
        assert!(
            message.contains("--host") && message.contains(part),
            "`{part}` in: {message}"
        );
        assert!(!made.exists(), "nothing is written for {host}");
    }
    let hosts = "localhost, 127.0.0.1,[::1],LOCALHOST.,::1";
    let output = lagrange(&["certs", path(&made), "--host", hosts])
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("made for localhost, 127.0.0.1, ::1, good"),
        "{said}"
    );
}

#[test]
fn a_coordinator_without_workers_gives_up() {
    let folder = tempfile::tempdir().expect("folder");
    let run_dir = folder.path().join("run");
    let run = [
        "coordinator",
        "--quiet",
        "--listen",
        "127.0.0.1:0",
        "--join-timeout",
        "1",
        "--run-dir",
        path(&run_dir),
    ];
    one_line(
        &failure(&run, 1),
        &["0 of 1 workers joined", "lagrange worker --connect"],
    );
}

#[test]
fn a_run_folder_is_never_overwritten() {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("config.toml"), "seed = 1\n").expect("written");
    let stderr = failure(&["train", "--run-dir", path(folder.path())], 1);
    one_line(&stderr, &["holds another run", "--run-dir"]);
}

#[test]
fn models_that_are_none_are_refused() {
    let folder = tempfile::tempdir().expect("folder");
    one_line(
        &failure(&["evaluate", path(folder.path())], 1),
        &["model.safetensors", "cannot be read"],
    );
    std::fs::write(folder.path().join("model.safetensors"), b"not a model").expect("written");
    one_line(
        &failure(&["evaluate", path(folder.path())], 1),
        &["not a model"],
    );
}

#[test]
fn help_and_configuration_are_printed() {
    let output = lagrange(&["train", "--help"]).output().expect("runs");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    for flag in [
        "--task",
        "--seed",
        "--workers",
        "--in-process",
        "--preset",
        "--data",
        "--train-limit",
        "--run-dir",
        "--json",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
    let output = lagrange(&[
        "config",
        "show",
        "--task",
        "digits",
        "--set",
        "schedule.trust=0.125",
    ])
    .output()
    .expect("runs");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        shown.contains("task = \"digits\"") && shown.contains("trust = 0.125"),
        "{shown}"
    );
}
