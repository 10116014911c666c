//! ◆ From tokens to expressions.

use std::rc::Rc;

use super::ast::{Expression, For, Name, Node, ObjectKey, Operator, Step};
use super::parser::{Parser, Read};
use super::token::{Kind, Token};
use crate::jobspec::source::Span;
use crate::jobspec::value::{Number, Value};

/// Highest tree, so that walking and dropping it never exhausts the stack.
const MAX_HEIGHT: u16 = 250;

/// Operators from the loosest to the tightest binding.
const LEVELS: &[&[(&str, Operator)]] = &[
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[("==", Operator::Equal), ("!=", Operator::NotEqual)],
    &[
        (">", Operator::Greater),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        ("<=", Operator::LessOrEqual),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)],
];

const OPEN_END: &str =
    "before the end of the file. This may be caused by incorrect nesting elsewhere in this file.";

impl Parser<'_, '_> {
    /// An expression with nothing behind it: the value of a variable on the command line.
    pub(super) fn whole_expression(&mut self) -> Read<Expression> {
        let expression = self.with_newlines(false, Self::expression)?;
        self.with_newlines(false, |parser| {
            let next = parser.peek();
            if next.kind == Kind::End {
                return Ok(());
            }
            let detail =
                "An expression was successfully parsed, but extra characters were found after it.";
            parser.stop(next.span, "Extra characters after expression", detail)
        })?;
        Ok(expression)
    }

    pub(super) fn expression(&mut self) -> Read<Expression> {
        self.deeper(Self::conditional)
    }

    /// A node with its height, refused when the tree grows too high.
    pub(super) fn node(&mut self, span: Span, node: Node) -> Read<Expression> {
        let height = 1 + highest_child(&node);
        if height > MAX_HEIGHT {
            let detail =
                format!("An expression may have at most {MAX_HEIGHT} levels of operations.");
            return self.stop(span, "Expression too complex", detail);
        }
        Ok(Expression { node, span, height })
    }

    fn conditional(&mut self) -> Read<Expression> {
        let condition = self.binary(0)?;
        if !self.accept("?") {
            return Ok(condition);
        }
        let yes = self.expression()?;
        let next = self.peek();
        if !self.accept(":") {
            let detail = "The conditional operator (...?...:...) requires a false expression, delimited by a \
                          colon.";
            return self.stop(next.span, "Missing false expression in conditional", detail);
        }
        let no = self.expression()?;
        let span = condition.span.to(no.span);
        self.node(span, Node::Conditional(Box::new(condition), Box::new(yes), Box::new(no)))
    }

    fn binary(&mut self, level: usize) -> Read<Expression> {
        let Some(operators) = LEVELS.get(level) else { return self.with_steps() };
        let mut left = self.binary(level + 1)?;
        loop {
            let next = self.peek();
            let found = operators.iter().find(|(sign, _)| next.is(sign));
            let Some((_, operator)) = found else { return Ok(left) };
            self.read();
            let right = self.binary(level + 1)?;
            let span = left.span.to(right.span);
            left = self.node(span, Node::Binary(Box::new(left), *operator, Box::new(right)))?;
        }
    }

    fn with_steps(&mut self) -> Read<Expression> {
        let term = self.term()?;
        self.steps(term)
    }

    fn term(&mut self) -> Read<Expression> {
        let start = self.peek();
        match start.kind {
            Kind::Number => self.number(),
            Kind::Identifier => self.word(),
            Kind::OpenQuote | Kind::OpenHeredoc => self.deeper(Self::string),
            Kind::Sign("(") => self.parenthesis(),
            Kind::Sign("[") => self.brackets(),
            Kind::Sign("{") => self.braces(),
            Kind::Sign("-" | "!") => {
                self.read();
                let operand = Box::new(self.deeper(Self::with_steps)?);
                let span = start.span.to(operand.span);
                let minus = start.is("-");
                let node = if minus {
                    Node::Negate(operand, start.span)
                } else {
                    Node::Not(operand, start.span)
                };
                self.node(span, node)
            }
            Kind::End => {
                let detail = "Expected the start of an expression, but found the end of the file.";
                self.stop(start.span, "Missing expression", detail)
            }
            _ => {
                let detail =
                    "Expected the start of an expression, but found an invalid expression token.";
                self.stop(start.span, "Invalid expression", detail)
            }
        }
    }

    fn number(&mut self) -> Read<Expression> {
        let token = self.read();
        if let Some(number) = Number::parse(self.text(token)) {
            self.node(token.span, Node::Literal(Value::Number(number)))
        } else {
            let detail = "The number has too many digits or too large an exponent.";
            self.stop(token.span, "Invalid number literal", detail)
        }
    }

