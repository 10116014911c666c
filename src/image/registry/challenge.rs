//! ◆ How a registry says who may ask: `WWW-Authenticate`, RFC 9110 §11.6.1 and the token protocol of Docker.

/// What a registry wants to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password.
    Basic,
    /// A token, which `realm`, a URL, gives out for `service`.
    Bearer { realm: String, service: Option<String> },
}

impl Challenge {
    /// The best of what the headers offer: a token before a password.
    pub(super) fn choose<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut found: Option<Self> = None;
        for challenge in headers.filter_map(Self::parse) {
            match challenge {
                Self::Bearer { .. } => return Some(challenge),
                Self::Basic => found = Some(challenge),
            }
        }
        found
    }

    /// Reads one header. Of several challenges in it the first counts, as registries send one.
    fn parse(header: &str) -> Option<Self> {
        let header = header.trim();
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service) = (None, None);
        for (key, value) in parameters(rest) {
            match key.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "service" => service = Some(value),
                _ => {}
            }
        }
        Some(Self::Bearer { realm: realm?, service })
    }
}

/// `key=value` and `key="value"`, separated by commas.
fn parameters(text: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_matches([' ', ',', '\t']);
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
            unquoted(quoted)
        } else {
            let (value, after) = after.split_once(',').unwrap_or((after, ""));
            (value.trim().to_owned(), after)
        };
        found.push((key, value));
        rest = after;
    }
    found
}

/// What is before the closing quote, without backslashes, and what comes after it.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, char)| char)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) }
    }

    #[test]
    fn challenges_are_read_as_registries_send_them() {
        let parse = |text: &str| Challenge::choose([text].into_iter());
        let hub = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#;
        assert_eq!(
            parse(hub),
            Some(bearer("https://auth.example/token", Some("registry.example")))
        );
        let bare = r"bearer Realm=https://a.example/t";
        assert_eq!(parse(bare), Some(bearer("https://a.example/t", None)));
        let odd = r#"Bearer realm="a\"b" , service="c, d=e""#;
        assert_eq!(parse(odd), Some(bearer("a\"b", Some("c, d=e"))));
        assert_eq!(parse(r#"Basic realm="Registry""#), Some(Challenge::Basic));
        assert_eq!(parse("Bearer service=x"), None);
        assert_eq!(parse("Negotiate"), None);
        assert_eq!(parse(""), None);
        let both = ["Basic realm=x", "Bearer realm=y"];
        assert_eq!(Challenge::choose(both.into_iter()), Some(bearer("y", None)));
    }

    proptest! {
        #[test]
        fn no_header_is_a_panic(text in "(Bearer )?[a-z=\",\\\\ é]{0,40}") {
            drop(Challenge::choose([text.as_str()].into_iter()));
        }
    }
}
