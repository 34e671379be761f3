//! The `kubectl-reflector` program, which kubectl starts as `kubectl reflector`.

fn main() -> std::process::ExitCode {
    operator::plugin::main(std::env::args_os())
}
