//! Every expression that Nomad computed gives the same value, and every one it refused is refused at the same place.

use std::fs;

use serde_json::Value;
use stead::jobspec::{self, Inputs, Source};

use super::support::{FolderHost, Report, conformance};

#[test]
fn expressions_give_the_recorded_values() {
    let Some(folder) = conformance() else { return };
    let text = fs::read_to_string(folder.join("oracle/hcl_functions.json")).unwrap();
    let table: Value = serde_json::from_str(&text).unwrap();
    let notes = &table["notes"];
    let work = tempfile::tempdir().unwrap();
    for (name, content) in notes["files"].as_object().unwrap() {
        let path = work.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes = match content.as_str().unwrap() {
            "(bytes ff 00)" => vec![0xff, 0],
            text => text.as_bytes().to_vec(),
        };
        fs::write(path, bytes).unwrap();
    }
    let home = notes["home"].as_str().map(str::to_owned);
    let host = FolderHost { folder: work.path().to_owned(), home };
    let mut report = Report::new("hcl_functions");
    for case in table["cases"].as_array().unwrap() {
        let expression = case["expr"].as_str().unwrap();
        let job = notes["source"].as_str().unwrap().replace("EXPR", expression);
        let text = format!("{job}{}", notes["prelude"].as_str().unwrap());
        let source = Source::new("job.nomad.hcl", text);
        let parsed = jobspec::parse(&source, &Inputs::default(), &host);
        let problem = match (parsed, case["json"].as_str(), case["error"].as_str()) {
            (Ok(job), Some(json), _) => {
                let ours = job["Meta"]["k0"].as_str().unwrap_or("nothing").to_owned();
                (ours != json).then(|| format!("{expression} is {ours}, not {json}"))
            }
            (Err(error), Some(json), _) => {
                Some(format!("{expression} is refused, not {json}: {error}"))
            }
            (Ok(job), None, _) => {
                Some(format!("{expression} is {}, not refused", job["Meta"]["k0"]))
            }
            (Err(error), None, Some(recorded)) => {
                let (ours, theirs) = (place(&error.to_string()), place(recorded));
                (ours != theirs)
                    .then(|| format!("{expression} is refused at {ours}, not {theirs}: {error}"))
            }
            (Err(_), None, None) => Some("has neither value nor error".to_owned()),
        };
        report.add(case["name"].as_str().unwrap(), problem);
    }
    report.finish();
}

/// `line,column-column` of the first error.
fn place(error: &str) -> String {
    let rest = error.strip_prefix("job.nomad.hcl:").unwrap_or(error);
    rest.split(": ").next().unwrap_or(rest).to_owned()
}
