//! Tables for people: columns under upper-case headings, no lines, no colour, so that they can be cut
//! and searched.

use comfy_table::{CellAlignment, ContentArrangement, presets};
use jiff::{Timestamp, tz::TimeZone};

/// Lines of cells under headings. A heading that begins with `#` names a column of numbers.
pub(crate) fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| heading.trim_start_matches('#').to_uppercase()));
    for (column, heading) in table.column_iter_mut().zip(headings) {
        column.set_padding((0, 2));
        if heading.starts_with('#') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.add_rows(rows);
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Names and values, one pair a line, under one another.
pub(crate) fn pairs<const N: usize>(pairs: [(&str, String); N]) -> String {
    let widest = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    pairs.iter().map(|(name, value)| format!("{name:widest$}  {value}\n")).collect()
}

/// A text, or a dash where there is none.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

/// Things in a row, or a dash where there are none.
pub(crate) fn list(values: impl IntoIterator<Item = impl ToString>) -> String {
    let values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
    if values.is_empty() { "-".into() } else { values.join(", ") }
}

/// A moment, on this machine's clock and in its time zone.
pub(crate) fn moment(moment: Timestamp) -> String {
    moment.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}
