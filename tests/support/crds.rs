//! Server-side apply as the administrator: custom resource definitions, and manifests of any kind.

use std::{collections::HashSet, fs, path::Path};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::Value;

use super::eventually::eventually;

const FIELD_MANAGER: &str = "tests";

/// The documents of a YAML file, whose path is relative to the repository.
pub fn read_manifest(path: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_saphyr::from_multiple(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Applies one manifest of any kind.
pub async fn apply(client: &Client, manifest: Value) {
    let object: DynamicObject = serde_json::from_value(manifest).unwrap();
    let types = object.types.clone().unwrap();
    let kind = ApiResource::from_gvk(&GroupVersionKind::try_from(types).unwrap());
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
    };
    let name = object.name_any();
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(&name, &params, &Patch::Apply(&object))
        .await
        .unwrap_or_else(|error| panic!("{} {name} is refused: {error}", kind.kind));
}

/// The definitions committed in `crds/`.
pub fn committed() -> Vec<Value> {
    let Ok(folder) = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("crds")) else {
        return Vec::new();
    };
    let mut names: Vec<_> =
        folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| Path::new(name).extension().is_some_and(|extension| extension == "yaml"));
    names.sort();
    let definitions: Vec<_> =
        names.iter().flat_map(|name| read_manifest(&format!("crds/{name}"))).collect();
    let kinds: HashSet<_> =
        definitions.iter().map(|definition| &definition["metadata"]["name"]).collect();
    assert_eq!(kinds.len(), definitions.len(), "a kind is defined twice in {names:?}");
    definitions
}

/// Applies definitions and waits until they are established and served.
pub async fn install(client: &Client, definitions: Vec<Value>) {
    let mut names = Vec::new();
    for definition in definitions {
        names.push(definition["metadata"]["name"].as_str().unwrap().to_owned());
        apply(client, definition).await;
    }
    for name in names {
        eventually(&format!("{name} is established and served"), async || {
            is_served(client, &name).await
        })
        .await;
    }
}

/// Established is not enough: whoever starts next learns the kinds from discovery, which follows a little later.
async fn is_served(client: &Client, name: &str) -> Result<(), String> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = api.get(name).await.map_err(|error| error.to_string())?;
    let conditions = definition.status.and_then(|status| status.conditions).unwrap_or_default();
    if !conditions.iter().any(|c| c.type_ == "Established" && c.status == "True") {
        return Err(format!("{conditions:?}"));
    }
    let groups = client.list_api_groups_aggregated().await.map_err(|error| error.to_string())?;
    let group = Some(&definition.spec.group);
    let found = groups.items.iter().filter(|found| {
        found.metadata.as_ref().and_then(|metadata| metadata.name.as_ref()) == group
    });
    let mut resources = found.flat_map(|group| &group.versions).flat_map(|v| &v.resources);
    let plural = definition.spec.names.plural;
    if resources.any(|resource| resource.resource.as_deref() == Some(&*plural)) {
        Ok(())
    } else {
        Err("established, not yet in discovery".to_owned())
    }
}
