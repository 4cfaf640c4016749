//! What a resource asks for: pure, from the spec and what the administrator allows.

use std::{collections::BTreeSet, time::Duration};

use kube::ResourceExt;

use super::{
    contents::material_name,
    error::{Failure, Reason},
    rotation::Rules,
};
use crate::{
    api::{
        JsonWebKeySet,
        jsonwebkeyset::{
            Algorithm, ImportSource, KeyFormat, KeyUse, PrivateSecret, PublicConfigMap, own_prefix,
        },
    },
    hydra::{KeySetName, meaning},
};

/// How long a key is public before it signs, where nothing is said.
const PUBLISH_BEFORE: Duration = Duration::from_hours(1);
/// How long a key stays public after it has signed, where nothing is said.
const RETAIN: Duration = Duration::from_hours(24);
/// Keys that are made all the time are load for Hydra and for everybody who reads them.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// What the names of Hydra's own sets begin with.
pub const SYSTEM: &str = "hydra.";

/// What the administrator allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Names of sets beside a namespace's own, by namespace. A name that ends in `*` stands for all that begin so.
    pub names: BTreeSet<(String, String)>,
    /// The namespaces whose resources may have Hydra's own sets.
    pub system_from: BTreeSet<String>,
    /// Whether sets that hold keys already become those of the resources that name them.
    pub adopts: bool,
}

/// What a resource asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The set in Hydra.
    pub set: KeySetName,
    /// Whether it is one of Hydra's own.
    pub is_system: bool,
    /// Whether keys that it holds already become the resource's.
    pub adopts: bool,
    /// The algorithm of its keys.
    pub algorithm: Algorithm,
    /// How its keys live.
    pub rules: Rules,
    /// The Secret that its keys come from.
    pub import: Option<ImportSource>,
    /// The ConfigMap with the public keys.
    pub public: Option<PublicConfigMap>,
    /// The Secret with the private key.
    pub private: Option<PrivateSecret>,
}

/// What `resource` asks for, or why it cannot have that.
pub fn desired(resource: &JsonWebKeySet, permissions: &Permissions) -> Result<Desired, Failure> {
    let spec = &resource.spec;
    let (set, is_system) = set(resource, permissions)?;
    let algorithm = match &spec.algorithm {
        Algorithm::Unknown(name) => {
            let message =
                format!("spec.algorithm: {name:?} is no algorithm that this version knows");
            return Err(invalid(message));
        }
        known => known.clone(),
    };
    let key_use = match spec.r#use.clone().unwrap_or_default() {
        KeyUse::Unknown(other) => {
            return Err(invalid(format!("spec.use: write sig or enc instead of {other:?}")));
        }
        known => known,
    };
    let outputs = spec.outputs.clone().unwrap_or_default();
    if is_system && outputs.private_secret.is_some() {
        let message = format!(
            "remove spec.outputs.privateSecret: {} holds keys of Hydra itself, which leave it nowhere",
            set.as_str()
        );
        return Err(invalid(message));
    }
    if is_system && spec.import.is_some() {
        let message = "remove spec.import: Hydra makes the keys of its own sets".to_owned();
        return Err(invalid(message));
    }
    if is_system && key_use != KeyUse::Sig {
        let message = format!(
            "remove spec.use: Hydra signs with the keys of {}, so they are for sig",
            set.as_str()
        );
        return Err(invalid(message));
    }
    if algorithm.is_symmetric() && outputs.public_config_map.is_some() {
        let message = "remove spec.outputs.publicConfigMap: symmetric keys have no public half";
        return Err(invalid(message.to_owned()));
    }
    let only_pem = |secret: &PrivateSecret| {
        secret.formats.as_ref().is_some_and(|formats| !formats.contains(&KeyFormat::Jwks))
    };
    if algorithm.is_symmetric() && outputs.private_secret.as_ref().is_some_and(only_pem) {
        let message =
            "add JWKS to spec.outputs.privateSecret.formats: symmetric keys have no PEM form";
        return Err(invalid(message.to_owned()));
    }
    let same_name = |public: &PublicConfigMap| public.name.is_empty();
    let kept = material_name(&resource.name_any());
    if outputs.private_secret.as_ref().is_some_and(|secret| secret.name == kept) {
        let message = format!(
            "spec.outputs.privateSecret.name: the operator keeps keys of its own in Secret {kept}; choose another name"
        );
        return Err(invalid(message));
    }
    if outputs.public_config_map.as_ref().is_some_and(same_name)
        || outputs.private_secret.as_ref().is_some_and(|secret| secret.name.is_empty())
    {
        return Err(invalid("write a name into each of spec.outputs".to_owned()));
    }
    Ok(Desired {
        rules: rules(resource, &algorithm, &key_use, is_system)?,
        adopts: permissions.adopts || is_system,
        is_system,
        set,
        algorithm,
        import: spec.import.as_ref().map(|import| import.secret_ref.clone()),
        public: outputs.public_config_map,
        private: outputs.private_secret,
    })
}

