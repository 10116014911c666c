//! ◆ The tree that a job file is read into. Every node knows where it stands and how high the tree below it is.

use std::rc::Rc;

use crate::jobspec::source::Span;
use crate::jobspec::value::Value;

/// A name with its place.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    /// The name itself, without quotes.
    pub text: Rc<str>,
    /// Where it stands, quotes included.
    pub span: Span,
}

/// What stands between two braces, or in a whole file.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    /// `name = expression`, in the order of the text.
    pub attributes: Vec<Attribute>,
    /// `type "label" { … }`, in the order of the text.
    pub blocks: Vec<Block>,
    /// Where a missing thing is reported: at the opening brace.
    pub missing: Span,
    /// Whether it was written in JSON, where no object becomes a list of one.
    pub from_json: bool,
}

impl Body {
    /// A body with nothing in it.
    pub(crate) fn empty(missing: Span) -> Self {
        Self { attributes: Vec::new(), blocks: Vec::new(), missing, from_json: false }
    }
}

/// `name = expression`.
#[derive(Debug, Clone)]
pub(crate) struct Attribute {
    /// Its name.
    pub name: Name,
    /// Its value.
    pub value: Expression,
}

/// `type "label" { … }`.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The word it starts with.
    pub kind: Name,
    /// Its labels, quoted or not.
    pub labels: Vec<Name>,
    /// The opening brace.
    pub open: Span,
    /// What stands inside.
    pub body: Body,
}

impl Block {
    /// From the word to the last label: where errors about the block as a whole are reported.
    pub(crate) fn definition(&self) -> Span {
        self.labels.last().map_or(self.kind.span, |label| self.kind.span.to(label.span))
    }
}

/// An expression.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    /// What it is.
    pub node: Node,
    /// The whole of it.
    pub span: Span,
    /// Levels of expressions below and including this one.
    pub height: u16,
}

/// One step of a traversal: `.name`, `[0]`, `["key"]`.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// `.name`
    Attribute(Name),
    /// `[key]` or `.0`, with a key known when it was read.
    Index(Value, Span),
}

/// Operators between two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    /// `||`
    Or,
    /// `&&`
    And,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

/// What an expression is.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// A number, a word like `true`, or a string without templates.
    Literal(Value),
    /// A string with templates.
    Template(Vec<Part>),
    /// `"${expression}"` with nothing around it, which gives the value itself.
    Wrapped(Box<Expression>),
    /// `root.name[0]`, kept as text too, because unknown roots are left to the client.
    Traversal { root: Name, steps: Vec<Step>, text: Rc<str> },
    /// Steps after an expression that is not a bare name.
    Relative { source: Box<Expression>, steps: Vec<Step> },
    /// `collection[key]` with a key that must be computed; the span covers the brackets.
    Index { collection: Box<Expression>, key: Box<Expression>, brackets: Span },
    /// `source[*]…` or `source.*…`; `each` is computed for every element, in which [`Node::Element`] stands.
    Splat { source: Box<Expression>, each: Box<Expression>, marker: Span },
    /// The element of the innermost splat.
    Element,
    /// `name(arguments)`, the last one perhaps to be expanded (`...`).
    Call { name: Name, arguments: Vec<Expression>, expand: bool, open: Span, close: Span },
    /// `-operand`; the span is the sign's.
    Negate(Box<Expression>, Span),
    /// `!operand`; the span is the sign's.
    Not(Box<Expression>, Span),
    /// `left operator right`
    Binary(Box<Expression>, Operator, Box<Expression>),
    /// `condition ? yes : no`
    Conditional(Box<Expression>, Box<Expression>, Box<Expression>),
    /// `[a, b]`
    Tuple(Vec<Expression>),
    /// `{ a = b }`
    Object(Vec<(ObjectKey, Expression)>),
    /// `[for …]` and `{for …}`
    For(Box<For>),
    /// `(expression)`
    Parenthesis(Box<Expression>),
}

/// The left side of an item in an object.
#[derive(Debug, Clone)]
pub(crate) enum ObjectKey {
    /// A bare word.
    Name(Name),
    /// A bare `a.b`, which is refused.
    Ambiguous(Span),
    /// Anything else.
    Expression(Expression),
}

/// `for key, value in collection : …`
#[derive(Debug, Clone)]
pub(crate) struct For {
    /// The first of two names.
    pub key: Option<Name>,
    /// The only or second name.
    pub value: Name,
    /// What is walked.
    pub collection: Expression,
    /// Left of `=>`; then an object is built.
    pub result_key: Option<Expression>,
    /// The result for one element.
    pub result: Expression,
    /// Behind `if`.
    pub condition: Option<Expression>,
    /// `...`: results with equal keys are gathered in lists.
    pub group: bool,
    /// The opening bracket or brace.
    pub open: Span,
}

/// A part of a template.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// Text as it is.
    Text(Rc<str>, Span),
    /// `${expression}`; the text between the braces is kept for names left to the client.
    Value(Expression, Rc<str>),
    /// `%{ if }`
    If { condition: Expression, yes: Vec<Part>, no: Vec<Part> },
    /// `%{ for }`
    For { key: Option<Name>, value: Name, collection: Expression, body: Vec<Part> },
}

impl Expression {
    /// Where an error about the value as a whole points: its first piece.
    pub(crate) fn start(&self) -> Span {
        match &self.node {
            Node::Template(parts) => parts.first().map_or(self.span, Part::start),
            Node::Literal(Value::String(text)) if text.is_empty() => {
                Span { start: self.span.end, ..self.span }
            }
            Node::Literal(Value::String(_)) => self.inside_quotes(),
            Node::Wrapped(inner) => inner.start(),
            Node::Relative { source, .. } => source.start(),
            Node::Index { collection, .. } => collection.start(),
            Node::Splat { source, .. } => source.start(),
            Node::Call { name, open, .. } => name.span.to(*open),
            Node::Negate(_, sign) | Node::Not(_, sign) => *sign,
            Node::Binary(left, _, _) => left.start(),
            Node::Conditional(condition, _, _) => condition.start(),
            Node::Tuple(_) | Node::Object(_) => Span { end: self.span.start + 1, ..self.span },
            Node::For(parts) => parts.open,
            Node::Literal(_) | Node::Traversal { .. } | Node::Element | Node::Parenthesis(_) => {
                self.span
            }
        }
    }

    /// The place of a string's content.
    pub(crate) fn inside_quotes(&self) -> Span {
        if self.span.end >= self.span.start + 2 {
            Span { start: self.span.start + 1, end: self.span.end - 1, ..self.span }
        } else {
            self.span
        }
    }
}

impl Part {
    fn start(&self) -> Span {
        match self {
            Self::Text(_, span) => *span,
            Self::Value(expression, _) => expression.start(),
            Self::If { condition, .. } => condition.start(),
            Self::For { collection, .. } => collection.start(),
        }
    }
}
