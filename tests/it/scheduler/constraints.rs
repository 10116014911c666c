//! `oracle/version_constraint.json`: versions, conditions on them, and every operator of a constraint.

use serde_json::Value;
use stead::model::{Constraint, Node};
use stead::scheduler::constraint::Compiled;
use stead::scheduler::version::{Conditions, Flavour, Version};

use super::oracle;

fn parsed(version: Option<Version>) -> Value {
    let Some(version) = version else { return Value::Null };
    serde_json::json!({
        "segments": version.segments(),
        "prerelease": version.prerelease(),
        "metadata": version.metadata(),
        "string": version.to_string(),
    })
}

fn expected(case: &Value) -> Value {
    let Some(parsed) = case.get("parsed") else { return Value::Null };
    let mut parsed = parsed.clone();
    if let Some(object) = parsed.as_object_mut() {
        object.remove("original");
    }
    parsed
}

fn node() -> Node {
    let mut node = Node::default();
    node.attributes.insert("kernel.name".into(), "linux".into());
    node.meta.insert("color".into(), "red".into());
    node
}

/// Whether a case holds; none when it is about another room (the validation of jobs, the job file).
fn holds(case: &Value) -> Option<bool> {
    let text = |key: &str| case[key].as_str().unwrap_or_default();
    let (op, left, right) = (text("op"), text("left"), text("right"));
    let conditions = |flavour| {
        let conditions = Conditions::parse(flavour, right);
        conditions.zip(Version::parse(left)).map(|(c, v)| c.hold(&v))
    };
    match op {
        "library_version" => Some(parsed(Version::parse(left)) == expected(case)),
        "library_semver" => Some(parsed(Version::parse_strict(left)) == expected(case)),
        "library_compare" => {
            let order = Version::parse(left)?.compare(&Version::parse(right)?) as i64;
            Some(case["order"].as_i64() == Some(order))
        }
        "library_constraint" => {
            Some(conditions(Flavour::Version) == case.get("result").and_then(Value::as_bool))
        }
        _ => {
            let operator = op.strip_prefix("operator:")?;
            let wanted = case.get("result")?.as_bool()?;
            let constraint =
                Constraint { left: left.into(), right: right.into(), operator: operator.into() };
            Some(Compiled::default().meets(&node(), &constraint) == wanted)
        }
    }
}

#[test]
fn versions_and_operators_are_as_recorded() {
    oracle::check("version_constraint", "scheduler", |case| {
        holds(case).map(|ok| if ok { Ok(()) } else { Err(case.to_string()) })
    });
}