    /// A keyword, a call or the root of a traversal.
    fn word(&mut self) -> Read<Expression> {
        let token = self.read();
        let mut name = self.name(token);
        while self.peek().is("::") {
            self.read();
            let part = self.read();
            name = Name {
                text: format!("{}::{}", name.text, self.text(part)).into(),
                span: name.span.to(part.span),
            };
        }
        if self.peek().is("(") {
            return self.deeper(|parser| parser.call(name));
        }
        let literal = match name.text.as_ref() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::NULL),
            _ => None,
        };
        let node = if let Some(value) = literal {
            Node::Literal(value)
        } else {
            let text = Rc::clone(&name.text);
            Node::Traversal { root: name, steps: Vec::new(), text }
        };
        self.node(token.span, node)
    }

    fn call(&mut self, name: Name) -> Read<Expression> {
        let open = self.read().span;
        self.with_newlines(false, |parser| {
            let (mut arguments, mut expand) = (Vec::new(), false);
            let close = loop {
                let next = parser.peek();
                if next.is(")") {
                    break parser.read().span;
                }
                arguments.push(parser.expression()?);
                let next = parser.peek();
                if parser.accept("...") {
                    expand = true;
                    if !parser.peek().is(")") {
                        let detail = "An expanded function argument (with ...) must be immediately followed \
                                      by closing parentheses.";
                        return parser.stop(next.span, "Missing closing parenthesis", detail);
                    }
                } else if !next.is(")") && !parser.accept(",") {
                    return if next.kind == Kind::End {
                        let detail =
                            format!("There is no closing parenthesis for this function call {OPEN_END}");
                        parser.stop(open, "Unterminated function call", detail)
                    } else {
                        let detail =
                            "A comma is required to separate each function argument from the next.";
                        parser.stop(next.span, "Missing argument separator", detail)
                    };
                }
            };
            let span = name.span.to(close);
            parser.node(span, Node::Call { name, arguments, expand, open, close })
        })
    }

    fn parenthesis(&mut self) -> Read<Expression> {
        let open = self.read();
        self.with_newlines(false, |parser| {
            let inner = parser.expression()?;
            let next = parser.peek();
            if !parser.accept(")") {
                let detail = "Expected a closing parenthesis to terminate the expression.";
                return parser.stop(next.span, "Unbalanced parentheses", detail);
            }
            parser.node(open.span.to(next.span), Node::Parenthesis(Box::new(inner)))
        })
    }

    fn is_for(&self) -> bool {
        let next = self.peek();
        next.kind == Kind::Identifier && self.text(next) == "for"
    }

    fn brackets(&mut self) -> Read<Expression> {
        let open = self.read();
        self.with_newlines(false, |parser| {
            if parser.is_for() {
                return parser.for_expression(open, "]");
            }
            let mut items = Vec::new();
            let close = loop {
                let next = parser.peek();
                if next.is("]") {
                    break parser.read().span;
                }
                if next.kind == Kind::End {
                    return parser.unterminated(open, "tuple");
                }
                items.push(parser.expression()?);
                let next = parser.peek();
                if next.kind == Kind::End {
                    return parser.unterminated(open, "tuple");
                }
                if !next.is("]") && !parser.accept(",") {
                    let detail = "Expected a comma to mark the beginning of the next item.";
                    return parser.stop(next.span, "Missing item separator", detail);
                }
            };
            parser.node(open.span.to(close), Node::Tuple(items))
        })
    }

    fn unterminated<T>(&mut self, open: Token, what: &str) -> Read<T> {
        let summary = format!("Unterminated {what} constructor expression");
        self.stop(
            open.span,
            &summary,
            format!("There is no corresponding closing bracket {OPEN_END}"),
        )
    }

    fn braces(&mut self) -> Read<Expression> {
        let open = self.read();
        if self.with_newlines(false, |parser| Ok(parser.is_for()))? {
            return self.with_newlines(false, |parser| parser.for_expression(open, "}"));
        }
        self.with_newlines(true, |parser| {
            let mut items = Vec::new();
            let close = loop {
                let next = parser.peek();
                match next.kind {
                    Kind::Newline => {
                        parser.read();
                    }
                    Kind::Sign("}") => break parser.read().span,
                    Kind::End => return parser.unterminated(open, "object"),
                    _ => items.push(parser.object_item(open)?),
                }
            };
            parser.node(open.span.to(close), Node::Object(items))
        })
    }

    fn object_item(&mut self, open: Token) -> Read<(ObjectKey, Expression)> {
        let start = self.peek();
        let key = self.expression()?;
        let key = match key.node {
            _ if start.kind == Kind::Identifier && key.span == start.span => {
                ObjectKey::Name(self.name(start))
            }
            Node::Traversal { .. } => ObjectKey::Ambiguous(key.span),
            _ => ObjectKey::Expression(key),
        };
        let next = self.peek();
        if !self.accept("=") && !self.accept(":") {
            return if next.kind == Kind::End {
                self.unterminated(open, "object")
            } else {
                let detail = "Expected an attribute value, introduced by an equals sign (\"=\").";
                self.stop(next.span, "Missing attribute value", detail)
            };
        }
        let value = self.expression()?;
        let next = self.peek();
        match next.kind {
            Kind::Sign("}" | ",") | Kind::Newline => {
                self.accept(",");
                Ok((key, value))
            }
            Kind::End => self.unterminated(open, "object"),
            _ => {
                let detail =
                    "Expected a newline or comma to mark the beginning of the next attribute.";
                self.stop(next.span, "Missing attribute separator", detail)
            }
        }
    }

    fn bad_for<T>(&mut self, span: Span, detail: &str) -> Read<T> {
        self.stop(span, "Invalid 'for' expression", detail)
    }

    fn for_expression(&mut self, open: Token, close: &str) -> Read<Expression> {
        self.read();
        let (key, value) = self.for_names()?;
        let collection = self.expression()?;
        let next = self.peek();
        if !self.accept(":") {
            let detail = "For expression requires a colon after the collection expression.";
            return self.bad_for(next.span, detail);
        }
        let mut result = self.expression()?;
        let mut result_key = None;
        if self.accept("=>") {
            result_key = Some(std::mem::replace(&mut result, self.expression()?));
        }
        let group = self.accept("...");
        let mut condition = None;
        let next = self.peek();
        if next.kind == Kind::Identifier && self.text(next) == "if" {
            self.read();
            condition = Some(self.expression()?);
        }
        let next = self.peek();
        if !self.accept(close) {
            return self
                .bad_for(next.span, "Extra characters after the end of the 'for' expression.");
        }
        match (&result_key, close) {
            (Some(key), "]") => {
                let span = key.span;
                return self.bad_for(span, "Key expression is not valid when building a tuple.");
            }
            (None, "}") => {
                return self
                    .bad_for(result.span, "Key expression is required when building an object.");
            }
            _ => {}
        }
        let span = open.span.to(next.span);
        let open = open.span;
        let parts = For { key, value, collection, result_key, result, condition, group, open };
        self.node(span, Node::For(Box::new(parts)))
    }

    /// `value in` or `key, value in`
    pub(super) fn for_names(&mut self) -> Read<(Option<Name>, Name)> {
        let first = self.read();
        if first.kind != Kind::Identifier {
            return self.bad_for(first.span, "For expression requires variable name after 'for'.");
        }
        let (mut key, mut value) = (None, self.name(first));
        if self.accept(",") {
            let second = self.read();
            if second.kind != Kind::Identifier {
                let detail = "For expression requires value variable name after comma.";
                return self.bad_for(second.span, detail);
            }
            key = Some(std::mem::replace(&mut value, self.name(second)));
        }
        let next = self.peek();
        if next.kind != Kind::Identifier || self.text(next) != "in" {
            let detail = "For expression requires the 'in' keyword after its name declarations.";
            return self.bad_for(next.span, detail);
        }
        self.read();
        Ok((key, value))
    }

    /// `.name`, `[key]`, `.*` and `[*]` behind an expression.
    fn steps(&mut self, mut source: Expression) -> Read<Expression> {
        loop {
            let next = self.peek();
            if next.is(".") {
                self.read();
                source = self.dot(source, next)?;
            } else if next.is("[") {
                self.read();
                source = self.with_newlines(false, |parser| parser.bracket(source, next))?;
            } else {
                return Ok(source);
            }
        }
    }

    fn dot(&mut self, source: Expression, dot: Token) -> Read<Expression> {
        let next = self.read();
        match next.kind {
            Kind::Identifier => {
                let mut name = self.name(next);
                name.span = dot.span.to(next.span);
                self.step(source, Step::Attribute(name), next.span)
            }
            Kind::Number => {
                // `a.0.1` is read as the number 0.1 behind a dot.
                let text = self.text(next).to_owned();
                let mut source = source;
                for part in text.split('.') {
                    let Some(number) = part.parse().ok().map(|n: usize| Value::count(n)) else {
                        let detail = "An index after a dot must be a whole number.";
                        return self.stop(next.span, "Invalid legacy index syntax", detail);
                    };
                    let step = Step::Index(number, dot.span.to(next.span));
                    source = self.step(source, step, next.span)?;
                }
                Ok(source)
            }
            Kind::Sign("*") => {
                let marker = dot.span.to(next.span);
                let mut each = self.node(next.span, Node::Element)?;
                while self.peek().is(".") {
                    let dot = self.read();
                    if self.peek().is("*") {
                        let detail = "Nested splat expression is not allowed here.";
                        return self.stop(dot.span, "Nested splat expression not allowed", detail);
                    }
                    each = self.dot(each, dot)?;
                }
                self.splat(source, each, marker)
            }
            _ => {
                let detail = "An attribute name is required after a dot.";
                self.stop(next.span, "Invalid attribute name", detail)
            }
        }
    }

    fn bracket(&mut self, source: Expression, open: Token) -> Read<Expression> {
        if self.peek().is("*") {
            let star = self.read();
            let close = self.close_bracket()?;
            let marker = open.span.to(close.span);
            let each = self.node(star.span, Node::Element)?;
            let each =
                self.with_newlines(true, |parser| parser.deeper(|parser| parser.steps(each)))?;
            return self.splat(source, each, marker);
        }
        let key = self.expression()?;
        let close = self.close_bracket()?;
        let brackets = open.span.to(close.span);
        if let Node::Literal(value @ (Value::Number(_) | Value::String(_))) = key.node {
            self.step(source, Step::Index(value, brackets), brackets)
        } else {
            let span = source.span.to(brackets);
            let (collection, key) = (Box::new(source), Box::new(key));
            self.node(span, Node::Index { collection, key, brackets })
        }
    }

    fn close_bracket(&mut self) -> Read<Token> {
        let next = self.peek();
        if self.accept("]") {
            return Ok(next);
        }
        let detail = "The index operator must end with a closing bracket (\"]\").";
        self.stop(next.span, "Missing close bracket on index", detail)
    }

    fn splat(&mut self, source: Expression, each: Expression, marker: Span) -> Read<Expression> {
        let span = source.span.to(marker).to(each.span);
        let (source, each) = (Box::new(source), Box::new(each));
        self.node(span, Node::Splat { source, each, marker })
    }

    /// Adds a step to a traversal, or starts one after another kind of expression.
    fn step(&mut self, source: Expression, step: Step, end: Span) -> Read<Expression> {
        let span = source.span.to(end);
        let node = match source.node {
            Node::Traversal { root, mut steps, .. } => {
                steps.push(step);
                let text = self.input.slice(span).into();
                Node::Traversal { root, steps, text }
            }
            Node::Relative { source, mut steps } => {
                steps.push(step);
                Node::Relative { source, steps }
            }
            _ => Node::Relative { source: Box::new(source), steps: vec![step] },
        };
        self.node(span, node)
    }
}

