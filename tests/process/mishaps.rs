//! Ordinary mishaps of ordinary machines: closed logs, odd environments, file systems and limits. They cost
//! nothing, or are named in one line that says what to do.

use crate::binary::process::{borrowed, short_run};
use crate::binary::run_files::{assert_same_result, metrics};
use crate::binary::{failure, four_steps, json, lagrange, last_json, text};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn output(command: &mut Command) -> Output {
    command.output().expect("runs")
}

/// It ended with `code`; what it said on stderr.
fn ended(command: &mut Command, code: i32) -> String {
    let output = output(command);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

/// Something that takes no byte.
fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .expect("there")
        .into()
}

/// A pipe whose reader has gone.
fn without_reader() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("pipe");
    drop(reader);
    writer.into()
}

#[test]
fn output_that_nobody_takes_costs_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let run = |name: &str, stdout: Stdio, stderr: Stdio, log: &str| {
        let mut command = four_steps(&folder.path().join(name));
        command.args(["--log", log]).stdout(stdout).stderr(stderr);
        let status = command.status().expect("runs");
        let result = std::fs::read(folder.path().join(name).join("result.json")).expect("a result");
        assert!(folder.path().join(name).join("model.safetensors").exists());
        let steps = metrics(&folder.path().join(name));
        let steps = steps.iter().filter(|line| line["event"] == "step").count();
        assert_eq!(steps, 4, "{name}: every step is in the metrics");
        let result: serde_json::Value = serde_json::from_slice(&result).expect("JSON");
        (status.code(), result)
    };
    let (code, baseline) = run("left-alone", Stdio::null(), Stdio::null(), "warn");
    assert_eq!(code, Some(0));
    for (name, stderr) in [("full", full()), ("closed", without_reader())] {
        let (code, result) = run(name, Stdio::null(), stderr, "info");
        assert_eq!(code, Some(0), "{name}");
        assert_same_result(name, &result, &baseline);
    }
    // A reader that leaves has seen enough; a result that cannot be written is an error.
    let (code, result) = run("reader", without_reader(), Stdio::null(), "warn");
    assert_eq!(code, Some(0));
    assert_same_result("reader", &result, &baseline);
    let (code, result) = run("result", full(), Stdio::null(), "warn");
    assert_eq!(code, Some(1));
    assert_same_result("result", &result, &baseline);
}

#[test]
fn every_command_survives_a_reader_that_leaves_and_names_a_full_disk() {
    let folder = tempfile::tempdir().expect("folder");
    let _ = json(&borrowed(&short_run(folder.path(), "run", 1, &[])));
    let run_dir = folder.path().join("run");
    let run_dir = run_dir.to_str().expect("UTF-8");
    let exported = folder.path().join("m.npz");
    let exported = exported.to_str().expect("UTF-8");
    let sweep = folder.path().join("sweep");
    let sweep = [
        "sweep",
        "--validation",
        "1000",
        "--train-limit",
        "1000",
        "--epochs",
        "0.3",
        "--seeds",
        "0..1",
    ]
    .into_iter()
    .chain(["--quiet", "--out", sweep.to_str().expect("UTF-8")])
    .collect::<Vec<_>>();
    for arguments in [
        &["config", "presets"][..],
        &["config", "show"],
        &["--help"],
        &["predict", "--help"],
        &["--version"],
        &["completions", "bash"],
        &["network"],
        &["runs", run_dir],
        &["report", run_dir],
        &["export", run_dir, "--format", "npz", "--out", exported],
        &["evaluate", run_dir],
        &["evaluate", run_dir, "--json"],
        &["baseline", "ridge", "--train-limit", "1000"],
        &sweep,
    ] {
        let stderr = ended(lagrange(arguments).stdout(without_reader()), 0);
        assert_eq!(stderr, "", "{arguments:?}");
        let stderr = ended(lagrange(arguments).stdout(full()), 1);
        assert!(
            stderr.contains("error: stdout: cannot write the result"),
            "{stderr}"
        );
    }
}

