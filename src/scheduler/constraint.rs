//! ◆ Conditions on nodes: what an operator means, and what an attribute is on a node.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex::Regex;

use super::version::{Conditions, Flavour, Version};
use crate::model::{Affinity, Constraint, Node};

/// `distinct_hosts`: not a condition on a node alone.
pub const DISTINCT_HOSTS: &str = "distinct_hosts";
/// `distinct_property`: not a condition on a node alone.
pub const DISTINCT_PROPERTY: &str = "distinct_property";

/// What `target` is on `node`: itself, unless it is interpolated. None when the node has no such thing.
pub fn resolve<'a>(target: &'a str, node: &'a Node) -> Option<&'a str> {
    let Some(name) = target.strip_prefix("${") else { return Some(target) };
    let name = name.strip_suffix('}').unwrap_or(name);
    match name {
        "node.unique.id" => Some(node.id.as_str()),
        "node.datacenter" => Some(&node.datacenter),
        "node.unique.name" => Some(&node.name),
        "node.class" => Some(&node.node_class),
        "node.pool" => Some(&node.node_pool),
        _ => {
            let (kind, key) = name.split_once('.')?;
            let found = match kind {
                "attr" => &node.attributes,
                "meta" => &node.meta,
                _ => return None,
            };
            found.get(key).map(String::as_str)
        }
    }
}

/// Whether a condition on `target` may differ between nodes of one computed class.
pub fn escapes_class(target: &str) -> bool {
    ["${node.unique.", "${attr.unique.", "${meta.unique."].iter().any(|p| target.starts_with(p))
}

/// What was read from patterns and version conditions once, for all nodes.
#[derive(Debug, Default)]
pub struct Compiled {
    patterns: BTreeMap<String, Option<Regex>>,
    conditions: BTreeMap<(bool, String), Option<Conditions>>,
}

impl Compiled {
    /// Whether `left operator right` holds; a side that the node lacks is none.
    pub fn holds(&mut self, operator: &str, left: Option<&str>, right: Option<&str>) -> bool {
        match (operator, left, right) {
            (DISTINCT_HOSTS | DISTINCT_PROPERTY, _, _) => true,
            ("is_set", left, _) => left.is_some(),
            ("is_not_set", left, _) => left.is_none(),
            ("!=" | "not", left, right) => left != right,
            (_, Some(left), Some(right)) => self.holds_for(operator, left, right),
            (_, _, _) => false,
        }
    }

    fn holds_for(&mut self, operator: &str, left: &str, right: &str) -> bool {
        match operator {
            "=" | "==" | "is" => left == right,
            "<" | "<=" | ">" | ">=" => ordered(operator, left, right),
            "regexp" => self.pattern(right).is_some_and(|p| p.is_match(left)),
            "version" => self.conditions(Flavour::Version, left, right),
            "semver" => self.conditions(Flavour::Semver, left, right),
            "set_contains" | "set_contains_all" => {
                let have = set(left);
                set(right).iter().all(|wanted| have.contains(wanted))
            }
            "set_contains_any" => {
                let have = set(left);
                set(right).iter().any(|wanted| have.contains(wanted))
            }
            _ => false,
        }
    }

    fn pattern(&mut self, text: &str) -> Option<&Regex> {
        if !self.patterns.contains_key(text) {
            self.patterns.insert(text.to_owned(), Regex::new(&go_pattern(text)).ok());
        }
        self.patterns.get(text)?.as_ref()
    }

    fn conditions(&mut self, flavour: Flavour, left: &str, right: &str) -> bool {
        let key = (flavour == Flavour::Semver, right.to_owned());
        let conditions =
            self.conditions.entry(key).or_insert_with(|| Conditions::parse(flavour, right));
        let Some(conditions) = conditions else { return false };
        Version::parse(left).is_some_and(|version| conditions.hold(&version))
    }

    /// Whether `node` meets `constraint`.
    pub fn meets(&mut self, node: &Node, constraint: &Constraint) -> bool {
        let (left, right) = (resolve(&constraint.left, node), resolve(&constraint.right, node));
        self.holds(&constraint.operator, left, right)
    }

    /// Whether `node` is one that `affinity` means.
    pub fn matches(&mut self, node: &Node, affinity: &Affinity) -> bool {
        let (left, right) = (resolve(&affinity.left, node), resolve(&affinity.right, node));
        self.holds(&affinity.operator, left, right)
    }
}

/// Go's `\z` is Rust's `\z`; Go's `(?P<n>…)` too. What differs is that Go's classes are ASCII.
fn go_pattern(text: &str) -> Cow<'_, str> {
    let ascii = ["\\d", "\\w", "\\s", "\\b", "\\D", "\\W", "\\S", "\\B"];
    if !ascii.iter().any(|class| text.contains(class)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        match escaped {
            Some(class @ ('d' | 'w' | 's' | 'b' | 'B')) => {
                out.push_str(match class {
                    'd' => "[0-9]",
                    'w' => "[0-9A-Za-z_]",
                    's' => r"[\t\n\x0C\r ]",
                    'b' => r"(?-u:\b)",
                    _ => r"(?-u:\B)",
                });
            }
            Some('D') => out.push_str("[^0-9]"),
            Some('W') => out.push_str("[^0-9A-Za-z_]"),
            Some('S') => out.push_str(r"[^\t\n\x0C\r ]"),
            Some(other) => out.extend([c, other]),
            None => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn set(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).collect()
}

/// As whole numbers when both are, else as numbers, else as text.
fn ordered(operator: &str, left: &str, right: &str) -> bool {
    let order = if let (Ok(a), Ok(b)) = (left.parse::<i64>(), right.parse::<i64>()) {
        Some(a.cmp(&b))
    } else if let (Some(a), Some(b)) = (float(left), float(right)) {
        a.partial_cmp(&b)
    } else {
        Some(left.cmp(right))
    };
    order.is_some_and(|order| match operator {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    })
}

/// Go reads a float with underscores between its digits, but no whole number.
fn float(text: &str) -> Option<f64> {
    if !text.contains('_') {
        return text.parse().ok();
    }
    let parts: Vec<&str> = text.split('_').collect();
    let between_digits = parts.windows(2).all(|pair| {
        pair[0].ends_with(|c: char| c.is_ascii_digit())
            && pair[1].starts_with(|c: char| c.is_ascii_digit())
    });
    if between_digits { parts.concat().parse().ok() } else { None }
}

/// A condition as people see it in the explanation of a placement.
pub fn text(constraint: &Constraint) -> String {
    match constraint.operator.as_str() {
        "is_set" | "is_not_set" => format!("{} {}", constraint.left, constraint.operator),
        _ => format!("{} {} {}", constraint.left, constraint.operator, constraint.right),
    }
}
