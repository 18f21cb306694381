//! What reference data belongs to.
//!
//! It is said when something is created, and stays so for as long as the thing is there. A tombstone keeps
//! it, so that what names the thing can be held against it afterwards too.

use uuid::Uuid;
use weir_domain::{ClientId, ProgramId, SellerId};

use super::Reference;
use crate::StoreError;
use crate::item::{Reader, Writer, text, uuid};

/// What says of a tombstone that it was known what the thing belonged to.
const IS_OWNED: &str = "owned";

/// What something belongs to. A client belongs to nothing, and a program to a client alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// The client.
    pub client_id: Option<ClientId>,
    /// The program of the client.
    pub program_id: Option<ProgramId>,
    /// The seller of the program.
    pub seller_id: Option<SellerId>,
}

impl Owner {
    /// The first member in which this differs from what is, from the top, and what that is.
    pub fn differing(&self, is: &Self) -> Option<(&'static str, Option<Uuid>)> {
        if self.client_id != is.client_id {
            return Some(("client_id", is.client_id.map(Uuid::from)));
        }
        if self.program_id != is.program_id {
            return Some(("program_id", is.program_id.map(Uuid::from)));
        }
        let seller = is.seller_id.map(Uuid::from);
        (self.seller_id != is.seller_id).then_some(("seller_id", seller))
    }

    pub(super) fn write(self, item: Writer) -> Writer {
        item.with(IS_OWNED, text("yes"))
            .with_some("client_id", self.client_id.map(uuid))
            .with_some("program_id", self.program_id.map(uuid))
            .with_some("seller_id", self.seller_id.map(uuid))
    }

    pub(super) fn of_tombstone(read: &Reader<'_>) -> Result<Option<Self>, StoreError> {
        if read.opt_text(IS_OWNED)?.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            client_id: read.opt_id("client_id")?,
            program_id: read.opt_id("program_id")?,
            seller_id: read.opt_id("seller_id")?,
        }))
    }
}

impl Reference {
    /// What it belongs to.
    pub fn owner(&self) -> Owner {
        let (client_id, program_id, seller_id) = match self {
            Self::Client(_) => (None, None, None),
            Self::Program(it) => (Some(it.client_id), None, None),
            Self::Seller(it) => (Some(it.client_id), Some(it.program_id), None),
            Self::Customer(it) => (Some(it.client_id), Some(it.program_id), None),
            Self::SellerContact(it) => {
                (Some(it.client_id), Some(it.program_id), Some(it.seller_id))
            }
            Self::ReportSchedule(it) => (Some(it.client_id), Some(it.program_id), it.seller_id),
        };
        Owner {
            client_id,
            program_id,
            seller_id,
        }
    }
}
