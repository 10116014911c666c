//! Stands in for the crate of this name, which openraft depends on and which builds 26 MB of lookup tables
//! when the first node is made. Written from scratch to what openraft calls; values are counted in buckets
//! of at most an eighth of their size, and buckets come into being when a value needs them.

use std::fmt;
use std::marker::PhantomData;

/// Bits of a value after its highest one that choose its bucket.
const FRACTION_BITS: u32 = 3;
const PER_POWER: usize = 1 << FRACTION_BITS;

/// Counts of values. The parameter is there for its namesake's signature only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: Vec<u64>,
    total: u64,
    unused: PhantomData<T>,
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Histogram<T> {
    /// One without values.
    pub fn new() -> Self {
        Self { counts: Vec::new(), total: 0, unused: PhantomData }
    }

    /// Counts `value` once.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts `value` `count` times.
    pub fn record_n(&mut self, value: u64, count: u64) {
        let bucket = bucket_of(value);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] = self.counts[bucket].saturating_add(count);
        self.total = self.total.saturating_add(count);
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// A value that about `fraction` of all values do not exceed; 0 when there are none.
    pub fn percentile(&self, fraction: f64) -> u64 {
        let wanted = (self.total as f64 * fraction.clamp(0.0, 1.0)).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted.max(1) {
                return middle_of(bucket);
            }
        }
        0
    }

    /// The usual percentiles.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total,
            p0_1: self.percentile(0.001),
            p1: self.percentile(0.01),
            p5: self.percentile(0.05),
            p10: self.percentile(0.1),
            p50: self.percentile(0.5),
            p90: self.percentile(0.9),
            p99: self.percentile(0.99),
            p99_9: self.percentile(0.999),
        }
    }
}

/// Small values have a bucket each; above, each power of two has [`PER_POWER`] buckets.
fn bucket_of(value: u64) -> usize {
    if value < PER_POWER as u64 {
        return value as usize;
    }
    let power = u64::BITS - 1 - value.leading_zeros();
    let fraction = (value >> (power - FRACTION_BITS)) as usize & (PER_POWER - 1);
    (power - FRACTION_BITS + 1) as usize * PER_POWER + fraction
}

fn middle_of(bucket: usize) -> u64 {
    if bucket < PER_POWER {
        return bucket as u64;
    }
    let shift = (bucket / PER_POWER - 1) as u32;
    let low = (PER_POWER + bucket % PER_POWER) as u64;
    (low << shift) + ((1 << shift) >> 1)
}

/// The usual percentiles of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PercentileStats {
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[samples: {}, p10: {}, p50: {}, p90: {}, p99: {}]",
            self.samples, self.p10, self.p50, self.p90, self.p99
        )
    }
}

/// Named histograms for people. openraft names it also where it never draws one.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart {
    rows: Vec<(String, PercentileStats)>,
}

impl AsciiChart {
    /// One without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row.
    pub fn add(mut self, name: &str, histogram: Histogram) -> Self {
        self.rows.push((name.to_owned(), histogram.percentile_stats()));
        self
    }

    /// The rows as text.
    pub fn detailed(&self) -> &Self {
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.iter().try_for_each(|(name, stats)| writeln!(f, "{name} {stats}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_off_by_an_eighth_at_most() {
        let mut histogram = Histogram::<()>::new();
        (1..=100_000).for_each(|value| histogram.record(value));
        for (fraction, exact) in [(0.01, 1_000.0), (0.5, 50_000.0), (0.99, 99_000.0)] {
            let found = histogram.percentile(fraction) as f64;
            assert!((found / exact - 1.0).abs() < 0.125, "{fraction}: {found}");
        }
        histogram.record(u64::MAX);
        assert_eq!(histogram.total(), 100_001);
        assert_eq!(Histogram::<()>::new().percentile_stats().p50, 0);
    }
}
