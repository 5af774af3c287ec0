//! The median of measurements, and their spread.

use serde::Serialize;

/// The middle of some values, and how far they are from it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Middle {
    /// The median.
    pub median: f64,
    /// The median of the distances from it.
    pub spread: f64,
}

/// The middle of at least one value; zero of none.
pub fn middle(values: &[f64]) -> Middle {
    let median = median(values.to_vec());
    Middle {
        median,
        spread: self::median(values.iter().map(|value| (value - median).abs()).collect()),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    if values.len().is_multiple_of(2) && half > 0 {
        (at(half - 1) + at(half)) / 2.0
    } else {
        at(half)
    }
}

/// The ratios of each round, a value to the first variant's of the same round, and their middle.
pub fn ratio(values: &[f64], first: &[f64]) -> Middle {
    let ratios: Vec<_> = values.iter().zip(first).map(|(value, first)| value / first).collect();
    middle(&ratios)
}
