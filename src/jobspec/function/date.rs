//! ◆ Functions of points in time, written as RFC 3339 writes them. None of them asks a clock.

use super::{Call, Function, Outcome, Problem, fixed, made, text};
use crate::jobspec::duration;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("formatdate", &[text("format"), text("time")], format_date),
    fixed("timeadd", &[text("timestamp"), text("duration")], time_add),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A point in time as somebody somewhere reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    /// Minutes east of Greenwich.
    offset: i64,
    zulu: bool,
}

impl Moment {
    fn parse(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("not a valid RFC3339 timestamp: {why}"));
        let digits = |from: usize, to: usize, what: &str| -> Result<i64, String> {
            let part = text.get(from..to.min(text.len())).unwrap_or(text);
            if part.len() == to - from && part.bytes().all(|b| b.is_ascii_digit()) {
                return Ok(part.parse().unwrap_or(0));
            }
            let part = text.get(from..).unwrap_or("");
            let part = part.split(['-', 'T', ':', '.', 'Z', '+']).next().unwrap_or(part);
            Err(format!("not a valid RFC3339 timestamp: cannot use {part:?} as {what}"))
        };
        let sign = |at: usize, sign: u8| text.as_bytes().get(at) == Some(&sign);
        let year = digits(0, 4, "year")?;
        if !sign(4, b'-') {
            return refuse("missing required separator '-' after year");
        }
        let month = digits(5, 7, "month")?;
        if !sign(7, b'-') {
            return refuse("missing required separator '-' after month");
        }
        let day = digits(8, 10, "day of month")?;
        if !sign(10, b'T') {
            return refuse("missing required time introducer 'T'");
        }
        let hour = digits(11, 13, "hour")?;
        let minute = if sign(13, b':') {
            digits(14, 16, "minute")?
        } else {
            return refuse("missing minutes");
        };
        let second = if sign(16, b':') {
            digits(17, 19, "second")?
        } else {
            return refuse("missing seconds");
        };
        let rest = text.get(19..).unwrap_or("");
        let fraction = rest
            .strip_prefix('.')
            .map_or(0, |rest| rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let (nanos, rest) = if rest.starts_with('.') && fraction > 0 {
            let nanos = format!("{:0<9}", &rest[1..=fraction]);
            (nanos.get(..9).and_then(|n| n.parse().ok()).unwrap_or(0), &rest[fraction + 1..])
        } else {
            (0, rest)
        };
        let Some((offset, zulu)) = zone(rest) else {
            return refuse("missing or invalid UTC offset at the end");
        };
        let moment = Self { year, month, day, hour, minute, second, nanos, offset, zulu };
        let fits = (1..=12).contains(&month)
            && (1..=month_length(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        if fits { Ok(moment) } else { refuse("a field is out of range") }
    }

    /// Seconds since 1970 as read on the local clock.
    fn local_seconds(&self) -> i64 {
        days(self.year, self.month, self.day) * 86_400
            + self.hour * 3600
            + self.minute * 60
            + self.second
    }

    fn at_local_seconds(&self, seconds: i64) -> Self {
        let (day, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = date(day);
        let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
        Self { year, month, day, hour, minute, second, ..*self }
    }

    fn weekday(&self) -> usize {
        usize::try_from((days(self.year, self.month, self.day) + 4).rem_euclid(7)).unwrap_or(0)
    }

    fn zone(&self, colon: &str) -> String {
        let (hours, minutes) = (self.offset.abs() / 60, self.offset.abs() % 60);
        let sign = if self.offset < 0 { '-' } else { '+' };
        format!("{sign}{hours:02}{colon}{minutes:02}")
    }
}

fn zone(text: &str) -> Option<(i64, bool)> {
    if text == "Z" {
        return Some((0, true));
    }
    let sign = match text.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60)
        .then_some((sign * (i64::from(hours) * 60 + i64::from(minutes)), false))
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01, by counting in eras of 400 years that start in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

fn time_add(call: &Call<'_>) -> Outcome {
    let moment = Moment::parse(call.text(0)).map_err(Problem::Whole)?;
    let added = duration::parse(call.text(1)).map_err(Problem::Whole)?;
    let nanos = moment.nanos + added % 1_000_000_000;
    let seconds = moment.local_seconds() + added / 1_000_000_000 + nanos.div_euclid(1_000_000_000);
    let moved = moment.at_local_seconds(seconds);
    let zone = if moved.zulu || moved.offset == 0 { "Z".to_owned() } else { moved.zone(":") };
    made(format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{zone}",
        moved.year, moved.month, moved.day, moved.hour, moved.minute, moved.second
    ))
}

fn format_date(call: &Call<'_>) -> Outcome {
    let pattern = call.text(0);
    let moment = Moment::parse(call.text(1)).map_err(|why| Problem::Argument(1, why))?;
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (literal, after) = quoted(rest)
                .ok_or_else(|| Problem::Argument(0, "unterminated literal '".to_owned()))?;
            out.push_str(&literal);
            rest = after;
            continue;
        }
        let length = rest.find(|c| c != first).unwrap_or(rest.len());
        let (verb, after) = rest.split_at(length);
        if first.is_ascii_alphabetic() {
            let piece = field(&moment, verb).map_err(|why| {
                Problem::Argument(0, format!("invalid date format verb {verb:?}{why}"))
            })?;
            out.push_str(&piece);
        } else {
            out.push_str(verb);
        }
        rest = after;
        super::check_length(out.len())?;
    }
    made(out)
}

