//! Alone in its process: other tests would take memory meanwhile.

use crds::pairing::{BLOCKS, Block, Code, SecretKey, memory};

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_hash_leaves_no_memory_behind() {
    let code = Code::parse("AB102345").unwrap();
    let before = resident();
    for _ in 0..3 {
        let mut memory = memory();
        SecretKey::derive(&code, "5f0c2f0e-7f5e-4c53-a0a1-9f6f1a3a1c11", &mut memory).unwrap();
        assert!(resident() - before >= BLOCKS * Block::SIZE / 2, "it was in use");
    }
    let left = resident().saturating_sub(before);
    assert!(left < 2 * 1024 * 1024, "{left} bytes stay");
}
