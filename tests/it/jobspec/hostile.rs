//! No input makes the parser panic, hang or eat the machine.

use std::time::Duration;

use proptest::prelude::*;
use stead::jobspec::{self, Inputs, NoFiles, ParseError, Source};
use stead::sys::clock;

fn parse(text: impl Into<Vec<u8>>) -> Result<serde_json::Value, ParseError> {
    jobspec::parse(&Source::new("x.hcl", text), &Inputs::default(), &NoFiles)
}

fn refused(text: &str, why: &str) {
    let error = parse(text).unwrap_err().to_string();
    assert!(error.contains(why), "{why}: {}", error.chars().take(400).collect::<String>());
}

fn meta(expression: &str) -> String {
    format!("job \"x\" {{\n  meta {{\n    a = {expression}\n  }}\n}}\n")
}

fn joined(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().concat()
}

#[test]
fn deep_nesting_is_refused() {
    const N: usize = 50_000;
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{ a = ", "}"),
        ("-", ""),
        ("!", ""),
        ("upper(", ")"),
        ("true ? 1 : ", ""),
        ("\"${", "}\""),
        ("[for x in ", " : x]"),
        ("a[", "]"),
    ] {
        let text = meta(&format!("{}1{}", open.repeat(N), close.repeat(N)));
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains("eep") || error.contains("omplex"), "{open}: {error}");
    }
    refused(&"a {\n".repeat(N), "Nested too deeply");
    refused(&meta(&format!("1{}", " + 1".repeat(N))), "too complex");
    refused(&meta(&format!("a{}", "[b]".repeat(N))), "too complex");
    let (open, close) = ("%{ if true }".repeat(N), "%{ endif }".repeat(N));
    refused(&meta(&format!("\"{open}{close}\"")), "Nested too deeply");
    refused(&format!("{}{}", "{\"job\":".repeat(N), "}".repeat(N)), "Nested too deeply");
    refused(&meta(&format!("jsondecode(\"{}\")", "[".repeat(N))), "Nested too deeply");
    refused(&meta(&format!("yamldecode(\"{}\")", "[".repeat(2000))), "recursion limit");
}

#[test]
fn loops_in_loops_run_out_of_fuel() {
    let started = clock::monotonic();
    refused(
        &meta(
            "length([for a in range(1024) : [for b in range(1024) : [for c in range(1024) : a * b * c]]])",
        ),
        "takes too long",
    );
    refused(
        &meta(
            "try([for a in range(1024) : [for b in range(1024) : [for c in range(1024) : 1]]], 1)",
        ),
        "takes too long",
    );
    assert!(started.elapsed() < Duration::from_mins(1), "{:?}", started.elapsed());
}

#[test]
fn doubling_locals_do_not_double_forever() {
    let doubled = |first: &str, next: &dyn Fn(usize) -> String| {
        let locals = joined((1..200).map(|i| format!("  l{i} = {}\n", next(i - 1))));
        format!("locals {{\n  l0 = {first}\n{locals}}}\n{}", meta("jsonencode(local.l199)"))
    };
    refused(&doubled("[1]", &|i| format!("[local.l{i}, local.l{i}]")), "too large");
    refused(
        &doubled("\"abcdefgh\"", &|i| format!("\"${{local.l{i}}}${{local.l{i}}}\"")),
        "too large",
    );
    refused(&doubled("[1]", &|i| format!("concat(local.l{i}, local.l{i})")), "too large");
    refused(
        &doubled("\"aaaaaaaa\"", &|i| format!("replace(local.l{i}, \"a\", \"aa\")")),
        "longer than",
    );
    refused(&doubled("1e1000", &|i| format!("local.l{i} * local.l{i}")), "infinity");
    let deep = joined((1..5000).map(|i| format!("  l{i} = [local.l{}]\n", i - 1)));
    refused(&format!("locals {{\n  l0 = 1\n{deep}}}\n{}", meta("1")), "too large");
    let bomb = joined((1..60).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}]\\n", i - 1)));
    refused(&meta(&format!("yamldecode(\"a0: &a0 [1]\\n{bomb}\")")), "too");
}

#[test]
fn huge_requests_are_refused_by_name() {
    refused(&meta("format(\"%1000000000d\", 1)"), "width and precision");
    refused(&meta("indent(1000000000, \"a\\nb\")"), "longer than");
    refused(&meta("bcrypt(\"a\", 31)"), "outside the allowed range");
    refused(&meta("1e999999999"), "too large an exponent");
    refused(&meta("length(setproduct(range(1000), range(1000)))"), "combinations");
    let groups = "job \"x\" {\n  dynamic \"group\" {\n    for_each = [for a in range(1000) : [for b in range(30) : b]]\n    \
                  labels   = [group.key]\n    content {\n      dynamic \"task\" {\n        for_each = group.value\n        \
                  labels   = [task.key]\n        content {}\n      }\n    }\n  }\n}\n";
    refused(groups, "Too many blocks");
    refused(&format!("{}{}", " ".repeat(5 << 20), meta("1")), "File too large");
}

