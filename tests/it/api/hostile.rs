//! Whatever somebody sends, reading, checking, comparing and filtering end, and nothing panics.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use stead::api::admission::{Surroundings, admit};
use stead::api::decode;
use stead::api::diff;
use stead::api::filter::{Filter, Shape};
use stead::api::job::Job;
use stead::api::{duration, size};
use stead::model::Nanos;

/// A job that says something of everything.
fn rich() -> Value {
    json!({
        "ID": "x", "Type": "service", "Priority": 50, "Datacenters": ["*"], "Meta": {"a": "b"},
        "Constraints": [{"LTarget": "${attr.x}", "Operand": "regexp", "RTarget": "a{2}"}],
        "Affinities": [{"LTarget": "${attr.x}", "Operand": "version", "RTarget": ">= 1", "Weight": 5}],
        "Spreads": [{"Attribute": "${meta.r}", "Weight": 5, "SpreadTarget": [{"Value": "a", "Percent": 9}]}],
        "Update": {"MaxParallel": 1, "Canary": 1, "HealthyDeadline": 5, "ProgressDeadline": 9},
        "Periodic": {"Spec": "* * * * *", "Specs": [], "TimeZone": "UTC"},
        "ParameterizedJob": {"MetaRequired": ["a"], "MetaOptional": ["a"]},
        "UI": {"Description": "d", "Links": [{"Label": "l", "Url": "u"}]},
        "TaskGroups": [{
            "Name": "g", "Count": 2, "ShutdownDelay": 1, "MaxRunDuration": 1,
            "RestartPolicy": {"Attempts": 2, "Delay": 1, "Interval": 9, "Mode": "fail"},
            "ReschedulePolicy": {"Attempts": 3, "Interval": 9, "Delay": 9, "DelayFunction": "fibonacci", "MaxDelay": 9},
            "Disconnect": {"LostAfter": 1, "StopOnClientAfter": 1, "Reconcile": "x"},
            "EphemeralDisk": {"SizeMB": 1},
            "Networks": [{"Mode": "bridge", "ReservedPorts": [{"Label": "p", "Value": 80, "To": 1}],
                          "DynamicPorts": [{"Label": "q", "To": -1}], "CNI": {"Args": {"a": "b"}}}],
            "Volumes": {"v": {"Name": "v", "Type": "csi", "Source": "s", "MountOptions": {"MountFlags": ["a"]}}},
            "Scaling": {"Min": 1, "Max": 2, "Policy": {"a": [1, {"b": null}]}},
            "Services": [{"Name": "s", "PortLabel": "80", "Provider": "consul", "Identity": {"Name": "i"},
                "Connect": {"SidecarService": {"Port": "", "Proxy": {"Upstreams": [{"LocalBindPort": 1}],
                    "TransparentProxy": {"ExcludeInboundPorts": ["x"]}}},
                    "SidecarTask": {"Resources": {"CPU": 1}, "Config": {"a": 1}}},
                "Checks": [{"Type": "http", "Path": "/", "Interval": 1, "Timeout": 1, "Expose": true,
                    "Header": {"a-b": ["c"]}, "CheckRestart": {"Limit": 1, "Grace": 1}}]}],
            "Tasks": [{
                "Name": "t", "Driver": "exec", "Config": {"a": [1, {"b": "c"}]}, "Env": {"A": "B"},
                "Lifecycle": {"Hook": "prestart"}, "KillTimeout": 1, "ShutdownDelay": 1, "KillSignal": "SIGINT",
                "LogConfig": {"MaxFiles": 1, "MaxFileSizeMB": 1},
                "Resources": {"CPU": 1, "Cores": 1, "MemoryMB": 1, "MemoryMaxMB": 1, "NUMA": {"Affinity": "none"},
                    "Devices": [{"Name": "d", "Count": 1, "Constraints": [{"Operand": "distinct_hosts"}]}]},
                "Artifacts": [{"GetterSource": "s", "GetterOptions": {"checksum": "md5:00"}, "RelativeDest": "../x"}],
                "Templates": [{"EmbeddedTmpl": "x", "DestPath": "a/../../b", "Perms": "0999", "ChangeMode": "script",
                    "ChangeScript": {"Command": "c"}, "Wait": {"Min": 2, "Max": 1}}],
                "VolumeMounts": [{"Volume": "v", "Destination": "/d"}], "DispatchPayload": {"File": "../../x"},
                "CSIPluginConfig": {"ID": "i", "Type": "node"}, "Actions": [{"Name": "a", "Command": "c"}],
                "Secrets": [{"Name": "s", "Provider": "p", "Path": "x", "Config": {"a": 1}}],
                "Identities": [{"Name": "n", "Audience": ["a"], "TTL": 1}],
                "Vault": {"Cluster": "c", "ChangeMode": "signal"}, "Schedule": {"Cron": {"Start": "s"}},
            }],
        }],
    })
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop_oneof![Just(0i64), Just(-1), Just(1), Just(i64::MAX), Just(i64::MIN)]
            .prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop_oneof![
            Just("service"),
            Just("batch"),
            Just("system"),
            Just("sysbatch"),
            Just("nomad"),
            Just("driver"),
            Just("${"),
            Just("a\u{0}b"),
            Just("../../.."),
            Just("(((((("),
            Just("*/0 * * * *"),
        ]
        .prop_map(Value::from),
    ]
}

