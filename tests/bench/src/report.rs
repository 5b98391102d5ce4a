//! What a measurement says: its median over the rounds, and the lowest and highest of them.

use std::time::Duration;

/// Prints a figure of several rounds: `name median unit [low high]`.
pub(crate) fn say(name: &str, unit: &str, rounds: &[f64]) {
    println!("{}", line(name, unit, rounds));
}

/// Prints a figure that was measured once.
pub(crate) fn say_once(name: &str, unit: &str, value: f64) {
    say(name, unit, &[value]);
}

fn line(name: &str, unit: &str, rounds: &[f64]) -> String {
    let (low, high) = (quantile(rounds, 0.0), quantile(rounds, 1.0));
    let range = if rounds.len() > 1 { format!(" [{} {}]", short(low), short(high)) } else { String::new() };
    format!("{name} {} {unit}{range}", short(median(rounds)))
}

/// The middle one; between the middle two of an even number.
pub(crate) fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
    }
}

/// The smallest value that at least this part of all does not exceed: 0.99 for the 99th percentile.
pub(crate) fn quantile(values: &[f64], part: f64) -> f64 {
    let sorted = sorted(values);
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

pub(crate) fn micros(taken: Duration) -> f64 {
    taken.as_secs_f64() * 1e6
}

pub(crate) fn millis(taken: Duration) -> f64 {
    taken.as_secs_f64() * 1e3
}

/// Three digits that say something; whole numbers as they are.
fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_of_its_rounds_with_the_lowest_and_the_highest() {
        assert_eq!(line("storm_seconds", "s", &[9.5, 7.25, 12.0]), "storm_seconds 9.50 s [7.25 12]");
        assert_eq!(line("storm_served", "addresses", &[50_000.0]), "storm_served 50000 addresses");
        assert_eq!(median(&[1.0, 2.0, 4.0, 3.0]), 2.5);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(quantile(&values, 0.5), 100.0);
        assert_eq!(quantile(&values, 0.99), 198.0);
        assert_eq!((quantile(&values, 0.0), quantile(&values, 1.0)), (1.0, 200.0));
        assert!(quantile(&[], 0.5).is_nan());
    }
}
