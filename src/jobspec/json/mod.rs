//! ◆ JSON text to a tree that knows its places: for job and variable files written in JSON, and for `jsondecode`.

pub(super) mod body;

use super::value::Number;

/// Deepest nesting.
const MAX_DEPTH: usize = 90;

/// A JSON value and where it stands, in bytes of its text.
#[derive(Debug, Clone)]
pub(super) struct Json {
    /// What it is.
    pub node: JsonNode,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// What a JSON value is.
#[derive(Debug, Clone)]
pub(super) enum JsonNode {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number with all its digits.
    Number(Number),
    /// A string, escapes read.
    String(String),
    /// `[…]`
    Array(Vec<Json>),
    /// `{…}`, in the order of the text, repetitions included.
    Object(Vec<Member>),
}

/// `"name": value`
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// The name, escapes read.
    pub name: String,
    /// First byte of the name's quotes.
    pub start: usize,
    /// One past the last byte of the name's quotes.
    pub end: usize,
    /// The value.
    pub value: Json,
}

/// Why a text is no JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonError {
    /// First byte of what is wrong.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// What kind of thing is wrong.
    pub title: &'static str,
    /// What exactly.
    pub detail: String,
}

impl JsonError {
    /// Both texts in one line.
    pub(super) fn summary(&self) -> String {
        format!("{}: {}", self.title, self.detail.trim_end_matches('.'))
    }
}

