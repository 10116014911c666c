//! ◆ Words of the language.

use crate::jobspec::source::Span;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or keyword.
    Identifier,
    /// Decimal digits.
    Number,
    /// `"` that opens a string.
    OpenQuote,
    /// `"` that closes a string.
    CloseQuote,
    /// Text in a quoted string, escapes unread.
    QuotedText,
    /// `<<EOT` with its line break.
    OpenHeredoc,
    /// The marker that closes a heredoc.
    CloseHeredoc,
    /// Text in a heredoc, at most one line.
    HeredocText,
    /// `${` or `${~`
    OpenValue,
    /// `%{` or `%{~`
    OpenControl,
    /// `}` or `~}` that ends one of them.
    CloseTemplate,
    /// A line break.
    Newline,
    /// A sign: brackets, operators, separators.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// One word and its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub span: Span,
}

impl Token {
    /// Whether it is this sign.
    pub(crate) fn is(&self, sign: &str) -> bool {
        matches!(self.kind, Kind::Sign(own) if own == sign)
    }
}
