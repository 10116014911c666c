//! Many measurements of the same work, and what they come to.

use std::time::Duration;

/// Milliseconds.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The value below which that part of them lies; `None` when there are none.
pub(crate) fn quantile(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a small index"
    )]
    let at = (last as f64 * part).round() as usize;
    sorted.get(at).copied()
}

/// The median of the ratios within each round.
pub(crate) fn ratio(own: &[f64], peer: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = own.iter().zip(peer).map(|(own, peer)| own / peer).collect();
    quantile(&ratios, 0.5)
}
