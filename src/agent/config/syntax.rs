//! ◆ From a configuration's text, HCL or JSON, to settings: a path, a value and where it stands.

use hcl_edit::expr::{Expression, ObjectKey};
use hcl_edit::structure::{Body, Structure};
use hcl_edit::{Span as _, parser};
use serde_json::Value;

use super::error::ConfigError;
use super::schema;

/// One setting of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    /// Blocks, labels and the name.
    pub(super) path: Vec<String>,
    /// Its value.
    pub(super) value: Value,
    /// Where it stands.
    pub(super) place: Place,
}

/// Where something stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    /// What was put before the text to make it parse.
    prefix: usize,
    found: Vec<Setting>,
}

/// Reads the settings of `text`. It is JSON when it begins with `{`.
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Setting>, ConfigError> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        return parse_json(file, text);
    }
    let body = parser::parse_body(text).map_err(|error| syntax_error(file, &error, 0))?;
    let mut reader = Reader { file, text, prefix: 0, found: Vec::new() };
    reader.body(&body, &[])?;
    Ok(reader.found)
}

/// JSON's objects are expressions of HCL, so one parser gives both their places.
fn parse_json(file: &str, text: &str) -> Result<Vec<Setting>, ConfigError> {
    const PREFIX: &str = "x=";
    let wrapped = format!("{PREFIX}{}", text.trim());
    let lead = text.len() - text.trim_start().len();
    let lines_before = text[..lead].matches('\n').count();
    let body =
        parser::parse_body(&wrapped).map_err(|error| syntax_error(file, &error, lines_before))?;
    let mut reader = Reader { file, text, prefix: PREFIX.len(), found: Vec::new() };
    let Some(attribute) = body.attributes().next() else { return Ok(Vec::new()) };
    reader.prefix = PREFIX.len().wrapping_sub(lead);
    reader.expression(&attribute.value, Vec::new())?;
    Ok(reader.found)
}

fn syntax_error(file: &str, error: &parser::Error, lines_before: usize) -> ConfigError {
    let at = error.location();
    let place =
        Place { file: file.to_owned(), line: at.line() + lines_before, column: at.column() };
    ConfigError::Syntax { place, reason: error.message().to_owned() }
}

impl Reader<'_> {
    fn place(&self, span: Option<std::ops::Range<usize>>) -> Place {
        let at = span.map_or(0, |span| span.start.wrapping_sub(self.prefix)).min(self.text.len());
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Place { file: self.file.to_owned(), line, column }
    }

    fn body(&mut self, body: &Body, above: &[String]) -> Result<(), ConfigError> {
        for structure in body {
            match structure {
                Structure::Attribute(attribute) => {
                    let mut path = above.to_vec();
                    path.push(attribute.key.to_string());
                    self.attribute(path, &attribute.value, attribute.span())?;
                }
                Structure::Block(block) => {
                    let mut path = above.to_vec();
                    path.push(block.ident.to_string());
                    path.extend(block.labels.iter().map(|label| label.as_str().to_owned()));
                    self.body(&block.body, &path)?;
                }
            }
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        path: Vec<String>,
        value: &Expression,
        span: Option<std::ops::Range<usize>>,
    ) -> Result<(), ConfigError> {
        if matches!(value, Expression::Object(_)) && schema::has_below(&path) {
            return self.expression(value, path);
        }
        let place = self.place(span);
        let value = self.value(value, &place)?;
        self.found.push(Setting { path, value, place });
        Ok(())
    }

    /// An object whose keys are settings, or a list of such objects (JSON's form of repeated blocks).
    fn expression(&mut self, value: &Expression, path: Vec<String>) -> Result<(), ConfigError> {
        match value {
            Expression::Object(object) => {
                for (key, entry) in object {
                    let span = key.span();
                    let name = self.key(key)?;
                    let mut path = path.clone();
                    path.push(name);
                    let is_list_of_objects = matches!(entry.expr(), Expression::Array(list)
                        if !list.is_empty() && list.iter().all(|item| matches!(item, Expression::Object(_))));
                    if is_list_of_objects && schema::has_below(&path) {
                        self.expression(entry.expr(), path)?;
                    } else {
                        self.attribute(path, entry.expr(), span)?;
                    }
                }
                Ok(())
            }
            Expression::Array(list) => {
                list.iter().try_for_each(|item| self.expression(item, path.clone()))
            }
            other => {
                let place = self.place(other.span());
                let value = self.value(other, &place)?;
                self.found.push(Setting { path, value, place });
                Ok(())
            }
        }
    }

    fn key(&self, key: &ObjectKey) -> Result<String, ConfigError> {
        match key {
            ObjectKey::Ident(name) => Ok(name.to_string()),
            ObjectKey::Expression(expression) => {
                let place = self.place(expression.span());
                match self.value(expression, &place)? {
                    Value::String(name) => Ok(name),
                    _ => {
                        Err(ConfigError::Syntax { place, reason: "a key must be text".to_owned() })
                    }
                }
            }
        }
    }

    /// A literal. Nothing is computed in a configuration.
    fn value(&self, expression: &Expression, place: &Place) -> Result<Value, ConfigError> {
        let refuse =
            |reason: &str| ConfigError::Syntax { place: place.clone(), reason: reason.to_owned() };
        Ok(match expression {
            Expression::Null(_) => Value::Null,
            Expression::Bool(value) => Value::Bool(*value.value()),
            Expression::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Value::from(whole),
                (None, Some(float)) => Value::from(float),
                (None, None) => return Err(refuse("the number is too large")),
            },
            Expression::String(text) => Value::String(text.as_str().to_owned()),
            Expression::Array(list) => Value::Array(
                list.iter().map(|item| self.value(item, place)).collect::<Result<_, _>>()?,
            ),
            Expression::Object(object) => {
                let mut map = serde_json::Map::new();
                for (key, entry) in object {
                    map.insert(self.key(key)?, self.value(entry.expr(), place)?);
                }
                Value::Object(map)
            }
            Expression::HeredocTemplate(heredoc) => Value::String(heredoc.template.to_string()),
            Expression::UnaryOp(operation) => match self.value(&operation.expr, place)? {
                Value::Number(number) => match number.as_i64().and_then(i64::checked_neg) {
                    Some(whole) => Value::from(whole),
                    None => return Err(refuse("the number is too large")),
                },
                _ => return Err(refuse("only a number can be negative")),
            },
            _ => return Err(refuse("a setting must be a plain value: nothing is computed here")),
        })
    }
}
