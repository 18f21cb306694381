//! The resources of 3Rivers, as far as anything here depends on them, and what is sent to make one.
//!
//! A resource is read strictly: an object, of the documented types, and the very one that was asked
//! for. Refused is what lacks an id, has another amount, currency or charge than was sent, or a status
//! that the platform does not have. The list of a charge's statuses is documented as open, so there
//! any other word is taken as [`ChargeStatus::Other`]: a charge that was made must not be taken for
//! unknown because of a word. Personal data of a buyer is not taken in: nothing here needs it.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;
use weir_domain::{
    Amount, BuyerId, ChargeId, Currency, CustomerId, MetadataEntry, RefundId, SellerId,
    TransactionType,
};

/// The largest body that is sent, in bytes: a transaction of the format is at most a quarter of it.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// Most characters of a status that is not in the documented list.
const STATUS_CHARS_MAX: usize = 100;

/// Why a body cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateRequestError {
    /// Above [`REQUEST_BYTES_MAX`].
    #[error("the request is larger than {REQUEST_BYTES_MAX} bytes")]
    TooLarge,
    /// Not an object with what every such request has: `total_amount`, and `currency` for a charge or
    /// `charge_id` for a refund.
    #[error("the request is not one of a {kind}: {why}")]
    Malformed {
        /// Charge or refund.
        kind: TransactionType,
        /// What is wrong with it.
        why: String,
    },
}

/// A charge or refund to be made: the body as it is sent, and what its answer must agree with.
#[derive(Clone, PartialEq, Eq)]
pub struct CreateRequest {
    body: Bytes,
    sent: Sent,
}

/// What an answer has to repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Charge {
        total: Amount,
        currency: Currency,
    },
    Refund {
        total: Amount,
        charge: ChargeId,
        currency: Option<Currency>,
    },
}

#[derive(Deserialize)]
struct SentCharge {
    total_amount: Amount,
    currency: Currency,
}

#[derive(Deserialize)]
struct SentRefund {
    total_amount: Amount,
    charge_id: ChargeId,
}

impl CreateRequest {
    /// Takes the JSON body of `POST /charges` or `POST /refunds`. It is sent as it is, byte by byte:
    /// under one key the platform takes one body only.
    pub fn new(kind: TransactionType, body: impl Into<Bytes>) -> Result<Self, CreateRequestError> {
        let body = body.into();
        if body.len() > REQUEST_BYTES_MAX {
            return Err(CreateRequestError::TooLarge);
        }
        let malformed = |why| CreateRequestError::Malformed { kind, why };
        let sent = match kind {
            TransactionType::Charge => {
                let read: SentCharge = object(&body).map_err(malformed)?;
                Sent::Charge {
                    total: read.total_amount,
                    currency: read.currency,
                }
            }
            TransactionType::Refund => {
                let read: SentRefund = object(&body).map_err(malformed)?;
                Sent::Refund {
                    total: read.total_amount,
                    charge: read.charge_id,
                    currency: None,
                }
            }
        };
        Ok(Self { body, sent })
    }

    /// The same, with the currency that a refund is meant in: its body names none, as 3Rivers takes
    /// it from the charge, so the answer has to repeat it. A charge's is in its body.
    #[must_use]
    pub fn in_currency(mut self, meant: Option<Currency>) -> Self {
        if let Sent::Refund { currency, .. } = &mut self.sent {
            *currency = meant;
        }
        self
    }

    /// Charge or refund.
    pub fn kind(&self) -> TransactionType {
        match self.sent {
            Sent::Charge { .. } => TransactionType::Charge,
            Sent::Refund { .. } => TransactionType::Refund,
        }
    }

    /// The body as it is sent.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What a 201 has made, or why its body is not the resource of this request.
    pub(crate) fn created(&self, body: &[u8]) -> Result<Created, String> {
        match self.sent {
            Sent::Charge { total, currency } => {
                let made: MadeCharge = object(body)?;
                same("total_amount", &made.total_amount, &total)?;
                same("currency", &made.currency, &currency)?;
                Ok(Created::Charge { charge: made.id })
            }
            Sent::Refund {
                total,
                charge,
                currency,
            } => {
                let made: MadeRefund = object(body)?;
                same("total_amount", &made.total_amount, &total)?;
                same("charge_id", &made.charge_id, &charge)?;
                if let (Some(made), Some(meant)) = (made.currency, currency) {
                    same("currency", &made, &meant)?;
                }
                Ok(Created::Refund {
                    refund: made.id,
                    charge,
                })
            }
        }
    }
}

impl fmt::Debug for CreateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateRequest")
            .field("sent", &self.sent)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// A charge.
    Charge {
        /// Its id.
        charge: ChargeId,
    },
    /// A refund.
    Refund {
        /// Its id.
        refund: RefundId,
        /// The charge that it is of.
        charge: ChargeId,
    },
}