fn anything() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[A-Za-z]{0,6}", inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Puts `value` at the place that `path` picks.
fn replace(target: &mut Value, path: &[usize], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *target = value;
        return;
    };
    match target {
        Value::Array(items) if !items.is_empty() => {
            let at = first % items.len();
            replace(&mut items[at], rest, value);
        }
        Value::Object(map) if !map.is_empty() => {
            let at = first % map.len();
            replace(map.values_mut().nth(at).unwrap(), rest, value);
        }
        other => *other = value,
    }
}

fn survive(value: Value) {
    let Ok((job, dropped)) = Job::decode(value) else { return };
    let written = serde_json::to_value(&job).unwrap();
    let (again, _) = Job::decode(written).unwrap();
    assert_eq!(again, job, "a job that was read is read again as the same");
    if let Ok((job, warnings)) = admit(job, &dropped, &Surroundings::default()) {
        let text = warnings.text();
        assert!(text.is_empty() || text.contains("warning"));
        let mut diff = diff::between(None, Some(&job));
        diff::annotate(&mut diff, None);
        assert!(!diff::text::job(&diff, diff::text::Color::On, true).is_empty());
        assert_eq!(diff::between(Some(&job), Some(&job)).kind, diff::DiffType::None);
    }
}

#[test]
fn a_rich_job_is_read_whole() {
    let (_, dropped) = Job::decode(rich()).unwrap();
    assert!(dropped.is_empty(), "{dropped:?}");
}

#[test]
fn many_attempts_are_not_counted_one_by_one() {
    let mut job = rich();
    job["TaskGroups"][0]["ReschedulePolicy"]["Attempts"] = json!(i64::MAX);
    survive(job);
}

#[test]
fn deep_and_long_filters_end() {
    let deep = format!("{}A == 1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(Filter::parse(&deep).is_err());
    assert!(Filter::parse(&"not ".repeat(5000)).is_err());
    let long = vec!["A == 2"; 20_000].join(" or ");
    let filter = Filter::parse(&long).unwrap();
    assert_eq!(filter.matches(&json!({"A": 1}), &Shape::Noun), Ok(false));
}

#[test]
fn deep_json_is_refused() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(decode::from_slice::<Value>(deep.as_bytes()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn jobs_with_anything_anywhere_are_survived(
        changes in prop::collection::vec((prop::collection::vec(any::<usize>(), 1..7), anything()), 0..4),
    ) {
        let mut job = rich();
        for (path, value) in changes {
            replace(&mut job, &path, value);
        }
        survive(job);
    }

    #[test]
    fn bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _read = decode::from_slice::<Job>(&bytes).is_ok();
    }

    #[test]
    fn filters_of_any_text_are_survived(
        text in "[A-Za-z0-9_./\"`\\[\\](){}, =!\\\\-]{0,60}|(any|all|not|A|B|in|is|empty|and|or|==|\"x\"|\\{|\\}|\\(|\\)|as| ){0,25}",
        object in anything(),
    ) {
        if let Ok(filter) = Filter::parse(&text) {
            let _asked = filter.matches(&object, &Shape::Noun).is_ok();
            let _asked = filter.matches(&object, &Shape::Free).is_ok();
        }
    }

    #[test]
    fn durations_and_sizes_are_written_and_read_back(nanos in any::<i64>(), text in "\\PC{0,20}") {
        let written = duration::format(Nanos(nanos));
        prop_assert_eq!(duration::parse(&written), Ok(Nanos(nanos)));
        let _read = duration::parse(&text).is_ok();
        let _read = size::parse(&text).is_ok();
        let _written = (size::comma(nanos), size::ordinal(nanos), duration::relative(Nanos(nanos)));
    }
}
