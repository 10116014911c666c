//! Tables of recorded answers: every case is run, those that do not hold are listed with their reason.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

fn conformance() -> PathBuf {
    std::env::var_os("STEAD_CONFORMANCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance"),
        PathBuf::from,
    )
}

/// Runs `holds` on every case of a table: none means that the case belongs to another room. Cases that do not hold are
/// in `tests/it/<room>/<table>.differences`, one `name: reason` a line; one that holds must not be there.
#[expect(clippy::print_stdout, reason = "the counts are what people read")]
pub(crate) fn check(
    table: &str,
    room: &str,
    mut holds: impl FnMut(&Value) -> Option<Result<(), String>>,
) {
    let path = conformance().join("oracle").join(format!("{table}.json"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: there is no {}", path.display());
        return;
    };
    let whole: Value = serde_json::from_str(&text).expect("made by the test");
    let listed = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/it/{room}/{table}.differences"));
    let listed = std::fs::read_to_string(listed).unwrap_or_default();
    let mut listed: BTreeMap<&str, &str> = listed
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .filter_map(|line| line.split_once(": "))
        .collect();
    let (mut passed, mut elsewhere, mut different, mut wrong) = (0, 0, 0, Vec::new());
    for case in whole["cases"].as_array().expect("made by the test") {
        let name = case["name"].as_str().expect("made by the test");
        match (holds(case), listed.remove(name)) {
            (None, _) => elsewhere += 1,
            (Some(Ok(())), None) => passed += 1,
            (Some(Err(_)), Some(_)) => different += 1,
            (Some(Ok(())), Some(_)) => wrong.push(format!("{name}: holds and is still listed")),
            (Some(Err(why)), None) => wrong.push(format!("{name}: {why}")),
        }
    }
    wrong.extend(listed.keys().map(|name| format!("{name}: listed and not in the table")));
    println!(
        "{table}: {passed} hold, {different} differ for a listed reason, {elsewhere} belong to other rooms"
    );
    assert!(wrong.is_empty(), "{} of {table}:\n{}", wrong.len(), wrong.join("\n"));
}
