//! ◆ `variable` blocks, `variables` blocks, and the values that files, the environment and the command line give them.
//!
//! default < environment < variable files, in order < command line. The last one counts.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::eval::{Evaluator, Failed, Names, Scope};
use super::json::body::{Content, Strings};
use super::source::{Span, Texts};
use super::syntax::walk::references;
use super::syntax::{self, Attribute, Block, Body, Expression, Input, Name, Step};
use super::type_expression::read_type;
use super::value::convert::convert;
use super::value::{Type, Value};
use super::{Inputs, read};

/// A declared variable.
#[derive(Debug)]
struct Variable {
    kind: Option<Type>,
    value: Option<Assignment>,
    validations: Vec<Validation>,
    declared: Span,
}

/// The value that a variable has, and where it came from.
#[derive(Debug)]
struct Assignment {
    value: Value,
    /// `default`, `env`, `varfile` or `cmd`.
    from: &'static str,
    place: Option<Span>,
}

#[derive(Debug)]
struct Validation {
    condition: Option<Expression>,
    message: String,
    declared: Span,
}

/// All variables of a job file.
#[derive(Debug)]
pub(super) struct Variables<'e, 'h> {
    declared: BTreeMap<Rc<str>, Variable>,
    evaluator: &'e mut Evaluator<'h>,
    texts: &'e mut Texts,
}

impl<'e, 'h> Variables<'e, 'h> {
    /// None yet.
    pub(super) fn new(evaluator: &'e mut Evaluator<'h>, texts: &'e mut Texts) -> Self {
        Self { declared: BTreeMap::new(), evaluator, texts }
    }

    /// Takes in the declarations of a job file.
    pub(super) fn declare(&mut self, file: &Body) {
        for block in &file.blocks {
            match block.kind.text.as_ref() {
                "variable" => self.declare_block(block),
                "variables" => {
                    for attribute in &block.body.attributes {
                        self.declare_short(attribute);
                    }
                    refuse_blocks(self.evaluator, &block.body);
                }
                _ => {}
            }
        }
    }

    fn complain(&mut self, span: Span, summary: impl Into<String>, detail: impl Into<String>) {
        self.evaluator.complaints.add(span, summary, detail);
    }

    fn is_new(&mut self, name: &Name, block: Span) -> bool {
        if self.declared.contains_key(&name.text) {
            let detail = format!("Duplicate {} variable definition found.", name.text);
            self.complain(block, "Duplicate variable", detail);
            return false;
        }
        true
    }

    fn declare_short(&mut self, attribute: &Attribute) {
        if !self.is_new(&attribute.name, attribute.name.span) {
            return;
        }
        let Ok(value) = self.constant(&attribute.value) else { return };
        let variable = Variable {
            kind: Some(value.kind()),
            value: Some(Assignment { value, from: "default", place: Some(attribute.value.span) }),
            validations: Vec::new(),
            declared: attribute.name.span,
        };
        self.declared.insert(Rc::clone(&attribute.name.text), variable);
    }

    /// A value that uses neither names nor functions.
    fn constant(&mut self, expression: &Expression) -> Result<Value, Failed> {
        self.evaluator.evaluate_with(Names::Closed, expression, &Scope::default())
    }

    fn constant_text(&mut self, expression: &Expression) -> Option<String> {
        let value = self.constant(expression).ok()?;
        match convert(&value, &Type::String) {
            Ok(Value::String(text)) => Some(text.to_string()),
            Ok(_) => Some(String::new()),
            Err(why) => {
                let detail = format!("Unsuitable value: {why}");
                self.complain(expression.start(), "Unsuitable value type", detail);
                None
            }
        }
    }

