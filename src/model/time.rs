//! ◆ Points in time and durations, as integers of nanoseconds, as Nomad writes them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration in nanoseconds. May be negative where Nomad's may (a forced drain is −1).
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Nanos(pub i64);

impl Nanos {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs * 1_000_000_000)
    }

    /// So many milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis * 1_000_000)
    }

    /// As std's duration; a negative one is zero.
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

/// A point in time: nanoseconds since the Unix epoch. Zero is "never".
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// "Never", Nomad's zero time.
    pub const NEVER: Self = Self(0);

    /// Whether this is no time.
    pub fn is_never(self) -> bool {
        self.0 == 0
    }

    /// This time and `duration`; the far future where it would not fit.
    #[must_use]
    pub fn plus(self, duration: Nanos) -> Self {
        Self(self.0.saturating_add(duration.0))
    }

    /// How long after `earlier` this is; negative when it is before.
    pub fn since(self, earlier: Self) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }

    /// RFC 3339 in UTC with up to nine digits of fraction, as Go writes it; "never" is year one.
    pub fn rfc3339(self) -> String {
        if self.is_never() {
            return "0001-01-01T00:00:00Z".to_owned();
        }
        jiff::Timestamp::from_nanosecond(i128::from(self.0))
            .map(|t| t.to_string())
            .unwrap_or_default()
    }

    /// The time that RFC 3339 text tells; year one is "never".
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        if text.starts_with("0001-01-01T00:00:00") {
            return Some(Self::NEVER);
        }
        let parsed: jiff::Timestamp = text.parse().ok()?;
        i64::try_from(parsed.as_nanosecond()).ok().map(Self)
    }
}

/// For `#[serde(with = "time::rfc3339")]`: the field is text, as Go's `time.Time`.
pub mod rfc3339 {
    use super::{Deserialize as _, Deserializer, Serializer, Timestamp};

    /// Writes the text.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.rfc3339())
    }

    /// Reads the text; `null` is "never".
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map_or(Ok(Timestamp::NEVER), |text| {
            Timestamp::parse_rfc3339(&text).ok_or_else(|| {
                serde::de::Error::custom(format!("`{text}` is not an RFC 3339 time"))
            })
        })
    }
}

/// For `#[serde(with = "time::rfc3339_or_null")]`: as [`rfc3339`], "never" is `null`.
pub mod rfc3339_or_null {
    use super::{Deserializer, Serializer, Timestamp};

    /// Writes the text or `null`.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        if time.is_never() {
            serializer.serialize_none()
        } else {
            super::rfc3339::serialize(time, serializer)
        }
    }

    /// Reads the text; `null` is "never".
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        super::rfc3339::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn a_time_is_written_as_go_writes_it_and_read_back() {
        let time = Timestamp(1_795_377_018_221_236_653);
        assert_eq!(time.rfc3339(), "2026-11-22T19:50:18.221236653Z");
        assert_eq!(Timestamp::parse_rfc3339(&time.rfc3339()), Some(time));
        assert_eq!(Timestamp::NEVER.rfc3339(), "0001-01-01T00:00:00Z");
        assert_eq!(Timestamp::parse_rfc3339("0001-01-01T00:00:00Z"), Some(Timestamp::NEVER));
    }
}
