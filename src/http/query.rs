//! ◆ The parameters that many routes share: namespace, prefix, paging, filter, and how long to wait.

use std::collections::HashMap;
use std::time::Duration;

use super::error::HttpError;
use crate::api::duration;

/// The longest a blocking query waits, and what it waits unless told otherwise.
const MAX_WAIT: Duration = Duration::from_mins(5);

/// A request's parameters.
#[derive(Debug, Clone, Default)]
pub(super) struct Query {
    values: HashMap<String, String>,
}

impl Query {
    /// Reads the text after `?`. A parameter that comes twice counts once, the first time.
    pub(super) fn parse(text: &str) -> Self {
        let mut values = HashMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            values.entry(unescape(key)).or_insert_with(|| unescape(value));
        }
        Self { values }
    }

    /// A parameter; empty when it is not there.
    pub(super) fn text(&self, key: &str) -> &str {
        self.values.get(key).map(String::as_str).unwrap_or_default()
    }

    /// A parameter that was given and is not empty.
    pub(super) fn given(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The namespace; `default` unless given.
    pub(super) fn namespace(&self) -> &str {
        self.given("namespace").unwrap_or("default")
    }

    /// Whether `namespace` is one that was asked for; `*` asks for all.
    pub(super) fn wants_namespace(&self, namespace: &str) -> bool {
        matches!(self.namespace(), "*") || self.namespace() == namespace
    }

    /// A flag that is true when it is there without a value, or with a true one.
    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool, HttpError> {
        let Some(value) = self.values.get(key) else { return Ok(default) };
        match value.as_str() {
            "" => Ok(true),
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            other => Err(HttpError::bad_request(format!(
                "Failed to parse value of \"{key}\" ({other}) as a bool: strconv.ParseBool: parsing \"{other}\": invalid syntax"
            ))),
        }
    }

    /// A whole number.
    pub(super) fn number(&self, key: &str) -> Result<Option<i64>, HttpError> {
        self.given(key)
            .map(|text| {
                text.parse().map_err(|_| {
                    HttpError::bad_request(format!(
                        "Failed to parse value of \"{key}\" ({text}) as a integer: strconv.Atoi: parsing \"{text}\": invalid syntax"
                    ))
                })
            })
            .transpose()
    }

    /// From which index on an answer is wanted, and how long it is waited for.
    pub(super) fn wait(&self) -> Result<(u64, Duration), HttpError> {
        let index = match self.given("index") {
            None => 0,
            Some(text) => text.parse().map_err(|_| HttpError::bad_request("Invalid index"))?,
        };
        let wait = match self.given("wait") {
            None => MAX_WAIT,
            Some(text) => {
                let wait = duration::parse(text)
                    .map_err(|_| HttpError::bad_request("Invalid wait time"))?;
                if wait.0 > 0 { wait.to_std().min(MAX_WAIT) } else { MAX_WAIT }
            }
        };
        Ok((index, wait))
    }

    /// Whether the parameters that every read takes can be read.
    pub(super) fn check(&self) -> Result<(), HttpError> {
        if self.flag("stale", false).is_err() {
            let text = "Expect `true` or `false` for `stale` query string parameter";
            return Err(HttpError::bad_request(text));
        }
        if self.number("per_page").is_err() {
            let text = "Expect a number for `per_page` query string parameter";
            return Err(HttpError::bad_request(text));
        }
        Ok(())
    }

    /// Whether JSON is indented.
    pub(super) fn is_pretty(&self) -> bool {
        self.values.get("pretty").is_some_and(|value| value != "0")
    }
}

/// Undoes percent-encoding and `+`; what is not well formed stays as it is.
pub(super) fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (bytes[at], hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (b'+', _) => {
                out.push(b' ');
                at += 1;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_unescaped_and_the_first_counts() {
        let query = Query::parse("prefix=a%2Fb&x=1+2&prefix=c&stale");
        assert_eq!(query.text("prefix"), "a/b");
        assert_eq!(query.text("x"), "1 2");
        assert!(query.flag("stale", false).unwrap());
        assert_eq!(query.namespace(), "default");
    }

    #[test]
    fn waiting_is_bounded() {
        assert_eq!(Query::parse("index=5&wait=10m").wait().unwrap(), (5, MAX_WAIT));
        assert_eq!(Query::parse("wait=20ms").wait().unwrap(), (0, Duration::from_millis(20)));
        assert!(Query::parse("index=-1").wait().is_err());
        assert!(Query::parse("wait=soon").wait().is_err());
    }
}
