//! What job files may say, in cases of our own: these run also where the recorded answers are not at hand.

use serde_json::{Value, json};
use stead::jobspec::{self, Inputs, NoFiles, Source};

fn parse(text: &str) -> Value {
    parse_with(text, &Inputs::default())
}

fn parse_with(text: &str, inputs: &Inputs) -> Value {
    jobspec::parse(&Source::new("x.hcl", text), inputs, &NoFiles).unwrap_or_else(|e| panic!("{e}"))
}

fn refused(text: &str) -> String {
    let source = Source::new("x.hcl", text);
    jobspec::parse(&source, &Inputs::default(), &NoFiles).unwrap_err().to_string()
}

/// The value of an expression as `config` of a task.
fn value(expression: &str) -> Value {
    let text = format!(
        "job \"x\" {{\n  task \"t\" {{\n    config {{\n      v = {expression}\n    }}\n  }}\n}}\n"
    );
    parse(&text)["TaskGroups"][0]["Tasks"][0]["Config"]["v"].clone()
}

#[test]
fn expressions_are_computed() {
    let cases = [
        ("1 + 2 * 3 - 4 / 8 % 3", json!(6.5)),
        ("true ? 1 : \"b\"", json!("1")),
        ("[for i, x in [\"a\", \"b\"] : \"${i}${x}\" if x != \"b\"]", json!(["0a"])),
        (
            "merge({ for x in [\"a\", \"b\", \"a\"] : x => 1... }, {})",
            json!({"a": [1, 1], "b": [1]}),
        ),
        ("[{ n = 1 }, { n = 2 }][*].n", json!([1, 2])),
        ("null[*]", json!([])),
        ("jsondecode(\"[1, {\\\"a\\\": 2.5}]\")", json!([1, {"a": 2.5}])),
        ("yamldecode(\"a: yes\\nb: [x, 017]\")", json!({"a": true, "b": ["x", 15]})),
        ("cidrsubnets(\"10.1.0.0/16\", 4, 8)", json!(["10.1.0.0/20", "10.1.16.0/24"])),
        ("timeadd(\"2024-02-29T23:59:59Z\", \"1s\")", json!("2024-03-01T00:00:00Z")),
        ("format(\"%05.1f|%-4s|%x\", 3.14159, \"é\", 255)", json!("003.1|é   |ff")),
        ("9223372036854775807", json!(9_223_372_036_854_775_807_i64)),
        ("convert([\"b\", \"a\", \"b\"], set(string))", json!(["a", "b"])),
        ("try(jsondecode(\"{\"), \"fallback\")", json!("fallback")),
    ];
    for (expression, expected) in cases {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn names_that_nobody_declared_stay_as_text() {
    assert_eq!(
        value("\"http://${NOMAD_ADDR_http}/?dc=${node.datacenter}\""),
        json!("http://${NOMAD_ADDR_http}/?dc=${node.datacenter}")
    );
    assert_eq!(value("\"${env[\"HOME\"]}$${literal}\""), json!("${env[\"HOME\"]}${literal}"));
    assert_eq!(value("attr.kernel.name"), json!("${attr.kernel.name}"));
}

#[test]
fn heredocs_lose_their_shared_indentation() {
    // A strip mark takes its line's end away, so what follows does not begin a line: HCL leaves its indentation.
    let text = "<<-EOT\n        a\n          ${upper(\"b\")}\n\n        %{ for x in [1, 2] ~}\n        - ${x}\n        %{ endfor ~}\n      EOT\n";
    assert_eq!(value(text), json!("a\n  B\n\n        - 1\n        - 2\n"));
}

#[test]
fn an_object_written_in_place_becomes_a_list_in_a_config() {
    assert_eq!(value("{ a = 1 }"), json!([{"a": 1}]));
    assert_eq!(value("({ a = 1 })"), json!({"a": 1}));
}

#[test]
fn dynamic_blocks_are_generated_in_both_syntaxes() {
    let hcl = r#"
job "x" {
  group "g" {
    network {
      dynamic "port" {
        for_each = { http = 80, admin = 0 }
        labels   = [port.key]
        content {
          static = port.value
          to     = 8000
        }
      }
    }
  }
}
"#;
    let json = r#"{"job": {"x": {"group": {"g": {"network": {"dynamic": {"port": {
        "for_each": {"http": 80, "admin": 0}, "labels": ["${port.key}"],
        "content": {"static": "${port.value}", "to": 8000}}}}}}}}}"#;
    let job = parse(hcl);
    let network = &job["TaskGroups"][0]["Networks"][0];
    assert_eq!(network["ReservedPorts"][0]["Label"], "http");
    assert_eq!(network["DynamicPorts"][0]["Label"], "admin");
    assert_eq!(parse(json), job);
}

