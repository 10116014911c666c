//! Any body is a job or an error, any text a filter or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stead::api::admission::{Surroundings, admit};
use stead::api::filter::Filter;
use stead::api::job::Job;

fuzz_target!(|body: &[u8]| {
    if let Ok(text) = std::str::from_utf8(body) {
        drop(Filter::parse(text));
    }
    let Ok(value) = serde_json::from_slice(body) else { return };
    let Ok((job, dropped)) = Job::decode(value) else { return };
    drop(admit(job, &dropped, &Surroundings::default()));
});
