//! Alone in its process: other tests would take memory meanwhile.

use crds::pairing::{BLOCKS, Block, Code, SecretKey, memory};

/// Resident memory of this process, in bytes.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? * 1024)
}

#[test]
fn a_hash_leaves_no_memory_behind() {
    let code = Code::parse("AB102345").unwrap();
    let before = resident().unwrap();
    for _ in 0..3 {
        let mut memory = memory();
        SecretKey::derive(&code, "5f0c2f0e-7f5e-4c53-a0a1-9f6f1a3a1c11", &mut memory).unwrap();
        assert!(resident().unwrap() - before >= BLOCKS * Block::SIZE / 2, "it was in use");
    }
    let left = resident().unwrap().saturating_sub(before);
    assert!(left < 2 * 1024 * 1024, "{left} bytes stay");
}
