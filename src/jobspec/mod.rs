//! ◆ HCL text to the JSON of the API's job, with <file:line:column> in every error.
//!
//! A job file goes through five stations:
//!
//! ```text
//! text ──syntax──▶ tree ──variable, local──▶ scope ──eval──▶ values
//!                    └──────────────decode, by the tables of schema──▶ JSON ──normalize──▶ job
//! ```
//!
//! - `source` and `error`: places in texts, and complaints that show them.
//! - `syntax`: HCL's native syntax. `json`: the same thing written in JSON.
//! - `value`: numbers of 512 bits, strings, lists, maps, and conversions between them.
//! - `eval`: expressions. A name that nobody declared stays as text (`${node.class}`) for the client to fill in.
//! - `function`: what expressions may call. Files and randomness come in through [`Host`].
//! - `schema`: every block and attribute of a job, as tables. `decode` reads bodies by them; `api_json` reads API JSON by the same.
//!
//! The room does not judge a job: whether a priority is allowed or a driver exists is for `api` and the server. It never
//! panics, and it bounds what a hostile file can cost: nesting, length, steps of evaluation, size of values, number of blocks.
//!
//! The command line calls [`parse`] with [`LocalHost`]; the HTTP server calls it with [`NoFiles`].

mod api_json;
mod decode;
mod duration;
mod error;
mod eval;
mod function;
mod host;
mod init;
mod json;
mod local;
mod normalize;
mod schema;
mod source;
mod syntax;
mod type_expression;
mod value;
mod variable;

use decode::Decoder;
use error::Complaints;
use eval::{Evaluator, Scope};
use json::body::{Content, Reader};
use schema::{JOB, Object};
use source::Texts;
use syntax::{Block, Body, Input};
use value::Value;
use variable::Variables;

pub use error::{Diagnostic, ParseError, format_error};
pub use host::{Entry, Host, LocalHost, NoFiles, ReadError, read_source};
pub use init::{EXAMPLE, SHORT_EXAMPLE};
pub use source::{Place, Position, Source};

/// Largest job file or variable file.
const MAX_SOURCE: usize = 4 << 20;

/// What comes from outside the job file.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Variable files, in the order given.
    pub var_files: Vec<Source>,
    /// `name=value`, in the order given.
    pub vars: Vec<String>,
    /// The environment; of it, `NOMAD_VAR_*` and `STEAD_VAR_*` count.
    pub environment: Vec<(String, String)>,
    /// Whether values for undeclared variables are errors.
    pub strict: bool,
}

impl Default for Inputs {
    fn default() -> Self {
        Self { var_files: Vec::new(), vars: Vec::new(), environment: Vec::new(), strict: true }
    }
}

/// The job in an HCL file, or in an HCL file written as JSON (its first character is `{`), as API JSON with every field
/// present.
pub fn parse(
    source: &Source,
    inputs: &Inputs,
    host: &dyn Host,
) -> Result<serde_json::Value, ParseError> {
    let mut texts = Texts::default();
    let mut evaluator = Evaluator::new(host, Complaints::default());
    let job = read(source, Content::File, &mut texts, &mut evaluator.complaints)
        .and_then(|body| file(&body, inputs, &mut texts, &mut evaluator));
    match job {
        Some(job) if evaluator.complaints.is_empty() => Ok(serde_json::Value::Object(job)),
        _ => Err(evaluator.complaints.into_error(&texts)),
    }
}

/// The job in a file of API JSON (`-json`), bare or behind `"Job"`, with every field present. Variables have no meaning
/// there.
pub fn parse_api_json(source: &Source, inputs: &Inputs) -> Result<serde_json::Value, ParseError> {
    if !inputs.vars.is_empty() || !inputs.var_files.is_empty() {
        let detail = "cannot use variables with JSON files";
        return Err(ParseError::nowhere("Invalid job options", detail));
    }
    api_json::parse(source).map(serde_json::Value::Object)
}

