//! What a fresh local system holds: one client with one program, two sellers, two customers, and
//! an API key of the program.
//!
//! The ids are fixed, so that sample files can name them; the key is random and kept in the data
//! folder.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use weir_domain::{ClientId, CustomerId, Permission, ProgramId, ProgramStatus, SellerId};
use weir_runtime::Random;
use weir_servicegate::{Item, Options, ReadError, Reader, SellerReference};
use weir_store::{ApiKeyHash, ApiKeyRecord, Client, Customer, Program, Seller, Store, StoreError};

use crate::private;

const CLIENT: u128 = 0x11111111_0000_4000_8000_000000000001;
const PROGRAM: u128 = 0x22222222_0000_4000_8000_000000000001;
const SELLERS: [(u128, &str, &str); 2] = [
    (
        0x33333333_0000_4000_8000_000000000001,
        "NW-0042",
        "Northwind Parts",
    ),
    (
        0x33333333_0000_4000_8000_000000000002,
        "CT-0007",
        "Contoso Tires",
    ),
];
const CUSTOMERS: [(u128, &str); 2] = [
    (0x44444444_0000_4000_8000_000000000001, "Fabrikam Fleet"),
    (0x44444444_0000_4000_8000_000000000002, "Tailspin Haulage"),
];
/// Where the demo's sellers stand.
const SELLER_STATUS: &str = "Active";
/// The file in the data folder that holds the API key.
const KEY_FILE: &str = "api-key";
/// What the demo's key is known by.
const KEY: u128 = 0x55555555_0000_4000_8000_000000000001;

/// Why there is no demo data.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The tables could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
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
    /// A constant of this module is not what it should be.
    #[error("the demo data is not valid")]
    Invalid,
}

/// The demo's client.
pub fn client_id() -> Result<ClientId, DemoError> {
    Uuid::from_u128(CLIENT)
        .try_into()
        .map_err(|_| DemoError::Invalid)
}

/// The demo's program.
pub fn program_id() -> Result<ProgramId, DemoError> {
    Uuid::from_u128(PROGRAM)
        .try_into()
        .map_err(|_| DemoError::Invalid)
}

/// The demo's customers.
pub fn customer_ids() -> Result<Vec<CustomerId>, DemoError> {
    let id = |(id, _): &(u128, _)| {
        Uuid::from_u128(*id)
            .try_into()
            .map_err(|_| DemoError::Invalid)
    };
    CUSTOMERS.iter().map(id).collect()
}

/// The demo's sellers, as a file can name them.
pub fn seller_references() -> Result<Vec<SellerReference>, DemoError> {
    let reference = |(_, alternate, _): &(u128, &str, &str)| {
        alternate
            .parse()
            .map(SellerReference::Alternate)
            .map_err(|_| DemoError::Invalid)
    };
    SELLERS.iter().map(reference).collect()
}

/// Writes the demo's reference data. What is there under the demo's ids is written over, but for the
/// time of its creation; all else stays.
pub async fn seed(store: &Store, now: DateTime<Utc>) -> Result<(), DemoError> {
    let (client_id, program_id) = (client_id()?, program_id()?);
    let known = store.client(client_id).await?;
    store
        .put_client(&Client {
            id: client_id,
            name: "Adventure Works".to_owned(),
            processed_message_ts: None,
            created_at: known.map_or(now, |known| known.created_at),
            updated_at: now,
        })
        .await?;
    let known = store.program(program_id).await?;
    let program = Program {
        id: program_id,
        client_id,
        name: "Adventure Works Fleet".to_owned(),
        status: ProgramStatus::Active,
        reply_to_email: Some("settlements@adventure-works.example.com".to_owned()),
        support_email: Some("support@adventure-works.example.com".to_owned()),
        sender_email: Some("reports@adventure-works.example.com".to_owned()),
        processed_message_ts: None,
        created_at: known.map_or(now, |known| known.created_at),
        updated_at: now,
    };
    store.put_program(&program).await?;
    for (id, alternate, name) in SELLERS {
        let id = Uuid::from_u128(id)
            .try_into()
            .map_err(|_| DemoError::Invalid)?;
        let alternate = alternate.parse().map_err(|_| DemoError::Invalid)?;
        let alternate_seller_id = Some(alternate);
        let name = name.to_owned();
        let known = store.seller(id).await?;
        store
            .put_seller(&Seller {
                id,
                client_id,
                program_id,
                alternate_seller_id,
                name,
                status: Some(SELLER_STATUS.to_owned()),
                processed_message_ts: None,
                created_at: known.map_or(now, |known| known.created_at),
                updated_at: now,
            })
            .await?;
    }
    for (id, name) in CUSTOMERS {
        let id = Uuid::from_u128(id)
            .try_into()
            .map_err(|_| DemoError::Invalid)?;
        let name = Some(name.to_owned());
        let known = store.customers(&[id]).await?.pop();
        store
            .put_customer(&Customer {
                id,
                client_id,
                program_id,
                name,
                processed_message_ts: None,
                created_at: known.map_or(now, |known| known.created_at),
                updated_at: now,
            })
            .await?;
    }
    Ok(())
}

/// The API key of the program: the one kept in the folder, or a new one.
pub async fn api_key(
    store: &Store,
    data: &Path,
    random: &Random,
    now: DateTime<Utc>,
) -> Result<String, DemoError> {
    let path = data.join(KEY_FILE);
    let kept = std::fs::read_to_string(&path).ok();
    let kept = kept.and_then(|text| Uuid::try_parse(text.trim()).ok());
    let key = kept.unwrap_or_else(|| random.uuid_v4()).to_string();
    // Also when it was kept: it may have been readable by others.
    private::write(&path, &key).map_err(DemoError::Key)?;
    let may = |p: &&Permission| p.is_read() || **p == Permission::SettlementsWrite;
    let permissions = Permission::ALL.iter().filter(may);
    let record = ApiKeyRecord {
        id: Uuid::from_u128(KEY),
        name: "demo".to_owned(),
        permissions: permissions.map(ToString::to_string).collect(),
        client_id: Some(client_id()?),
        program_id: Some(program_id()?),
        seller_id: None,
        created_at: now,
        expires_at: None,
        revoked_at: None,
    };
    store.put_api_key(&ApiKeyHash::of(&key), &record).await?;
    Ok(key)
}

/// Makes every seller that a file names known in the demo's program, so that a file of one's own
/// can be tried. Reads as far as the file can be read.
pub async fn register_sellers_of(
    store: &Store,
    path: &Path,
    random: &Random,
    now: DateTime<Utc>,
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
    for (id, alternate_seller_id) in named {
        let known = match (&id, &alternate_seller_id) {
            (Some(id), _) => store.seller(*id).await?,
            (None, Some(alternate)) => store.seller_by_alternate_id(program_id, alternate).await?,
            (None, None) => continue,
        };
        if known.is_none() {
            let new: Result<SellerId, _> = random.uuid_v4().try_into();
            let id = id.or(new.ok()).ok_or(DemoError::Invalid)?;
            let name = format!(
                "Seller {}",
                alternate_seller_id
                    .as_ref()
                    .map_or_else(|| id.to_string(), ToString::to_string)
            );
            store
                .put_seller(&Seller {
                    id,
                    client_id,
                    program_id,
                    alternate_seller_id,
                    name,
                    status: Some(SELLER_STATUS.to_owned()),
                    processed_message_ts: None,
                    created_at: now,
                    updated_at: now,
                })
                .await?;
        }
    }
    Ok(())
}
