//! The `lagrange` command.

fn main() -> std::process::ExitCode {
    lagrange_cli::main()
}
