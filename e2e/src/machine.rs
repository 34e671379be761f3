//! The machine a number was measured on, in one line: a number without it says nothing.
//!
//! Parsing is pure and tested; what the kernel does not say is left out.

use std::fs;

/// Processor, cores, whether it is virtual, kernel: `Some Processor, 2 cores, virtual machine, Linux 6.1.0`.
pub fn describe() -> String {
    // What cannot be read is missing from the line, which is all it is good for.
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    line(&read("/proc/cpuinfo"), cores, read("/proc/sys/kernel/osrelease").trim())
}

fn line(cpuinfo: &str, cores: usize, kernel: &str) -> String {
    let field = |name: &str| {
        cpuinfo.lines().find_map(|line| Some(line.strip_prefix(name)?.trim_start().strip_prefix(':')?.trim()))
    };
    // x86 names the model; the processors of small boards often only their board, in `Model`.
    let model = field("model name").or_else(|| field("Model")).unwrap_or("unknown processor");
    let is_virtual = field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
    let place = if is_virtual { ", virtual machine" } else { "" };
    format!("{model}, {cores} cores{place}, Linux {kernel}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_machine_says_so() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Some(R) Processor\nflags\t\t: fpu sse hypervisor avx\n\nprocessor\t: 1\n";
        assert_eq!(line(cpuinfo, 2, "6.1.0"), "Some(R) Processor, 2 cores, virtual machine, Linux 6.1.0");
    }

    #[test]
    fn a_board_is_named_by_its_model() {
        let cpuinfo = "processor\t: 0\nBogoMIPS\t: 108.00\n\nModel\t\t: Some Board Rev 1.0\n";
        assert_eq!(line(cpuinfo, 4, "6.12"), "Some Board Rev 1.0, 4 cores, Linux 6.12");
        assert_eq!(line("", 1, "6.12"), "unknown processor, 1 cores, Linux 6.12");
    }
}
