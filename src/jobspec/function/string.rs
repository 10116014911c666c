//! ◆ Functions of text. Lengths and positions count what people see as one character.

use regex::RegexBuilder;
use unicode_segmentation::UnicodeSegmentation as _;

use super::{
    Call, Function, MAX_TEXT, Outcome, Problem, check_length, fixed, made, number, open, text,
    texts,
};
use crate::jobspec::value::{Type, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("chomp", &[text("str")], |call| {
        made(call.text(0).trim_end_matches(['\r', '\n']).to_owned())
    }),
    fixed("indent", &[number("spaces"), text("str")], indent),
    open("join", &[text("separator")], texts("lists"), join),
    fixed("lower", &[text("str")], |call| {
        made(each_letter(call.text(0), |c| c.to_lowercase().next().unwrap_or(c)))
    }),
    fixed("regex_replace", &[text("str"), text("pattern"), text("replace")], regex_replace)
        .costs(|call| 1000 + 50 * call.text(1).len()),
    fixed("replace", &[text("str"), text("substr"), text("replace")], replace),
    fixed("reverse", &[text("str")], reverse),
    fixed("split", &[text("separator"), text("str")], split),
    fixed("strlen", &[text("str")], |call| Ok(Value::count(call.text(0).graphemes(true).count()))),
    // Nomad: another name for the same function.
    fixed("strrev", &[text("str")], reverse),
    fixed("substr", &[text("str"), number("offset"), number("length")], substr),
    fixed("title", &[text("str")], title),
    fixed("trim", &[text("str"), text("cutset")], |call| {
        let cutset: Vec<char> = call.text(1).chars().collect();
        made(call.text(0).trim_matches(cutset.as_slice()).to_owned())
    }),
    fixed("trimprefix", &[text("str"), text("prefix")], |call| {
        let whole = call.text(0);
        made(whole.strip_prefix(call.text(1)).unwrap_or(whole).to_owned())
    }),
    fixed("trimspace", &[text("str")], |call| made(call.text(0).trim().to_owned())),
    fixed("trimsuffix", &[text("str"), text("suffix")], |call| {
        let whole = call.text(0);
        made(whole.strip_suffix(call.text(1)).unwrap_or(whole).to_owned())
    }),
    fixed("upper", &[text("str")], |call| {
        made(each_letter(call.text(0), |c| single(c.to_uppercase(), c)))
    }),
];

/// Go maps one letter to one letter; what would become several stays.
fn single(mut mapped: impl Iterator<Item = char>, original: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(c), None) => c,
        _ => original,
    }
}

fn each_letter(text: &str, map: impl Fn(char) -> char) -> String {
    text.chars().map(map).collect()
}

fn indent(call: &Call<'_>) -> Outcome {
    let spaces = usize::try_from(call.whole(0)?)
        .map_err(|_| Problem::whole("the number of spaces must not be negative"))?;
    let text = call.text(1);
    check_length(text.matches('\n').count().saturating_mul(spaces).saturating_add(text.len()))?;
    made(text.replace('\n', &format!("\n{}", " ".repeat(spaces))))
}

fn join(call: &Call<'_>) -> Outcome {
    let separator = call.text(0);
    if call.arguments.len() < 2 {
        return Err(Problem::whole("at least one list is required"));
    }
    let mut parts = Vec::new();
    for index in 1..call.arguments.len() {
        for (at, item) in call.items(index).iter().enumerate() {
            let Some(part) = item.as_str() else {
                let why = format!("element {at} is null; cannot concatenate null values");
                return Err(Problem::Argument(index, why));
            };
            parts.push(part);
        }
    }
    let length: usize = parts.iter().map(|part| part.len()).sum();
    check_length(length.saturating_add(separator.len().saturating_mul(parts.len())))?;
    made(parts.join(separator))
}

fn regex_replace(call: &Call<'_>) -> Outcome {
    let built = RegexBuilder::new(call.text(1)).size_limit(1 << 20).build();
    let regex = built.map_err(|error| {
        let last = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
        Problem::Whole(format!("error parsing regexp: {last}: `{}`", call.text(1)))
    })?;
    let (whole, replacement) = (call.text(0), call.text(2));
    let (mut out, mut end) = (String::new(), 0);
    for found in regex.captures_iter(whole) {
        let Some(range) = found.get(0).map(|found| found.range()) else { continue };
        out.push_str(&whole[end..range.start]);
        found.expand(replacement, &mut out);
        check_length(out.len())?;
        end = range.end;
    }
    out.push_str(&whole[end..]);
    made(out)
}

fn replace(call: &Call<'_>) -> Outcome {
    let (text, from, to) = (call.text(0), call.text(1), call.text(2));
    let found = text.matches(from).count();
    check_length(found.saturating_mul(to.len()).saturating_add(text.len()))?;
    made(text.replace(from, to))
}

fn reverse(call: &Call<'_>) -> Outcome {
    made(call.text(0).graphemes(true).rev().collect())
}

fn split(call: &Call<'_>) -> Outcome {
    let (separator, text) = (call.text(0), call.text(1));
    let parts: Vec<Value> = if separator.is_empty() {
        text.chars().map(|c| Value::string(c.to_string())).collect()
    } else {
        text.split(separator).map(Value::string).collect()
    };
    Ok(Value::list(Type::String, parts)?)
}

fn substr(call: &Call<'_>) -> Outcome {
    let (offset, length) = (call.whole(1)?, call.whole(2)?);
    let letters: Vec<&str> = call.text(0).graphemes(true).collect();
    let total = i64::try_from(letters.len()).unwrap_or(i64::MAX);
    let start = if offset < 0 { offset.saturating_add(total).max(0) } else { offset.min(total) };
    let end = if length < 0 { total } else { start.saturating_add(length).min(total) };
    let (start, end) = (usize::try_from(start), usize::try_from(end));
    let range = start.unwrap_or(0)..end.unwrap_or(0);
    made(letters.get(range).unwrap_or_default().concat())
}

/// A letter is made big behind anything that is no letter, digit or underscore.
fn title(call: &Call<'_>) -> Outcome {
    let mut behind = ' ';
    let titled = each_letter_after(call.text(0), &mut behind);
    debug_assert!(titled.len() <= MAX_TEXT * 2, "titles keep the number of letters");
    made(titled)
}

fn each_letter_after(text: &str, behind: &mut char) -> String {
    text.chars()
        .map(|c| {
            let starts = if behind.is_ascii() {
                !behind.is_ascii_alphanumeric() && *behind != '_'
            } else {
                behind.is_whitespace()
            };
            *behind = c;
            if starts { single(c.to_uppercase(), c) } else { c }
        })
        .collect()
}
