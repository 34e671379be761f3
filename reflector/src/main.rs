//! The `reflector` program.

fn main() -> std::process::ExitCode {
    reflector::cli::main()
}
