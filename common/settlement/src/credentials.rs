//! Whose key a client's details are sent with.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use weir_domain::ClientId;
use weir_runtime::Reader;
use weir_three_rivers::ApiKey;

/// The 3Rivers keys: one for each client, or one for all.
#[derive(Debug, Clone)]
pub struct Credentials {
    by_client: BTreeMap<ClientId, ApiKey>,
    fallback: Option<ApiKey>,
}

impl Credentials {
    /// One key for every client.
    pub fn one(key: ApiKey) -> Self {
        Self {
            by_client: BTreeMap::new(),
            fallback: Some(key),
        }
    }

    /// Reads `WEIR_THREE_RIVERS_API_KEYS`, a JSON object from client id to key, and
    /// `WEIR_THREE_RIVERS_API_KEY`, the key of clients that are not in it. One of the two is
    /// needed. What is wrong is noted in the reader, without any key.
    pub fn read(reader: &mut Reader) -> Self {
        const ONE: &str = "WEIR_THREE_RIVERS_API_KEY";
        const MANY: &str = "WEIR_THREE_RIVERS_API_KEYS";
        let fallback = reader.optional_secret(ONE);
        let many = reader.optional_secret(MANY);
        if fallback.is_none() && many.is_none() {
            reader.problem(
                ONE,
                "the key for 3Rivers, or WEIR_THREE_RIVERS_API_KEYS with one a client",
            );
        }
        let fallback = fallback.and_then(|key| key_or_problem(reader, ONE, key));
        let mut by_client = BTreeMap::new();
        for (client, key) in many
            .map(|many| parse_map(reader, MANY, &many))
            .unwrap_or_default()
        {
            if let Some(key) = key_or_problem(reader, MANY, key) {
                by_client.insert(client, key);
            }
        }
        Self {
            by_client,
            fallback,
        }
    }

    /// The key for a client's details.
    pub fn of(&self, client: ClientId) -> Option<&ApiKey> {
        self.by_client.get(&client).or(self.fallback.as_ref())
    }
}

fn key_or_problem(reader: &mut Reader, name: &'static str, key: SecretString) -> Option<ApiKey> {
    let key = ApiKey::new(key).ok();
    if key.is_none() {
        reader.problem(name, "visible ASCII characters, as 3Rivers issues its keys");
    }
    key
}

fn parse_map(
    reader: &mut Reader,
    name: &'static str,
    json: &SecretString,
) -> Vec<(ClientId, SecretString)> {
    let Ok(keys) = serde_json::from_str::<BTreeMap<ClientId, String>>(json.expose_secret()) else {
        reader.problem(name, "a JSON object from client id to key");
        return Vec::new();
    };
    keys.into_iter()
        .map(|(client, key)| (client, key.into()))
        .collect()
}
