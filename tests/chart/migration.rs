//! The move from hydra-maester and the way back, by the commands of `docs/migration.md`, over what Ory's chart of Hydra leaves:
//! its release, the definition from its `crds/`, and clients and Secrets that hydra-maester made.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hydra_operator::api::{FINALIZER, JsonWebKeySet, OAuth2Client};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    lifecycle::copy,
    maester::{Did, Maester, text},
    page::Shell,
    support::{eventually, folder::Folder, hydra_api::Authentication},
};

const TEAMS: [&str; 2] = ["team-a", "team-b"];
/// The definition that hydra-maester's resources are made under.
const FORMER: &str = "tests/crds/former.yaml";
const PRUNED: &str = "2. Keep the definition from being pruned";
const BACK_UP: &str = "3. Back up";
const LOOK: &str = "4. Look first";
const STOP: &str = "5. Stop hydra-maester";
const SWITCH: &str = "6. Switch on";
const TAKE_OUT: &str = "7. Take hydra-maester out of its release";
const BACK: &str = "Going back";

#[tokio::test]
async fn moved_from_hydra_maester_and_back_by_helm() {
    let site = Site::new().await;
    for heading in [PRUNED, BACK_UP] {
        site.shell.run(heading, 0);
    }
    for file in ["oauth2clients.yaml", "secrets.yaml"] {
        assert!(site.shell.file(file).contains("name: till"), "{file}");
    }
    site.looked_at_beside_hydra_maester().await;
    site.shell.run(STOP, 0);
    assert_eq!(site.replicas_of_maester().await, Some(0));

    let before = site.holdings().await;
    site.shell.run(SWITCH, 0);
    let pod = site.switched_on(&before).await;
    assert!(site.cluster.knows("clientId").await);
    let kept = site.cluster.cp.kubectl(&["get", "crd", "oauth2clients.hydra.ory.sh", "-o", "yaml"]);
    assert!(kept.contains("Prune=false,Delete=false"), "{kept}");
    site.shell.run(TAKE_OUT, 0);
    assert_eq!(site.replicas_of_maester().await, None);
    assert!(site.cluster.keeps_definitions().await);

    // Life goes on, also with what hydra-maester does not know.
    site.edit("team-a", "shop", &json!({ "scope": "read write" })).await;
    site.create("team-b", "made-meanwhile", &json!({})).await;
    site.create("team-b", "by-name", &json!({ "clientId": "a-name-of-ours" })).await;
    site.create_key_set().await;
    site.shell.run(SWITCH, 2);
    let before = site.holdings().await;
    assert!(before.clients.iter().any(|client| client["client_id"] == "a-name-of-ours"));

    site.shell.run(BACK, 0);
    pod.delete().await;
    assert!(!site.cluster.knows("clientId").await, "it has the former definition");
    site.shell.run(BACK, 1);
    assert_eq!(site.replicas_of_maester().await, Some(1));
    site.worked_on_by_hydra_maester(&before).await;
    site.keys_are_left().await;
}

#[tokio::test]
async fn moved_from_hydra_maester_and_back_with_definitions_that_others_apply() {
    let site = Site::new().await;
    site.looked_at_beside_hydra_maester().await;
    site.shell.run(STOP, 0);
    let before = site.holdings().await;
    site.shell.run(SWITCH, 1);
    let pod = site.switched_on(&before).await;
    site.shell.run(SWITCH, 2);

    site.shell.run(BACK, 0);
    pod.delete().await;
    site.shell.run(BACK, 2);
    assert_eq!(site.replicas_of_maester().await, Some(1));
    site.worked_on_by_hydra_maester(&before).await;
}

/// A cluster where hydra-maester is at work.
struct Site {
    cluster: Cluster,
    shell: Shell,
    client: Client,
    _ory: Folder,
}

/// All that a move must not touch.
#[derive(PartialEq)]
struct Holdings {
    secrets: Vec<Secret>,
    clients: Vec<Value>,
    writes: u64,
}

