//! Any bytes through the YAML reader, the merge of files, evaluation and what shows it. The
//! promises are in the library, where a test keeps them without a fuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| opsbook::nodes::fuzz::exercise(data));
