//! ◆ Services, checks and Consul Connect.

use serde_json::Value;

use super::field::{
    Same, block, deep, fields, flat, items, keyed_by, kind, set, set_of, simple, simple_of,
};
use super::job::changed;
use super::{DiffType, ObjectDiff, task};

/// Services have no identity of their own: each old one is matched with the new one most like it.
pub(super) fn services(old: &Value, new: &Value) -> Vec<ObjectDiff> {
    let (old, new) = (items(old), items(new));
    if let ([old], [new]) = (old, new) {
        return service(old, new).into_iter().collect();
    }
    let mut taken = vec![false; new.len()];
    let mut found = Vec::new();
    for (at, one) in old.iter().enumerate() {
        let best = most_alike(at, one, new, &taken);
        let other = best.and_then(|place| new.get(place)).unwrap_or(&Value::Null);
        if let Some(taken) = best.and_then(|place| taken.get_mut(place)) {
            *taken = true;
        }
        found.extend(service(one, other));
    }
    for (one, _) in new.iter().zip(&taken).filter(|(_, taken)| !**taken) {
        found.extend(service(&Value::Null, one));
    }
    found
}

/// Nomad: a name counts three, a port two, the place one; three are needed.
fn most_alike(at: usize, one: &Value, others: &[Value], taken: &[bool]) -> Option<usize> {
    let score = |place: usize, other: &Value| {
        let same = |field: &str| one[field] == other[field];
        3 * i32::from(same("Name")) + 2 * i32::from(same("PortLabel")) + i32::from(place == at)
    };
    others
        .iter()
        .enumerate()
        .filter(|(place, _)| !taken.get(*place).copied().unwrap_or_default())
        .map(|(place, other)| (score(place, other), place))
        .filter(|(score, _)| *score >= 3)
        .max_by_key(|(score, place)| (*score, std::cmp::Reverse(*place)))
        .map(|(_, place)| place)
}

fn service(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block(
        "Service",
        (old, new),
        |value| flat(value, &[]),
        || {
            let mut found = changed(set("CanaryTags", &old["CanaryTags"], &new["CanaryTags"]));
            found.extend(changed(set("Tags", &old["Tags"], &new["Tags"])));
            found.extend(keyed_by("Name", &old["Checks"], &new["Checks"], check));
            found.extend(connect(&old["Connect"], &new["Connect"]));
            found.extend(task::identity(&old["Identity"], &new["Identity"]));
            found.extend(simple_of("Weights", &old["Weights"], &new["Weights"]));
            found
        },
    )
}

fn check(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block(
        "Check",
        (old, new),
        |value| flat(value, &[]),
        || {
            let mut found: Vec<ObjectDiff> =
                simple("Header", &deep(&old["Header"]), &deep(&new["Header"]))
                    .into_iter()
                    .collect();
            found.extend(simple_of("CheckRestart", &old["CheckRestart"], &new["CheckRestart"]));
            found
        },
    )
}

fn connect(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block(
        "ConsulConnect",
        (old, new),
        |value| flat(value, &[]),
        || {
            let sidecar = sidecar(&old["SidecarService"], &new["SidecarService"]);
            let task = sidecar_task(&old["SidecarTask"], &new["SidecarTask"]);
            sidecar.into_iter().chain(task).collect()
        },
    )
}

fn sidecar(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block(
        "SidecarService",
        (old, new),
        |value| flat(value, &["Meta"]),
        || {
            // Nomad: says nothing of the sidecar's tags.
            let mut found: Vec<_> = proxy(&old["Proxy"], &new["Proxy"]).into_iter().collect();
            found.extend(simple("Meta", &deep(&old["Meta"]), &deep(&new["Meta"])));
            found
        },
    )
}

fn proxy(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block(
        "ConsulProxy",
        (old, new),
        |value| flat(value, &["Config"]),
        || {
            let mut found = set_of(&old["Upstreams"], &new["Upstreams"], upstream);
            found.extend(expose(&old["Expose"], &new["Expose"]));
            let (before, after) = (&old["TransparentProxy"], &new["TransparentProxy"]);
            // Nomad: shown also when there is none.
            let kind = if before == after { DiffType::None } else { kind(before, after) };
            let same = if before == after { Same::Hidden } else { Same::Shown };
            let fields = fields(&deep(before), &deep(after), same);
            let name = "TransparentProxy".to_owned();
            found.push(ObjectDiff { kind, name, fields, objects: Vec::new() });
            found.extend(simple("Config", &deep(&old["Config"]), &deep(&new["Config"])));
            found
        },
    )
}

fn upstream(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block(
        "ConsulUpstreams",
        (old, new),
        |value| flat(value, &["Config"]),
        || {
            let mut found: Vec<ObjectDiff> =
                simple_of("MeshGateway", &old["MeshGateway"], &new["MeshGateway"])
                    .into_iter()
                    .collect();
            found.extend(simple("Config", &deep(&old["Config"]), &deep(&new["Config"])));
            found
        },
    )
}

fn expose(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block(
        "Expose",
        (old, new),
        |value| flat(value, &[]),
        || set_of(&old["Paths"], &new["Paths"], |old, new| simple_of("Paths", old, new)),
    )
}

fn sidecar_task(old: &Value, new: &Value) -> Option<ObjectDiff> {
    // Nomad: times are not among its fields.
    let hidden = ["KillTimeout", "ShutdownDelay", "Config"];
    let mut diff = block(
        "SidecarTask",
        (old, new),
        |value| flat(value, &hidden),
        || {
            let mut found: Vec<ObjectDiff> =
                simple("Config", &deep(&old["Config"]), &deep(&new["Config"]))
                    .into_iter()
                    .collect();
            found.extend(task::resources(&old["Resources"], &new["Resources"]));
            found.extend(simple_of("LogConfig", &old["LogConfig"], &new["LogConfig"]));
            found
        },
    )?;
    diff.fields.retain(|field| field.kind != DiffType::None);
    Some(diff)
}
