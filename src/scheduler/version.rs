//! ◆ Versions and conditions on them, as the operators `version` and `semver` read them.
//!
//! Nomad: `version` follows go-version (a condition without a pre-release never matches one; `~>` exists), `semver`
//! follows Semantic Versioning's order alone and knows no `~>`.

use std::cmp::Ordering;
use std::sync::LazyLock;

use regex::Regex;

/// How strictly versions are read and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// The operator `version`.
    Version,
    /// The operator `semver`.
    Semver,
}

/// A version: numbers, a pre-release and metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    segments: Vec<i64>,
    /// How many segments were written.
    written: usize,
    prerelease: String,
    metadata: String,
}

const LOOSE: &str = r"v?([0-9]+(?:\.[0-9]+)*?)(?:-([0-9]+[0-9A-Za-z\-~]*(?:\.[0-9A-Za-z\-~]+)*)|-?([A-Za-z\-~]+[0-9A-Za-z\-~]*(?:\.[0-9A-Za-z\-~]+)*))?(?:\+([0-9A-Za-z\-~]+(?:\.[0-9A-Za-z\-~]+)*))?\??";
const STRICT: &str = r"v?([0-9]+(?:\.[0-9]+)*?)(?:-([0-9]+[0-9A-Za-z\-~]*(?:\.[0-9A-Za-z\-~]+)*)|-([A-Za-z\-~]+[0-9A-Za-z\-~]*(?:\.[0-9A-Za-z\-~]+)*))?(?:\+([0-9A-Za-z\-~]+(?:\.[0-9A-Za-z\-~]+)*))?\??";

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the patterns of this file are valid")
}

static LOOSE_VERSION: LazyLock<Regex> = LazyLock::new(|| pattern(&format!("^{LOOSE}$")));
static STRICT_VERSION: LazyLock<Regex> = LazyLock::new(|| pattern(&format!("^{STRICT}$")));
static VERSION_CONDITION: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"^\s*(=|!=|>=|<=|>|<|~>|)\s*({LOOSE})\s*$")));
static SEMVER_CONDITION: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"^\s*(=|!=|>=|<=|>|<|)\s*({LOOSE})\s*$")));

impl Version {
    /// Reads a version as the operator `version` and the left side of `semver` do.
    pub fn parse(text: &str) -> Option<Self> {
        Self::read(&LOOSE_VERSION, text)
    }

    /// Reads a version that stands up to Semantic Versioning but for the number of its parts.
    pub fn parse_strict(text: &str) -> Option<Self> {
        Self::read(&STRICT_VERSION, text)
    }

    fn read(pattern: &Regex, text: &str) -> Option<Self> {
        let found = pattern.captures(text)?;
        let part = |at: usize| found.get(at).map_or("", |m| m.as_str());
        let mut segments =
            part(1).split('.').map(|s| s.parse().ok()).collect::<Option<Vec<i64>>>()?;
        let written = segments.len();
        segments.resize(written.max(3), 0);
        let prerelease = if part(2).is_empty() { part(3) } else { part(2) };
        Some(Self {
            segments,
            written,
            prerelease: prerelease.to_owned(),
            metadata: part(4).to_owned(),
        })
    }

    /// Its numbers, at least three.
    pub fn segments(&self) -> &[i64] {
        &self.segments
    }

    /// Its pre-release, or nothing.
    pub fn prerelease(&self) -> &str {
        &self.prerelease
    }

