//! What loading a file came to, for people and for programs.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use weir_seed::{Difference, State, Step};
use weir_store::Reference;

use super::Outcome;
use crate::keys::shown as key_shown;
use crate::text::{Paint, append, counted, grouped, plain};

impl Outcome<'_> {
    pub(super) fn text(&self, paint: Paint) -> String {
        let mut text = String::new();
        let file = plain(&self.arguments.file.display().to_string());
        for problem in &self.problems {
            let at = if problem.path.is_empty() {
                String::new()
            } else {
                format!(" at {}", plain(&problem.path))
            };
            append(
                &mut text,
                format_args!(
                    "{file}:{}:{}: {}{at}: {}\n",
                    problem.line,
                    problem.column,
                    paint.bad("error"),
                    plain(&problem.reason)
                ),
            );
        }
        let Some(plan) = &self.plan else {
            let count = u64::try_from(self.problems.len()).unwrap_or(u64::MAX);
            append(
                &mut text,
                format_args!("{}\n", counted(count, "problem", "problems")),
            );
            return text;
        };
        for step in &plan.steps {
            self.step(step, &mut text);
        }
        for step in plan.keys.iter().filter(|step| step.is.is_none()) {
            if self.arguments.dry_run {
                let (id, name) = (step.key.id, plain(&step.key.name));
                append(&mut text, format_args!("create  api key {id} {name}\n"));
            }
        }
        for made in &self.applied.keys {
            append(
                &mut text,
                format_args!(
                    "Key:         {}\nId:          {}\nName:        {}\nPermissions: {}\nScope:       {}\n\n",
                    made.secret,
                    made.record.id,
                    plain(&made.record.name),
                    made.record.permissions.join(" "),
                    key_shown::scope(&made.record),
                ),
            );
        }
        append(&mut text, format_args!("{}\n", self.summary()));
        text
    }

    fn step(&self, step: &Step, text: &mut String) {
        let (kind, id) = (
            step.wanted.kind().name().replace('-', " "),
            step.wanted.id(),
        );
        let name = plain(name(&step.wanted).unwrap_or_default());
        match &step.state {
            State::Missing if self.arguments.dry_run => {
                append(text, format_args!("create  {kind} {id} {name}\n"));
            }
            State::Differs(differences) => {
                let verb = if self.arguments.update {
                    "update "
                } else {
                    "differs"
                };
                append(text, format_args!("{verb} {kind} {id} {name}\n"));
                for Difference { member, is, wanted } in differences {
                    let shown = |value: &Option<String>| match value {
                        None => "none".to_owned(),
                        Some(value) => format!("`{}`", plain(value)),
                    };
                    let (is, wanted) = (shown(is), shown(wanted));
                    append(
                        text,
                        format_args!("        {member}: is {is}, in the file {wanted}\n"),
                    );
                }
            }
            State::Missing | State::Same | State::Blocked(_) => {}
        }
    }

    /// Such as `created 7, unchanged 2`.
    fn summary(&self) -> String {
        let applied = &self.applied;
        let counts = [
            ("created", applied.created),
            ("updated", applied.updated),
            ("unchanged", applied.unchanged),
        ];
        let said: Vec<String> = counts
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(what, count)| {
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                format!("{what} {}", grouped(count))
            })
            .collect();
        let said = if said.is_empty() {
            "nothing done".to_owned()
        } else {
            said.join(", ")
        };
        if self.arguments.dry_run {
            format!("{said}: a dry run, so nothing was changed")
        } else {
            said
        }
    }

    pub(super) fn document(&self, now: DateTime<Utc>) -> String {
        let problems: Vec<Value> = self
            .problems
            .iter()
            .map(|problem| {
                json!({
                    "line": problem.line,
                    "column": problem.column,
                    "path": problem.path,
                    "message": problem.reason,
                })
            })
            .collect();
        let steps = self.plan.iter().flat_map(|plan| &plan.steps);
        let differing: Vec<Value> = steps.filter_map(differing).collect();
        let keys = self.applied.keys.iter().map(|made| {
            let mut shown = key_shown::json(&made.record, now);
            if let Some(members) = shown.as_object_mut() {
                members.insert("key".to_owned(), made.secret.clone().into());
            }
            shown
        });
        let stopped = self.applied.stopped.as_ref();
        key_shown::document(&json!({
            "file": plain(&self.arguments.file.display().to_string()),
            "dry_run": self.arguments.dry_run,
            "done": stopped.is_none(),
            "error": stopped.map(|stopped| self.told(stopped)),
            "problems": problems,
            "created": self.applied.created,
            "updated": self.applied.updated,
            "unchanged": self.applied.unchanged,
            "differing": differing,
            "keys": keys.collect::<Vec<_>>(),
        }))
    }
}

fn differing(step: &Step) -> Option<Value> {
    let State::Differs(differences) = &step.state else {
        return None;
    };
    let members = differences.iter().map(|difference| {
        json!({
            "member": difference.member,
            "is": difference.is,
            "in_file": difference.wanted,
        })
    });
    Some(json!({
        "kind": step.wanted.kind().name(),
        "id": step.wanted.id(),
        "members": members.collect::<Vec<_>>(),
    }))
}

fn name(reference: &Reference) -> Option<&str> {
    match reference {
        Reference::Client(it) => Some(&it.name),
        Reference::Program(it) => Some(&it.name),
        Reference::Seller(it) => Some(&it.name),
        Reference::Customer(it) => it.name.as_deref(),
        Reference::SellerContact(it) => it.name.as_deref(),
        Reference::ReportSchedule(_) => None,
    }
}
