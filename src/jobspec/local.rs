//! ◆ `locals`: named values that may use variables and each other, in any order but not in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::eval::{Evaluator, Failed, Scope};
use super::syntax::walk::references;
use super::syntax::{Attribute, Body, Step};
use super::value::Value;
use super::variable::refuse_blocks;

type Values = BTreeMap<Rc<str>, Value>;

/// A declared local and what it needs.
struct Local<'f> {
    attribute: &'f Attribute,
    /// Declared locals that it names and that have no value yet.
    waits_for: BTreeSet<&'f str>,
    /// All locals that it names, declared or not.
    uses: BTreeSet<&'f str>,
    /// It uses `local` as a whole, so it needs all there are.
    uses_all: bool,
}

/// The object behind `local`, complete only if nothing was complained about.
pub(super) fn locals(file: &Body, evaluator: &mut Evaluator<'_>, scope: &Scope<'_>) -> Values {
    let mut locals = declared(file, evaluator);
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, local) in &locals {
        for used in &local.waits_for {
            users.entry(used).or_default().push(name);
        }
    }
    let is_ready = |local: &Local<'_>| local.waits_for.is_empty();
    let (mut early, late): (Vec<&str>, Vec<&str>) = locals
        .iter()
        .filter(|(_, local)| is_ready(local))
        .map(|(name, _)| *name)
        .partition(|name| locals.get(name).is_some_and(|local| !local.uses_all));
    early.extend(late);
    let mut ready = VecDeque::from(early);
    let mut values = Values::new();
    while let Some(local) = ready.pop_front().and_then(|name| locals.remove(name)) {
        let name = &local.attribute.name.text;
        // What uses a failed one stays away: it would only repeat the error.
        let Ok(value) = evaluate(&local, &values, evaluator, scope) else {
            forget(name, &users, &mut locals);
            continue;
        };
        values.insert(Rc::clone(name), value);
        for user in users.get(name.as_ref()).into_iter().flatten() {
            if let Some(waiting) = locals.get_mut(user) {
                waiting.waits_for.remove(name.as_ref());
                if waiting.waits_for.is_empty() {
                    ready.push_back(user);
                }
            }
        }
    }
    complain_about_circle(&locals, evaluator);
    values
}

/// Takes away everything that needs a local which has no value.
fn forget<'f>(
    failed: &str,
    users: &BTreeMap<&'f str, Vec<&'f str>>,
    locals: &mut BTreeMap<&'f str, Local<'f>>,
) {
    let mut gone = vec![failed];
    while let Some(name) = gone.pop() {
        for user in users.get(name).into_iter().flatten() {
            if locals.remove(user).is_some() {
                gone.push(user);
            }
        }
    }
}

fn evaluate(
    local: &Local<'_>,
    values: &Values,
    evaluator: &mut Evaluator<'_>,
    scope: &Scope<'_>,
) -> Result<Value, Failed> {
    let expression = &local.attribute.value;
    let visible: Values = if local.uses_all {
        values.clone()
    } else {
        let find = |name: &&str| values.get_key_value(*name);
        local.uses.iter().filter_map(find).map(|(k, v)| (Rc::clone(k), v.clone())).collect()
    };
    evaluator.spend(visible.len(), expression.span)?;
    let mut inner = scope.child();
    inner.set("local", evaluator.sized(Value::object(visible), expression.span)?);
    evaluator.evaluate(expression, &inner)
}

fn declared<'f>(file: &'f Body, evaluator: &mut Evaluator<'_>) -> BTreeMap<&'f str, Local<'f>> {
    let mut all: BTreeMap<&str, Local<'_>> = BTreeMap::new();
    for block in file.blocks.iter().filter(|block| block.kind.text.as_ref() == "locals") {
        refuse_blocks(evaluator, &block.body);
        for attribute in &block.body.attributes {
            let name = attribute.name.text.as_ref();
            if all.contains_key(name) {
                let detail = format!("Duplicate {name} definition found.");
                evaluator.complaints.add(attribute.name.span, "Duplicate value in locals", detail);
            } else {
                all.insert(name, local(attribute));
            }
        }
    }
    let names: BTreeSet<&str> = all.keys().copied().collect();
    for local in all.values_mut() {
        local.waits_for = local.uses.intersection(&names).copied().collect();
    }
    all
}

fn local(attribute: &Attribute) -> Local<'_> {
    let (mut uses, mut uses_all) = (BTreeSet::new(), false);
    for reference in references(&attribute.value) {
        if reference.root.text.as_ref() != "local" {
            continue;
        }
        match reference.steps.first() {
            Some(Step::Attribute(name)) => {
                uses.insert(name.text.as_ref());
            }
            Some(Step::Index(..)) | None => uses_all = true,
        }
    }
    Local { attribute, waits_for: BTreeSet::new(), uses, uses_all }
}

/// One complaint at each place where a local that waits names another one that waits.
fn complain_about_circle(waiting: &BTreeMap<&str, Local<'_>>, evaluator: &mut Evaluator<'_>) {
    const SHOWN: usize = 5;
    let names: Vec<&str> = waiting.keys().copied().take(SHOWN).collect();
    for local in waiting.values().take(SHOWN) {
        let place = references(&local.attribute.value).into_iter().find_map(|reference| {
            let Some(Step::Attribute(name)) = reference.steps.first() else { return None };
            let waits = waiting.contains_key(name.text.as_ref());
            (reference.root.text.as_ref() == "local" && waits).then_some(name.span)
        });
        let detail = format!(
            "A local value cannot be computed from itself, not even through others. In the circle or behind it: \
             {}.",
            names.join(", ")
        );
        let place = place.unwrap_or(local.attribute.value.span);
        evaluator.complaints.add(place, "Circular local values", detail);
    }
}