#[test]
fn logs_have_colours_on_terminals_only_and_terminals_without_a_cursor_get_lines() {
    let folder = tempfile::tempdir().expect("folder");
    let stderr = ended(
        four_steps(&folder.path().join("log")).args(["--log", "info"]),
        0,
    );
    assert!(
        stderr.contains("worker connected") && !stderr.contains('\u{1b}'),
        "{stderr}"
    );
    for (name, terminal) in [
        ("dumb", Some("dumb")),
        ("none", None),
        ("xterm", Some("xterm")),
    ] {
        let run = four_steps(&folder.path().join(name));
        let words = std::iter::once(run.get_program()).chain(run.get_args());
        let words: Vec<_> = words.map(|word| word.to_str().expect("UTF-8")).collect();
        let mut command = Command::new("script");
        command
            .args(["-qec", &words.join(" "), "/dev/null"])
            .env_remove("TERM");
        if let Some(terminal) = terminal {
            command.env("TERM", terminal);
        }
        let shown = text(&output(command.stdin(Stdio::null())).stdout);
        assert!(shown.contains("step 4/4: Test accuracy"), "{name}: {shown}");
        assert_eq!(
            shown.contains('\u{1b}'),
            terminal == Some("xterm"),
            "{name}: {shown}"
        );
    }
}

#[test]
fn the_environment_of_others_is_left_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let odd = OsStr::from_bytes(b"a\xffb");
    // A name that is not UTF-8 as well, and the folder's own.
    let place = folder.path().join(OsStr::from_bytes(b"d\xe9"));
    std::fs::create_dir(&place).expect("made");
    let baseline = json(&borrowed(&short_run(folder.path(), "left-alone", 1, &[])));
    let run_dir = place.join(OsStr::from_bytes(b"r\xe9"));
    let mut command = lagrange(&["train", "--json", "--train-limit", "2048", "--epochs", "1"]);
    command.arg("--run-dir").arg(&run_dir).current_dir(&place);
    command.env("FOO", odd).env(odd, "1").env("PWD", &place);
    for (name, value) in [
        // What Kubernetes tells every pod of a service called `lagrange`.
        ("LAGRANGE_PORT", "tcp://10.96.0.17:7400"),
        ("LAGRANGE_PORT_7400_TCP", "tcp://10.96.0.17:7400"),
        ("LAGRANGE_PORT_7400_TCP_ADDR", "10.96.0.17"),
        ("LAGRANGE_SERVICE_HOST", "10.96.0.17"),
        ("LAGRANGE_SERVICE_PORT", "7400"),
        ("LAGRANGE_SERVICE_PORT_GRPC", "7400"),
        ("LAGRANGE_COORDINATOR_SERVICE_HOST", "10.96.0.18"),
        // What a compose file passes on that is not set.
        ("LAGRANGE_SEED", ""),
        ("LAGRANGE_TASK", ""),
        ("LAGRANGE_TRAIN_LIMIT", ""),
        ("LAGRANGE_SCHEDULE__EPOCHS", ""),
        ("LAGRANGE_THREADS", ""),
        ("LAGRANGE_WORKERS", ""),
        ("LAGRANGE_DATA_DIR", ""),
        ("LAGRANGE_LISTEN", ""),
        ("LAGRANGE_TLS", ""),
        ("LAGRANGE_LEASE", ""),
        ("LAGRANGE_LOG", ""),
        ("LAGRANGE_INSECURE", "1"),
    ] {
        command.env(name, value);
    }
    let output = output(&mut command);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_same_result("odd environment", &last_json(&output), &baseline);
    assert!(run_dir.join("model.safetensors").exists());
    // A folder of everybody's runs does not keep one of them from being gone on with.
    let stderr = ended(
        lagrange(&["train", "--resume"])
            .arg(&run_dir)
            .env("LAGRANGE_RUN_DIR", "x"),
        1,
    );
    assert!(stderr.contains("this run is complete"), "{stderr}");
}