impl Created {
    /// The charge that was made, or that money was given back of.
    pub fn charge_id(self) -> ChargeId {
        match self {
            Self::Charge { charge } | Self::Refund { charge, .. } => charge,
        }
    }

    /// The refund that was made.
    pub fn refund_id(self) -> Option<RefundId> {
        match self {
            Self::Charge { .. } => None,
            Self::Refund { refund, .. } => Some(refund),
        }
    }
}

/// What is read of a charge that was just made; its metadata may be what it wants.
#[derive(Deserialize)]
struct MadeCharge {
    id: ChargeId,
    #[serde(rename = "status")]
    _status: ChargeStatus,
    total_amount: Amount,
    currency: Currency,
}

#[derive(Deserialize)]
struct MadeRefund {
    id: RefundId,
    #[serde(rename = "status")]
    _status: RefundStatus,
    total_amount: Amount,
    #[serde(default)]
    currency: Option<Currency>,
    charge_id: ChargeId,
}

/// A charge as it is looked up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Charge {
    /// Its id.
    pub id: ChargeId,
    /// Where it stands.
    pub status: ChargeStatus,
    /// Who sells.
    pub seller_id: SellerId,
    /// Who buys.
    pub buyer_id: BuyerId,
    /// The currency of its amounts.
    pub currency: Currency,
    /// The whole amount.
    pub total_amount: Amount,
    /// The order's number.
    #[serde(default)]
    pub order_number: Option<String>,
    /// Names and values, `batch_detail_id` among them where it was made from a batch.
    #[serde(default)]
    pub metadata: Vec<MetadataEntry>,
}

/// A refund as it is looked up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refund {
    /// Its id.
    pub id: RefundId,
    /// Where it stands.
    pub status: RefundStatus,
    /// The charge that it is of.
    pub charge_id: ChargeId,
    /// The currency of its amounts.
    pub currency: Currency,
    /// The whole amount.
    pub total_amount: Amount,
}

/// A buyer as it is looked up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Buyer {
    /// Its id.
    pub id: BuyerId,
    /// The company that it belongs to.
    #[serde(default)]
    pub customer_id: Option<CustomerId>,
    /// The client's own id of it.
    #[serde(default)]
    pub client_reference_buyer_id: Option<String>,
    /// Whether it may buy.
    pub buyer_status: BuyerStatus,
    /// The currency of its credit.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// What it may owe at most, in minor units.
    #[serde(default)]
    pub credit_limit: Option<Amount>,
    /// What is left of that.
    #[serde(default)]
    pub credit_available: Option<Amount>,
    /// What it owes.
    #[serde(default)]
    pub credit_balance: Option<Amount>,
    /// What is set aside for authorizations.
    #[serde(default)]
    pub credit_authorized: Option<Amount>,
}

/// Where a charge stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ChargeStatus {
    /// Made, not paid.
    Created,
    /// Withdrawn.
    Cancelled,
    /// Paid.
    Paid,
    /// Another: the platform has more. 1 to 100 characters.
    Other(String),
}

impl TryFrom<String> for ChargeStatus {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "Created" => Ok(Self::Created),
            "Cancelled" => Ok(Self::Cancelled),
            "Paid" => Ok(Self::Paid),
            other if (1..=STATUS_CHARS_MAX).contains(&other.chars().count()) => {
                Ok(Self::Other(text))
            }
            _ => Err("a status has 1 to 100 characters"),
        }
    }
}

/// Where a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum RefundStatus {
    /// Made, not paid out.
    Created,
    /// Paid out.
    Paid,
}

/// Whether a buyer may buy: [`BuyerStatus::Active`] alone may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum BuyerStatus {
    /// May buy.
    Active,
    /// Has asked for credit.
    #[serde(rename = "Applied for Credit")]
    AppliedForCredit,
    /// Not decided.
    Pending,
    /// May not buy for now.
    Suspended,
    /// Is no more.
    Deleted,
}

/// A resource that says whose it is.
pub(crate) trait Resource: DeserializeOwned {
    fn id(&self) -> Uuid;
}

impl Resource for Charge {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
}

impl Resource for Refund {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
}

impl Resource for Buyer {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
}

/// The resource with this id, or why the body of a 200 is not it.
pub(crate) fn found<T: Resource>(id: Uuid, body: &[u8]) -> Result<T, String> {
    let resource: T = object(body)?;
    same("id", &resource.id(), &id)?;
    Ok(resource)
}

/// Reads a JSON object; derived readers would take an array in its place.
fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    // Skipped fields are not checked to be text otherwise.
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
    if !text.trim_start().starts_with('{') {
        return Err("it is not a JSON object".to_owned());
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn same<T: PartialEq + fmt::Display>(name: &str, is: &T, sent: &T) -> Result<(), String> {
    if is == sent {
        Ok(())
    } else {
        Err(format!("{name} is {is} instead of {sent}"))
    }
}

#[cfg(test)]
mod tests;
