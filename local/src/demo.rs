//! What a fresh local system holds: the entries of `demo.yaml`, loaded as `weir seed` loads a file.
//!
//! What is there under their ids stays as it is, so whatever was changed by hand survives a restart.
//! The ids are fixed, so that sample files can name them; the key is random and kept in the data folder.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use weir_domain::{ClientId, CustomerId, ProgramId};
use weir_runtime::{Clock, Random};
use weir_seed::{ApplyError, Format, Policy, Problem, Seed, Seeder};
use weir_servicegate::{Item, Options, ReadError, Reader, SellerReference};
use weir_settlement::reference::{Body, Place, ReferenceChanges, ReferenceError, SellerBody};
use weir_store::{ApiKeyHash, ApiKeyRecord, Reference, Store, StoreError};

use crate::private;

/// The file: also the example of what `weir seed` takes.
pub const FILE: &str = include_str!("../demo.yaml");
/// The file in the data folder that holds the API key.
const KEY_FILE: &str = "api-key";

/// Why there is no demo data.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The tables could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The demo's data could not be loaded.
    #[error("the demo data could not be loaded: {0}; start again")]
    Apply(#[from] ApplyError),
    /// A seller could not be made known.
    #[error("the seller {seller} could not be made known: {error}; start again")]
    Seller {
        /// What the file calls it.
        seller: String,
        /// What went wrong.
        error: ReferenceError,
    },
    /// The key could not be kept.
    #[error("the API key could not be kept in {KEY_FILE}: {0}; see that its folder can be written")]
    Key(std::io::Error),
    /// The file whose sellers are to be known could not be read.
    #[error("{path} could not be read: {source}")]
    File {
        /// The file.
        path: String,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The demo's own file is not valid: the first problem.
    #[error("demo.yaml is not valid: {0}")]
    Problem(Problem),
    /// A constant of the sample is not what it should be.
    #[error("the sample is not valid")]
    Invalid,
    /// The demo's own file lacks something.
    #[error("demo.yaml has no {0}")]
    Lacks(&'static str),
}

/// What the demo's file holds.
pub fn file() -> Result<Seed, DemoError> {
    Seed::parse(Format::Yaml, FILE.as_bytes()).map_err(|problems| {
        let first = problems.into_iter().next();
        first.map_or(DemoError::Lacks("entries"), DemoError::Problem)
    })
}

/// The demo's client.
pub fn client_id() -> Result<ClientId, DemoError> {
    let found = file()?.references().find_map(|reference| match reference {
        Reference::Client(client) => Some(client.id),
        _ => None,
    });
    found.ok_or(DemoError::Lacks("client"))
}

/// The demo's program.
pub fn program_id() -> Result<ProgramId, DemoError> {
    let found = file()?.references().find_map(|reference| match reference {
        Reference::Program(program) => Some(program.id),
        _ => None,
    });
    found.ok_or(DemoError::Lacks("program"))
}

/// The demo's customers, by their ids.
pub fn customer_ids() -> Result<Vec<CustomerId>, DemoError> {
    let ids = |reference: &Reference| match reference {
        Reference::Customer(customer) => Some(customer.id),
        _ => None,
    };
    Ok(file()?.references().filter_map(ids).collect())
}

/// The demo's sellers by their ids, as a file can name them.
pub fn seller_references() -> Result<Vec<SellerReference>, DemoError> {
    let named = |reference: &Reference| match reference {
        Reference::Seller(seller) => seller.alternate_seller_id.clone(),
        _ => None,
    };
    let seed = file()?;
    let named = seed.references().filter_map(named);
    Ok(named.map(SellerReference::Alternate).collect())
}

/// Creates what is missing of the demo's reference data; whatever is there stays.
pub async fn seed(store: &Store, clock: &Clock, random: &Random) -> Result<(), DemoError> {
    let seeder = Seeder {
        store: store.clone(),
        clock: clock.clone(),
        random: random.clone(),
    };
    // The key goes with what is kept in the data folder.
    let plan = seeder.plan(&file()?.without_keys(), &mut || {}).await?;
    let applied = seeder.apply(&plan, Policy::Leave, &mut || {}).await;
    match applied.stopped {
        None => Ok(()),
        Some(error) => Err(error.into()),
    }
}

/// The API key of the program: the one kept in the folder, or a new one.
pub async fn api_key(
    store: &Store,
    data: &Path,
    random: &Random,
    now: DateTime<Utc>,
) -> Result<String, DemoError> {
    let seed = file()?;
    let wanted = seed.keys().first().ok_or(DemoError::Lacks("API key"))?;
    let path = data.join(KEY_FILE);
    let kept = std::fs::read_to_string(&path).ok();
    let kept = kept.and_then(|text| Uuid::try_parse(text.trim()).ok());
    let key = kept.unwrap_or_else(|| random.uuid_v4()).to_string();
    // Also when it was kept: it may have been readable by others. And first, as one that is only in the
    // tables is lost.
    private::write(&path, &key).map_err(DemoError::Key)?;
    let hash = ApiKeyHash::of(&key);
    match store.create_api_key(&hash, &wanted.record(now)).await {
        Ok(()) => Ok(key),
        Err(StoreError::Conflict { .. }) => {
            let is = store.api_key(&hash).await?;
            let is_over = |is: ApiKeyRecord| {
                is.revoked_at.is_some() || is.expires_at.is_some_and(|at| at <= now)
            };
            if is.is_some_and(is_over) {
                tracing::warn!(
                    file = KEY_FILE,
                    "the API key that is kept is revoked or expired: remove its file, and the next start makes another"
                );
            }
            Ok(key)
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes every seller that a file names known in the demo's program, so that a file of one's own
/// can be tried. Reads as far as the file can be read.
pub async fn register_sellers_of(
    store: &Store,
    path: &Path,
    clock: &Clock,
    random: &Random,
) -> Result<(), DemoError> {
    let failed = |source| DemoError::File {
        path: path.display().to_string(),
        source,
    };
    let mut named = BTreeSet::new();
    let open = |byte: u64| {
        use std::io::{Seek, SeekFrom};
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(byte))?;
        Ok(file)
    };
    let mut reader = Reader::new(
        open,
        Options {
            keep_xml: false,
            ..Options::default()
        },
    );
    loop {
        match reader.next_item() {
            Ok(Some(Item::BatchStart(header))) => match header.seller {
                SellerReference::Id(id) => _ = named.insert((Some(id), None)),
                SellerReference::Alternate(id) => _ = named.insert((None, Some(id))),
            },
            Ok(Some(_)) => {}
            Ok(None) | Err(ReadError::File(_)) => break,
            Err(ReadError::Source(error)) => return Err(failed(error)),
        }
    }
    let (client_id, program_id) = (client_id()?, program_id()?);
    let changes = ReferenceChanges {
        store: store.clone(),
        clock: clock.clone(),
        random: random.clone(),
    };
    for (id, alternate_seller_id) in named {
        let seller = match (&id, &alternate_seller_id) {
            (Some(id), _) => id.to_string(),
            (None, Some(alternate)) => alternate.to_string(),
            (None, None) => continue,
        };
        if let Some(alternate) = &alternate_seller_id {
            let known = store.seller_by_alternate_id(program_id, alternate).await?;
            if known.is_some() {
                continue;
            }
        }
        let body = Body::Seller(SellerBody {
            alternate_seller_id,
            name: format!("Seller {seller}"),
        });
        let place = Place::Program(client_id, program_id);
        let id = id.map(Uuid::from);
        match changes.create(place, id, &body).await {
            Ok(_) | Err(ReferenceError::Exists | ReferenceError::AlternateIdTaken) => {}
            Err(error) => return Err(DemoError::Seller { seller, error }),
        }
    }
    Ok(())
}
