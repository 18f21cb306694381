//! Any filter, sort, page and scope gives what it would give of a plain list in memory.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::Value;
use weir_domain::Permission;
use weir_query::{
    BATCH, CLIENT, CUSTOMER, DETAIL, FILE, HISTORY, LOG, MESSAGE, Operator, PROGRAM,
    REPORT_SCHEDULE, Resource, Rule, SELLER, SELLER_CONTACT, Scope,
};
use weir_runtime::Random;

use crate::asking::{Asked, asked};
use crate::model::{self, Column, Condition};

/// The collections with what they hold.
const COLLECTIONS: [(&str, &Resource); 11] = [
    ("/v1/files", &FILE),
    ("/v1/batches", &BATCH),
    ("/v1/batchdetails", &DETAIL),
    ("/v1/batchdetailhistory", &HISTORY),
    ("/v1/batchdetaillogs", &LOG),
    ("/v1/clients", &CLIENT),
    ("/v1/programs", &PROGRAM),
    ("/v1/sellers", &SELLER),
    ("/v1/customers", &CUSTOMER),
    ("/v1/sellercontacts", &SELLER_CONTACT),
    ("/v1/reportschedules", &REPORT_SCHEDULE),
];
const MESSAGES: (&str, &Resource) = ("/v1/sqsmessages", &MESSAGE);

/// Everything, as an operator sees it.
static EVERYTHING: OnceLock<BTreeMap<&'static str, Vec<Value>>> = OnceLock::new();

fn everything(asked: &Asked) -> &'static BTreeMap<&'static str, Vec<Value>> {
    EVERYTHING.get_or_init(|| {
        let key = asked.key(Permission::ALL, Scope::default());
        let rows = |path: &str| asked.all(&key, &format!("{path}?page_size=250"));
        let collections = COLLECTIONS.into_iter().chain([MESSAGES]);
        collections.map(|(path, _)| (path, rows(path))).collect()
    })
}

#[test]
fn a_list_without_a_filter_holds_everything_there_is() {
    let asked = asked();
    for (path, resource) in COLLECTIONS.into_iter().chain([MESSAGES]) {
        // Some more belong to the demo.
        let demo = match path {
            "/v1/clients" | "/v1/programs" => 1,
            "/v1/sellers" | "/v1/customers" => 2,
            _ => 0,
        };
        let rows = u64::try_from(everything(asked)[path].len()).unwrap();
        let made = asked.world.counts.get(resource.name).copied();
        assert_eq!(rows, made.unwrap_or(0) + demo, "{path}");
    }
}

#[test]
fn a_list_without_a_sort_is_in_the_order_of_creation_then_of_id() {
    let asked = asked();
    for (path, resource) in COLLECTIONS.into_iter().chain([MESSAGES]) {
        if !resource.is_in_order_of_creation {
            continue;
        }
        let rows = &everything(asked)[path];
        let mut sorted = rows.clone();
        let columns = [Column {
            field: "created_at",
            is_descending: false,
        }];
        model::sort(&mut sorted, &columns);
        assert_eq!(rows, &sorted, "{path}");
    }
}

/// Draws questions.
struct Questioner {
    random: Random,
}

/// A question about a collection.
#[derive(Debug)]
struct Question {
    path: &'static str,
    conditions: Vec<Condition>,
    columns: Vec<Column>,
    page_size: usize,
}

impl Questioner {
    fn roll(&self, sides: usize) -> usize {
        let drawn = self.random.uuid_v4().as_u64_pair().1;
        usize::try_from(drawn % u64::try_from(sides.max(1)).unwrap()).unwrap()
    }

    fn question(&self, asked: &Asked) -> Question {
        let collections: Vec<_> = COLLECTIONS.into_iter().chain([MESSAGES]).collect();
        let (path, resource) = collections[self.roll(collections.len())];
        let rows = &everything(asked)[path];
        let conditions = (0..self.roll(3)).filter_map(|_| self.condition(resource, rows));
        let mut conditions: Vec<Condition> = conditions.collect();
        let name = |condition: &Condition| (condition.parameter.name, condition.operator);
        conditions.sort_by_key(name);
        conditions.dedup_by_key(|condition| name(condition));
        let mut columns: Vec<Column> = Vec::new();
        for _ in 0..self.roll(3) {
            let field = resource.fields[self.roll(resource.fields.len())].name;
            if columns.iter().all(|column| column.field != field) {
                columns.push(Column {
                    field,
                    is_descending: self.roll(2) == 0,
                });
            }
        }
        Question {
            path,
            conditions,
            columns,
            // Small enough for several pages, and large enough to come to their end.
            page_size: (1 + rows.len() / 12 + self.roll(40)).min(250),
        }
    }

