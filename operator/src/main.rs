//! The `reflector-operator` program.

fn main() -> std::process::ExitCode {
    operator::cli::main()
}
