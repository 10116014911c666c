//! ◆ Functions of files and paths. The host reads files, or forbids it: a server that parses other people's text must.
//!
//! Nomad: paths are relative to the working directory, not to the job file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Call, Function, Outcome, Problem, check_length, fixed, made, text};
use crate::jobspec::host::{Entry, ReadError};
use crate::jobspec::value::{Type, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("abspath", &[text("path")], |call| {
        allowed(call)?;
        let path = call.text(0);
        if path.starts_with('/') {
            return made(clean(path));
        }
        let here =
            call.host.working_directory().ok_or_else(|| Problem::whole("no working directory"))?;
        made(clean(&format!("{here}/{path}")))
    }),
    fixed("basename", &[text("path")], |call| {
        allowed(call)?;
        made(base(call.text(0)))
    }),
    fixed("dirname", &[text("path")], |call| {
        allowed(call)?;
        let path = call.text(0);
        made(clean(path.rfind('/').map_or("", |slash| &path[..=slash])))
    }),
    fixed("file", &[text("path")], |call| {
        let bytes = read(call)?;
        let text = String::from_utf8(bytes).map_err(|_| {
            Problem::Whole(format!(
                "contents of {} are not valid UTF-8; use the filebase64 function to obtain the Base64 encoded \
                 contents",
                call.text(0)
            ))
        })?;
        made(text)
    }),
    fixed("filebase64", &[text("path")], |call| made(STANDARD.encode(read(call)?))),
    fixed("fileexists", &[text("path")], exists),
    fixed("fileset", &[text("path"), text("pattern")], file_set),
    fixed("pathexpand", &[text("path")], |call| {
        allowed(call)?;
        made(expand(call, call.text(0))?)
    }),
];

fn allowed(call: &Call<'_>) -> Result<(), Problem> {
    if call.host.allows_files() {
        Ok(())
    } else {
        Err(Problem::whole("filesystem function disabled"))
    }
}

fn expand(call: &Call<'_>, path: &str) -> Result<String, Problem> {
    let Some(rest) = path.strip_prefix('~') else { return Ok(path.to_owned()) };
    if !rest.is_empty() && !rest.starts_with('/') {
        return Err(Problem::whole("cannot expand user-specific home dir"));
    }
    let home = call.host.home().ok_or_else(|| Problem::whole("no home directory is known"))?;
    Ok(if rest.is_empty() { home } else { clean(&format!("{home}/{rest}")) })
}

fn read(call: &Call<'_>) -> Result<Vec<u8>, Problem> {
    allowed(call)?;
    let path = clean(&expand(call, call.text(0))?);
    let bytes = call.host.read(&path).map_err(|error| {
        Problem::Whole(match error {
            ReadError::Missing => format!("no file exists at {path}"),
            ReadError::TooLarge => format!("{path} is too large to be part of a job"),
            ReadError::Other(why) => format!("failed to read {path}: {why}"),
        })
    })?;
    check_length(bytes.len())?;
    Ok(bytes)
}

fn exists(call: &Call<'_>) -> Outcome {
    allowed(call)?;
    let path = clean(&expand(call, call.text(0))?);
    match call.host.entry(&path) {
        Entry::Missing => Ok(Value::Bool(false)),
        Entry::File => Ok(Value::Bool(true)),
        Entry::Other(mode) => {
            Err(Problem::Whole(format!("{path} is not a regular file, but {mode:?}")))
        }
    }
}

fn file_set(call: &Call<'_>) -> Outcome {
    allowed(call)?;
    let (folder, pattern) = (expand(call, call.text(0))?, call.text(1));
    let bad =
        |why: &str| Problem::Whole(format!("failed to glob pattern ({folder}/{pattern}): {why}"));
    let patterns = alternatives(pattern, 0).map_err(bad)?;
    for pattern in &patterns {
        check_pattern(pattern).map_err(bad)?;
    }
    let files = call.host.walk(&clean(&folder)).map_err(|why| bad(&why))?;
    let found: Vec<Value> = files
        .into_iter()
        .filter(|path| {
            let parts: Vec<&str> = path.split('/').collect();
            patterns.iter().any(|pattern| {
                let pattern: Vec<&str> =
                    pattern.split('/').filter(|part| !part.is_empty()).collect();
                path_matches(&pattern, &parts)
            })
        })
        .map(Value::string)
        .collect();
    Ok(Value::set(Type::String, found)?)
}

