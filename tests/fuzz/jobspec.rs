//! Any text is a job or an error that names a place in it: HCL, HCL's JSON, and the API's JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stead::jobspec::{self, Inputs, NoFiles, Source};

fuzz_target!(|text: &str| {
    let source = Source::new("fuzz.hcl", text);
    match jobspec::parse(&source, &Inputs::default(), &NoFiles) {
        Ok(_) => {}
        Err(error) => assert!(error.to_string().contains("fuzz.hcl:"), "no place: {error}"),
    }
    drop(jobspec::parse_api_json(&source, &Inputs::default()));
});
