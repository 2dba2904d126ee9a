//! The `lagrange` command.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod early;

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    early::libraries_are_loaded();
    #[cfg(unix)]
    restart_with_settled_blas();
    match has_small_stack() {
        false => lagrange_cli::main(),
        true => on_a_stack_of_its_own(),
    }
}

/// Bytes of a stack that is enough for everything.
const STACK: u64 = 4 << 20;

/// Whether a limit (`ulimit -s`) leaves this thread less.
#[cfg(unix)]
fn has_small_stack() -> bool {
    use rustix::process::{Resource, getrlimit};
    let limit = getrlimit(Resource::Stack).current;
    limit.is_some_and(|bytes| bytes < STACK)
}

#[cfg(not(unix))]
fn has_small_stack() -> bool {
    false
}

fn on_a_stack_of_its_own() -> ExitCode {
    let thread = std::thread::Builder::new().stack_size(STACK as usize);
    match thread.spawn(lagrange_cli::main) {
        Ok(thread) => thread.join().unwrap_or(ExitCode::FAILURE),
        Err(_) => lagrange_cli::main(),
    }
}

/// OpenBLAS chooses its kernels while it is being loaded, by processor, and other kernels give other bits;
/// and it starts threads that would only stand about. The environment decides otherwise, so this process
/// replaces itself by one with the right environment. Workers inherit it. Where the user has chosen kernels,
/// the user decides.
#[cfg(unix)]
fn restart_with_settled_blas() {
    use lagrange_core::blas;
    use std::os::unix::process::CommandExt as _;
    const THREADS: &str = "OPENBLAS_NUM_THREADS";
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let kernels = match is_set(blas::CORE_VARIABLE) {
        true => None,
        false => blas::portable_core(),
    };
    let one_thread = std::env::var_os(THREADS).is_some_and(|value| value == "1");
    if kernels.is_none() && one_thread {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).env(THREADS, "1");
    if let Some(kernels) = kernels {
        command.env(blas::CORE_VARIABLE, kernels);
    }
    // Returns only if it failed; whatever OpenBLAS chose then has to do.
    let _ = command.exec();
}