    fn declare_block(&mut self, block: &Block) {
        let Some(name) = block.labels.first() else { return };
        if !self.is_new(name, block.definition()) {
            return;
        }
        if !syntax::is_name(&name.text) {
            let detail = "A name must start with a letter or underscore and may contain only letters, digits, \
                          underscores, and dashes.";
            self.complain(name.span, "Invalid variable name", detail);
        }
        let mut variable = Variable {
            kind: None,
            value: None,
            validations: Vec::new(),
            declared: block.definition(),
        };
        let mut default = None;
        for attribute in &block.body.attributes {
            match attribute.name.text.as_ref() {
                "description" => {
                    self.constant_text(&attribute.value);
                }
                "type" => {
                    let kind = read_type(&attribute.value, false, &mut self.evaluator.complaints);
                    if kind.is_none() {
                        return self.keep_unknown(name, variable);
                    }
                    variable.kind = kind;
                }
                "default" => default = Some(&attribute.value),
                other => {
                    let detail = format!("An argument named \"{other}\" is not expected here.");
                    self.complain(attribute.name.span, "Unsupported argument", detail);
                }
            }
        }
        if let Some(default) = default {
            self.default_value(&mut variable, default);
        }
        for inner in &block.body.blocks {
            if inner.kind.text.as_ref() == "validation" {
                let validation = self.validation(&name.text, inner);
                variable.validations.push(validation);
            } else {
                let detail =
                    format!("Blocks of type \"{}\" are not expected here.", inner.kind.text);
                self.complain(inner.kind.span, "Unsupported block type", detail);
            }
        }
        self.declared.insert(Rc::clone(&name.text), variable);
    }

    /// A variable whose declaration is wrong still counts as declared and set.
    fn keep_unknown(&mut self, name: &Name, mut variable: Variable) {
        variable.value = Some(Assignment { value: Value::NULL, from: "default", place: None });
        variable.kind = Some(Type::Any);
        self.declared.insert(Rc::clone(&name.text), variable);
    }

    fn default_value(&mut self, variable: &mut Variable, default: &Expression) {
        let place = Some(default.span);
        let value = match self.constant(default) {
            Ok(value) => value,
            Err(Failed) => Value::NULL,
        };
        let value = match &variable.kind {
            None => value,
            Some(kind) => convert(&value, kind).unwrap_or_else(|why| {
                let detail = format!(
                    "This default value is not compatible with the variable's type constraint: {why}."
                );
                self.complain(default.span, "Invalid default value for variable", detail);
                Value::NULL
            }),
        };
        variable.kind.get_or_insert_with(|| value.kind());
        variable.value = Some(Assignment { value, from: "default", place });
    }

    fn validation(&mut self, variable: &str, block: &Block) -> Validation {
        let mut validation =
            Validation { condition: None, message: String::new(), declared: block.definition() };
        let find = |name: &str| {
            block.body.attributes.iter().find(|attribute| attribute.name.text.as_ref() == name)
        };
        for name in ["condition", "error_message"] {
            if find(name).is_none() {
                let detail =
                    format!("The argument \"{name}\" is required, but no definition was found.");
                self.complain(block.body.missing, "Missing required argument", detail);
            }
        }
        if let Some(condition) = find("condition") {
            self.check_references(variable, &condition.value);
            validation.condition = Some(condition.value.clone());
        }
        if let Some(message) = find("error_message") {
            validation.message = self.constant_text(&message.value).unwrap_or_default();
            if let Some(why) = bad_message(&validation.message) {
                self.complain(message.value.span, "Invalid validation error message", why);
            }
        }
        validation
    }

    /// A condition may only use the variable that it belongs to, and must.
    fn check_references(&mut self, variable: &str, condition: &Expression) {
        let mut own = 0;
        for reference in references(condition) {
            let names_variable = matches!(
                reference.steps.first(),
                Some(Step::Attribute(name)) if name.text.as_ref() == variable
            );
            if reference.root.text.as_ref() == "var" && names_variable {
                own += 1;
            } else {
                let detail = format!(
                    "The condition for variable \"{variable}\" can only refer to the variable itself, using \
                     var.{variable}."
                );
                let summary = "Invalid reference in variable validation";
                self.complain(reference.whole.span, summary, detail);
            }
        }
        if own == 0 {
            let detail = format!(
                "The condition for variable \"{variable}\" must refer to var.{variable} in order to test \
                 incoming values."
            );
            self.complain(condition.span, "Invalid variable validation condition", detail);
        }
    }