fn highest_child(node: &Node) -> u16 {
    use super::ast::Part;
    fn parts(list: &[Part]) -> u16 {
        list.iter()
            .map(|part| match part {
                Part::Text(..) => 0,
                Part::Value(value, _) => value.height,
                Part::If { condition, yes, no } => {
                    1 + condition.height.max(parts(yes)).max(parts(no))
                }
                Part::For { collection, body, .. } => 1 + collection.height.max(parts(body)),
            })
            .max()
            .unwrap_or(0)
    }
    let tallest = |list: &[&Expression]| list.iter().map(|e| e.height).max().unwrap_or(0);
    match node {
        Node::Literal(_) | Node::Traversal { .. } | Node::Element => 0,
        Node::Template(list) => parts(list),
        Node::Wrapped(inner) | Node::Parenthesis(inner) => inner.height,
        Node::Negate(inner, _) | Node::Not(inner, _) => inner.height,
        Node::Relative { source, .. } => source.height,
        Node::Index { collection, key, .. } => tallest(&[collection, key]),
        Node::Splat { source, each, .. } => tallest(&[source, each]),
        Node::Call { arguments, .. } | Node::Tuple(arguments) => {
            arguments.iter().map(|e| e.height).max().unwrap_or(0)
        }
        Node::Binary(left, _, right) => tallest(&[left, right]),
        Node::Conditional(condition, yes, no) => tallest(&[condition, yes, no]),
        Node::Object(items) => items
            .iter()
            .map(|(key, value)| match key {
                ObjectKey::Expression(key) => key.height.max(value.height),
                ObjectKey::Name(_) | ObjectKey::Ambiguous(_) => value.height,
            })
            .max()
            .unwrap_or(0),
        Node::For(parts) => {
            let mut all = vec![&parts.collection, &parts.result];
            all.extend(&parts.result_key);
            all.extend(&parts.condition);
            tallest(&all)
        }
    }
}