/// A text as a tree. `None` if something was complained about that leaves no tree.
fn read(
    source: &Source,
    content: Content,
    texts: &mut Texts,
    complaints: &mut Complaints,
) -> Option<Body> {
    if source.bytes.len() > MAX_SOURCE {
        let detail = format!("{} has more than {MAX_SOURCE} bytes.", source.name);
        complaints.add_nowhere("File too large", detail);
        return None;
    }
    let bytes = source.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&source.bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let lossy = String::from_utf8_lossy(bytes);
            let file = texts.add(&source.name, &lossy);
            let at = error.valid_up_to();
            let span = Input { text: &lossy, file, base: 0 }.span(at, at + '\u{fffd}'.len_utf8());
            let detail = "All input files must be UTF-8 encoded. Ensure that UTF-8 encoding is selected in your \
                          editor.";
            complaints.add(span, "Invalid character encoding", detail);
            return None;
        }
    };
    let file = texts.add(&source.name, text);
    // Nomad: only spaces may stand before the brace.
    if !text.trim_start_matches(' ').starts_with('{') {
        return syntax::file(Input { text, file, base: 0 }, complaints);
    }
    let mut reader = Reader { file, complaints };
    match json::parse(text) {
        Ok(json) => Some(reader.body(&json, content)),
        Err(error) => {
            let span = Input { text, file, base: 0 }.span(error.start, error.end);
            reader.complaints.add(span, error.title, error.detail);
            None
        }
    }
}

fn file(
    body: &Body,
    inputs: &Inputs,
    texts: &mut Texts,
    evaluator: &mut Evaluator<'_>,
) -> Option<Object> {
    check_top_level(body, &mut evaluator.complaints);
    if !evaluator.complaints.is_empty() {
        return None;
    }
    let mut variables = Variables::new(evaluator, texts);
    variables.declare(body);
    variables.collect(inputs);
    let values = variables.finish();
    if !evaluator.complaints.is_empty() {
        return None;
    }
    let mut scope = Scope::default();
    scope.set("var", evaluator.sized(Value::object(values), body.missing).ok()?);
    let values = local::locals(body, evaluator, &scope);
    scope.set("local", evaluator.sized(Value::object(values), body.missing).ok()?);
    if !evaluator.complaints.is_empty() {
        return None;
    }
    let block = only_job(body, texts, &mut evaluator.complaints)?;
    let mut job = Decoder::new(evaluator, texts).body(&JOB, &block.body, &block.labels, &scope);
    let label = block.labels.first().map_or("", |label| &label.text);
    normalize::job(&mut job, label);
    Some(job)
}

/// Only four sorts of blocks may stand at the top of a file, and no attributes.
fn check_top_level(body: &Body, complaints: &mut Complaints) {
    const KNOWN: [(&str, usize); 4] =
        [("job", 1), ("variable", 1), ("variables", 0), ("locals", 0)];
    for attribute in &body.attributes {
        let name = attribute.name.text.as_ref();
        let mut detail = format!("An argument named \"{name}\" is not expected here.");
        if KNOWN.iter().any(|(known, _)| *known == name) {
            let hint = format!(" Did you mean to define a block of type \"{name}\"?");
            detail += &hint;
        }
        complaints.add(attribute.name.span, "Unsupported argument", detail);
    }
    for block in &body.blocks {
        let name = block.kind.text.as_ref();
        let Some((_, labels)) = KNOWN.iter().find(|(known, _)| *known == name) else {
            let mut detail = format!("Blocks of type \"{name}\" are not expected here.");
            detail += &eval::did_you_mean(name, KNOWN.map(|(known, _)| known));
            complaints.add(block.kind.span, "Unsupported block type", detail);
            continue;
        };
        if block.labels.len() < *labels {
            let detail = format!("All {name} blocks must have {labels} labels (name).");
            complaints.add(block.open, format!("Missing name for {name}"), detail);
        } else if let Some(extra) = block.labels.get(*labels) {
            let detail = match labels {
                0 => format!("No labels are expected for {name} blocks."),
                _ => format!("Only {labels} labels (name) are expected for {name} blocks."),
            };
            complaints.add(extra.span, format!("Extraneous label for {name}"), detail);
        }
    }
}

fn only_job<'b>(body: &'b Body, texts: &Texts, complaints: &mut Complaints) -> Option<&'b Block> {
    let mut jobs = body.blocks.iter().filter(|block| block.kind.text.as_ref() == "job");
    let Some(first) = jobs.next() else {
        complaints.add_nowhere("Missing job block", "A job block is required");
        return None;
    };
    for other in jobs {
        let place = texts.locate(first.definition());
        let detail = format!(
            "Only one block of type \"job\" is allowed. Previous definition was at {place}."
        );
        complaints.add(other.definition(), "Duplicate job block", detail);
    }
    Some(first)
}