/// The set of a resource, and whether it is one of Hydra's own, or why it may not have it.
pub fn set(
    resource: &JsonWebKeySet,
    permissions: &Permissions,
) -> Result<(KeySetName, bool), Failure> {
    let (namespace, name) =
        (resource.metadata.namespace.clone().unwrap_or_default(), resource.set_name());
    let set = KeySetName::parse(&name)
        .map_err(|error| invalid(format!("the name of the set cannot be {name:?}: {error}")))?;
    if begins_with(&name, SYSTEM) {
        return if permissions.system_from.contains(&namespace) {
            Ok((set, true))
        } else {
            Err(not_allowed(format!(
                "{name} holds keys of Hydra itself: the administrator of the operator has to open such sets to this \
                 namespace (--system-key-sets-from={namespace})"
            )))
        };
    }
    if is_own(&namespace, &name) || permissions.allow(&namespace, &name) {
        return Ok((set, false));
    }
    let own = own_prefix(&namespace);
    Err(not_allowed(format!(
        "spec.setName {name} does not begin with {own}: choose a name that does, or ask the administrator of the operator \
         to allow it (--allow-key-set-names={namespace}/{name})"
    )))
}

/// Whether `name` is one of those that are free to choose in `namespace`, and that no other may have.
#[must_use]
pub fn is_own(namespace: &str, name: &str) -> bool {
    let own = own_prefix(namespace);
    begins_with(name, &own) && name.len() > own.len()
}

/// As a database sees it that compares names without regard to case.
#[must_use]
pub fn begins_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

impl Permissions {
    fn allow(&self, namespace: &str, name: &str) -> bool {
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        };
        // What belongs to a namespace is nobody else's, whatever a pattern says.
        !begins_with(name, "k8s.")
            && self.names.iter().any(|(of, pattern)| of == namespace && fits(pattern))
    }
}

fn rules(
    resource: &JsonWebKeySet,
    algorithm: &Algorithm,
    key_use: &KeyUse,
    is_system: bool,
) -> Result<Rules, Failure> {
    let rotation = resource.spec.rotation.clone().unwrap_or_default();
    let interval = duration("interval", rotation.interval.as_deref())?;
    let publish_before = duration("publishBefore", rotation.publish_before.as_deref())?;
    let retain = duration("retain", rotation.retain.as_deref())?;
    let rules = Rules {
        algorithm: algorithm.as_str().to_owned(),
        key_use: key_use.as_str().to_owned(),
        interval,
        publish_before: publish_before.unwrap_or(PUBLISH_BEFORE),
        retain: retain.unwrap_or(RETAIN),
        signs_at_once: is_system,
    };
    if interval.is_some_and(|interval| interval < SHORTEST_INTERVAL) {
        let message = "spec.rotation.interval has to be at least 1s: each rotation makes a key";
        return Err(invalid(message.to_owned()));
    }
    // Keys of Hydra itself sign at once.
    if !is_system && interval.is_some_and(|interval| interval <= rules.publish_before) {
        let message = "spec.rotation.interval has to be longer than publishBefore (1h when unset)";
        return Err(invalid(message.to_owned()));
    }
    if interval.is_some() && resource.spec.import.is_some() {
        let message =
            "remove spec.rotation.interval: new keys of an imported set come from the Secret";
        return Err(invalid(message.to_owned()));
    }
    Ok(rules)
}

fn duration(name: &str, text: Option<&str>) -> Result<Option<Duration>, Failure> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let read = meaning::duration(text);
    let invalid =
        || invalid(format!("spec.rotation.{name}: {text:?} is no duration such as 90m or 720h"));
    read.map(Some).ok_or_else(invalid)
}

fn invalid(message: String) -> Failure {
    Failure::terminal(Reason::InvalidSpec, message)
}

fn not_allowed(message: String) -> Failure {
    Failure::terminal(Reason::KeySetNameNotAllowed, message)
}

#[cfg(test)]
mod tests;