/// Reads one JSON value with nothing but spaces around it.
pub(super) fn parse(text: &str) -> Result<Json, JsonError> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let json = reader.value()?;
    reader.spaces();
    if reader.at < text.len() {
        return reader.fail("Extraneous data", "Extra characters appear after the JSON value.");
    }
    Ok(json)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn fail<T>(&self, title: &'static str, detail: impl Into<String>) -> Result<T, JsonError> {
        let length = self.text[self.at..].chars().next().map_or(0, char::len_utf8);
        Err(JsonError { start: self.at, end: self.at + length, title, detail: detail.into() })
    }

    fn value(&mut self) -> Result<Json, JsonError> {
        self.spaces();
        let start = self.at;
        let node = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b'"') => JsonNode::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'a'..=b'z' | b'A'..=b'Z') => self.keyword()?,
            Some(b'\'') => {
                return self.fail(
                    "Invalid JSON string",
                    "JSON strings must be surrounded by double quotes, not single quotes.",
                );
            }
            Some(_) => return self.fail("Invalid JSON value", "A JSON value must start here."),
            None => {
                return self
                    .fail("Missing JSON value", "The text ends where a JSON value is expected.");
            }
        };
        Ok(Json { node, start, end: self.at })
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<JsonNode, JsonError>,
    ) -> Result<JsonNode, JsonError> {
        if self.depth >= MAX_DEPTH {
            let detail = format!("Nothing may be nested more than {MAX_DEPTH} levels deep.");
            return self.fail("Nested too deeply", detail);
        }
        self.depth += 1;
        let node = read(self)?;
        self.depth -= 1;
        Ok(node)
    }

    fn object(&mut self) -> Result<JsonNode, JsonError> {
        self.at += 1;
        let mut members: Vec<Member> = Vec::new();
        loop {
            self.spaces();
            let start = self.at;
            match self.peek() {
                Some(b'}') if members.is_empty() => break,
                Some(b'"') => {}
                Some(b'}') => {
                    return self.fail(
                        "Trailing comma in object",
                        "JSON does not permit a trailing comma after the final property in an object.",
                    );
                }
                Some(b',') => {
                    return self
                        .fail("Invalid object", "A property name must stand between two commas.");
                }
                Some(_) => {
                    return self.fail(
                        "Invalid object property name",
                        "A JSON object property name must be a string in double quotes.",
                    );
                }
                None => return self.unclosed("object", '}'),
            }
            let name = self.string()?;
            let end = self.at;
            self.spaces();
            if self.peek() != Some(b':') {
                return self.fail(
                    "Missing property value colon",
                    "A colon must stand between an object property's name and its value.",
                );
            }
            self.at += 1;
            let value = self.value()?;
            members.push(Member { name, start, end, value });
            if !self.comma("object", '}')? {
                break;
            }
        }
        self.at += 1;
        Ok(JsonNode::Object(members))
    }

    fn array(&mut self) -> Result<JsonNode, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.spaces();
            if self.peek() == Some(b']') {
                if items.is_empty() {
                    break;
                }
                return self.fail(
                    "Trailing comma in array",
                    "JSON does not permit a trailing comma after the final value in an array.",
                );
            }
            if self.peek().is_none() {
                return self.unclosed("array", ']');
            }
            items.push(self.value()?);
            if !self.comma("array", ']')? {
                break;
            }
        }
        self.at += 1;
        Ok(JsonNode::Array(items))
    }

    fn unclosed<T>(&self, what: &str, bracket: char) -> Result<T, JsonError> {
        let detail = format!("The text ends before the {what} is closed with {bracket:?}.");
        self.fail("Unclosed JSON value", detail)
    }

    /// Whether another element follows; the closing bracket is left to be read.
    fn comma(&mut self, what: &'static str, close: char) -> Result<bool, JsonError> {
        self.spaces();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if char::from(byte) == close => Ok(false),
            Some(_) => {
                let detail = format!("A comma must separate the elements of an {what}.");
                self.fail("Missing comma", detail)
            }
            None => self.unclosed(what, close),
        }
    }

    fn keyword(&mut self) -> Result<JsonNode, JsonError> {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let node = match &rest[..length] {
            "true" => JsonNode::Bool(true),
            "false" => JsonNode::Bool(false),
            "null" => JsonNode::Null,
            word => {
                let mut error = JsonError {
                    start: self.at,
                    end: self.at + length,
                    title: "Invalid JSON keyword",
                    detail: format!("{word:?} is not a valid JSON keyword."),
                };
                if matches!(
                    word,
                    "True" | "False" | "Null" | "TRUE" | "FALSE" | "NULL" | "nil" | "None"
                ) {
                    error.detail.push_str(" JSON knows true, false and null in lower case.");
                }
                return Err(error);
            }
        };
        self.at += length;
        Ok(node)
    }

    fn number(&mut self) -> Result<JsonNode, JsonError> {
        let rest = &self.text[self.at..];
        let length = rest
            .find(|c: char| !c.is_ascii_digit() && !matches!(c, '-' | '+' | '.' | 'e' | 'E'))
            .unwrap_or(rest.len());
        let text = &rest[..length];
        let digits = text.strip_prefix('-').unwrap_or(text);
        let whole = digits.find(['.', 'e', 'E']).map_or(digits, |at| &digits[..at]);
        let padded = whole.len() > 1 && whole.starts_with('0');
        match Number::parse(text).filter(|_| !padded && !whole.is_empty() && !digits.contains(".e"))
        {
            Some(number) if !digits.ends_with('.') => {
                self.at += length;
                Ok(JsonNode::Number(number))
            }
            _ => self.fail("Invalid JSON number", format!("{text:?} is not a valid JSON number.")),
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(c) = rest.chars().next() else {
                return self.fail("Unterminated string", "The text ends inside a string.");
            };
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(out);
                }
                '\\' => out.push(self.escape()?),
                '\0'..='\u{1f}' => {
                    return self.fail(
                        "Invalid string",
                        "Control characters and line breaks must be escaped in a JSON string.",
                    );
                }
                _ => {
                    out.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let c = match self.text.as_bytes().get(self.at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return self.fail("Invalid escape sequence", "JSON has no such escape sequence."),
        };
        self.at += 2;
        Ok(c)
    }

    fn unicode(&mut self) -> Result<char, JsonError> {
        let unit = |at: usize| -> Option<u16> {
            let hex = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
            let valid = hex.bytes().all(|b| b.is_ascii_hexdigit());
            valid.then(|| u16::from_str_radix(hex, 16).ok()).flatten()
        };
        let Some(first) = unit(self.at) else {
            return self.fail(
                "Invalid escape sequence",
                "\\u must be followed by four hexadecimal digits.",
            );
        };
        let second = unit(self.at + 6);
        let pair = second.and_then(|second| {
            char::decode_utf16([first, second])
                .next()
                .and_then(Result::ok)
                .filter(|c| c.len_utf16() == 2)
        });
        self.at += if pair.is_some() { 12 } else { 6 };
        // Go: half a surrogate pair becomes the replacement character.
        Ok(pair.or_else(|| char::from_u32(u32::from(first))).unwrap_or('\u{fffd}'))
    }
}