    /// A condition on a field that is shown, most often with a value that some row has.
    fn condition(&self, resource: &'static Resource, rows: &[Value]) -> Option<Condition> {
        let parameter = &resource.parameters[self.roll(resource.parameters.len())];
        resource.field(parameter.field)?;
        let operators = Operator::ALL
            .iter()
            .filter(|(_, operator)| operator.applies_to(parameter.rule));
        let operators: Vec<_> = operators.collect();
        let operator = operators[self.roll(operators.len())].0;
        let value = &rows.get(self.roll(rows.len()))?[parameter.field];
        let mut operand = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            Value::Array(values) => values[self.roll(values.len())].as_str()?.to_owned(),
            _ => return None,
        };
        if parameter.rule == Rule::Time {
            operand = match self.roll(3) {
                0 => operand[..10].to_owned(),
                1 => format!("{}Z", &operand[..19]),
                _ => operand,
            };
        }
        if operator == "prefix" {
            operand = operand.chars().take(1 + self.roll(4)).collect();
        }
        // A comma within a text would part it in two.
        if operator == "in" && operand.contains(',') {
            return None;
        }
        Some(Condition {
            parameter,
            operator,
            operand,
        })
    }
}

impl Question {
    fn target(&self) -> String {
        let mut target = format!("{}?page_size={}", self.path, self.page_size);
        for condition in &self.conditions {
            let colon = if condition.operator.is_empty() {
                ""
            } else {
                ":"
            };
            let operand: String = condition
                .operand
                .bytes()
                .map(|byte| format!("%{byte:02X}"))
                .collect();
            target.push_str(&format!(
                "&{}{colon}{}={operand}",
                condition.parameter.name, condition.operator
            ));
        }
        for column in &self.columns {
            let sign = if column.is_descending { "-" } else { "" };
            target.push_str(&format!("&sort_column[]={sign}{}", column.field));
        }
        target
    }

    /// The rows that it has to give.
    fn expected(&self, rows: &[Value]) -> Vec<Value> {
        let keeps = |row: &&Value| {
            self.conditions
                .iter()
                .all(|condition| model::keeps(row, condition))
        };
        let mut rows: Vec<Value> = rows.iter().filter(keeps).cloned().collect();
        model::sort(&mut rows, &self.columns);
        rows
    }
}

/// Rows by id, so that a difference can be read.
fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_filter_sort_and_page_gives_what_a_plain_list_would_give(seed in any::<u64>()) {
        let asked = asked();
        let question = Questioner { random: Random::seeded(seed) }.question(asked);
        let expected = question.expected(&everything(asked)[question.path]);
        let key = asked.key(Permission::ALL, Scope::default());
        let target = question.target();
        // Along the links, which are cursors wherever there can be some.
        let linked = asked.all(&key, &target);
        prop_assert_eq!(ids(&linked), ids(&expected), "{}", target);
        prop_assert_eq!(&linked, &expected, "{}", target);
        // And by number, one page beyond the end.
        let mut paged = Vec::new();
        for number in 1.. {
            let page = asked.get(&key, &format!("{target}&page_number={number}"));
            if let Some(total) = page.headers.get("x-total-count") {
                prop_assert_eq!(total.to_str().unwrap(), expected.len().to_string(), "{}", target);
            }
            if page.rows().is_empty() {
                break;
            }
            paged.extend(page.rows().iter().cloned());
        }
        prop_assert_eq!(ids(&paged), ids(&expected), "{}", target);
    }
}