impl Site {
    async fn new() -> Self {
        let cluster = Cluster::new().await;
        let ory = chart_of_hydra();
        let shell = Shell::new(&cluster, ory.path());
        shell.run_text("helm install hydra ory/hydra --namespace hydra --create-namespace");
        shell.run_text("kubectl wait --for=condition=Established crd/oauth2clients.hydra.ory.sh");
        for team in TEAMS {
            cluster.create_namespace(team).await;
        }
        let client = cluster.cp.client().await;
        let site = Self { cluster, shell, client, _ory: ory };
        let maester = Maester::start(&site.cluster).await;
        for (team, name, spec) in [
            ("team-a", "shop", json!({ "scope": "read" })),
            (
                "team-a",
                "web",
                json!({
                    "grantTypes": ["client_credentials", "authorization_code", "refresh_token"],
                    "responseTypes": ["code"],
                    "redirectUris": ["https://web.example/callback"],
                    "tokenEndpointAuthMethod": "client_secret_post",
                    "tokenLifespans": { "client_credentials_grant_access_token_lifespan": "10m" },
                }),
            ),
            ("team-a", "app", json!({ "tokenEndpointAuthMethod": "none" })),
            ("team-b", "till", json!({})),
            ("team-b", "kept", json!({ "deletionPolicy": "orphan" })),
        ] {
            if name == "till" {
                site.create_users_secret(team, name).await;
            }
            site.create(team, name, &spec).await;
            assert_eq!(maester.look_at(team, name).await, Did::Registered);
            assert_eq!(maester.look_at(team, name).await, Did::Nothing);
        }
        site
    }

    fn resources(&self, team: &str) -> Api<OAuth2Client> {
        Api::namespaced(self.client.clone(), team)
    }

    async fn create(&self, team: &str, name: &str, spec: &Value) {
        let mut full = json!({
            "grantTypes": ["client_credentials"],
            "secretName": format!("{name}-credentials"),
        });
        full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let resource = json!({
            "apiVersion": "hydra.ory.sh/v1alpha1",
            "kind": "OAuth2Client",
            "metadata": { "name": name },
            "spec": full,
        });
        let resource = serde_json::from_value(resource).unwrap();
        self.resources(team).create(&PostParams::default(), &resource).await.unwrap();
    }

