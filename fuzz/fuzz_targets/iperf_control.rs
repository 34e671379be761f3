#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| reflector_fuzz::iperf_control(data));
