//! ◆ Functions that turn values into texts of other formats and back.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Call, Function, Outcome, Problem, fixed, json, made, nullable, text, yaml};
use crate::jobspec::value::{Type, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("base64decode", &[text("str")], base64_decode),
    fixed("base64encode", &[text("str")], |call| made(STANDARD.encode(call.text(0)))),
    fixed("csvdecode", &[text("str")], csv_decode),
    fixed("jsondecode", &[text("str")], |call| json::decode(call.text(0))),
    fixed("jsonencode", &[nullable("val")], |call| made(json::encode(call.value(0))?)),
    fixed("urlencode", &[text("str")], |call| made(url_encode(call.text(0)))),
    fixed("yamldecode", &[text("src")], |call| yaml::decode(call.text(0))),
    fixed("yamlencode", &[nullable("value")], |call| made(yaml::encode(call.value(0))?)),
];

fn base64_decode(call: &Call<'_>) -> Outcome {
    let encoded = call.text(0);
    let bytes = STANDARD
        .decode(encoded.replace(['\n', '\r'], ""))
        .map_err(|_| Problem::Whole(format!("failed to decode base64 data '{encoded}'")))?;
    let decoded = String::from_utf8(bytes).map_err(|_| {
        Problem::whole("the result of decoding the provided string is not valid UTF-8")
    })?;
    made(decoded)
}

/// As a query string wants it: spaces become `+`.
fn url_encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => {
                let escaped = format!("%{byte:02X}");
                out += &escaped;
            }
        }
    }
    out
}

fn csv_decode(call: &Call<'_>) -> Outcome {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).from_reader(call.text(0).as_bytes());
    let mut records = reader.records();
    let bad = |error: &csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        let why = match error.kind() {
            csv::ErrorKind::UnequalLengths { .. } => "wrong number of fields".to_owned(),
            _ => error.to_string(),
        };
        Problem::Whole(format!("CSV parse error on line {line}: {why}"))
    };
    let header = match records.next() {
        None => return Err(Problem::whole("missing header line")),
        Some(header) => header.map_err(|error| bad(&error))?,
    };
    let mut columns: Vec<Rc<str>> = Vec::new();
    let mut known = BTreeSet::new();
    for name in &header {
        if !known.insert(name) {
            return Err(Problem::Whole(format!("duplicate column name {name:?}")));
        }
        columns.push(name.into());
    }
    let mut rows = Vec::new();
    for record in records {
        let record = record.map_err(|error| bad(&error))?;
        let row: BTreeMap<Rc<str>, Value> = columns
            .iter()
            .zip(record.iter())
            .map(|(name, cell)| (Rc::clone(name), Value::string(cell)))
            .collect();
        rows.push(Value::object(row)?);
    }
    let shape = columns.into_iter().map(|name| (name, Type::String)).collect();
    Ok(Value::list(Type::Object(Rc::new(shape)), rows)?)
}
