//! What Hydra says about itself on its public port: the discovery document.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Hydra, error::HydraError, request::Operation};

/// Path of the document (OpenID Connect Discovery 1.0, section 4).
pub(super) const PATH: &str = "/.well-known/openid-configuration";

/// The members of the discovery document that are text, and `discovery_url`, the address of the
/// document itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WellKnown(BTreeMap<String, String>);

impl WellKnown {
    /// The value of a member, such as `token_endpoint`.
    #[must_use]
    pub fn get(&self, member: &str) -> Option<&str> {
        self.0.get(member).map(String::as_str)
    }

    /// A document of these members.
    #[cfg(test)]
    #[must_use]
    pub fn of_test(members: &[(&str, &str)]) -> Self {
        Self(members.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    fn of(document: Map<String, Value>) -> Option<Self> {
        let text = |(member, value): (String, Value)| match value {
            Value::String(text) => Some((member, text)),
            _ => None,
        };
        let mut members: BTreeMap<String, String> = document.into_iter().filter_map(text).collect();
        let issuer = members.get("issuer")?.trim_end_matches('/').to_owned();
        members.insert("discovery_url".to_owned(), format!("{issuer}{PATH}"));
        Some(Self(members))
    }
}

impl Hydra {
    /// Reads the discovery document of the public API. `None`: the address of the public API is not
    /// set.
    pub async fn well_known(&self) -> Option<Result<WellKnown, HydraError>> {
        let operation = Operation::WellKnown;
        let answer = self.connection().public(operation, PATH).await?;
        Some(answer.and_then(|answer| {
            let status = answer.status;
            WellKnown::of(answer.decode(operation)?)
                .ok_or_else(|| HydraError::foreign(operation, status))
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_kept_and_the_issuer_leads_to_the_document() {
        let known = |document: Value| WellKnown::of(document.as_object().unwrap().clone());
        let document =
            json!({ "issuer": "https://id.example/", "token_endpoint": "t", "scopes": [] });
        let found = known(document).unwrap();
        assert_eq!(found.get("token_endpoint"), Some("t"));
        assert_eq!(found.get("scopes"), None);
        assert_eq!(
            found.get("discovery_url"),
            Some("https://id.example/.well-known/openid-configuration")
        );
        assert_eq!(known(json!({ "token_endpoint": "t" })), None);
    }
}
