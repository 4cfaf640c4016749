//! What Secrets and ConfigMaps have in common: named values.

use std::fmt::Debug;

use k8s_openapi::{
    ByteString, NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
};
use kube::Resource;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The field that every value is written to.
pub(super) const DATA: &str = "data";

/// A kind of objects that hold named values.
pub trait OutputKind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
    /// Each value: the field that holds it, its key, and its bytes.
    fn values(&self) -> impl Iterator<Item = (&'static str, &String, &[u8])>;

    /// The type that objects of this kind have.
    fn object_type(&self) -> Option<&str>;

    /// The type that is to be asked for, where objects of this kind have one.
    fn type_of(secret_type: &str) -> Option<&str>;

    /// Whether its values cannot be changed.
    fn is_immutable(&self) -> bool;

    /// `text` as `data` has it.
    fn encoded(text: &str) -> Value;
}

impl OutputKind for Secret {
    fn values(&self) -> impl Iterator<Item = (&'static str, &String, &[u8])> {
        self.data.iter().flatten().map(|(key, value)| (DATA, key, value.0.as_slice()))
    }

    fn object_type(&self) -> Option<&str> {
        self.type_.as_deref()
    }

    fn type_of(secret_type: &str) -> Option<&str> {
        Some(secret_type)
    }

    fn is_immutable(&self) -> bool {
        self.immutable == Some(true)
    }

    fn encoded(text: &str) -> Value {
        json!(ByteString(text.as_bytes().to_vec()))
    }
}

impl OutputKind for ConfigMap {
    fn values(&self) -> impl Iterator<Item = (&'static str, &String, &[u8])> {
        let texts = self.data.iter().flatten();
        let texts = texts.map(|(key, value)| (DATA, key, value.as_bytes()));
        let binary = self.binary_data.iter().flatten();
        texts.chain(binary.map(|(key, value)| ("binaryData", key, value.0.as_slice())))
    }

    fn object_type(&self) -> Option<&str> {
        None
    }

    fn type_of(_: &str) -> Option<&str> {
        None
    }

    fn is_immutable(&self) -> bool {
        self.immutable == Some(true)
    }

    fn encoded(text: &str) -> Value {
        text.into()
    }
}
