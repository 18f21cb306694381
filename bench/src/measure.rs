//! Figures: what is aimed for, how they are shown, where they are kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// What a benchmark measured, by name.
pub(crate) type Values = BTreeMap<String, f64>;

/// Which values are good.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim {
    /// None is better by decree: the figure is there to be watched.
    None,
    /// This much or more.
    AtLeast(f64),
    /// This much or less.
    AtMost(f64),
    /// Less than this.
    Below(f64),
}

impl Aim {
    fn is_met(self, value: f64) -> Option<bool> {
        match self {
            Self::None => None,
            Self::AtLeast(least) => Some(value >= least),
            Self::AtMost(most) => Some(value <= most),
            Self::Below(bound) => Some(value < bound),
        }
    }

    fn words(self) -> String {
        match self {
            Self::None => String::new(),
            Self::AtLeast(least) => format!(">= {least}"),
            Self::AtMost(most) => format!("<= {most}"),
            Self::Below(bound) => format!("< {bound}"),
        }
    }
}

/// A figure to be measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    unit: &'static str,
    aim: Aim,
}

impl Spec {
    pub(crate) const fn new(name: &'static str, unit: &'static str, aim: Aim) -> Self {
        Self { name, unit, aim }
    }
}

/// A figure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure {
    spec: Spec,
    value: f64,
}

impl Measure {
    pub(crate) fn new(spec: Spec, value: f64) -> Self {
        Self { spec, value }
    }
}

/// A figure as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    value: f64,
    unit: String,
}

/// Three significant digits are more than a machine with others on it deserves.
fn rounded(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// The figures side by side.
pub(crate) fn table(measures: &[Measure]) -> String {
    let rows: Vec<[String; 5]> = measures
        .iter()
        .map(|Measure { spec, value }| {
            let met = match spec.aim.is_met(*value) {
                None => "",
                Some(true) => "yes",
                Some(false) => "NO",
            };
            [
                spec.name.to_owned(),
                rounded(*value),
                spec.unit.to_owned(),
                spec.aim.words(),
                met.to_owned(),
            ]
        })
        .collect();
    let titles = ["name", "value", "unit", "aim", "met"].map(str::to_owned);
    let mut widths = [0; 5];
    for row in rows.iter().chain([&titles]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let mut text = String::new();
    let dashes = widths.map(|width| "-".repeat(width));
    for row in [&titles, &dashes].into_iter().chain(&rows) {
        let [name, value, unit, aim, met] = row;
        let [name_width, value_width, unit_width, aim_width, _] = widths;
        let _ = write!(
            text,
            "\n{name:name_width$}  {value:>value_width$}  {unit:unit_width$}  {aim:aim_width$}  {met}"
        );
        text.truncate(text.trim_end().len());
    }
    text
}

/// Adds figures to those in the file, in place of older ones of the same names.
pub(crate) fn keep(path: &Path, measures: &[Measure]) -> anyhow::Result<()> {
    let mut all: BTreeMap<String, Kept> = match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} holds no figures: delete it", path.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    for Measure { spec, value } in measures {
        let kept = Kept {
            value: (value * 1_000.0).round() / 1_000.0,
            unit: spec.unit.to_owned(),
        };
        all.insert(spec.name.to_owned(), kept);
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Whoever reads meanwhile finds the old figures or the new ones.
    let part = path.with_extension("json.part");
    std::fs::write(&part, serde_json::to_string_pretty(&all)? + "\n")?;
    std::fs::rename(&part, path).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_is_met_at_its_bound_unless_it_has_to_stay_below() {
        let met = |aim: Aim| [0.9, 1.0, 1.1].map(|value| aim.is_met(value));
        let [yes, no] = [Some(true), Some(false)];
        assert_eq!(met(Aim::AtLeast(1.0)), [no, yes, yes]);
        assert_eq!(met(Aim::AtMost(1.0)), [yes, yes, no]);
        assert_eq!(met(Aim::Below(1.0)), [yes, no, no]);
        assert_eq!(met(Aim::None), [None; 3]);
    }

    #[test]
    fn figures_join_those_that_are_kept_and_replace_their_own() {
        let path = std::env::temp_dir().join(format!("weir-bench-{}.json", std::process::id()));
        let speed = Spec::new("a.speed", "1/s", Aim::None);
        let size = Spec::new("b.size", "MB", Aim::None);
        keep(&path, &[Measure::new(speed, 1.0), Measure::new(size, 2.0)]).unwrap();
        keep(&path, &[Measure::new(speed, 3.00049)]).unwrap();
        let kept: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        let expected = serde_json::json!({
            "a.speed": {"value": 3.0, "unit": "1/s"},
            "b.size": {"value": 2.0, "unit": "MB"},
        });
        assert_eq!(kept, expected);
    }

    #[test]
    fn a_table_says_of_each_aim_whether_it_was_met() {
        let measures = [
            Measure::new(Spec::new("a", "MB/s", Aim::AtLeast(2.0)), 123.4),
            Measure::new(Spec::new("long.name", "", Aim::AtMost(2.0)), 2.345),
        ];
        let expected = "\n\
             name       value  unit  aim   met\n\
             ---------  -----  ----  ----  ---\n\
             a            123  MB/s  >= 2  yes\n\
             long.name   2.35        <= 2  NO";
        assert_eq!(table(&measures), expected);
    }
}
