//! The `lagrange` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(unix)]
    restart_with_better_kernels();
    lagrange_cli::main()
}

/// OpenBLAS chooses its kernels while it is being loaded, and on processors newer than itself it chooses some five times slower
/// than need be. The environment decides otherwise, so this process replaces itself by one with the right environment. Workers
/// inherit it. Where the user has set the variable, the user decides.
#[cfg(unix)]
fn restart_with_better_kernels() {
    use std::os::unix::process::CommandExt as _;
    const VARIABLE: &str = "OPENBLAS_CORETYPE";
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    if let (Some(kernels), Ok(program)) = (
        lagrange_core::blas::better_kernels(),
        std::env::current_exe(),
    ) {
        let mut arguments = std::env::args_os();
        let mut command = std::process::Command::new(program);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        // Returns only if it failed; the slower kernels then have to do.
        let _ = command.args(arguments).env(VARIABLE, kernels).exec();
    }
}
