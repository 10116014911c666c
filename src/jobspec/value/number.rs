//! ◆ Numbers as HCL has them: binary floats of up to 512 bits, so that `0.1 + 0.2` prints `0.3` and
//! integers of any sensible size stay exact.

use std::cmp::Ordering;

use num_bigint::BigUint;

use super::decimal::{decimal, place_point, shortest};

/// Precision of literals and of results that need it.
const PRECISION: u64 = 512;
/// Numbers whose binary exponent leaves this range become infinite or zero, so that no input can
/// make a number of a million digits.
const EXPONENT_LIMIT: i64 = 1 << 12;

/// A number. Zero has a sign, as in IEEE 754.
#[derive(Debug, Clone)]
pub(crate) enum Number {
    /// `mantissa * 2^exponent`, the mantissa odd or zero and at most `precision` bits long.
    Finite { negative: bool, mantissa: BigUint, exponent: i64, precision: u64 },
    /// Plus or minus infinity.
    Infinite { negative: bool },
}

use Number::{Finite, Infinite};

impl Number {
    /// Zero.
    pub(crate) fn zero() -> Self {
        Self::from(0i64)
    }

    /// Reads decimal digits with an optional sign, fraction and exponent. `None` for anything else and for
    /// exponents beyond a few thousand.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (digits, power) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || all.len() > 1024 || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mantissa = BigUint::parse_bytes(all.as_bytes(), 10)?;
        let power = power.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        if power.unsigned_abs() > 1500 {
            return None;
        }
        let scale = BigUint::from(10u8).pow(u32::try_from(power.unsigned_abs()).ok()?);
        Some(if power >= 0 {
            Self::rounded(negative, mantissa * scale, 0, PRECISION)
        } else {
            Self::quotient(negative, &mantissa, &scale, 0, PRECISION)
        })
    }

    /// Reads an integer in a base of 2 to 62 (digits, then lower, then upper case letters).
    pub(crate) fn parse_radix(text: &str, base: u32) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if digits.is_empty() || digits.len() > 1024 {
            return None;
        }
        let mut value = BigUint::ZERO;
        for byte in digits.bytes() {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'z' => byte - b'a' + 10,
                // Go: up to base 36 both cases mean the same.
                b'A'..=b'Z' if base <= 36 => byte - b'A' + 10,
                b'A'..=b'Z' => byte - b'A' + 36,
                _ => return None,
            };
            if u32::from(digit) >= base {
                return None;
            }
            value = value * base + u32::from(digit);
        }
        let precision = value.bits().max(64);
        Some(Self::rounded(negative, value, 0, precision))
    }

    /// A 64-bit float, kept at its own precision. Not-a-number is refused.
    pub(crate) fn from_f64(value: f64) -> Option<Self> {
        if value.is_nan() {
            return None;
        }
        if value.is_infinite() {
            return Some(Infinite { negative: value < 0.0 });
        }
        let bits = value.to_bits();
        let raw = i64::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
        let fraction = bits & 0x000f_ffff_ffff_ffff;
        let (mantissa, exponent) =
            if raw == 0 { (fraction, -1074) } else { (fraction | 1 << 52, raw - 1075) };
        Some(Self::rounded(value.is_sign_negative(), mantissa.into(), exponent, 53))
    }

    /// Rounds to nearest, ties to even.
    fn rounded(negative: bool, mut mantissa: BigUint, mut exponent: i64, precision: u64) -> Self {
        let bits = mantissa.bits();
        if bits > precision {
            let cut = bits - precision;
            let half = mantissa.bit(cut - 1);
            let below = mantissa.trailing_zeros().is_some_and(|zeros| zeros < cut - 1);
            mantissa >>= cut;
            exponent += i64::try_from(cut).unwrap_or(i64::MAX / 2);
            if half && (below || mantissa.bit(0)) {
                mantissa += 1u8;
            }
        }
        match mantissa.trailing_zeros() {
            None => exponent = 0,
            Some(zeros) => {
                mantissa >>= zeros;
                exponent += i64::try_from(zeros).unwrap_or(0);
                let top = exponent + i64::try_from(mantissa.bits()).unwrap_or(0);
                if top > EXPONENT_LIMIT {
                    return Infinite { negative };
                }
                if exponent < -2 * EXPONENT_LIMIT {
                    return Finite { negative, mantissa: BigUint::ZERO, exponent: 0, precision };
                }
            }
        }
        Finite { negative, mantissa, exponent, precision }
    }

    fn quotient(negative: bool, a: &BigUint, b: &BigUint, exponent: i64, precision: u64) -> Self {
        let want = precision + 2 + b.bits();
        let shift = want.saturating_sub(a.bits());
        let shifted = a << shift;
        let (quotient, rest) = (&shifted / b, &shifted % b);
        let exponent = exponent - i64::try_from(shift).unwrap_or(0);
        // One more bit carries the rest, so that rounding sees it.
        let quotient = (quotient << 1u8) + u8::from(rest != BigUint::ZERO);
        Self::rounded(negative, quotient, exponent - 1, precision)
    }

    /// The sum, or `None` for opposite infinities.
    pub(crate) fn add(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (
                Finite { negative: n1, mantissa: m1, exponent: e1, precision: p1 },
                Finite { negative: n2, mantissa: m2, exponent: e2, precision: p2 },
            ) => {
                let exponent = if m1.bits() == 0 {
                    *e2
                } else if m2.bits() == 0 {
                    *e1
                } else {
                    *e1.min(e2)
                };
                let a = m1 << u64::try_from(e1 - exponent).unwrap_or(0);
                let b = m2 << u64::try_from(e2 - exponent).unwrap_or(0);
                let (negative, sum) = if n1 == n2 {
                    (*n1, a + b)
                } else if a >= b {
                    (*n1 && a != b, a - b)
                } else {
                    (*n2, b - a)
                };
                Some(Self::rounded(negative, sum, exponent, *p1.max(p2)))
            }
            (Infinite { negative: a }, Infinite { negative: b }) if a != b => None,
            (Infinite { negative }, _) | (_, Infinite { negative }) => {
                Some(Infinite { negative: *negative })
            }
        }
    }

    /// The difference, or `None` for equal infinities.
    pub(crate) fn sub(&self, other: &Self) -> Option<Self> {
        self.add(&other.neg())
    }

    /// The product, or `None` for zero times infinity.
    pub(crate) fn mul(&self, other: &Self) -> Option<Self> {
        let negative = self.is_negative() != other.is_negative();
        match (self, other) {
            (
                Finite { mantissa: m1, exponent: e1, precision: p1, .. },
                Finite { mantissa: m2, exponent: e2, precision: p2, .. },
            ) => {
                let product = m1 * m2;
                let precision = product.bits().min(PRECISION).max(*p1.max(p2));
                Some(Self::rounded(negative, product, e1 + e2, precision))
            }
            _ if self.is_zero() || other.is_zero() => None,
            _ => Some(Infinite { negative }),
        }
    }

    /// The quotient; a number over zero is infinite, zero over zero is `None`.
    pub(crate) fn div(&self, other: &Self) -> Option<Self> {
        let negative = self.is_negative() != other.is_negative();
        match (self, other) {
            (Infinite { .. }, Infinite { .. }) => None,
            (Infinite { .. }, Finite { .. }) => Some(Infinite { negative }),
            (Finite { precision, .. }, Infinite { .. }) => {
                let (mantissa, precision) = (BigUint::ZERO, *precision);
                Some(Finite { negative, mantissa, exponent: 0, precision })
            }
            (
                Finite { mantissa: m1, exponent: e1, precision: p1, .. },
                Finite { mantissa: m2, exponent: e2, precision: p2, .. },
            ) => {
                if m2.bits() == 0 {
                    return (m1.bits() > 0).then_some(Infinite { negative });
                }
                Some(Self::quotient(negative, m1, m2, e1 - e2, *p1.max(p2)))
            }
        }
    }

    /// The rest of a division whose quotient is cut towards zero. Nomad: the rest of a division by zero is the
    /// number itself.
    pub(crate) fn rem(&self, other: &Self) -> Option<Self> {
        if other.is_zero() || matches!(other, Infinite { .. }) {
            return Some(self.clone());
        }
        if matches!(self, Infinite { .. }) {
            return None;
        }
        let whole = self.div(other)?.trunc();
        self.sub(&other.mul(&whole)?)
    }

    /// The number with the other sign.
    #[must_use]
    pub(crate) fn neg(&self) -> Self {
        let mut out = self.clone();
        match &mut out {
            Finite { negative, .. } | Infinite { negative } => *negative = !*negative,
        }
        if out.is_zero() { Self::zero() } else { out }
    }

    /// The number without its sign.
    #[must_use]
    pub(crate) fn abs(&self) -> Self {
        if self.is_negative() { self.neg() } else { self.clone() }
    }

    /// Cut towards zero.
    #[must_use]
    pub(crate) fn trunc(&self) -> Self {
        match self {
            Finite { negative, mantissa, exponent, precision } if *exponent < 0 => {
                let whole = mantissa >> exponent.unsigned_abs();
                Self::rounded(*negative, whole, 0, *precision)
            }
            Finite { .. } | Infinite { .. } => self.clone(),
        }
    }

    /// The largest whole number not above this one.
    #[must_use]
    pub(crate) fn floor(&self) -> Self {
        let cut = self.trunc();
        if self.is_negative() && !self.is_whole() {
            cut.sub(&Self::from(1i64)).unwrap_or(cut)
        } else {
            cut
        }
    }

    /// The smallest whole number not below this one.
    #[must_use]
    pub(crate) fn ceil(&self) -> Self {
        self.neg().floor().neg()
    }

    /// Below zero (minus zero counts as not below).
    pub(crate) fn is_negative(&self) -> bool {
        match self {
            Finite { negative, .. } => *negative && !self.is_zero(),
            Infinite { negative } => *negative,
        }
    }

    /// Zero of either sign.
    pub(crate) fn is_zero(&self) -> bool {
        matches!(self, Finite { mantissa, .. } if mantissa.bits() == 0)
    }

    /// Finite and without a fraction.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Finite { exponent, .. } if *exponent >= 0)
    }

    /// Not plus or minus infinity.
    pub(crate) fn is_finite(&self) -> bool {
        matches!(self, Finite { .. })
    }

    /// The exact value, if it is whole and fits.
    pub(crate) fn to_i128(&self) -> Option<i128> {
        let Finite { negative, mantissa, exponent, .. } = self else { return None };
        let exponent = u64::try_from(*exponent).ok()?;
        if mantissa.bits() + exponent > 126 {
            return None;
        }
        let value = i128::try_from(mantissa << exponent).ok()?;
        Some(if *negative { -value } else { value })
    }

    /// The exact value, if it is whole and fits.
    pub(crate) fn to_i64(&self) -> Option<i64> {
        i64::try_from(self.to_i128()?).ok()
    }

    /// The exact value, if it is whole and fits.
    pub(crate) fn to_usize(&self) -> Option<usize> {
        usize::try_from(self.to_i128()?).ok()
    }

    /// The nearest 64-bit float.
    pub(crate) fn to_f64(&self) -> f64 {
        match self {
            Infinite { negative: true } => f64::NEG_INFINITY,
            Infinite { negative: false } => f64::INFINITY,
            Finite { mantissa, exponent, negative, .. } => {
                // Decimal text is read with correct rounding, so it is the shortest way to a right answer.
                let (digits, point) = decimal(mantissa, *exponent);
                let sign = if *negative { "-" } else { "" };
                let power = point - i64::try_from(digits.len()).unwrap_or(0);
                format!("{sign}{digits}e{power}").parse().unwrap_or(0.0)
            }
        }
    }

    /// The magnitude as a big integer, if the number is whole.
    pub(crate) fn to_magnitude(&self) -> Option<BigUint> {
        match self {
            Finite { mantissa, exponent, .. } if *exponent >= 0 => {
                Some(mantissa << exponent.unsigned_abs())
            }
            Finite { .. } | Infinite { .. } => None,
        }
    }

    /// The fewest digits that read back as this number, and where the point stands among them:
    /// `(digits, 1)` for 3.14 is `("314", 1)`.
    pub(crate) fn shortest(&self) -> (String, i64) {
        match self {
            Finite { mantissa, exponent, precision, .. } if mantissa.bits() > 0 => {
                shortest(mantissa, *exponent, *precision)
            }
            Finite { .. } | Infinite { .. } => (String::new(), 0),
        }
    }

    /// The digits of the exact decimal value and where the point stands among them.
    pub(crate) fn exact(&self) -> (String, i64) {
        match self {
            Finite { mantissa, exponent, .. } => decimal(mantissa, *exponent),
            Infinite { .. } => (String::new(), 0),
        }
    }

    /// What printing it costs, in units of an ordinary number.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Finite { exponent, .. } => {
                1 + usize::try_from(exponent.unsigned_abs()).unwrap_or(0) / 64
            }
            Infinite { .. } => 1,
        }
    }

    /// Whether a minus sign is printed, also for minus zero.
    pub(crate) fn has_sign(&self) -> bool {
        match self {
            Finite { negative, .. } | Infinite { negative } => *negative,
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::rounded(value < 0, value.unsigned_abs().into(), 0, 64)
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Self::rounded(false, value.into(), 0, 64)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_sign = other.is_negative().cmp(&self.is_negative());
        if by_sign != Ordering::Equal {
            return by_sign;
        }
        let size = match (self, other) {
            (Infinite { .. }, Infinite { .. }) => Ordering::Equal,
            (Infinite { .. }, Finite { .. }) => Ordering::Greater,
            (Finite { .. }, Infinite { .. }) => Ordering::Less,
            (
                Finite { mantissa: m1, exponent: e1, .. },
                Finite { mantissa: m2, exponent: e2, .. },
            ) => {
                let low = *e1.min(e2);
                (m1 << (e1 - low).unsigned_abs()).cmp(&(m2 << (e2 - low).unsigned_abs()))
            }
        };
        if self.is_negative() { size.reverse() } else { size }
    }
}

