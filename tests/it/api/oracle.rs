//! Tables of what Go's libraries answer.

use std::fs;

use serde_json::{Value, json};
use stead::api::{duration, number, size};
use stead::model::Nanos;

use super::conformance;

/// The cases of a table, with its notes.
pub(super) fn table(name: &str) -> (Value, Vec<Value>) {
    let Some(dir) = conformance("oracle") else { return (Value::Null, Vec::new()) };
    let mut table: Value =
        serde_json::from_str(&fs::read_to_string(dir.join(name)).unwrap()).unwrap();
    let cases = table["cases"].as_array().unwrap().clone();
    (table["notes"].take(), cases)
}

fn outcome<T: Into<Value>, E: std::fmt::Display>(result: Result<T, E>) -> Value {
    match result {
        Ok(value) => json!({ "out": value.into() }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

fn answer(op: &str, input: &Value) -> Option<Value> {
    let text = input.as_str().unwrap_or_default();
    let nanos = Nanos(input.as_i64().unwrap_or_default());
    let bytes = input.as_u64().unwrap_or_default();
    let second = Nanos::from_secs(1);
    let out = |text: String| Some(json!({ "out": text }));
    match op {
        "parse_duration" => Some(outcome(
            duration::parse(text).map(|d| json!({"ns": d.0, "string": duration::format(d)})),
        )),
        "duration_string" => out(duration::format(nanos)),
        "duration_round_second" => out(duration::format(duration::round(nanos, second))),
        "duration_truncate_second" => out(duration::format(duration::truncate(nanos, second))),
        "duration_seconds" => out(duration::seconds(nanos)),
        "humanize_bytes" => out(size::decimal(bytes)),
        "humanize_ibytes" => out(size::binary(bytes)),
        "humanize_parse_bytes" => Some(outcome(size::parse(text))),
        "humanize_comma" => out(size::comma(nanos.0)),
        "humanize_ordinal" => out(size::ordinal(nanos.0)),
        "humanize_reltime" => out(duration::relative(Nanos::from_secs(nanos.0))),
        "float_format_g" | "float_format_v" => out(number::format_float(text.parse().unwrap())),
        "float_format_f" => out(text.parse::<f64>().unwrap().to_string()),
        "parse_bool" => Some(outcome(number::parse_bool(text))),
        "parse_int" => Some(outcome(number::parse_int(text))),
        "parse_octal_12" => Some(outcome(number::parse_mode(text))),
        _ => None,
    }
}

/// Cases that differ, and why.
const DIFFERENT: &[(&str, &str)] = &[("humanize_parse_bytes/040", "Go quotes half of a character")];

#[test]
fn durations_sizes_and_numbers_are_read_and_written_as_go_does() {
    let (_, cases) = table("duration_size.json");
    let mut differences = Vec::new();
    for case in &cases {
        let expected = match case.get("error") {
            Some(error) => json!({ "error": error }),
            None => json!({ "out": case["out"] }),
        };
        let ours = answer(case["op"].as_str().unwrap(), &case["in"]);
        let known = DIFFERENT.iter().any(|(name, _)| case["name"] == *name);
        if (ours.as_ref() != Some(&expected)) != known {
            differences
                .push(format!("{}: {} {expected} became {ours:?}", case["name"], case["in"]));
        }
    }
    println!("{} of {} hold", cases.len() - differences.len(), cases.len());
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}
