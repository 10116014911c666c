//! ◆ Rules of constraints, affinities and spreads.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::api::admission::Errors;
use crate::api::{number, regexp};
use crate::model::{Affinity, Constraint, Spread};

/// Of a list of constraints.
pub(super) fn constraints(list: &[Constraint], errors: &mut Errors) {
    for (at, constraint) in list.iter().enumerate() {
        errors.nest(&format!("Constraint {} validation failed", at + 1), &one(constraint));
    }
}

/// Of a list of affinities; system jobs have none.
pub(super) fn affinities(list: &[Affinity], system: bool, errors: &mut Errors) {
    if system && !list.is_empty() {
        errors.push("System jobs may not have an affinity block");
        return;
    }
    for (at, affinity) in list.iter().enumerate() {
        errors.nest(&format!("Affinity {} validation failed", at + 1), &self::affinity(affinity));
    }
}

/// Of a list of spreads; system jobs have none.
pub(super) fn spreads(list: &[Spread], system: bool, errors: &mut Errors) {
    if system && !list.is_empty() {
        errors.push("System jobs may not have a spread block");
        return;
    }
    for (at, spread) in list.iter().enumerate() {
        errors.nest(&format!("Spread {} validation failed", at + 1), &self::spread(spread));
    }
}

/// Of a constraint.
pub(super) fn one(constraint: &Constraint) -> Errors {
    let mut errors = Errors::default();
    let (operator, right) = (constraint.operator.as_str(), constraint.right.as_str());
    if operator.is_empty() {
        errors.push("Missing constraint operand");
    }
    let mut needs_left = true;
    match operator {
        "distinct_hosts" => needs_left = false,
        "distinct_property" => allowed_count(right, &mut errors),
        "is_set" | "is_not_set" => errors.check(right.is_empty(), || {
            format!("Operator \"{operator}\" does not support an RTarget")
        }),
        "=" | "==" | "is" | "!=" | "not" | "<" | "<=" | ">" | ">=" => {
            errors.check(!right.is_empty(), || {
                format!("Operator \"{operator}\" requires an RTarget")
            });
        }
        _ => pattern(operator, right, "constraint", &mut errors),
    }
    if needs_left {
        errors.check(!constraint.left.is_empty(), || {
            "no attribute provided but is required by operator".to_owned()
        });
        attribute(&constraint.left, &mut errors);
    }
    errors
}

/// Operators whose right side has a form of its own, and what is no operator.
fn pattern(operator: &str, right: &str, noun: &str, errors: &mut Errors) {
    match operator {
        "set_contains" | "set_contains_all" | "set_contains_any" => {
            errors.check(!right.is_empty(), || {
                "Set contains constraint requires an RTarget".to_owned()
            });
        }
        "regexp" => {
            if let Err(why) = regexp::compile(right) {
                errors.push(format!("Regular expression failed to compile: {why}"));
            }
        }
        "version" => {
            if let Some(part) = bad_version(right, &VERSION) {
                errors.push(format!("Version constraint is invalid: malformed constraint: {part}"));
            }
        }
        "semver" => {
            if let Some(part) = bad_version(right, &SEMVER) {
                errors.push(format!("Semver constraint is invalid: Malformed constraint: {part}"));
            }
        }
        _ => errors.push(format!("Unknown {noun} type \"{operator}\"")),
    }
}

fn allowed_count(right: &str, errors: &mut Errors) {
    if right.is_empty() {
        return;
    }
    match number::parse_uint(right) {
        Ok(0) => {
            errors.push("Distinct Property must have an allowed count of 1 or greater: 0 < 1");
        }
        Ok(_) => {}
        Err(error) => {
            errors.push(format!("Failed to convert RTarget \"{right}\" to uint64: {error}"));
        }
    }
}

/// What an attribute may name: a literal, or one of the node's or a device's.
fn attribute(left: &str, errors: &mut Errors) {
    const NODE: [&str; 5] = [
        "${node.unique.id}",
        "${node.datacenter}",
        "${node.unique.name}",
        "${node.class}",
        "${node.pool}",
    ];
    const PREFIXES: [&str; 3] = ["${attr.", "${meta.", "${device."];
    if !left.starts_with('$') {
        return;
    }
    if !left.starts_with("${") {
        errors.push(format!("attribute \"{left}\" is missing an opening brace"));
    } else if !left.ends_with('}') {
        errors.push(format!("attribute \"{left}\" is missing a closing brace"));
    } else if !NODE.contains(&left) && !PREFIXES.iter().any(|prefix| left.starts_with(prefix)) {
        errors.push(format!("unsupported attribute \"{left}\""));
    }
}

/// The shape of one part of a version constraint, as Go's library reads it.
const NUMBER: &str = r"v?[0-9]+(\.[0-9]+)*(-[0-9]+[0-9A-Za-z~-]*(\.[0-9A-Za-z~-]+)*|-?[A-Za-z~-]+[0-9A-Za-z~-]*(\.[0-9A-Za-z~-]+)*)?(\+[0-9A-Za-z~-]+(\.[0-9A-Za-z~-]+)*)?";

static VERSION: LazyLock<Regex> = LazyLock::new(|| version_pattern("=|!=|>|<|>=|<=|~>|"));
static SEMVER: LazyLock<Regex> = LazyLock::new(|| version_pattern("=|!=|>|<|>=|<=|"));

fn version_pattern(operators: &str) -> Regex {
    Regex::new(&format!(r"^\s*({operators})\s*{NUMBER}\s*$")).expect("the pattern is a constant")
}

/// The first part that is no version constraint.
fn bad_version<'a>(right: &'a str, pattern: &Regex) -> Option<&'a str> {
    right.split(',').find(|part| !pattern.is_match(part))
}

fn affinity(affinity: &Affinity) -> Errors {
    let mut errors = Errors::default();
    let (operator, right) = (affinity.operator.as_str(), affinity.right.as_str());
    if operator.is_empty() {
        errors.push("Missing affinity operand");
    }
    match operator {
        "=" | "==" | "is" | "!=" | "not" | "<" | "<=" | ">" | ">=" => {
            errors.check(!right.is_empty(), || {
                format!("Operator \"{operator}\" requires an RTarget")
            });
        }
        _ => pattern(operator, right, "affinity", &mut errors),
    }
    errors.check(!affinity.left.is_empty(), || "No LTarget provided but is required".to_owned());
    errors.check((-100..=100).contains(&affinity.weight), || {
        "Affinity weight must be within the range [-100,100]".to_owned()
    });
    errors.check(affinity.weight != 0, || "Affinity weight cannot be zero".to_owned());
    errors
}

fn spread(spread: &Spread) -> Errors {
    let mut errors = Errors::default();
    errors.check(!spread.attribute.is_empty(), || "Missing spread attribute".to_owned());
    errors.check((1..=100).contains(&spread.weight), || {
        "Spread block must have a positive weight from 0 to 100".to_owned()
    });
    let mut seen = BTreeSet::new();
    let mut sum = 0u32;
    for target in &spread.targets {
        errors.check(seen.insert(&target.value), || {
            format!("Spread target value \"{}\" already defined", target.value)
        });
        errors.check(target.percent <= 100, || {
            format!(
                "Spread target percentage for value \"{}\" must be between 0 and 100",
                target.value
            )
        });
        sum += u32::from(target.percent);
    }
    errors.check(sum <= 100, || {
        format!("Sum of spread target percentages must not be greater than 100%; got {sum}%")
    });
    errors
}
