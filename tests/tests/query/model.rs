//! What a list has to be, worked out on rows of JSON without a thought for speed.

use std::cmp::Ordering;

use serde_json::Value;
use weir_query::{Parameter, Rule};

/// A condition as it is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) parameter: &'static Parameter,
    pub(crate) operator: &'static str,
    pub(crate) operand: String,
}

/// Whether a row meets a condition.
pub(crate) fn keeps(row: &Value, condition: &Condition) -> bool {
    let value = &row[condition.parameter.field];
    let operand = condition.operand.as_str();
    let is = |operand: &str| is_same(value, operand, condition.parameter.rule);
    match condition.operator {
        "" if value.is_array() => operand.split(',').all(is),
        "" => is(operand),
        "ne" => !is(operand),
        "in" => operand.split(',').any(is),
        "prefix" => value.as_str().is_some_and(|text| text.starts_with(operand)),
        operator => {
            let Some(order) = compare(value, operand, condition.parameter.rule) else {
                return false;
            };
            match operator {
                "gt" => order == Ordering::Greater,
                "gte" => order != Ordering::Less,
                "lt" => order == Ordering::Less,
                "lte" => order != Ordering::Greater,
                _ => panic!("{operator}"),
            }
        }
    }
}

fn is_same(value: &Value, operand: &str, rule: Rule) -> bool {
    match value {
        Value::Array(values) => values.iter().any(|value| value == operand),
        _ => compare(value, operand, rule) == Some(Ordering::Equal),
    }
}

/// How a value stands to an operand; of a day, before, within or after it.
fn compare(value: &Value, operand: &str, rule: Rule) -> Option<Ordering> {
    match (value, rule) {
        (Value::Number(number), _) => {
            let operand: i64 = operand.parse().unwrap();
            Some(number.as_i64().unwrap().cmp(&operand))
        }
        (Value::String(text), Rule::Time) if operand.len() == 10 => Some(text[..10].cmp(operand)),
        // Texts of one form sort as the times they stand for.
        (Value::String(text), Rule::Time) if operand.len() == 20 => {
            let operand = operand.replace('Z', ".000Z");
            Some(text.as_str().cmp(operand.as_str()))
        }
        (Value::String(text), _) => Some(text.as_str().cmp(operand)),
        _ => None,
    }
}

/// A column to sort by.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) field: &'static str,
    pub(crate) is_descending: bool,
}

/// Sorts rows, ties by id in the direction of the last column.
pub(crate) fn sort(rows: &mut [Value], columns: &[Column]) {
    let Some(last) = columns.last() else {
        return;
    };
    let directed = |order: Ordering, is_descending: bool| {
        if is_descending {
            order.reverse()
        } else {
            order
        }
    };
    rows.sort_by(|a, b| {
        for column in columns {
            let order = directed(
                order(&a[column.field], &b[column.field]),
                column.is_descending,
            );
            if order != Ordering::Equal {
                return order;
            }
        }
        directed(order(&a["id"], &b["id"]), last.is_descending)
    });
}

/// What is absent comes last.
fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (Value::Number(a), Value::Number(b)) => a.as_i64().cmp(&b.as_i64()),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let texts = |values: &[Value]| values.iter().map(text).collect::<Vec<_>>();
            texts(a).cmp(&texts(b))
        }
        _ => panic!("{a} beside {b}"),
    }
}
