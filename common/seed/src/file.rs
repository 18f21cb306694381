//! A file as it is understood: what each of its entries is to be, and what is wrong with them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use weir_domain::{ClientId, Permission, ProgramId, SellerId};
use weir_store::{ApiKeyRecord, Reference, ReferenceKind};

use crate::entry::Fields;
use crate::node::{Held, Node, Position, Problem};
use crate::{json, yaml};

/// Most bytes of a file: some thirty thousand entries.
pub const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most characters of a key's name.
const KEY_NAME_CHARACTERS_MAX: usize = 100;
/// The lists that a file may have, each of maps with an `id`.
pub const SECTIONS: [&str; 7] = [
    "clients",
    "programs",
    "sellers",
    "customers",
    "seller_contacts",
    "report_schedules",
    API_KEYS,
];
const API_KEYS: &str = "api_keys";

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, without anchors, aliases and tags.
    Yaml,
    /// JSON.
    Json,
}

impl Format {
    /// What a file's name ends with tells how it is written.
    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// What a file says is to be there.
///
/// Its reference data has no times of its own: they say 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    pub(crate) entries: Vec<Entry>,
    keys: Vec<SeedKey>,
}

/// Some reference data, and where the file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) reference: Reference,
    pub(crate) place: Place,
}

/// An entry's place in the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) at: Position,
    pub(crate) path: String,
}

impl Place {
    pub(crate) fn problem(&self, reason: impl Into<String>) -> Problem {
        Problem::new(self.at, self.path.clone(), reason)
    }
}

/// An API key that is to be there. Its secret is in no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedKey {
    /// What it is known by.
    pub id: Uuid,
    /// What it is called: 1 to 100 characters that can be shown.
    pub name: String,
    /// What it may do, each once.
    pub permissions: Vec<Permission>,
    /// The client it is limited to.
    pub client_id: Option<ClientId>,
    /// The program it is limited to.
    pub program_id: Option<ProgramId>,
    /// The seller it is limited to.
    pub seller_id: Option<SellerId>,
    pub(crate) place: Place,
}

impl SeedKey {
    /// What is kept of it when it is made.
    pub fn record(&self, now: DateTime<Utc>) -> ApiKeyRecord {
        // In the order of the list, whatever the file's.
        let may = Permission::ALL.iter();
        let may = may.filter(|one| self.permissions.contains(one));
        ApiKeyRecord {
            id: self.id,
            name: self.name.clone(),
            permissions: may.map(ToString::to_string).collect(),
            client_id: self.client_id,
            program_id: self.program_id,
            seller_id: self.seller_id,
            created_at: now,
            expires_at: None,
            revoked_at: None,
        }
    }
}

impl Seed {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file; of what cannot be read at all, the
    /// first.
    pub fn parse(format: Format, bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        let root = read(format, bytes).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        root.repeated_names("", &mut problems);
        let mut seed = Self {
            entries: Vec::new(),
            keys: Vec::new(),
        };
        let Held::Map(sections) = &root.held else {
            let reason = format!("the file must be a map of lists: {}", SECTIONS.join(", "));
            return Err(vec![Problem::new(root.at, "", reason)]);
        };
        for (name, section) in sections {
            let path = format!("/{name}");
            if !SECTIONS.contains(&name.as_str()) {
                let reason = format!(
                    "there is no such list: a file may have {}",
                    SECTIONS.join(", ")
                );
                problems.push(Problem::new(section.at, path, reason));
                continue;
            }
            let Held::List(items) = &section.held else {
                problems.push(Problem::new(section.at, path, "must be a list"));
                continue;
            };
            for (number, item) in items.iter().enumerate() {
                let place = Place {
                    at: item.at,
                    path: format!("{path}/{number}"),
                };
                seed.add(name, item, &place, &mut problems);
            }
        }
        seed.check_unique(&mut problems);
        if problems.is_empty() {
            // Parents before what belongs to them; then the order means nothing.
            let order = |entry: &Entry| (entry.reference.kind(), entry.reference.id());
            seed.entries.sort_by_key(order);
            seed.keys.sort_by_key(|key| key.id);
            Ok(seed)
        } else {
            problems.sort();
            problems.dedup();
            Err(problems)
        }
    }

