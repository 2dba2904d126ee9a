//! Systems that give less than usual: memory, threads, files, locks. What is missing is named at the start,
//! and never looped for.

use crate::binary::process::{borrowed, children_of, short_run, signal, wait_for_step};
use crate::binary::run_files::assert_same_result;
use crate::binary::{four_steps, json, last_json, text};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// How long a run of four steps may take, or say why it cannot.
const PATIENCE: &str = "60";

fn tiny_run(run_dir: &Path, extra: &[&str]) -> Command {
    let mut command = four_steps(run_dir);
    command.args(["--workers", "2"]).args(extra);
    command
}

/// The command under a limit of the shell's `ulimit`, and ended if it hangs.
fn limited(limit: &str, command: &Command) -> Output {
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        &format!("ulimit {limit}; exec timeout -k 1 {PATIENCE} \"$@\""),
        "sh",
    ]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.output().expect("runs")
}

/// It ended well, or with an error of its own that names the limit.
fn well_or_named(output: &Output, words: &str) -> bool {
    let stderr = text(&output.stderr);
    match output.status.code() {
        Some(0) => true,
        Some(1) => {
            assert!(
                stderr.contains(words) && !stderr.contains("panicked"),
                "{stderr}"
            );
            false
        }
        code => panic!("{code:?}: {stderr}"),
    }
}

#[test]
fn too_little_address_space_is_an_error_at_once_and_enough_is_enough() {
    let folder = tempfile::tempdir().expect("folder");
    for mode in [&[][..], &["--in-process"]] {
        let run = |kilobytes: u32| {
            let run_dir = folder.path().join(format!("{}-{kilobytes}", mode.len()));
            let output = limited(&format!("-v {kilobytes}"), &tiny_run(&run_dir, mode));
            well_or_named(&output, "of address space")
        };
        let ended: Vec<bool> = [
            150_000, 300_000, 400_000, 500_000, 700_000, 850_000, 2_000_000,
        ]
        .map(run)
        .to_vec();
        assert!(!ended[0] && !ended[1], "{mode:?}: {ended:?}");
        assert!(ended[6], "{mode:?}: {ended:?}");
        assert!(
            ended.is_sorted(),
            "more room is never worse: {mode:?}: {ended:?}"
        );
    }
}

#[test]
fn too_few_files_and_too_small_ones_are_named_before_anything_is_computed() {
    let folder = tempfile::tempdir().expect("folder");
    for count in [10, 16, 24, 64] {
        let run_dir = folder.path().join(count.to_string());
        let output = limited(&format!("-n {count}"), &tiny_run(&run_dir, &[]));
        assert_eq!(well_or_named(&output, "files"), count == 64, "{count}");
    }
    let run_dir = folder.path().join("small");
    let output = limited("-f 20", &tiny_run(&run_dir, &[]));
    assert!(!well_or_named(
        &output,
        "no room for the model and the result"
    ));
    assert!(
        !run_dir.exists(),
        "nothing is left of a run that did not begin"
    );
}

