#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| reflector_fuzz::data_hello(data));