/// `{a,b}` spelled out. At most a few hundred patterns.
fn alternatives(pattern: &str, depth: usize) -> Result<Vec<String>, &'static str> {
    const ERROR: &str = "syntax error in pattern";
    let Some(open) = pattern.find('{') else { return Ok(vec![pattern.to_owned()]) };
    if depth > 8 {
        return Err("too many alternatives");
    }
    let (mut level, mut cuts, mut close) = (0, vec![open], None);
    for (at, c) in pattern.char_indices().skip_while(|(at, _)| *at < open) {
        match c {
            '{' => level += 1,
            '}' => level -= 1,
            ',' if level == 1 => cuts.push(at),
            _ => {}
        }
        if level == 0 {
            close = Some(at);
            break;
        }
    }
    let close = close.ok_or(ERROR)?;
    cuts.push(close);
    let mut out = Vec::new();
    for pair in cuts.windows(2) {
        let [from, to] = pair else { continue };
        let middle = &pattern[from + 1..*to];
        let spelled = format!("{}{middle}{}", &pattern[..open], &pattern[close + 1..]);
        out.extend(alternatives(&spelled, depth + 1)?);
        if out.len() > 256 {
            return Err("too many alternatives");
        }
    }
    Ok(out)
}

fn check_pattern(pattern: &str) -> Result<(), &'static str> {
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' if rest.next().is_none() => return Err("syntax error in pattern"),
            '[' => {
                let mut closed = false;
                let mut first = true;
                for c in rest.by_ref() {
                    if c == ']' && !first {
                        closed = true;
                        break;
                    }
                    first = false;
                }
                if !closed {
                    return Err("syntax error in pattern");
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// `**` stands for any number of folders.
fn path_matches(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (["**", rest @ ..], _) => {
            let rest = match rest {
                ["**", ..] => return path_matches(rest, path),
                rest => rest,
            };
            (0..=path.len()).any(|skip| path_matches(rest, &path[skip..]))
        }
        ([first, rest @ ..], [name, deeper @ ..]) => {
            let pattern: Vec<char> = first.chars().collect();
            let name: Vec<char> = name.chars().collect();
            name_matches(&pattern, &name) && path_matches(rest, deeper)
        }
        _ => false,
    }
}

/// `*`, `?`, `[a-z]`, `[^a]` and backslash escapes within one name, in time proportional to both lengths.
fn name_matches(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            retry = Some((p + 1, n));
            p += 1;
            continue;
        }
        if let Some(next) = name.get(n).and_then(|c| one_matches(pattern, p, *c)) {
            p = next;
            n += 1;
            continue;
        }
        let Some((after, at)) = retry else { return false };
        retry = Some((after, at + 1));
        p = after;
        n = at + 1;
    }
    pattern[p.min(pattern.len())..].iter().all(|c| *c == '*')
}

/// Where the pattern goes on if its element at `p` matches the character.
fn one_matches(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern.get(p)? {
        '?' => Some(p + 1),
        '\\' => (pattern.get(p + 1) == Some(&c)).then_some(p + 2),
        '[' => {
            let mut at = p + 1;
            let negated = matches!(pattern.get(at), Some('^' | '!'));
            at += usize::from(negated);
            let mut found = false;
            let first = at;
            while at == first || pattern.get(at) != Some(&']') {
                let low = *pattern.get(at)?;
                let high = match (pattern.get(at + 1), pattern.get(at + 2)) {
                    (Some('-'), Some(high)) if *high != ']' => {
                        at += 2;
                        *high
                    }
                    _ => low,
                };
                found |= (low..=high).contains(&c);
                at += 1;
            }
            (found != negated).then_some(at + 1)
        }
        other => (*other == c).then_some(p + 1),
    }
}

/// The shortest path that means the same.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(last) if *last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

fn base(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        _ if path.is_empty() => ".".to_owned(),
        _ if trimmed.is_empty() => "/".to_owned(),
        Some(name) => name.to_owned(),
        None => ".".to_owned(),
    }
}
