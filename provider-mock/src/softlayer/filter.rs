//! Object filters: which objects of a list an answer shall have, and in which order.
//!
//! Grammar: SLDN `article/object-filters.md`; the clients' `utils.py` and `filter/filters.go`. What does not reach
//! a property, and an option that is badly formed, is ignored and filters nothing.

use std::cmp::Ordering;

use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan};
use regex::Regex;
use serde_json::Value;

use super::record::{Object, Reading, Record, look_up};

/// A filter as it comes in `objectFilter`, its dates relative to today (`> sysdate - 30`) made absolute.
/// One that is not JSON filters nothing.
pub(crate) fn parse(text: &str, today: Timestamp) -> Value {
    let mut filter = serde_json::from_str(text).unwrap_or(Value::Null);
    settle_dates(&mut filter, today);
    filter
}

/// Whether a filter, rooted at this object, keeps it.
pub(crate) fn keeps(object: &dyn Record<'_>, filter: &Value) -> bool {
    let Some(conditions) = filter.as_object() else { return true };
    conditions.iter().all(|(property, condition)| match look_up(object, property) {
        None => true,
        Some(Reading::Value(value)) => holds(&value, condition),
        Some(Reading::One(Some(inner))) => reaches(inner.as_ref(), condition),
        Some(Reading::One(None)) => holds(&Value::Null, condition),
        Some(Reading::Many(list)) if is_leaf(condition) => holds(&count_or_null(&list), condition),
        Some(Reading::Many(list)) => {
            is_only_order(condition) || list.iter().any(|inner| keeps(inner.as_ref(), condition))
        }
    })
}

/// Puts objects in the order that a filter asks for, if it does; a filter cannot both filter and sort a property.
pub(crate) fn sort(list: &mut [Object<'_>], filter: &Value) {
    let mut orders = Vec::new();
    find_orders(filter, &mut Vec::new(), &mut orders);
    orders.sort_by_key(|order| order.rank);
    list.sort_by(|one, other| {
        orders.iter().fold(Ordering::Equal, |decided, order| {
            decided.then_with(|| {
                let (one, other) = (follow(one.as_ref(), &order.path), follow(other.as_ref(), &order.path));
                let ordering = compare(&one, &other).unwrap_or(Ordering::Equal);
                if order.descending { ordering.reverse() } else { ordering }
            })
        })
    });
}

fn settle_dates(filter: &mut Value, today: Timestamp) {
    match filter {
        Value::Object(parts) => parts.values_mut().for_each(|part| settle_dates(part, today)),
        Value::Array(parts) => parts.iter_mut().for_each(|part| settle_dates(part, today)),
        Value::String(text) => {
            let Some((operator, days)) = text.split_once("sysdate").or(text.split_once("currentDate")) else {
                return;
            };
            let days: i64 = days.replace([' ', '-'], "").parse().unwrap_or(0);
            let then = today.checked_sub(days.saturating_mul(24).hours()).unwrap_or(Timestamp::MIN);
            *text = format!("{operator}{}", super::dates::show(then));
        }
        _ => (),
    }
}

/// A condition on an object that is there: `not null` is met, `is null` is not.
fn reaches(object: &dyn Record<'_>, condition: &Value) -> bool {
    match condition.get("operation").and_then(Value::as_str) {
        Some(operation) => operation.trim() != "is null",
        None => keeps(object, condition),
    }
}

fn is_leaf(condition: &Value) -> bool {
    condition.get("operation").is_some()
}

fn count_or_null(list: &[Object<'_>]) -> Value {
    if list.is_empty() { Value::Null } else { Value::from(list.len()) }
}

/// Whether a condition only sorts, so that an empty list meets it.
fn is_only_order(condition: &Value) -> bool {
    let Some(parts) = condition.as_object() else { return true };
    match parts.get("operation") {
        Some(operation) => operation == "orderBy",
        None => parts.values().all(is_only_order),
    }
}

/// Whether a value meets a leaf of the filter.
fn holds(value: &Value, condition: &Value) -> bool {
    let Some(operation) = condition.get("operation") else {
        // The filter goes deeper than the value; behind a null nothing can be met.
        return !value.is_null() || is_only_order(condition);
    };
    let options = condition.get("options");
    match operation.as_str() {
        Some("in") => option(options, "data").is_none_or(|data| data.iter().any(|one| equal(value, one))),
        Some("not in") => {
            option(options, "data").is_none_or(|data| !data.iter().any(|one| equal(value, one)))
        }
        Some("or") => option(options, "data").is_none_or(|data| data.iter().any(|one| meets(value, one))),
        Some("and") => option(options, "data").is_none_or(|data| data.iter().all(|one| meets(value, one))),
        Some("orderBy") => true,
        Some("isDate") => between(value, date(options, "date"), date(options, "date")),
        Some("greaterThanDate") => between(value, date(options, "date"), Some(DateTime::MAX)),
        Some("lessThanDate") => between(value, Some(DateTime::MIN), date(options, "date")),
        Some("betweenDate") => between(value, date(options, "startDate"), date(options, "endDate")),
        _ => meets(value, operation),
    }
}

/// Whether a value meets an operation that is written in one word, as `^= 10.`.
fn meets(value: &Value, operation: &Value) -> bool {
    let Some(text) = operation.as_str() else { return equal(value, operation) };
    let text = text.trim();
    match text {
        "is null" => return value.is_null(),
        "not null" => return !value.is_null(),
        _ => (),
    }
    // Longer spellings first: `!^=` begins with `!`, `>=` with `>`.
    let operators = ["!^=", "!$=", "!*=", "!=", "!~", "^=", "$=", "*=", "_=", ">=", "<=", ">", "<", "~"];
    let found =
        operators.iter().find_map(|operator| Some((*operator, text.strip_prefix(operator)?.trim_start())));
    let Some((operator, wanted)) = found else { return equal(value, operation) };
    let shown = show(value);
    match operator {
        "!=" => !equal(value, &Value::from(wanted)),
        "^=" => starts(&shown, wanted),
        "!^=" => !starts(&shown, wanted),
        "$=" => lower(&shown).ends_with(&lower(wanted)),
        "!$=" => !lower(&shown).ends_with(&lower(wanted)),
        "*=" => lower(&shown).contains(&lower(wanted)),
        "!*=" => !lower(&shown).contains(&lower(wanted)),
        "_=" => lower(&shown) == lower(wanted),
        "~" => like(&shown, wanted),
        "!~" => !like(&shown, wanted),
        _ => compare(value, &Value::from(wanted)).is_some_and(|ordering| match operator {
            ">" => ordering.is_gt(),
            ">=" => ordering.is_ge(),
            "<" => ordering.is_lt(),
            _ => ordering.is_le(),
        }),
    }
}

fn equal(value: &Value, wanted: &Value) -> bool {
    !value.is_null() && show(value) == show(wanted)
}

/// A value as text: numbers come as numbers from the Python client and as strings from the Go client.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn lower(text: &str) -> String {
    text.to_lowercase()
}

fn starts(text: &str, wanted: &str) -> bool {
    lower(text).starts_with(&lower(wanted))
}

/// A regular expression that cannot be read filters nothing.
fn like(text: &str, pattern: &str) -> bool {
    Regex::new(pattern).map_or(true, |pattern| pattern.is_match(text))
}

/// Numbers by value, everything else by its text; nothing is comparable to null.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    if one.is_null() || other.is_null() {
        return None;
    }
    let number = |value: &Value| show(value).parse::<f64>().ok();
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one.partial_cmp(&other),
        _ => Some(show(one).cmp(&show(other))),
    }
}