    /// Its metadata, or nothing.
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// The order of two versions. Metadata does not count.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.compare_segments(other).then_with(|| match (self.is_release(), other.is_release()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => compare_prereleases(&self.prerelease, &other.prerelease),
        })
    }

    fn is_release(&self) -> bool {
        self.prerelease.is_empty()
    }

    fn compare_segments(&self, other: &Self) -> Ordering {
        let longest = self.segments.len().max(other.segments.len());
        let at = |v: &Self, i: usize| v.segments.get(i).copied().unwrap_or(0);
        (0..longest)
            .map(|i| at(self, i).cmp(&at(other, i)))
            .find(|o| o.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<String> = self.segments.iter().map(ToString::to_string).collect();
        f.write_str(&numbers.join("."))?;
        if !self.prerelease.is_empty() {
            write!(f, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

fn compare_prereleases(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<&str>, Vec<&str>) = (a.split('.').collect(), b.split('.').collect());
    (0..a.len().max(b.len()))
        .map(|i| compare_parts(a.get(i).copied(), b.get(i).copied()))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Numbers come before words, and nothing before anything, as Semantic Versioning has it.
fn compare_parts(a: Option<&str>, b: Option<&str>) -> Ordering {
    let (Some(a), Some(b)) = (a, b) else { return a.is_some().cmp(&b.is_some()) };
    match (a.parse::<i64>(), b.parse::<i64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Pessimistic,
}

/// Conditions that must all hold: `>= 1.2, < 2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions {
    flavour: Flavour,
    all: Vec<(Operator, Version)>,
}

impl Conditions {
    /// Reads conditions separated by commas; none if one of them is none.
    pub fn parse(flavour: Flavour, text: &str) -> Option<Self> {
        let all = text.split(',').map(|one| condition(flavour, one)).collect::<Option<Vec<_>>>()?;
        Some(Self { flavour, all })
    }

    /// Whether all of them hold for `version`.
    pub fn hold(&self, version: &Version) -> bool {
        self.all.iter().all(|(operator, wanted)| match self.flavour {
            Flavour::Version => holds(*operator, version, wanted),
            Flavour::Semver => ordered(*operator, version, wanted),
        })
    }
}

fn condition(flavour: Flavour, text: &str) -> Option<(Operator, Version)> {
    let pattern = match flavour {
        Flavour::Version => &VERSION_CONDITION,
        Flavour::Semver => &SEMVER_CONDITION,
    };
    let found = pattern.captures(text)?;
    let operator = match &found[1] {
        "" | "=" => Operator::Equal,
        "!=" => Operator::NotEqual,
        ">" => Operator::Greater,
        "<" => Operator::Less,
        ">=" => Operator::GreaterOrEqual,
        "<=" => Operator::LessOrEqual,
        _ => Operator::Pessimistic,
    };
    let version = match flavour {
        Flavour::Version => Version::parse(&found[2])?,
        Flavour::Semver => Version::parse_strict(&found[2])?,
    };
    Some((operator, version))
}

fn ordered(operator: Operator, version: &Version, wanted: &Version) -> bool {
    let order = version.compare(wanted);
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Greater => order.is_gt(),
        Operator::Less => order.is_lt(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Pessimistic => false,
    }
}

fn holds(operator: Operator, version: &Version, wanted: &Version) -> bool {
    match operator {
        Operator::Equal | Operator::NotEqual => ordered(operator, version, wanted),
        Operator::Greater | Operator::Less | Operator::GreaterOrEqual | Operator::LessOrEqual => {
            prereleases_agree(version, wanted) && ordered(operator, version, wanted)
        }
        Operator::Pessimistic => pessimistic(version, wanted),
    }
}

/// A condition with a pre-release matches pre-releases of the same numbers only, and one without matches none.
fn prereleases_agree(version: &Version, wanted: &Version) -> bool {
    version.is_release() || (!wanted.is_release() && version.compare_segments(wanted).is_eq())
}

/// `~> 1.2.3`: at least that, and equal but for the last number that was written.
fn pessimistic(version: &Version, wanted: &Version) -> bool {
    if !prereleases_agree(version, wanted)
        || (!wanted.is_release() && version.is_release())
        || version.compare(wanted).is_lt()
        || wanted.segments.len() > version.segments.len()
    {
        return false;
    }
    let fixed = wanted.written.saturating_sub(1);
    version.segments.iter().zip(&wanted.segments).take(fixed).all(|(a, b)| a == b)
        && version.segments.get(fixed) >= wanted.segments.get(fixed)
}
