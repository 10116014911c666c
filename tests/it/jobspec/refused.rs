//! Every job file that Nomad's parser refuses is refused at the same place, with the line shown.

use std::fs;

use stead::jobspec::{self, ParseError};

use super::support::{FolderHost, Report, case, conformance, names, source};

#[test]
fn refused_jobs_are_refused_at_the_same_line() {
    let Some(folder) = conformance() else { return };
    let folder = folder.join("jobspec/bad");
    let mut report = Report::new("bad");
    let mut columns = 0;
    for name in names(&folder, ".txt") {
        let recorded = fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
        // What `validate` or `run` refused is not the parser's to judge.
        if !recorded.lines().next().unwrap().contains("run -output") {
            continue;
        }
        let case = case(&folder, &name);
        let host = FolderHost { folder: folder.clone(), home: case.home.clone() };
        let source = source(&folder, &name);
        let refused = if let Some(error) = case.unreadable {
            Err(error)
        } else if case.json {
            jobspec::parse_api_json(&source, &case.inputs)
        } else {
            jobspec::parse(&source, &case.inputs, &host)
        };
        let problem = match refused {
            Ok(_) => Some("accepted".to_owned()),
            Err(error) => {
                let theirs = places(&recorded);
                let ours: Vec<String> = error.diagnostics.iter().map(place).collect();
                columns += usize::from(theirs.iter().any(|place| ours.contains(place)));
                // Nomad names no place for some errors; any place is better then.
                let lines =
                    |places: &[String]| -> Vec<String> { places.iter().map(|p| line(p)).collect() };
                let fits =
                    theirs.is_empty() || lines(&theirs).iter().any(|l| lines(&ours).contains(l));
                (!fits).then(|| format!("refused at {ours:?}, not at {theirs:?}: {error}"))
            }
        };
        report.add(&name, problem);
    }
    println!("bad: {columns} of them at the very same columns");
    report.finish();
}

fn place(diagnostic: &jobspec::Diagnostic) -> String {
    diagnostic.place.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn line(place: &str) -> String {
    place.split(',').next().unwrap_or(place).to_owned()
}

/// The places that a recorded text names.
fn places(text: &str) -> Vec<String> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let line = line.strip_prefix("unable to parse var file: ").unwrap_or(line);
            let (place, _) = line.split_once(": ")?;
            let numbers = place.rsplit(':').next()?;
            let real = numbers.contains(',') && numbers.starts_with(|c: char| c.is_ascii_digit());
            (real && !place.starts_with(":0,0")).then(|| place.to_owned())
        })
        .collect()
}

fn refuse(text: &str) -> ParseError {
    let source = jobspec::Source::new("web.hcl", text);
    jobspec::parse(&source, &jobspec::Inputs::default(), &jobspec::NoFiles).unwrap_err()
}

#[test]
fn several_errors_are_told_at_once() {
    let error = refuse(
        "job \"x\" {\n  prioritty = 5\n  group \"g\" {\n    count = \"many\"\n    task \"t\" {\n      volumes {}\n    }\n  }\n}\n",
    );
    let lines: Vec<usize> =
        error.diagnostics.iter().filter_map(|d| d.place.as_ref()).map(|p| p.start.line).collect();
    assert_eq!(lines, [2, 4, 6]);
    assert!(error.to_string().contains("Did you mean \"priority\"?"), "{error}");
}

#[test]
fn the_offending_line_is_shown_with_a_caret() {
    let error = refuse("job \"x\" {\n  group \"g\" {\n\tcount = \"mäny\" + 1\n  }\n}\n");
    let shown = jobspec::format_error(&error);
    assert_eq!(
        shown,
        "web.hcl:3,10-16: Invalid operand; Unsuitable value for left operand: a number is required.\n  \
         3 | \tcount = \"mäny\" + 1\n    | \t        ^^^^^^\n"
    );
}
