//! Tables of what Go's libraries answer.

use std::fs;

use serde_json::{Value, json};
use stead::api::filter::{Filter, Shape};
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

fn shape(kind: &Value) -> Shape {
    if let Some(name) = kind.as_str() {
        return match name {
            "bool" => Shape::Bool,
            "int" | "int64" => Shape::Int,
            "uint64" => Shape::Uint,
            "float64" => Shape::Float,
            "string" => Shape::Text,
            "interface" => Shape::Free,
            other => panic!("{other}"),
        };
    }
    if let Some(inner) = kind.get("optional") {
        return Shape::Optional(Box::new(shape(inner)));
    }
    if let Some(inner) = kind.get("list") {
        return Shape::List(Box::new(shape(inner)));
    }
    if let Some(inner) = kind.get("map") {
        return Shape::Map(Box::new(shape(inner)));
    }
    let fields = kind["struct"].as_object().unwrap();
    Shape::Struct(fields.iter().map(|(name, kind)| (name.clone(), shape(kind))).collect())
}

/// How a case came out: `(stage, error)` or the answer.
fn filtered(text: &str, object: &Value, shape: &Shape) -> Value {
    match Filter::parse(text) {
        Err(error) => json!({"stage": "parse", "error": error.to_string()}),
        Ok(filter) => match filter.matches(object, shape) {
            Err(error) => json!({"stage": "evaluate", "error": error.to_string()}),
            Ok(answer) => json!({ "match": answer }),
        },
    }
}

/// Cases that differ, and why.
const DIFFERENT_FILTERS: &[(&str, &str)] = &[("node/376", "the library panics")];

#[test]
fn filters_match_what_nomads_match_and_refuse_the_rest_in_its_words() {
    let (notes, cases) = table("bexpr.json");
    let mut differences = Vec::new();
    for case in &cases {
        let name = case["object"].as_str().unwrap();
        let (object, shape) = (&notes["objects"][name], shape(&notes["types"][name]));
        let mut expected = case.clone();
        expected
            .as_object_mut()
            .unwrap()
            .retain(|k, _| ["match", "stage", "error"].contains(&k.as_str()));
        let ours = filtered(case["filter"].as_str().unwrap(), object, &shape);
        let known = DIFFERENT_FILTERS.iter().any(|(name, _)| case["name"] == *name);
        if (ours != expected) != known {
            differences
                .push(format!("{}: {}\n   {expected}\n   {ours}", case["name"], case["filter"]));
        }
    }
    println!("{} of {} hold", cases.len() - differences.len(), cases.len());
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}
