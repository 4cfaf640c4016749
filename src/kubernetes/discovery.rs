//! What the API server serves. Discovery needs no right on cluster-scoped objects: it is how a
//! CustomResourceDefinition is looked at by an operator that may not read it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource;
use kube::{Client, Resource};

use super::ApiError;

/// Whether and how a resource is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Its definition is not there, or not established.
    No,
    /// Its definition is being deleted: what exists can be read and deleted, and nothing created.
    Terminating,
    /// In full.
    Yes,
}

/// Asks the API server whether it serves `K`.
pub async fn served<K: Resource<DynamicType = ()>>(client: &Client) -> Result<Served, ApiError> {
    let group_version = K::api_version(&()).into_owned();
    match client.list_api_group_resources(&group_version).await {
        Ok(list) => Ok(judge(&list.resources, &K::plural(&()))),
        Err(error) => match ApiError::from(error) {
            error if error.is_absent() => Ok(Served::No),
            error => Err(error),
        },
    }
}

fn judge(resources: &[APIResource], plural: &str) -> Served {
    match resources.iter().find(|resource| resource.name == plural) {
        None => Served::No,
        Some(resource) if resource.verbs.iter().any(|verb| verb == "create") => Served::Yes,
        Some(_) => Served::Terminating,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_that_goes_serves_no_creation() {
        let resource = |name: &str, verbs: &[&str]| APIResource {
            name: name.into(),
            verbs: verbs.iter().map(ToString::to_string).collect(),
            ..APIResource::default()
        };
        let status = resource("things/status", &["get", "patch"]);
        let cases = [
            (vec![], Served::No),
            (vec![status.clone()], Served::No),
            (vec![status.clone(), resource("things", &["get", "create"])], Served::Yes),
            (vec![resource("things", &["delete", "get", "list"])], Served::Terminating),
        ];
        for (resources, expected) in cases {
            assert_eq!(judge(&resources, "things"), expected, "{resources:?}");
        }
    }
}