/// Texts whose every piece could make a careless reader look at all the rest.
#[test]
fn long_repetitions_are_read_once() {
    const BYTES: usize = 3 << 20;
    let fill = |piece: &str| piece.repeat(BYTES / piece.len());
    let started = clock::monotonic();
    for text in [
        meta(&fill("<")),
        meta(&fill("/* ")),
        fill("/*"),
        meta(&format!("<<A\n{}\nA", fill("${a}"))),
        meta(&format!("<<{}\n{}", "A".repeat(BYTES / 2), "\n".repeat(BYTES / 2))),
        format!("job \"x\" {{\n{}}}\n", fill("a = 1\n")),
        format!("job \"x\" {{\n{}}}\n", joined((0..200_000).map(|i| format!("n{i} = 1\n")))),
        format!("job \"x\" {{\n{}}}\n", fill("update {}\n")),
        format!("{{\"job\": {{\"x\": {{{}\"a\": 1}}}}}}", fill("\"a\": 1,")),
        meta(&format!("csvdecode(\"{}\")", joined((0..200_000).map(|i| format!("{i},"))))),
        meta(&format!("\"{}\"", fill("\\"))),
        fill("\u{e9}"),
        fill("a.b"),
        fill("a {\n}\n"),
    ] {
        drop(parse(text));
    }
    assert!(started.elapsed() < Duration::from_mins(1), "{:?}", started.elapsed());
}

#[test]
fn half_surrogates_and_odd_characters_are_survived() {
    for text in [
        "{\"job\": {\"\\ud800\": {\"type\": \"\\ud800\\ud800${\\udc00}\"}}}",
        "job \"\u{0}\" {}\n",
        "\u{feff}",
        "job \"x\" { type = \"\\u+123\" }",
        "job \"x\" {\n type = \"é\\é\"\n}",
        "job \"x\" {\n  type = <<-É\n  é\n  É\n}\n",
        "a = <<",
        "a = <<-",
        "\"${\"",
        "{\"job\":{\"x\":{\"type\":\"${\"}}}",
    ] {
        drop(parse(text));
    }
}

/// Pieces that make random text more like a job than random bytes are.
const PIECES: &[&str] = &[
    "job",
    "\"x\"",
    "{",
    "}",
    "\n",
    "group",
    "task",
    "config",
    "=",
    "[",
    "]",
    "(",
    ")",
    "${",
    "%{",
    "}",
    "\"",
    "<<EOT\n",
    "EOT\n",
    "<<-A",
    "if",
    "for",
    "in",
    "x",
    ":",
    "=>",
    "...",
    ",",
    ".",
    "*",
    "[*]",
    "?",
    "!",
    "-",
    "1",
    "1e9",
    "null",
    "true",
    "var",
    "local.a",
    "variable \"a\" {\n",
    "locals {\n",
    "dynamic \"group\" {\n",
    "content {\n",
    "for_each = ",
    "labels = ",
    "a = ",
    "\\",
    "\\u00e9",
    "é",
    "~",
    "%{ if true }",
    "%{ endif }",
    "range(3)",
    "format(\"%s\", ",
    "jsondecode(",
    "#",
    "//",
    "/*",
    "*/",
    "'",
    "network {\n",
    "port \"p\" {\n",
    "static = ",
    "\r\n",
    "{\"job\":",
    "\"a\":",
    "//\n",
];

proptest! {
        #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(parse(bytes));
    }

    #[test]
    fn random_pieces_never_panic(picks in proptest::collection::vec(0..PIECES.len(), 0..60)) {
        let text = picks.iter().map(|pick| PIECES[*pick]).collect::<Vec<_>>().join(" ");
        drop(parse(text.clone()));
        drop(parse(meta(&text)));
        drop(parse(format!("{{\"job\":{{\"x\":{{\"meta\":{{\"a\":{}}}}}}}}}", serde_json::json!(text))));
    }

    #[test]
    fn random_text_in_functions_never_panics(text in "\\PC{0,40}", pick in 0..12usize) {
        let quoted = serde_json::to_string(&text).unwrap().replace("${", "$${").replace("%{", "%%{");
        let call = ["yamldecode", "jsondecode", "csvdecode", "base64decode", "title", "strlen", "urlencode",
            "parseint", "formatdate", "cidrhost", "format", "regex_replace"][pick];
        let more = ["", "", "", "", "", "", "", ", 16", ", \"2024-02-29T13:04:05Z\"", ", 1", ", 1", ", \"(.)\", \"$1\""][pick];
        drop(parse(meta(&format!("try({call}({quoted}{more}), 1)"))));
    }

    #[test]
    fn random_json_never_panics_as_api_json(text in "[{}\\[\\]\",:a-zJob0-9\\\\ \\n]{0,80}") {
        drop(jobspec::parse_api_json(&Source::new("x.json", text), &Inputs::default()));
    }
}