/// A literal between single quotes, a doubled quote standing for one.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut rest = text.strip_prefix('\'')?;
    loop {
        let end = rest.find('\'')?;
        out.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                out.push('\'');
                rest = after;
            }
            None => return Some((out, rest)),
        }
    }
}

fn field(moment: &Moment, verb: &str) -> Result<String, &'static str> {
    let month = usize::try_from(moment.month - 1).ok().and_then(|at| MONTHS.get(at)).unwrap_or(&"");
    let weekday = DAYS.get(moment.weekday()).unwrap_or(&"");
    let short = |name: &str| name.get(..3).unwrap_or(name).to_owned();
    let hour = (moment.hour + 11) % 12 + 1;
    let half = |am: &str, pm: &str| if moment.hour < 12 { am } else { pm }.to_owned();
    Ok(match verb {
        "YY" => format!("{:02}", moment.year % 100),
        "YYYY" => format!("{:04}", moment.year),
        "M" => moment.month.to_string(),
        "MM" => format!("{:02}", moment.month),
        "MMM" => short(month),
        "MMMM" => (*month).to_owned(),
        "D" => moment.day.to_string(),
        "DD" => format!("{:02}", moment.day),
        "EEE" => short(weekday),
        "EEEE" => (*weekday).to_owned(),
        "h" => moment.hour.to_string(),
        "hh" => format!("{:02}", moment.hour),
        "H" => hour.to_string(),
        "HH" => format!("{hour:02}"),
        "AA" => half("AM", "PM"),
        "aa" => half("am", "pm"),
        "m" => moment.minute.to_string(),
        "mm" => format!("{:02}", moment.minute),
        "s" => moment.second.to_string(),
        "ss" => format!("{:02}", moment.second),
        "Z" if moment.zulu || moment.offset == 0 => "Z".to_owned(),
        "Z" => moment.zone(":"),
        "ZZZ" if moment.zulu || moment.offset == 0 => "UTC".to_owned(),
        "ZZZ" | "ZZZZ" => moment.zone(""),
        "ZZZZZ" => moment.zone(":"),
        _ if verb.starts_with('Y') => return Err(": year must either be \"YY\" or \"YYYY\""),
        _ if verb.starts_with('M') => {
            return Err(": month must be \"M\", \"MM\", \"MMM\", or \"MMMM\"");
        }
        _ if verb.starts_with('D') => return Err(": day of month must either be \"D\" or \"DD\""),
        _ if verb.starts_with('E') => {
            return Err(": day of week must either be \"EEE\" or \"EEEE\"");
        }
        _ if verb.starts_with(['h', 'H']) => {
            return Err(": hour must be \"h\", \"hh\", \"H\" or \"HH\"");
        }
        _ if verb.starts_with(['A', 'a']) => {
            return Err(": must be exactly two letters, both either upper or lower case");
        }
        _ if verb.starts_with('m') => return Err(": minute must either be \"m\" or \"mm\""),
        _ if verb.starts_with('s') => return Err(": second must either be \"s\" or \"ss\""),
        _ if verb.starts_with('Z') => return Err(": timezone must be Z, ZZZ, ZZZZ or ZZZZZ"),
        _ => return Err(""),
    })
}
