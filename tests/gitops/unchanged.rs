//! After a sync nothing differs: not at once, and not after the operator has written again.

use std::collections::BTreeMap;

use kube::api::PostParams;
use serde_json::{Value, json};

use crate::{
    support::{Generation, Hydra, Operator, OperatorOptions, crds::read_manifest, eventually},
    tenant::{ARGOCD, Tenant},
};

const EXAMPLES: &str = "deploy/examples";
/// What this one asks for is also in another, under the same name.
const APART: &str = "existing-secret.yaml";
/// A client whose id is always the same.
const FIXED_ID: &str = "mobile-app";

const SERVER_SIDE: &[&str] = &["apply", "--server-side", "--field-manager", ARGOCD];
const CLIENT_SIDE: &[&str] = &["apply"];

/// Some examples, in a namespace of their own.
struct Synced {
    tenant: Tenant,
    files: Vec<String>,
}

/// Generation and resourceVersion of each object.
type Versions = BTreeMap<String, (i64, String)>;

impl Synced {
    async fn new(prefix: &str, files: Vec<String>) -> Self {
        Self { tenant: Tenant::new(prefix).await, files }
    }

    /// Runs kubectl with the files.
    fn kubectl(&self, args: &[&str]) -> String {
        let files = self.files.iter().flat_map(|file| ["-f", file]);
        self.tenant.kubectl(&args.iter().copied().chain(files).collect::<Vec<_>>())
    }

    fn manifests(&self) -> Vec<Value> {
        self.files.iter().flat_map(|file| read_manifest(file)).collect()
    }

    async fn versions(&self) -> Versions {
        let version = |object: Value| {
            let metadata = &object["metadata"];
            let version = metadata["resourceVersion"].as_str().unwrap().to_owned();
            (id(&object), (metadata["generation"].as_i64().unwrap(), version))
        };
        self.tenant.all().await.into_iter().map(version).collect()
    }

    /// Applies the files and waits until the operator has done what they ask for.
    async fn sync(&self, apply: &[&str]) {
        self.kubectl(apply);
        self.tenant.healthy().await;
    }

    /// No tool sees a difference, and another sync changes nothing.
    async fn assert_unchanged(&self, apply: &[&str]) {
        eventually("another sync writes nothing", async || {
            let before = self.versions().await;
            self.kubectl(apply);
            let after = self.versions().await;
            for (id, (generation, _)) in &after {
                assert_eq!(*generation, before[id].0, "the sync changed the spec of {id}");
            }
            // Otherwise, the operator may have written meanwhile.
            if before == after { Ok(()) } else { Err((before, after)) }
        })
        .await;
        // These fail if there is a difference.
        self.kubectl(&["diff"]);
        self.kubectl(&["diff", "--server-side", "--field-manager", ARGOCD]);
        for manifest in self.manifests() {
            self.assert_as_declared(&manifest).await;
        }
    }

    /// What Argo CD compares, in both of its ways: the manifest with the members of the live object that it names, and
    /// the live object with what a server-side apply would make of it.
    async fn assert_as_declared(&self, manifest: &Value) {
        let (kind, name) = (text(&manifest["kind"]), text(&manifest["metadata"]["name"]));
        let live = self.tenant.get(kind, name).await;
        assert_contains(&live["spec"], &manifest["spec"], name);
        eventually("an apply would change nothing", async || {
            let live = self.tenant.get(kind, name).await;
            let predicted = self.tenant.predict(manifest).await;
            let [live, predicted] = [live, predicted].map(without_managers);
            if live == predicted { Ok(()) } else { Err((live, predicted)) }
        })
        .await;
    }

    /// The operator owns its finalizer and the status, and nothing that a manifest could say.
    async fn assert_owners(&self) {
        for object in self.tenant.all().await {
            let managers = object["metadata"]["managedFields"].as_array().unwrap();
            let (ours, others): (Vec<_>, Vec<_>) = managers
                .iter()
                .partition(|entry| text(&entry["manager"]).starts_with("hydra-operator"));
            assert!(ours.len() >= 2, "{managers:?}");
            for entry in ours {
                for (member, fields) in entry["fieldsV1"].as_object().unwrap() {
                    let is_finalizer = member == "f:metadata"
                        && fields.as_object().unwrap().keys().all(|key| key == "f:finalizers");
                    assert!(member == "f:status" || is_finalizer, "{entry}");
                }
            }
            assert!(others.iter().any(|entry| entry["fieldsV1"]["f:spec"].is_object()));
        }
    }