    async fn edit(&self, team: &str, name: &str, spec: &Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.resources(team).patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn create_users_secret(&self, team: &str, name: &str) {
        let secret = json!({
            "metadata": { "name": format!("{name}-credentials") },
            "stringData": { "CLIENT_ID": "of-the-till", "CLIENT_SECRET": "chosen-by-its-user" },
        });
        let api: Api<Secret> = Api::namespaced(self.client.clone(), team);
        let secret = serde_json::from_value(secret).unwrap();
        api.create(&PostParams::default(), &secret).await.unwrap();
    }

    async fn create_key_set(&self) {
        let set = json!({
            "apiVersion": "hydra.ory.sh/v1alpha1",
            "kind": "JsonWebKeySet",
            "metadata": { "name": "signing" },
            "spec": { "algorithm": "ES256" },
        });
        let api: Api<JsonWebKeySet> = Api::namespaced(self.client.clone(), "team-a");
        let set = serde_json::from_value(set).unwrap();
        api.create(&PostParams::default(), &set).await.unwrap();
        let ready = "--for=condition=Ready";
        let wait = ["wait", ready, "jsonwebkeyset/signing", "-n", "team-a", "--timeout=60s"];
        self.cluster.cp.kubectl(&wait);
    }

    async fn holdings(&self) -> Holdings {
        let mut secrets = Vec::new();
        for team in TEAMS {
            let api: Api<Secret> = Api::namespaced(self.client.clone(), team);
            secrets.extend(api.list(&ListParams::default()).await.unwrap().items);
        }
        let hydra = &self.cluster.hydra;
        let mut clients = hydra.list_all_clients().await;
        clients.sort_by_key(|client| client["client_id"].to_string());
        Holdings { secrets, clients, writes: hydra.counters().await.writes() }
    }

    async fn all_resources(&self) -> Vec<OAuth2Client> {
        Api::all(self.client.clone()).list(&ListParams::default()).await.unwrap().items
    }

    async fn replicas_of_maester(&self) -> Option<i32> {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), "hydra");
        api.get_opt("hydra-hydra-maester").await.unwrap()?.spec.replicas
    }

    /// The operator tells that there is nothing to do and writes nothing, while hydra-maester goes on.
    async fn looked_at_beside_hydra_maester(&self) {
        let (holdings, resources) = (self.holdings().await, self.all_resources().await);
        self.shell.run(LOOK, 0);
        self.cluster.publish_authority().await;
        let pod = self.cluster.pod().await;
        let tells = async |line: String| {
            eventually(&line, async || {
                let log = pod.log();
                if log.contains(&line) { Ok(()) } else { Err(log) }
            })
            .await;
        };
        let count = resources.len();
        tells(format!("Observed all OAuth2Clients, {count}: nothing {count}")).await;
        assert!(self.holdings().await == holdings, "it wrote to Hydra or to a Secret");
        assert!(json!(self.all_resources().await) == json!(resources), "it wrote to a resource");
        assert!(!self.cluster.knows("clientId").await, "the definition is the former one");

        self.create("team-b", "late", &json!({})).await;
        let maester = Maester::start(&self.cluster).await;
        assert_eq!(maester.look_at("team-b", "late").await, Did::Registered);
        tells(format!("Observed all OAuth2Clients, {}: ", count + 1)).await;
        pod.delete().await;
    }

    /// Runs the operator that the Deployment says, until all is `Ready`: as hydra-maester left it.
    async fn switched_on(&self, before: &Holdings) -> crate::pod::Pod {
        self.cluster.settle().await;
        let pod = self.cluster.pod().await;
        self.shell.run(SWITCH, 2);
        assert!(self.holdings().await == *before, "it wrote to Hydra or to a Secret");
        for resource in self.all_resources().await {
            assert_eq!(resource.finalizers(), [FINALIZER]);
            assert_eq!(resource.status.unwrap().observed_generation, resource.metadata.generation);
        }
        self.credentials_work(before).await;
        pod
    }

    /// Each Secret with a secret gets a token for the client that it names.
    async fn credentials_work(&self, held: &Holdings) {
        let hydra = &self.cluster.hydra;
        let mut tokens = 0;
        for secret in &held.secrets {
            let id = text(secret, "CLIENT_ID").unwrap();
            let client = hydra.get_client(&id).await.unwrap_or_else(|| panic!("no client {id}"));
            let Some(value) = text(secret, "CLIENT_SECRET") else { continue };
            let way = match client["token_endpoint_auth_method"].as_str() {
                Some("client_secret_post") => Authentication::Post,
                _ => Authentication::Basic,
            };
            let token = hydra.token_by(way, &id, &value).await;
            token.unwrap_or_else(|refusal| panic!("{}: {refusal:?}", secret.name_any()));
            tokens += 1;
        }
        assert!(tokens >= held.secrets.len() - 1, "one client is public");
    }

    /// hydra-maester finds all as it was, goes on with it, and can let go of it.
    async fn worked_on_by_hydra_maester(&self, before: &Holdings) {
        let maester = Maester::start(&self.cluster).await;
        for resource in self.all_resources().await {
            assert_eq!(resource.finalizers(), [FINALIZER]);
            let (team, name) = (resource.namespace().unwrap(), resource.name_any());
            assert_eq!(maester.look_at(&team, &name).await, Did::Nothing, "{name}");
        }
        assert!(self.holdings().await == *before, "something was written");
        self.credentials_work(before).await;

        for resource in self.all_resources().await {
            let (team, name) = (resource.namespace().unwrap(), resource.name_any());
            self.edit(&team, &name, &json!({ "scope": "edited" })).await;
            assert_eq!(maester.look_at(&team, &name).await, Did::Updated, "{name}");
        }
        let after = self.holdings().await;
        let ids = |held: &Holdings| -> Vec<Value> {
            held.clients.iter().map(|client| client["client_id"].clone()).collect()
        };
        assert_eq!(ids(&after), ids(before));
        assert!(after.secrets == before.secrets, "a Secret was written");
        assert!(after.clients.iter().all(|client| client["scope"] == "edited"));
        self.credentials_work(before).await;

        for (team, name) in
            self.all_resources().await.iter().map(|r| (r.namespace().unwrap(), r.name_any()))
        {
            self.resources(&team).delete(&name, &DeleteParams::default()).await.unwrap();
            assert_eq!(maester.look_at(&team, &name).await, Did::Deleted, "{name}");
        }
        assert_eq!(self.all_resources().await.len(), 0);
        let left = self.cluster.hydra.list_all_clients().await;
        assert!(left.iter().all(|client| client["owner"] == "kept/team-b"), "{left:?}");
    }

    /// Key sets stay with their keys, and nobody works on them.
    async fn keys_are_left(&self) {
        let api: Api<JsonWebKeySet> = Api::namespaced(self.client.clone(), "team-a");
        let set = api.get("signing").await.unwrap();
        assert_eq!(set.finalizers(), [FINALIZER]);
        let path = "/keys/k8s.team-a.signing";
        let answer = self.cluster.hydra.admin(reqwest::Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

/// The chart, with the definition of hydra-maester in the `crds/` of its sub-chart.
fn chart_of_hydra() -> Folder {
    let folder = Folder::new("ory");
    let repository = |path: &str| -> PathBuf { Path::new(env!("CARGO_MANIFEST_DIR")).join(path) };
    copy(&repository("tests/chart/ory"), folder.path());
    let former = fs::read_to_string(repository(FORMER)).unwrap();
    let crds = folder.path().join("charts/hydra-maester/crds");
    fs::create_dir(&crds).unwrap();
    let definition = former.replace("former.example.com", "hydra.ory.sh");
    fs::write(crds.join("oauth2clients.yaml"), definition).unwrap();
    folder
}