/// Scopes to try: every client, program and seller, alone and with those above it.
fn scopes(asked: &Asked) -> Vec<Scope> {
    let mut scopes = vec![Scope::default()];
    scopes.extend(asked.world.clients.iter().map(|client| Scope {
        client_id: Some(*client),
        ..Scope::default()
    }));
    scopes.extend(asked.world.programs.iter().map(|(program, client)| Scope {
        client_id: Some(*client),
        program_id: Some(*program),
        ..Scope::default()
    }));
    scopes.extend(
        asked
            .world
            .sellers
            .iter()
            .map(|(seller, program, client)| Scope {
                client_id: Some(*client),
                program_id: Some(*program),
                seller_id: Some(*seller),
            }),
    );
    scopes
}

/// Whether a scope covers a row, as the documentation says.
fn is_covered(asked: &Asked, scope: &Scope, path: &str, row: &Value) -> bool {
    let is = |field: &str, id: Option<uuid::Uuid>| {
        id.is_none_or(|id| row[field] == id.to_string().as_str())
    };
    let client = scope.client_id.map(uuid::Uuid::from);
    let program = scope.program_id.map(uuid::Uuid::from);
    let seller = scope.seller_id.map(uuid::Uuid::from);
    match path {
        "/v1/sqsmessages" => *scope == Scope::default(),
        "/v1/clients" => is("id", client),
        "/v1/programs" => is("client_id", client) && is("id", program),
        "/v1/sellers" => is("client_id", client) && is("program_id", program) && is("id", seller),
        "/v1/files" => {
            let id: weir_domain::FileId = row["id"].as_str().unwrap().parse().unwrap();
            let files = &asked.world.files;
            let (_, owner) = files.iter().find(|(file, _)| *file == id).unwrap();
            let of_program = match owner {
                Some((of, under)) => {
                    scope.client_id.is_none_or(|id| id == *under)
                        && scope.program_id.is_none_or(|id| id == *of)
                }
                None => scope.client_id.is_none() && scope.program_id.is_none(),
            };
            let batches = &everything(asked)["/v1/batches"];
            let mut of_file = batches.iter().filter(|batch| batch["file_id"] == row["id"]);
            of_program
                && seller.is_none_or(|seller| {
                    of_file.any(|batch| batch["seller_id"] == seller.to_string().as_str())
                })
        }
        _ => is("client_id", client) && is("program_id", program) && is("seller_id", seller),
    }
}

#[test]
fn a_key_sees_what_its_scope_covers_and_nothing_else() {
    let asked = asked();
    for scope in scopes(asked) {
        let key = asked.key(Permission::ALL, scope);
        for (path, _) in COLLECTIONS.into_iter().chain([MESSAGES]) {
            let covered = everything(asked)[path].iter();
            let (seen, hidden): (Vec<Value>, Vec<Value>) = covered
                .cloned()
                .partition(|row| is_covered(asked, &scope, path, row));
            let listed = asked.all(&key, &format!("{path}?page_size=250"));
            assert_eq!(ids(&listed), ids(&seen), "{path} {scope:?}");
            let one = |row: &Value| format!("{path}/{}", row["id"].as_str().unwrap());
            if let Some(row) = seen.first() {
                assert_eq!(&asked.get(&key, &one(row)).body, row, "{path} {scope:?}");
            }
            if let Some(row) = hidden.first() {
                let answered = asked.get(&key, &one(row));
                assert_eq!(answered.status, 404, "{path} {scope:?}");
            }
        }
    }
}

#[test]
fn a_scope_hides_rows_whatever_is_asked_for() {
    let asked = asked();
    let (seller, program, client) = asked.world.sellers[0];
    let scope = Scope {
        client_id: Some(client),
        program_id: Some(program),
        seller_id: Some(seller),
    };
    let key = asked.key(Permission::ALL, scope);
    for (path, resource) in COLLECTIONS.into_iter().chain([MESSAGES]) {
        for row in everything(asked)[path].iter().take(60) {
            if is_covered(asked, &scope, path, row) {
                continue;
            }
            for parameter in resource.parameters {
                let Some(id) = row[parameter.field].as_str() else {
                    continue;
                };
                if parameter.rule != Rule::Id {
                    continue;
                }
                let target = format!("{path}?{}={id}&page_size=250", parameter.name);
                let listed = asked.all(&key, &target);
                assert!(
                    !ids(&listed).contains(&row["id"].as_str().unwrap()),
                    "{target}"
                );
            }
        }
    }
}