#[test]
fn a_variable_that_says_nothing_is_named_in_full() {
    let odd = OsStr::from_bytes(b"a\xffb");
    let stderr = ended(lagrange(&["train"]).env("LAGRANGE_SEED", odd), 1);
    assert!(
        stderr.contains("LAGRANGE_SEED in the environment"),
        "{stderr}"
    );
    assert!(stderr.contains("not UTF-8"), "{stderr}");
    for (name, value, code, parts) in [
        (
            "LAGRANGE_SEEED",
            "1",
            1,
            &["LAGRANGE_SEEED in the environment", "LAGRANGE_SEED?"][..],
        ),
        (
            "LAGRANGE_THREAD",
            "1",
            1,
            &["did you mean LAGRANGE_THREADS?"],
        ),
        (
            "LAGRANGE_HOME",
            "/x",
            1,
            &["LAGRANGE_HOME in the environment: unknown key; unset it"],
        ),
        (
            "LAGRANGE_SEED",
            "abc",
            1,
            &["seed (LAGRANGE_SEED in the environment)", "u64"],
        ),
        (
            "LAGRANGE_TASK",
            "Digits",
            1,
            &["LAGRANGE_TASK", "use odd-even, classes, digits or positive"],
        ),
        (
            "LAGRANGE_THREADS",
            "abc",
            2,
            &["--threads", "LAGRANGE_THREADS in the environment"],
        ),
        (
            "LAGRANGE_INSECURE",
            "perhaps",
            2,
            &["LAGRANGE_INSECURE in the environment"],
        ),
        (
            "LAGRANGE_LOG",
            "verbose",
            2,
            &["`verbose` is no level", "LAGRANGE_LOG"],
        ),
        (
            "LAGRANGE_LOG",
            "a=b=c",
            2,
            &["MODULE=LEVEL", "LAGRANGE_LOG"],
        ),
    ] {
        let stderr = ended(lagrange(&["train"]).env(name, value), code);
        for part in parts {
            assert!(stderr.contains(part), "`{part}` in: {stderr}");
        }
    }
    for arguments in [
        &["evaluate", "run"][..],
        &["report", "run"],
        &["serve", "run"],
        &["compare", "--quick"],
        &["worker", "--connect", "127.0.0.1:1"],
    ] {
        let stderr = ended(lagrange(arguments).env("LAGRANGE_DATA_DIRR", "x"), 1);
        assert!(
            stderr.contains("LAGRANGE_DATA_DIR?"),
            "{arguments:?}: {stderr}"
        );
    }
    let stderr = failure(&["train", "--set", "task=Digits"], 1);
    assert!(
        stderr.contains("use odd-even, classes, digits or positive"),
        "{stderr}"
    );
}

#[test]
fn configuration_files_are_named_with_the_place_of_what_is_wrong() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("run.toml");
    let wrong = |bytes: &[u8]| {
        std::fs::write(&file, bytes).expect("written");
        failure(
            &["config", "show", "--config", file.to_str().expect("UTF-8")],
            1,
        )
    };
    for (bytes, parts) in [
        (
            &b"seed = 1\n[schedule]\nepoch = 3\n"[..],
            &["run.toml: line 3", "unknown field `epoch`"][..],
        ),
        (
            b"seed = 1\n[schedule]\nloss = \"cubic\"\n",
            &["line 3: schedule.loss", "`squared-hinge`"],
        ),
        (b"seed = \n", &["run.toml: line 1"]),
        (b"seed = \"\xff\"", &["not UTF-8"]),
        (b"\xff\xfes\0e\0e\0d\0", &["UTF-16 text; save it as UTF-8"]),
    ] {
        let stderr = wrong(bytes);
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        for part in parts {
            assert!(stderr.contains(part), "`{part}` in: {stderr}");
        }
    }
    let stderr = failure(&["config", "show", "--config", "/dev/zero"], 1);
    assert!(stderr.contains("/dev/zero: more than"), "{stderr}");
    std::fs::write(&file, "\u{feff}seed = 7\n").expect("written");
    let shown = output(lagrange(&["config", "show", "--config"]).arg(&file));
    assert!(
        text(&shown.stdout).contains("seed = 7"),
        "a byte order mark does no harm"
    );
}

