//! What the simulated platform knows and how it behaves, apart from faults.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How the platform behaves. In JSON, what is left out has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Which buyers there are.
    pub buyers: BuyerRule,
    /// Whether a request that was refused is judged anew when it comes again under its key, instead of
    /// getting the first answer. Default: no.
    pub forget_refusals: bool,
}

/// Which buyers there are: every id is that of an active buyer, but for those named here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BuyerRule {
    /// Ids that begin so are unknown. Default: `dead`; an empty text means none.
    pub unknown_prefix: String,
    /// Ids that begin so are suspended. Default: `5059`; an empty text means none.
    pub suspended_prefix: String,
    /// Further unknown ids.
    pub unknown: BTreeSet<Uuid>,
}

impl Default for BuyerRule {
    fn default() -> Self {
        Self {
            unknown_prefix: "dead".to_owned(),
            suspended_prefix: "5059".to_owned(),
            unknown: BTreeSet::new(),
        }
    }
}

/// Whether a buyer may buy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuyerStanding {
    Active,
    Suspended,
    Unknown,
}

impl BuyerRule {
    pub(crate) fn standing(&self, buyer: Uuid) -> BuyerStanding {
        let text = buyer.hyphenated().to_string();
        let begins = |prefix: &str| !prefix.is_empty() && text.starts_with(prefix);
        if self.unknown.contains(&buyer) || begins(&self.unknown_prefix) {
            BuyerStanding::Unknown
        } else if begins(&self.suspended_prefix) {
            BuyerStanding::Suspended
        } else {
            BuyerStanding::Active
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Uuid {
        Uuid::try_parse(text).unwrap()
    }

    #[test]
    fn every_id_is_an_active_buyer_but_for_those_of_the_rule() {
        let named = id("11111111-0000-4000-8000-000000000000");
        let rule = BuyerRule {
            unknown: BTreeSet::from([named]),
            ..BuyerRule::default()
        };
        let standing = |text| rule.standing(id(text));
        assert_eq!(rule.standing(named), BuyerStanding::Unknown);
        assert_eq!(
            standing("dead0000-0000-4000-8000-000000000000"),
            BuyerStanding::Unknown
        );
        assert_eq!(
            standing("50590000-0000-4000-8000-000000000000"),
            BuyerStanding::Suspended
        );
        assert_eq!(
            standing("0000dead-5059-4000-8000-000000000000"),
            BuyerStanding::Active
        );
    }

    #[test]
    fn an_empty_prefix_names_nobody() {
        let rules: Rules =
            serde_json::from_str(r#"{"buyers":{"unknown_prefix":"","suspended_prefix":""}}"#)
                .unwrap();
        let standing = rules
            .buyers
            .standing(id("dead0000-0000-4000-8000-000000000000"));
        assert_eq!(standing, BuyerStanding::Active);
    }

    #[test]
    fn an_unknown_rule_is_refused() {
        assert!(serde_json::from_str::<Rules>(r#"{"buyer":{}}"#).is_err());
        assert_eq!(
            serde_json::from_str::<Rules>("{}").unwrap(),
            Rules::default()
        );
    }
}
