//! Whose key a client's details are sent with.
//!
//! The keys are a JSON object from client id to key. In a deployment they lie in a secret of AWS Secrets
//! Manager and are read from there while the function runs (see `secret`); for local runs they are settings.
//!
//! Invariants: a client's details are sent with the key of that client and with no other one, unless a
//! single key for all was set; no key is in a log line, an error or a `Debug` output.

mod keys;
mod secret;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use weir_domain::ClientId;
use weir_runtime::{Clock, Metrics, Reader, Secrets};
use weir_three_rivers::ApiKey;

use secret::SecretKeys;

const ONE: &str = "WEIR_THREE_RIVERS_API_KEY";
const MANY: &str = "WEIR_THREE_RIVERS_API_KEYS";
const SECRET: &str = "WEIR_THREE_RIVERS_SECRET";

/// Where the keys are to be had, as the settings say.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// They are in the settings.
    Settings(SetKeys),
    /// They are in a secret.
    Secret {
        /// Its name or ARN.
        id: String,
        /// How old what was read of it may become before it is read again.
        age_max: Duration,
    },
}

/// Keys that are settings: one for each client, or one for all.
#[derive(Debug, Clone, Default)]
pub struct SetKeys {
    by_client: BTreeMap<ClientId, ApiKey>,
    fallback: Option<ApiKey>,
}

/// Gives out the keys. Clones share what was read.
#[derive(Debug, Clone)]
pub struct Credentials(Held);

#[derive(Debug, Clone)]
enum Held {
    Set(Arc<SetKeys>),
    Secret(Arc<SecretKeys>),
}

/// Why there is no key for a client now. Its details wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// There are keys, and none is the client's.
    #[error("waits for a 3Rivers key: client {0} has none")]
    OfClient(ClientId),
    /// The secret has not been read yet, and could not be now.
    #[error("waits for the 3Rivers keys, which could not be read")]
    Unread,
}

/// A moment, by which [`Credentials::after_refusal`] knows what was read after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

/// What a refusal of a key by 3Rivers means.
#[derive(Debug, Clone)]
pub enum AfterRefusal {
    /// The client has another key by now.
    Another(ApiKey),
    /// The key is the client's all the same: that was seen after the call had begun.
    Stands,
    /// Nobody knows: the secret could not be read since, or not in full, or was read too lately.
    Open,
}

impl KeySource {
    /// Reads `WEIR_THREE_RIVERS_SECRET`, the name or ARN of the secret with the keys, and
    /// `WEIR_THREE_RIVERS_SECRET_AGE` (300 s); or, instead of the two, `WEIR_THREE_RIVERS_API_KEYS`, a
    /// JSON object from client id to key, and `WEIR_THREE_RIVERS_API_KEY`, the key of clients that are not
    /// in it. What is wrong is noted in the reader, without any key.
    pub fn read(reader: &mut Reader) -> Self {
        let id = reader.optional_text(SECRET);
        let age_max = reader.seconds("WEIR_THREE_RIVERS_SECRET_AGE", 300, 10..=3_600);
        let one = reader.optional_secret(ONE);
        let many = reader.optional_secret(MANY);
        let are_set = one.is_some() || many.is_some();
        let keys = set_keys(reader, one, many.as_ref());
        match id {
            Some(_) if are_set => {
                reader.problem(
                    SECRET,
                    "the secret with the 3Rivers keys alone: neither WEIR_THREE_RIVERS_API_KEYS nor \
                     WEIR_THREE_RIVERS_API_KEY beside it",
                );
                Self::Settings(keys)
            }
            Some(id) => Self::Secret { id, age_max },
            None => {
                if !are_set {
                    reader.problem(
                        SECRET,
                        "the secret with the 3Rivers keys; or WEIR_THREE_RIVERS_API_KEYS with one a \
                         client, or WEIR_THREE_RIVERS_API_KEY for all",
                    );
                }
                Self::Settings(keys)
            }
        }
    }
}

impl Credentials {
    /// One key for every client.
    pub fn one(key: ApiKey) -> Self {
        let keys = SetKeys {
            by_client: BTreeMap::new(),
            fallback: Some(key),
        };
        Self(Held::Set(Arc::new(keys)))
    }

    /// The keys of a source. Nothing is read yet.
    pub fn new(source: KeySource, secrets: Secrets, clock: Clock, metrics: Metrics) -> Self {
        Self(match source {
            KeySource::Settings(keys) => Held::Set(Arc::new(keys)),
            KeySource::Secret { id, age_max } => {
                let keys = SecretKeys::new(secrets, id, age_max, clock, metrics);
                Held::Secret(Arc::new(keys))
            }
        })
    }

    /// The key for a client's details. Where the client has none yet the secret is read first, unless
    /// that was done moments ago.
    pub async fn of(&self, client: ClientId) -> Result<ApiKey, NoKey> {
        match &self.0 {
            Held::Set(keys) => keys.of(client).ok_or(NoKey::OfClient(client)),
            Held::Secret(keys) => keys.of(client).await,
        }
    }

    /// Reads the secret again when what is known of it is old. Meanwhile all others go on with that;
    /// so they do when it fails, or takes more than two seconds. Takes longer only while no keys are known at all.
    pub async fn keep_fresh(&self) {
        if let Held::Secret(keys) = &self.0 {
            keys.keep_fresh().await;
        }
    }

    /// This moment: to be asked for before a call is begun.
    pub fn mark(&self) -> Mark {
        match &self.0 {
            Held::Set(_) => Mark(0),
            Held::Secret(keys) => keys.mark(),
        }
    }

    /// What it means that 3Rivers refused a client's key, in a call that was begun after `mark`.
    pub async fn after_refusal(
        &self,
        client: ClientId,
        refused: &ApiKey,
        mark: Mark,
    ) -> AfterRefusal {
        match &self.0 {
            Held::Set(_) => AfterRefusal::Stands,
            Held::Secret(keys) => keys.after_refusal(client, refused, mark).await,
        }
    }
}

impl SetKeys {
    fn of(&self, client: ClientId) -> Option<ApiKey> {
        let own = self.by_client.get(&client);
        own.or(self.fallback.as_ref()).cloned()
    }
}

fn set_keys(
    reader: &mut Reader,
    one: Option<SecretString>,
    many: Option<&SecretString>,
) -> SetKeys {
    let fallback = one.and_then(|key| {
        let key = ApiKey::new(key).ok();
        if key.is_none() {
            reader.problem(ONE, "visible ASCII characters, as 3Rivers issues its keys");
        }
        key
    });
    let mut by_client = BTreeMap::new();
    if let Some(many) = many {
        match keys::parse(many) {
            Ok(read) => {
                for fault in &read.faults {
                    reader.problem(MANY, fault.expected());
                }
                by_client = read.by_client;
            }
            Err(_) => reader.problem(MANY, "a JSON object from client id to key"),
        }
    }
    SetKeys {
        by_client,
        fallback,
    }
}

#[cfg(test)]
mod tests;