impl std::fmt::Display for Number {
    /// Plain decimal notation without an exponent, as HCL writes numbers into strings.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.has_sign() {
            f.write_str("-")?;
        }
        if !self.is_finite() {
            return f.write_str("Inf");
        }
        let (digits, point) = self.shortest();
        f.write_str(&place_point(&digits, point))
    }
}

#[cfg(test)]
mod tests {
    use super::Number;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn decimals_print_as_they_are_read() {
        for text in
            ["0", "1", "-1", "0.1", "1.5", "1000", "0.000001", "123456789012345678901234567890"]
        {
            assert_eq!(number(text).to_string(), text);
        }
        assert_eq!(number("1e3").to_string(), "1000");
        assert_eq!(number("1E-3").to_string(), "0.001");
    }

    #[test]
    fn a_tenth_and_two_tenths_are_three_tenths() {
        assert_eq!(number("0.1").add(&number("0.2")).unwrap().to_string(), "0.3");
    }

    #[test]
    fn a_third_has_as_many_digits_as_512_bits_hold() {
        let third = number("10").div(&number("3")).unwrap().to_string();
        assert_eq!(third.len(), 156);
        assert!(third.ends_with("3332"), "{third}");
    }

    #[test]
    fn floats_keep_their_own_precision() {
        assert_eq!(Number::from_f64(2f64.sqrt()).unwrap().to_string(), "1.4142135623730951");
        assert_eq!(Number::from_f64(5e-324).unwrap().to_f64().to_bits(), 1);
    }

    #[test]
    fn rests_are_cut_towards_zero() {
        let rem = |a: &str, b: &str| number(a).rem(&number(b)).unwrap().to_string();
        assert_eq!(rem("-10", "3"), "-1");
        assert_eq!(rem("10.5", "3"), "1.5");
        assert_eq!(rem("1", "0"), "1");
    }

    #[test]
    fn floor_and_ceil_go_the_right_way() {
        assert_eq!(number("-1.1").floor().to_string(), "-2");
        assert_eq!(number("-1.1").ceil().to_string(), "-1");
        assert_eq!(number("1.1").ceil().to_string(), "2");
    }

    #[test]
    fn monstrous_exponents_are_refused() {
        assert!(Number::parse("1e999999999").is_none());
        let mut big = number("1e1000");
        for _ in 0..10 {
            big = big.mul(&big).unwrap();
        }
        assert!(!big.is_finite());
    }
}