#[test]
fn files_have_the_mode_of_the_umask_and_secrets_that_of_secrets() {
    let folder = tempfile::tempdir().expect("folder");
    let mode = |path: PathBuf| path.metadata().expect("there").mode() & 0o777;
    for (umask, expected) in [("022", 0o644), ("002", 0o664), ("077", 0o600)] {
        let under = |command: &Command| {
            let mut shell = Command::new("sh");
            shell.args(["-c", "umask \"$0\"; exec \"$@\"", umask]);
            shell.arg(command.get_program()).args(command.get_args());
            shell
        };
        ended(&mut under(&four_steps(&folder.path().join(umask))), 0);
        let run_dir = folder.path().join(umask);
        for name in [
            "config.toml",
            "metrics.jsonl",
            "model.safetensors",
            "result.json",
        ] {
            assert_eq!(mode(run_dir.join(name)), expected, "{umask}: {name}");
        }
        let checkpoints = crate::binary::run_files::checkpoints(&run_dir);
        assert_eq!(
            mode(checkpoints[0].0.clone()),
            expected,
            "{umask}: checkpoint"
        );
        let certs = folder.path().join(format!("certs-{umask}"));
        ended(&mut under(lagrange(&["certs"]).arg(&certs)), 0);
        for name in ["ca.pem", "coordinator.pem", "worker.pem"] {
            assert_eq!(mode(certs.join(name)), expected, "{umask}: {name}");
        }
        for name in ["ca.key", "coordinator.key", "worker.key", "token"] {
            assert_eq!(mode(certs.join(name)), 0o600, "{umask}: {name}");
        }
    }
}

#[test]
fn runs_that_begin_together_get_folders_of_their_own() {
    let folder = tempfile::tempdir().expect("folder");
    let start = || {
        let mut command = lagrange(&["train", "--json", "--workers", "1", "--quiet"]);
        command.args(["--train-limit", "2048", "--epochs", "0.5"]);
        command
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts")
    };
    let runs: Vec<_> = (0..4).map(|_| start()).collect();
    let ended = runs
        .into_iter()
        .map(|run| run.wait_with_output().expect("ends"));
    let mut folders: Vec<_> = ended
        .map(|output| last_json(&output)["run_dir"].to_string())
        .collect();
    folders.sort_unstable();
    folders.dedup();
    assert_eq!(folders.len(), 4, "{folders:?}");
}

#[test]
fn a_place_for_runs_that_is_none_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).expect("made");
    for place in [&file, &link] {
        let place = place.to_str().expect("UTF-8");
        for arguments in [["train", "--run-dir", place], ["compare", "--out", place]] {
            let stderr = failure(&arguments, 1);
            assert!(
                stderr.contains("that is no folder; choose another"),
                "{stderr}"
            );
        }
    }
}

#[test]
fn fewer_workers_than_the_minimum_are_wrong_usage_and_the_coordinator_counts_right() {
    let stderr = failure(&["train", "--workers", "2", "--min-workers", "5"], 2);
    assert!(
        stderr.contains("--min-workers 5: only 2 workers are started"),
        "{stderr}"
    );
    let stderr = failure(
        &[
            "coordinator",
            "--listen",
            "127.0.0.1:0",
            "--min-workers",
            "3",
            "--join-timeout",
            "0.2",
        ],
        1,
    );
    assert!(
        stderr.contains("waiting for 3 workers") && stderr.contains("0 of 3"),
        "{stderr}"
    );
}
