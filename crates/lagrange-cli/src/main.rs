//! The `lagrange` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(unix)]
    restart_with_portable_kernels();
    lagrange_cli::main()
}

/// OpenBLAS chooses its kernels while it is being loaded, by processor, and other kernels give other bits. The environment decides
/// otherwise, so this process replaces itself by one with the right environment. Workers inherit it. Where the user has set the
/// variable, the user decides.
#[cfg(unix)]
fn restart_with_portable_kernels() {
    use std::os::unix::process::CommandExt as _;
    const VARIABLE: &str = "OPENBLAS_CORETYPE";
    if std::env::var_os(VARIABLE).is_some_and(|chosen| !chosen.is_empty()) {
        return;
    }
    if let (Some(kernels), Ok(program)) = (
        lagrange_core::blas::portable_kernels(),
        std::env::current_exe(),
    ) {
        let mut arguments = std::env::args_os();
        let mut command = std::process::Command::new(program);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        // Returns only if it failed; whatever OpenBLAS chose then has to do.
        let _ = command.args(arguments).env(VARIABLE, kernels).exec();
    }
}
