//! ◆ Function calls: arguments checked and converted, and the three functions that look at expressions instead of values.

use super::access::did_you_mean;
use super::{Evaluator, Failed, Names, Scope};
use crate::jobspec::error::Complaint;
use crate::jobspec::function::{self, Call, Function, Problem};
use crate::jobspec::source::Span;
use crate::jobspec::syntax::{Expression, Name};
use crate::jobspec::type_expression::read_type;
use crate::jobspec::value::Value;
use crate::jobspec::value::convert::convert;

const CALL_ERROR: &str = "Error in function call";
/// Functions that get their arguments as expressions.
const SPECIAL: [&str; 3] = ["can", "convert", "try"];

/// The arguments of a call as they are written.
pub(super) struct Arguments<'e> {
    pub(super) list: &'e [Expression],
    pub(super) expand: bool,
    pub(super) close: Span,
}

impl Evaluator<'_> {
    pub(super) fn call(
        &mut self,
        name: &Name,
        arguments: &Arguments<'_>,
        whole: &Expression,
        scope: &Scope<'_>,
    ) -> Result<Value, Failed> {
        if self.names == Names::Closed {
            let detail = "Functions may not be called here.";
            return self.fail(whole.span, "Function calls not allowed", detail);
        }
        match name.text.as_ref() {
            "can" => self.can(arguments, whole, scope),
            "try" => self.try_each(arguments, whole, scope),
            "convert" => self.convert(arguments, whole, scope),
            other => match function::find(other) {
                Some(function) => self.call_function(function, arguments, whole, scope),
                None => self.unknown_function(name),
            },
        }
    }

    fn unknown_function(&mut self, name: &Name) -> Result<Value, Failed> {
        const SUMMARY: &str = "Call to unknown function";
        if let Some((namespace, _)) = name.text.rsplit_once("::") {
            let detail = format!("There are no functions in namespace \"{namespace}::\".");
            return self.fail(name.span, SUMMARY, detail);
        }
        let mut detail = format!("There is no function named \"{}\".", name.text);
        let known = function::names().chain(SPECIAL);
        detail += &did_you_mean(&name.text, known);
        self.fail(name.span, SUMMARY, detail)
    }

    fn call_function(
        &mut self,
        function: &'static Function,
        arguments: &Arguments<'_>,
        whole: &Expression,
        scope: &Scope<'_>,
    ) -> Result<Value, Failed> {
        let given = self.given(arguments, scope)?;
        let name = function.name;
        let expected = function.parameters.len();
        if given.len() < expected {
            let missing = function.parameters.get(given.len()).map_or("", |p| p.name);
            let least = if function.rest.is_some() { "at least " } else { "" };
            let detail = format!(
                "Function \"{name}\" expects {least}{expected} argument(s). Missing value for \"{missing}\"."
            );
            return self.fail(arguments.close, "Not enough function arguments", detail);
        }
        if function.rest.is_none() && given.len() > expected {
            let extra = given.get(expected).map_or(whole.span, |(_, span)| *span);
            let detail = format!("Function \"{name}\" expects only {expected} argument(s).");
            return self.fail(extra, "Too many function arguments", detail);
        }
        let mut values = Vec::with_capacity(given.len());
        for (index, (value, span)) in given.iter().enumerate() {
            self.spend(value.nodes(), *span)?;
            match function.prepare(index, value) {
                Ok(value) => values.push(value),
                Err(why) => return self.bad_argument(function, index, *span, &why),
            }
        }
        let call = Call { arguments: &values, host: self.host };
        self.spend((function.cost)(&call), whole.span)?;
        match (function.run)(&call) {
            Ok(value) => {
                self.spend(value.nodes(), whole.span)?;
                Ok(value)
            }
            Err(Problem::Argument(index, why)) => {
                let span = given.get(index).map_or(whole.span, |(_, span)| *span);
                self.bad_argument(function, index, span, &why)
            }
            Err(Problem::Whole(why)) => {
                let detail = format!("Call to function \"{name}\" failed: {why}.");
                self.fail(whole.start(), CALL_ERROR, detail)
            }
        }
    }

    fn bad_argument(
        &mut self,
        function: &Function,
        index: usize,
        span: Span,
        why: &str,
    ) -> Result<Value, Failed> {
        let parameter = function.parameter(index).map_or("", |parameter| parameter.name);
        let detail = format!("Invalid value for \"{parameter}\" parameter: {why}.");
        self.fail(span, "Invalid function argument", detail)
    }

    /// The values of the arguments with their places, the last one expanded if it is followed by dots.
    fn given(
        &mut self,
        arguments: &Arguments<'_>,
        scope: &Scope<'_>,
    ) -> Result<Vec<(Value, Span)>, Failed> {
        const SUMMARY: &str = "Invalid expanding argument value";
        let mut given = Vec::with_capacity(arguments.list.len());
        let mut failed = false;
        for (index, argument) in arguments.list.iter().enumerate() {
            let Ok(value) = self.evaluate(argument, scope) else {
                failed = true;
                continue;
            };
            if !arguments.expand || index + 1 < arguments.list.len() {
                given.push((value, argument.start()));
            } else if value.is_null() {
                let detail = "The expanding argument (indicated by ...) must not be null.";
                return self.fail(argument.span, SUMMARY, detail);
            } else if let Some(items) = value.items() {
                given.extend(items.iter().map(|item| (item.clone(), argument.span)));
            } else {
                let detail = "The expanding argument (indicated by ...) must be of a tuple, list, or set type.";
                return self.fail(argument.span, SUMMARY, detail);
            }
        }
        if failed { Err(Failed) } else { Ok(given) }
    }

    /// The value of an expression, or what would have been complained about.
    fn attempt(
        &mut self,
        expression: &Expression,
        scope: &Scope<'_>,
    ) -> Result<Result<Value, Vec<Complaint>>, Failed> {
        let mark = self.complaints.len();
        match self.evaluate(expression, scope) {
            Ok(value) => Ok(Ok(value)),
            // What nobody can pay for is not forgiven.
            Err(Failed) if self.out_of_fuel => Err(Failed),
            Err(Failed) => Ok(Err(self.complaints.split_off(mark))),
        }
    }

    fn can(
        &mut self,
        arguments: &Arguments<'_>,
        whole: &Expression,
        scope: &Scope<'_>,
    ) -> Result<Value, Failed> {
        let [expression] = arguments.list else {
            let detail = "Function \"can\" expects 1 argument(s).";
            return self.fail(whole.span, CALL_ERROR, detail);
        };
        Ok(Value::Bool(self.attempt(expression, scope)?.is_ok()))
    }

    fn try_each(
        &mut self,
        arguments: &Arguments<'_>,
        whole: &Expression,
        scope: &Scope<'_>,
    ) -> Result<Value, Failed> {
        if arguments.list.is_empty() {
            let detail = "Call to function \"try\" failed: at least one argument is required.";
            return self.fail(whole.start(), CALL_ERROR, detail);
        }
        let mut reasons = String::new();
        for expression in arguments.list {
            match self.attempt(expression, scope)? {
                Ok(value) => return Ok(value),
                Err(complaints) => {
                    for complaint in complaints {
                        let reason = format!("\n- {}\n  {}", complaint.summary, complaint.detail);
                        reasons += &reason;
                    }
                }
            }
        }
        let detail = format!(
            "Call to function \"try\" failed: no expression succeeded:{reasons}\n\nAt least one expression \
             must produce a successful result."
        );
        self.fail(whole.start(), CALL_ERROR, detail)
    }

    fn convert(
        &mut self,
        arguments: &Arguments<'_>,
        whole: &Expression,
        scope: &Scope<'_>,
    ) -> Result<Value, Failed> {
        let [expression, kind] = arguments.list else {
            let detail = "Function \"convert\" expects 2 argument(s): a value and a type.";
            return self.fail(whole.span, CALL_ERROR, detail);
        };
        let kind = read_type(kind, true, &mut self.complaints).ok_or(Failed)?;
        let value = self.evaluate(expression, scope)?;
        self.spend(value.nodes(), whole.span)?;
        convert(&value, &kind).or_else(|why| {
            let detail = format!("Invalid value for \"value\" parameter: {why}.");
            self.fail(expression.start(), "Invalid function argument", detail)
        })
    }
}
