//! What a caller may see.

use weir_domain::{ClientId, ProgramId, SellerId};

/// What a caller may see: what belongs to each of those that are given; everything, if none is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scope {
    /// The client that it is narrowed to.
    pub client_id: Option<ClientId>,
    /// The program that it is narrowed to.
    pub program_id: Option<ProgramId>,
    /// The seller that it is narrowed to.
    pub seller_id: Option<SellerId>,
}

impl Scope {
    /// Whether nothing is hidden: an operator's.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether what belongs to these may be seen. What belongs to none of a kind is seen by those
    /// alone who are not narrowed to one.
    pub fn covers(
        &self,
        client: Option<ClientId>,
        program: Option<ProgramId>,
        seller: Option<SellerId>,
    ) -> bool {
        self.client_id.is_none_or(|id| Some(id) == client)
            && self.program_id.is_none_or(|id| Some(id) == program)
            && self.seller_id.is_none_or(|id| Some(id) == seller)
    }
}