#[test]
fn variables_take_the_value_that_is_nearest() {
    let text = "variable \"a\" {\n  type    = list(number)\n  default = [0]\n}\njob \"x\" {\n  meta {\n    a = jsonencode(var.a)\n  }\n}\n";
    let mut inputs = Inputs::default();
    let a = |inputs: &Inputs| parse_with(text, inputs)["Meta"]["a"].clone();
    assert_eq!(a(&inputs), "[0]");
    inputs.environment.push(("NOMAD_VAR_a".to_owned(), "[1]".to_owned()));
    assert_eq!(a(&inputs), "[1]");
    inputs.var_files.push(Source::new("a.hcl", "a = [2]\n"));
    assert_eq!(a(&inputs), "[2]");
    inputs.var_files.push(Source::new("a.json", "{\"a\": [\"3\"]}"));
    assert_eq!(a(&inputs), "[3]");
    inputs.vars.push("a=[4]".to_owned());
    assert_eq!(a(&inputs), "[4]");
}

#[test]
fn undeclared_variables_are_refused_only_when_strict() {
    let source = Source::new("x.hcl", "job \"x\" {}\n");
    let mut inputs = Inputs { vars: vec!["a=1".to_owned()], ..Inputs::default() };
    let error = jobspec::parse(&source, &inputs, &NoFiles).unwrap_err().to_string();
    assert!(error.contains("\"a\" variable was passed"), "{error}");
    inputs.strict = false;
    assert!(jobspec::parse(&source, &inputs, &NoFiles).is_ok());
}

#[test]
fn a_validation_says_what_it_wants_and_where_it_stands() {
    let text = "variable \"n\" {\n  default = 7\n  validation {\n    condition     = var.n < 5\n    error_message = \"Less than five.\"\n  }\n}\njob \"x\" {}\n";
    let error = refused(text);
    assert!(
        error.starts_with("x.hcl:2,13-14: Invalid value for default variable; Less than five."),
        "{error}"
    );
    assert!(error.ends_with("at x.hcl:3,3-13."), "{error}");
}

#[test]
fn errors_in_json_name_line_and_column() {
    let error = refused("{\n  \"job\": {\n    \"x\": { \"priority\": \"${1 +}\" }\n  }\n}");
    assert!(error.starts_with("x.hcl:3,30-31: Invalid expression"), "{error}");
    let error = refused("{\"job\": {\"x\": {\"group\": {\"g\": {\"replicas\": 1}}}}}");
    assert!(error.starts_with("x.hcl:1,32-42: Unsupported argument"), "{error}");
    let error = refused("{\"job\": {\"x\": 5}}");
    assert!(error.starts_with("x.hcl:1,15-16: Incorrect JSON value type"), "{error}");
}

#[test]
fn a_groups_secrets_and_vault_reach_its_tasks() {
    let job = parse(
        "job \"x\" {\n  vault {}\n  group \"g\" {\n    secret \"s\" {}\n    task \"a\" {}\n    task \"b\" {\n      secret \"own\" {}\n    }\n  }\n}\n",
    );
    let tasks = &job["TaskGroups"][0]["Tasks"];
    assert_eq!(tasks[0]["Secrets"][0]["Name"], "s");
    assert_eq!(tasks[1]["Secrets"][0]["Name"], "own");
    assert_eq!(tasks[1]["Secrets"][1]["Name"], "s");
    assert_eq!(tasks[0]["Vault"]["ChangeMode"], "restart");
}

#[test]
fn api_json_is_completed_and_its_types_are_checked() {
    let read =
        |text: &str| jobspec::parse_api_json(&Source::new("x.json", text), &Inputs::default());
    let job = read("{\"job\": {\"id\": \"x\", \"TASKGROUPS\": [{\"count\": 2}]}}").unwrap();
    assert_eq!(job["ID"], "x");
    assert_eq!(job["TaskGroups"][0]["Count"], 2);
    assert_eq!(job["TaskGroups"][0]["Tasks"], Value::Null);
    let error = read("{\n  \"Priority\": \"high\"\n}").unwrap_err().to_string();
    assert!(error.starts_with("x.json:2,15-21: "), "{error}");
    assert!(error.contains("Job.Priority must be a whole number, not a string"), "{error}");
    let inputs = Inputs { vars: vec!["a=1".to_owned()], ..Inputs::default() };
    assert!(jobspec::parse_api_json(&Source::new("x.json", "{}"), &inputs).is_err());
}