    /// Has the operator write again: a new key where there are keys, a new status everywhere.
    async fn have_it_write(&self, token: &str) {
        let reconcile = format!("hydra.ory.sh/reconcile-requested-at={token}");
        self.tenant.kubectl(&["annotate", "--overwrite", "--all", "hydra", &reconcile]);
        let sets = self.manifests().iter().any(|manifest| manifest["kind"] == "JsonWebKeySet");
        if sets {
            let rotate = format!("hydra.ory.sh/rotate-requested-at={token}");
            self.tenant.kubectl(&["annotate", "--overwrite", "--all", "jwks", &rotate]);
        }
        eventually("the operator has written again", async || {
            let all = self.tenant.all().await;
            let late = all.into_iter().find(|object| {
                let status = &object["status"];
                let is_set = object["kind"] == "JsonWebKeySet";
                status["lastHandledReconcileAt"] != token
                    || (is_set && status["lastHandledRotateAt"] != token)
            });
            late.map_or(Ok(()), Err)
        })
        .await;
    }

    /// The ids of the clients.
    async fn client_ids(&self) -> BTreeMap<String, String> {
        let clients = self.tenant.all().await.into_iter().filter(|o| o["kind"] == "OAuth2Client");
        clients.map(|o| (id(&o), text(&o["status"]["clientId"]).to_owned())).collect()
    }
}

#[tokio::test]
async fn no_example_differs_after_a_sync_however_it_is_applied() {
    let hydra = Hydra::shared(Generation::V2).await;
    let names = std::fs::read_dir(crate::argocd::in_repository(EXAMPLES)).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let (apart, together) = names.partition::<Vec<_>, _>(|name| name == APART);
    let files = |names: Vec<String>| {
        names.into_iter().map(|name| format!("{EXAMPLES}/{name}")).collect::<Vec<_>>()
    };
    assert!(together.len() >= 6 && apart.len() == 1, "{together:?} {apart:?}");
    let synced = [
        Synced::new("examples", files(together)).await,
        Synced::new("examples-apart", files(apart)).await,
    ];
    let credentials = json!({ "metadata": { "name": "payments-credentials" }, "stringData": {
        "CLIENT_ID": crate::support::control_plane::unique("payments"),
        "CLIENT_SECRET": "made-by-another-tool",
    } });
    let secret = serde_json::from_value(credentials).unwrap();
    synced[1].tenant.secrets().create(&PostParams::default(), &secret).await.unwrap();

    let options = OperatorOptions::new(hydra.admin_url())
        .args([format!("--hydra-public-url={}", hydra.public_url())])
        .namespaces(synced.iter().map(|synced| &synced.tenant.namespace));
    let _operator = Operator::start(synced[0].tenant.cp, options).await;
    for synced in &synced {
        stays_as_it_is(synced, SERVER_SIDE, "first").await;
        let former = synced.client_ids().await;
        synced.kubectl(&["delete"]);
        for id in former.values() {
            assert_eq!(hydra.get_client(id).await, None, "its client is revoked");
        }
        // The same manifests at once, before the Secrets of the former objects are collected.
        stays_as_it_is(synced, CLIENT_SIDE, "second").await;
        for (name, id) in synced.client_ids().await {
            assert!(hydra.get_client(&id).await.is_some(), "{name} has a client again");
            let is_chosen = id == FIXED_ID || synced.files.iter().any(|file| file.contains(APART));
            assert_eq!(former[&name] == id, is_chosen, "{name}");
        }
        synced.kubectl(&["delete"]);
    }
}

async fn stays_as_it_is(synced: &Synced, apply: &[&str], token: &str) {
    synced.sync(apply).await;
    synced.assert_unchanged(apply).await;
    synced.have_it_write(token).await;
    synced.assert_unchanged(apply).await;
    synced.assert_owners().await;
}

fn id(object: &Value) -> String {
    format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn without_managers(mut object: Value) -> Value {
    object["metadata"].as_object_mut().unwrap().remove("managedFields");
    object
}

/// Panics unless `live` has every member of `declared` with its value. Members that only `live` has are defaults.
fn assert_contains(live: &Value, declared: &Value, path: &str) {
    if let Value::Object(members) = declared {
        for (name, member) in members {
            assert_contains(&live[name], member, &format!("{path}.{name}"));
        }
    } else {
        assert_eq!(live, declared, "{path}");
    }
}
