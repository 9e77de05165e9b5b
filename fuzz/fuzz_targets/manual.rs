//! Pages of any kind. The promises are in the library, where a test keeps them without a fuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| opsbook::manual::fuzz::exercise(text));
