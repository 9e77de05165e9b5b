//! A page of a stranger for the book. The promises are in the library, where a test keeps them
//! without a fuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| opsbook::book::fuzz::exercise(text));
