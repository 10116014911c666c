//! ◆ Decimal digits of binary numbers: all of them, the fewest that read back as the same number, or a given count.

use num_bigint::BigUint;

/// Digits with the point put in, zeros added where needed.
pub(crate) fn place_point(digits: &str, point: i64) -> String {
    if digits.is_empty() {
        return "0".to_owned();
    }
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    if point <= 0 {
        format!("0.{}{digits}", zeros(-point))
    } else if point >= length {
        format!("{digits}{}", zeros(point - length))
    } else {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        format!("{whole}.{fraction}")
    }
}

/// Exact decimal digits of `mantissa * 2^exponent` without zeros at the end, and the place of the point.
pub(super) fn decimal(mantissa: &BigUint, exponent: i64) -> (String, i64) {
    let mut point = 0i64;
    let value = if exponent >= 0 {
        mantissa << exponent.unsigned_abs()
    } else {
        // m / 2^k = m * 5^k / 10^k
        point = exponent;
        mantissa * BigUint::from(5u8).pow(u32::try_from(exponent.unsigned_abs()).unwrap_or(0))
    };
    let digits = value.to_string();
    let trimmed = digits.trim_end_matches('0');
    point += i64::try_from(digits.len()).unwrap_or(0);
    if trimmed.is_empty() { (String::new(), 0) } else { (trimmed.to_owned(), point) }
}

/// The shortest decimal between the midpoints to the neighbours of the number at its precision. The digits of the
/// number are walked until cutting or rounding up there stays inside.
pub(super) fn shortest(mantissa: &BigUint, exponent: i64, precision: u64) -> (String, i64) {
    // The lowest bit stands for half a unit in the last place.
    let up = (precision + 1).saturating_sub(mantissa.bits());
    let wide = mantissa << up;
    let exponent = exponent - i64::try_from(up).unwrap_or(0);
    let inclusive = !wide.bit(1);
    let neighbours = [&wide - 1u8, wide.clone(), &wide + 1u8].map(|m| decimal(&m, exponent));
    // A neighbour may have its first digit at another place: 0.0999… below 0.1000…
    let point = neighbours.iter().map(|(_, point)| *point).max().unwrap_or(0);
    let [lower, digits, upper] = neighbours.map(|(digits, own)| {
        format!("{}{digits}", "0".repeat(usize::try_from(point - own).unwrap_or(0)))
    });
    let at = |text: &str, index: usize| text.as_bytes().get(index).copied().unwrap_or(b'0');
    for index in 0..digits.len() {
        let (low, here, high) = (at(&lower, index), at(&digits, index), at(&upper, index));
        let last = index + 1;
        let down_is_inside = low != here || inclusive && last == lower.len();
        let up_is_inside = here != high && (inclusive || here + 1 < high || last < upper.len());
        let round_up = match (down_is_inside, up_is_inside) {
            (false, false) => continue,
            (true, false) => false,
            (false, true) => true,
            (true, true) => rounds_up(digits.as_bytes(), last),
        };
        return trimmed(cut(&digits, point, last, round_up));
    }
    trimmed((digits, point))
}

/// Without zeros at the start.
fn trimmed((digits, point): (String, i64)) -> (String, i64) {
    let kept = digits.trim_start_matches('0');
    let zeros = i64::try_from(digits.len() - kept.len()).unwrap_or(0);
    (kept.to_owned(), point - zeros)
}

/// Whether the digits round up when cut to `count`; a tie goes to the even digit.
pub(crate) fn rounds_up(digits: &[u8], count: usize) -> bool {
    match digits.get(count) {
        None => false,
        Some(b'5') if count + 1 == digits.len() => {
            count > 0 && digits.get(count - 1).is_some_and(|digit| (digit - b'0') % 2 == 1)
        }
        Some(digit) => *digit >= b'5',
    }
}

/// The first `count` digits, one added at the end if `up`, zeros at the end dropped.
pub(crate) fn cut(digits: &str, point: i64, count: usize, up: bool) -> (String, i64) {
    let mut kept: Vec<u8> = digits.bytes().take(count).collect();
    if up {
        while kept.last() == Some(&b'9') {
            kept.pop();
        }
        match kept.last_mut() {
            Some(digit) => *digit += 1,
            None => return ("1".to_owned(), point + 1),
        }
    }
    while kept.last() == Some(&b'0') {
        kept.pop();
    }
    (String::from_utf8(kept).unwrap_or_default(), point)
}