    /// What the file holds of reference data: parents before what belongs to them.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.entries.iter().map(|entry| &entry.reference)
    }

    /// The keys that it names.
    pub fn keys(&self) -> &[SeedKey] {
        &self.keys
    }

    /// The same without keys.
    #[must_use]
    pub fn without_keys(mut self) -> Self {
        self.keys.clear();
        self
    }

    fn add(&mut self, section: &str, item: &Node, place: &Place, problems: &mut Vec<Problem>) {
        if !matches!(item.held, Held::Map(_)) {
            problems.push(place.problem("must be a map"));
            return;
        }
        let mut fields = Fields::of(item, place);
        if section == API_KEYS {
            let key = key(&mut fields, place);
            self.keys.extend(key);
        } else if let Some(kind) = kind_of(section) {
            let entry = fields.reference(kind).map(|reference| Entry {
                reference,
                place: place.clone(),
            });
            self.entries.extend(entry);
        }
        problems.append(&mut fields.problems);
    }

    /// Tells of what may be there once and is there twice.
    fn check_unique(&self, problems: &mut Vec<Problem>) {
        let mut ids = BTreeMap::new();
        let mut alternates = BTreeMap::new();
        for Entry { reference, place } in &self.entries {
            let kind = reference.kind();
            if let Some(first) = ids.insert((kind, reference.id()), &place.path) {
                problems.push(place.problem(format!("has the id of {first}")));
            }
            if let Reference::Seller(seller) = reference
                && let Some(alternate) = &seller.alternate_seller_id
                && let Some(first) =
                    alternates.insert((seller.program_id, alternate.clone()), &place.path)
            {
                let reason = format!("has the alternate_seller_id of {first} in the same program");
                problems.push(place.problem(reason));
            }
        }
        let (mut ids, mut names) = (BTreeMap::new(), BTreeMap::new());
        for SeedKey {
            id, name, place, ..
        } in &self.keys
        {
            if let Some(first) = ids.insert(id, &place.path) {
                problems.push(place.problem(format!("has the id of {first}")));
            }
            if let Some(first) = names.insert(name, &place.path) {
                problems.push(place.problem(format!("has the name of {first}")));
            }
        }
    }
}

fn read(format: Format, bytes: &[u8]) -> Result<Node, Problem> {
    let whole = |reason: String| Problem::new(Position::START, "", reason);
    if bytes.len() > FILE_BYTES_MAX {
        return Err(whole(format!(
            "a file may have {FILE_BYTES_MAX} bytes: split it, parents in the earlier parts"
        )));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = good.split(|byte| *byte == b'\n').count();
        let at = Position { line, column: 1 };
        Problem::new(at, "", "the file is not UTF-8: save it as that")
    })?;
    match format {
        Format::Yaml => yaml::read(text),
        Format::Json => json::read(text),
    }
}

fn kind_of(section: &str) -> Option<ReferenceKind> {
    Some(match section {
        "clients" => ReferenceKind::Client,
        "programs" => ReferenceKind::Program,
        "sellers" => ReferenceKind::Seller,
        "customers" => ReferenceKind::Customer,
        "seller_contacts" => ReferenceKind::SellerContact,
        "report_schedules" => ReferenceKind::ReportSchedule,
        _ => return None,
    })
}

fn key(fields: &mut Fields<'_>, place: &Place) -> Option<SeedKey> {
    fields.only(&[
        "id",
        "name",
        "permissions",
        "client_id",
        "program_id",
        "seller_id",
    ]);
    let id: Option<ClientId> = fields.parsed("id");
    let name = fields.text("name", KEY_NAME_CHARACTERS_MAX);
    if name
        .as_deref()
        .is_some_and(|name| name.trim() != name || name.chars().any(char::is_control))
    {
        let reason = "must have no control character, and no blank at either end";
        fields.wrong("/name", reason);
    }
    let permissions = fields.permissions();
    let client_id: Option<ClientId> = fields.opt_parsed("client_id");
    let program_id: Option<ProgramId> = fields.opt_parsed("program_id");
    let seller_id: Option<SellerId> = fields.opt_parsed("seller_id");
    fields.needs("program_id", "client_id");
    fields.needs("seller_id", "program_id");
    Some(SeedKey {
        id: id?.uuid(),
        name: name?,
        permissions,
        client_id,
        program_id,
        seller_id,
        place: place.clone(),
    })
}
