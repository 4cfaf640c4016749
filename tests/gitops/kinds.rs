//! Specs of each kind that lead to the same state.

use serde_json::{Value, json};

/// Specs of a kind.
pub struct Kind {
    pub name: &'static str,
    /// Becomes Ready.
    pub good: Value,
    /// Becomes Stalled.
    pub broken: Value,
    /// What it says then.
    pub stalled: &'static str,
    /// Waits for a Secret that nobody makes.
    pub waiting: Value,
    /// A merge patch of the good one.
    pub edit: Value,
}

/// Both kinds.
pub fn kinds() -> [Kind; 2] {
    [key_set(), client()]
}

fn key_set() -> Kind {
    let rotation = json!({ "interval": "720h", "publishBefore": "1h", "retain": "24h" });
    let import = json!({ "secretRef": { "name": "nobody-makes-it" } });
    Kind {
        name: "JsonWebKeySet",
        good: json!({ "algorithm": "ES256", "rotation": rotation }),
        broken: json!({ "algorithm": "HS256" }),
        stalled: "Stalled=True UnsupportedAlgorithm",
        waiting: json!({ "algorithm": "ES256", "import": import }),
        edit: json!({ "rotation": { "interval": "360h" } }),
    }
}

fn client() -> Kind {
    let with = |more: Value| {
        let mut spec = json!({
            "grantTypes": ["client_credentials"],
            "scopeArray": ["orders.read"],
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    Kind {
        name: "OAuth2Client",
        good: with(json!({})),
        broken: with(json!({ "tokenEndpointAuthMethod": "private_key_jwt" })),
        stalled: "Stalled=True InvalidSpec",
        waiting: with(json!({ "requireExistingSecret": true })),
        edit: json!({ "scopeArray": ["orders.read", "orders.write"] }),
    }
}

impl Kind {
    /// A manifest, without a namespace.
    pub fn manifest(&self, name: &str, spec: &Value) -> Value {
        let mut spec = spec.clone();
        if self.name == "OAuth2Client" {
            spec["secretName"] = json!(format!("{name}-credentials"));
        }
        json!({
            "apiVersion": "hydra.ory.sh/v1alpha1",
            "kind": self.name,
            "metadata": { "name": name },
            "spec": spec,
        })
    }
}