    /// Takes in the values from outside.
    pub(super) fn collect(&mut self, inputs: &Inputs) {
        self.collect_environment(&inputs.environment);
        for file in &inputs.var_files {
            let mark = self.evaluator.complaints.len();
            let content = Content::Attributes(Strings::Plain);
            let body = read(file, content, self.texts, &mut self.evaluator.complaints);
            if self.evaluator.complaints.len() > mark {
                continue;
            }
            if let Some(body) = body {
                self.collect_file(&body, &file.name, inputs.strict);
            }
        }
        self.collect_arguments(&inputs.vars, inputs.strict);
    }

    fn collect_environment(&mut self, environment: &[(String, String)]) {
        // Where both are set, ours counts.
        for prefix in ["NOMAD_VAR_", "STEAD_VAR_"] {
            for (key, text) in environment {
                let Some(name) = key.strip_prefix(prefix) else { continue };
                if let Some(kind) = self.declared.get(name).map(|variable| variable.kind.clone()) {
                    let assigned = self.text_value(name, text, kind.as_ref(), "env");
                    self.assign(name, assigned);
                }
            }
        }
    }

    fn collect_arguments(&mut self, arguments: &[String], strict: bool) {
        let mut last: BTreeMap<&str, &str> = BTreeMap::new();
        for argument in arguments {
            // Nomad: an argument without an equals sign is ignored.
            if let Some((name, text)) = argument.split_once('=') {
                last.insert(name, text);
            }
        }
        for (name, text) in last {
            match self.declared.get(name).map(|variable| variable.kind.clone()) {
                Some(kind) => {
                    let assigned = self.text_value(name, text, kind.as_ref(), "cmd");
                    self.assign(name, assigned);
                }
                None if strict => {
                    let detail = format!(
                        "A {name:?} variable was passed in the command line but was not found in known \
                         variables. To declare variable {name:?}, place a variable block in your job file."
                    );
                    self.evaluator.complaints.add_nowhere("Undefined -var variable", detail);
                }
                None => {}
            }
        }
    }

    /// A text from the environment or the command line: as it is for strings, numbers and untyped variables, an
    /// expression for everything else.
    fn text_value(
        &mut self,
        name: &str,
        text: &str,
        kind: Option<&Type>,
        from: &'static str,
    ) -> Option<Assignment> {
        let source = if from == "env" { "env" } else { "arguments" };
        let file = self.texts.add(&format!("<value for var.{name} from {source}>"), text);
        let input = Input { text, file, base: 0 };
        let (value, place) = match kind {
            None | Some(Type::String | Type::Number) => {
                (Value::string(text), input.span(0, text.len()))
            }
            Some(_) => {
                let expression = syntax::expression(input, &mut self.evaluator.complaints)?;
                (self.constant(&expression).ok()?, expression.span)
            }
        };
        let summary = match from {
            "env" => "Invalid value for variable",
            _ => "Invalid argument value for -var variable",
        };
        let value = self.converted(name, value, kind, place, summary)?;
        Some(Assignment { value, from, place: Some(place) })
    }

    fn converted(
        &mut self,
        name: &str,
        value: Value,
        kind: Option<&Type>,
        place: Span,
        summary: &str,
    ) -> Option<Value> {
        let Some(kind) = kind else { return Some(value) };
        match convert(&value, kind) {
            Ok(value) => Some(value),
            Err(why) => {
                let detail = format!(
                    "The value for {name} is not compatible with the variable's type constraint: {why}."
                );
                self.complain(place, summary, detail);
                None
            }
        }
    }

    fn assign(&mut self, name: &str, assigned: Option<Assignment>) {
        let variable = self.declared.get_mut(name);
        if let (Some(variable), Some(assigned)) = (variable, assigned) {
            variable.value = Some(assigned);
        }
    }