/// The values of a named option, if they are a list with something in it.
fn option<'v>(options: Option<&'v Value>, name: &str) -> Option<&'v Vec<Value>> {
    let found = options?.as_array()?.iter().find(|option| option.get("name").is_some_and(|it| it == name))?;
    found.get("value")?.as_array().filter(|values| !values.is_empty())
}

fn date(options: Option<&Value>, name: &str) -> Option<DateTime> {
    let text = option(options, name)?.first()?.as_str()?;
    DateTime::strptime("%m/%d/%Y %H:%M:%S", text).ok()
}

/// Whether a date lies between two, to the second; a date that cannot be read filters nothing.
fn between(value: &Value, from: Option<DateTime>, to: Option<DateTime>) -> bool {
    let (Some(from), Some(to)) = (from, to) else { return true };
    value.as_str().and_then(super::dates::read).is_some_and(|date| (from..=to).contains(&date))
}

/// One `orderBy` of a filter.
struct Order {
    path: Vec<String>,
    descending: bool,
    rank: i64,
}

fn find_orders(filter: &Value, path: &mut Vec<String>, found: &mut Vec<Order>) {
    let Some(parts) = filter.as_object() else { return };
    if parts.get("operation").is_some_and(|operation| operation == "orderBy") {
        let options = parts.get("options");
        let sort = option(options, "sort").and_then(|values| values.first()).map(show).unwrap_or_default();
        let rank =
            option(options, "sortOrder").and_then(|values| show(values.first()?).parse().ok()).unwrap_or(0);
        found.push(Order { path: path.clone(), descending: lower(&sort) == "desc", rank });
        return;
    }
    for (name, inner) in parts {
        path.push(name.clone());
        find_orders(inner, path, found);
        path.pop();
    }
}

/// The value at the end of a path; null where it leads nowhere, or to a list.
fn follow(object: &dyn Record<'_>, path: &[String]) -> Value {
    let Some((first, rest)) = path.split_first() else { return Value::Null };
    match look_up(object, first) {
        Some(Reading::Value(value)) => value,
        Some(Reading::One(Some(inner))) => follow(inner.as_ref(), rest),
        _ => Value::Null,
    }
}