#[test]
fn small_stacks_are_enough() {
    let folder = tempfile::tempdir().expect("folder");
    for kilobytes in [64, 128] {
        let run_dir = folder.path().join(kilobytes.to_string());
        let output = limited(&format!("-s {kilobytes}"), &tiny_run(&run_dir, &[]));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
}

/// The library of `binary/lacking.c`, compiled.
fn lacking(folder: &Path) -> PathBuf {
    let library = folder.join("lacking.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/process/binary/lacking.c");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl");
    assert!(compiler.status().expect("a C compiler").success());
    library
}

#[test]
fn threads_that_cannot_be_had_are_named_at_the_start() {
    let folder = tempfile::tempdir().expect("folder");
    let library = lacking(folder.path());
    for mode in [&[][..], &["--in-process"]] {
        for count in [0, 1, 2, 4, 8, 12, 100] {
            let run_dir = folder.path().join(format!("{}-{count}", mode.len()));
            let mut command = tiny_run(&run_dir, mode);
            command
                .env("LD_PRELOAD", &library)
                .env("LACKING_THREADS", count.to_string());
            // Otherwise OpenBLAS starts threads before this program has a say.
            command.env("OPENBLAS_NUM_THREADS", "1");
            let output = command.output().expect("runs");
            let ended = well_or_named(&output, "cannot start a thread");
            assert_eq!(
                ended,
                count == 100,
                "{mode:?} {count}: {}",
                text(&output.stderr)
            );
        }
    }
}

/// OpenBLAS ends a process by SIGINT where it gets none while it is loaded.
#[test]
fn threads_that_openblas_cannot_have_are_no_interrupt() {
    let folder = tempfile::tempdir().expect("folder");
    let library = lacking(folder.path());
    let mut command = tiny_run(&folder.path().join("run"), &[]);
    command
        .env("LD_PRELOAD", &library)
        .env("LACKING_THREADS", "0")
        .env_remove("OPENBLAS_NUM_THREADS");
    let output = command.output().expect("runs");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot start a thread"), "{stderr}");
}

/// Decoders ask for as many threads as there are processors, which a container's limit may not allow.
#[test]
fn threads_for_pictures_that_cannot_be_had_are_named() {
    let folder = crate::pictures::drawn();
    let library = lacking(folder.path());
    let pictures = folder.path().join("pictures");
    let pictures = pictures.to_str().expect("UTF-8");
    let inspect = |threads: usize| {
        let mut command = crate::binary::lagrange(&["data", "inspect", pictures]);
        command
            .env("LD_PRELOAD", &library)
            .env("LACKING_THREADS", threads.to_string())
            .env("OPENBLAS_NUM_THREADS", "1")
            .env("RAYON_NUM_THREADS", "32");
        well_or_named(&command.output().expect("runs"), "cannot start a thread")
    };
    let ended = [0, 4, 8, 16, 24, 100].map(inspect);
    assert!(!ended[0] && ended[5] && ended.is_sorted(), "{ended:?}");
}

#[test]
fn models_are_used_in_whatever_address_space_there_is_or_the_limit_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let run_dir = folder.path().join("run");
    assert!(tiny_run(&run_dir, &[]).status().expect("runs").success());
    let run_dir = run_dir.to_str().expect("UTF-8");
    for command in ["evaluate", "report", "predict"] {
        let mut command = crate::binary::lagrange(&[command, run_dir]);
        if command.get_args().next() == Some("predict".as_ref()) {
            command.arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../lagrange-data/data/t10k-images-idx3-ubyte.gz"
            ));
        }
        let run = |kilobytes: u32| {
            let output = limited(&format!("-v {kilobytes}"), &command);
            well_or_named(&output, "of address space")
        };
        let ended = [150_000, 250_000, 400_000, 1_000_000].map(run);
        assert!(ended[2], "{command:?}: {ended:?}");
        assert!(ended.is_sorted(), "{command:?}: {ended:?}");
    }
}

#[test]
fn a_file_system_without_locks_is_warned_of_and_used() {
    let folder = tempfile::tempdir().expect("folder");
    let library = lacking(folder.path());
    let baseline = last_json(
        &tiny_run(&folder.path().join("left-alone"), &[])
            .output()
            .expect("runs"),
    );
    // As Lustre, NFS and others say it.
    for (name, number) in [("ENOSYS", 38), ("ENOLCK", 37), ("EOPNOTSUPP", 95)] {
        let mut command = tiny_run(&folder.path().join(name), &[]);
        command
            .env("LD_PRELOAD", &library)
            .env("LACKING_LOCKS", number.to_string());
        let output = command.output().expect("runs");
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        assert_eq!(stderr.matches("cannot be locked").count(), 1, "{stderr}");
        assert_same_result(name, &last_json(&output), &baseline);
    }
}

#[test]
fn other_kernels_than_usual_are_warned_of() {
    let folder = tempfile::tempdir().expect("folder");
    let mut command = tiny_run(&folder.path().join("run"), &[]);
    let output = command
        .env("OPENBLAS_CORETYPE", "Foo")
        .output()
        .expect("runs");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(
        stderr.matches("OPENBLAS_CORETYPE=Foo").count(),
        1,
        "{stderr}"
    );
}

#[test]
fn a_program_that_is_replaced_while_it_runs_still_starts_its_own_workers() {
    let folder = tempfile::tempdir().expect("folder");
    let copy = folder.path().join("lagrange");
    std::fs::copy(env!("CARGO_BIN_EXE_lagrange"), &copy).expect("copied");
    let arguments = short_run(folder.path(), "run", 20, &["--workers", "2"]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let baseline = json(&borrowed(&short_run(folder.path(), "left-alone", 20, &[])));
    let mut command = Command::new(&copy);
    command
        .args(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().expect("starts");
    wait_for_step(&folder.path().join("run"), 10);
    std::fs::remove_file(&copy).expect("removed");
    let victim = children_of(child.id())[0];
    signal(victim, "KILL");
    let output = child.wait_with_output().expect("ends");
    let stderr = text(&output.stderr);
    assert!(stderr.contains("another one takes its place"), "{stderr}");
    assert!(!stderr.contains("no other can be started"), "{stderr}");
    assert_same_result("replaced", &last_json(&output), &baseline);
}