    fn collect_file(&mut self, body: &Body, file: &str, strict: bool) {
        if let Some(block) = body.blocks.iter().find(|block| block.kind.text.as_ref() == "variable")
        {
            let name = block.labels.first().map_or("name", |label| &label.text);
            let detail = format!(
                "A variable file assigns values to variables that a job file declares; it cannot declare any. To \
                 declare variable \"{name}\", place this block in your job file. To set its value in {file}, \
                 write:\n    {name} = <value>"
            );
            return self.complain(block.kind.span, "Variable declaration in a .var file", detail);
        }
        refuse_blocks(self.evaluator, body);
        for attribute in &body.attributes {
            let name = attribute.name.text.as_ref();
            let Some(kind) = self.declared.get(name).map(|variable| variable.kind.clone()) else {
                if strict {
                    let detail = format!(
                        "A {name:?} variable was set but was not found in known variables. To declare variable \
                         {name:?}, place a variable block in your job file."
                    );
                    self.complain(attribute.name.span, "Undefined variable", detail);
                }
                continue;
            };
            let Ok(value) = self.constant(&attribute.value) else { continue };
            let place = attribute.value.span;
            let summary = "Invalid value for variable";
            let value = self.converted(name, value, kind.as_ref(), place, summary);
            let assigned =
                value.map(|value| Assignment { value, from: "varfile", place: Some(place) });
            self.assign(name, assigned);
        }
    }

    /// The object behind `var`, complete only if nothing was complained about.
    pub(super) fn finish(mut self) -> BTreeMap<Rc<str>, Value> {
        let mut values = BTreeMap::new();
        for (name, variable) in std::mem::take(&mut self.declared) {
            if let Some(assigned) = &variable.value {
                self.validate(&name, &variable, assigned);
                values.insert(name, assigned.value.clone());
            } else {
                let detail = format!(
                    "A variable must be set or have a default value. Set it with -var {name}=…, in a variable \
                     file, or with NOMAD_VAR_{name} in the environment."
                );
                let summary = format!("Unset variable \"{name}\"");
                self.complain(variable.declared, summary, detail);
            }
        }
        values
    }

    fn validate(&mut self, name: &Rc<str>, variable: &Variable, assigned: &Assignment) {
        const SUMMARY: &str = "Invalid variable validation result";
        for validation in &variable.validations {
            let Some(condition) = &validation.condition else {
                let detail = "validation requires a condition.";
                let summary = "Invalid variable validation specification";
                self.complain(validation.declared, summary, detail);
                continue;
            };
            let mut scope = Scope::default();
            let own = BTreeMap::from([(Rc::clone(name), assigned.value.clone())]);
            let Ok(own) = self.evaluator.sized(Value::object(own), condition.span) else {
                continue;
            };
            scope.set("var", own);
            let Ok(result) = self.evaluator.evaluate(condition, &scope) else { continue };
            match convert(&result, &Type::Bool) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Bool(false)) => {
                    let rule = self.texts.locate(validation.declared);
                    let detail = format!(
                        "{}\n\nThis was checked by the validation rule at {rule}.",
                        validation.message
                    );
                    let summary = format!("Invalid value for {} variable", assigned.from);
                    let place = assigned.place.unwrap_or(validation.declared);
                    self.complain(place, summary, detail);
                }
                Ok(_) => {
                    let detail = "Validation condition expression must return either true or false, not null.";
                    self.complain(condition.span, SUMMARY, detail);
                }
                Err(why) => {
                    let detail = format!("Invalid validation condition result value: {why}.");
                    self.complain(condition.span, SUMMARY, detail);
                }
            }
        }
    }
}

/// Complains about blocks where only attributes may stand.
pub(super) fn refuse_blocks(evaluator: &mut Evaluator<'_>, body: &Body) {
    for block in &body.blocks {
        let summary = format!("Unexpected \"{}\" block", block.kind.text);
        evaluator.complaints.add(block.kind.span, summary, "Blocks are not allowed here.");
    }
}

/// Why a validation's message would not read well.
fn bad_message(message: &str) -> Option<&'static str> {
    if message.is_empty() {
        return Some("An empty string is not a valid nor useful error message.");
    }
    message
        .trim()
        .is_empty()
        .then_some("An empty or blank string is not a valid nor useful error message.")
}
