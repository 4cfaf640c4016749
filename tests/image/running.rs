//! The operator, run from the root of the image and with nothing else.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use hydra_operator::api::OAuth2Client;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt, api::PostParams};
use serde_json::{Value, json};

use crate::{
    helm::{objects, only},
    made::{Made, text},
    names,
    pod::{self, Pod},
    proxy::TlsProxy,
    resources::Tenant,
    support::{ControlPlane, Generation, Hydra, crds, eventually, pki::Authority, root::entering},
};

/// Runs the operator of an image for a moment.
fn run(root: &Path, args: &[&str]) -> String {
    let words = entering(root);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg("/hydra-operator").args(args).env_clear().stdin(Stdio::null());
    text(&command.env("PATH", std::env::var_os("PATH").unwrap()).output().unwrap())
}

#[tokio::test]
async fn commands_need_nothing_but_the_image() {
    let unpacked = Made::shared().await.unpack();
    let root = unpacked.path();
    let version = concat!("hydra-operator ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(run(&root, &["--version"]), version);
    let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds/hydra.ory.sh.yaml");
    let definitions = fs::read_to_string(definitions).unwrap();
    assert_eq!(run(&root, &["crds"]), definitions);
}

/// It finds the API server as in a cluster; names by the file of hosts and by DNS, whose search list has to be used; and trusts
/// the authorities of the image.
#[tokio::test]
async fn pod_of_the_deployment_works_in_the_image() {
    let unpacked = Made::shared().await.unpack();
    let root = &*unpacked.path();
    let (cp, hydra) = (ControlPlane::start().await, Hydra::start(Generation::V2).await);
    let authority = Authority::new();
    let tls = TlsProxy::start(&hydra, &authority).await;
    let url = tls.url().replace("127.0.0.1", "localhost");
    give_random_bytes(root);
    names::serve(&["hydra-admin.hydra.svc.cluster.local"], root);
    trust(root, &authority);

    let port = hydra.admin_url().rsplit(':').next().unwrap();
    let by_name = format!("http://hydra-admin.hydra:{port}");
    let nowhere = "http://hydra-admin.nowhere:4445".to_owned();
    let mut deployment = install(&cp).await;
    let identity = authority.client("hydra-operator", None);
    fs::write(root.join("etc/client.crt"), &identity.certificate).unwrap();
    fs::write(root.join("etc/client.key"), &identity.key).unwrap();
    set(&mut deployment, "HYDRA_CLIENT_CERT_FILE", "/etc/client.crt");
    set(&mut deployment, "HYDRA_CLIENT_KEY_FILE", "/etc/client.key");
    set(&mut deployment, "HYDRA_ADMIN_URL", &url);
    let others = [&by_name, &nowhere].map(|url| format!("{url}/admin/clients")).join(",");
    set(&mut deployment, "ALLOW_RESOURCE_HYDRA_ADMIN", &others);

    let pod = Pod::start_in(root, &cp, &deployment).await;
    let tenant = Tenant::new(&cp, "team").await;
    tenant.create("shop").await;
    create_at(&tenant, "by-name", &by_name).await;
    create_at(&tenant, "nowhere", &nowhere).await;
    for name in ["shop", "by-name"] {
        let secret = tenant.ready(name).await;
        assert!(hydra.get_client(&secret["CLIENT_ID"]).await.is_some(), "{name}");
    }
    let message = "failed to lookup address information: Name or service not known";
    eventually("the status says that there is no such name", async || {
        let status = json!(tenant.resources.get("nowhere").await.unwrap().status);
        if status.to_string().contains(message) { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    pod.delete().await;
}

/// The kubelet runs it with the user of the image, which is a number, so that it can tell that this is not root.
#[tokio::test]
async fn deployment_leaves_the_user_to_the_image() {
    let deployment =
        only(&crds::read_manifest("deploy/base/deployment.yaml"), "Deployment").clone();
    let spec = &deployment["spec"]["template"]["spec"];
    assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
    for context in [&spec["securityContext"], &pod::container(spec)["securityContext"]] {
        assert_eq!(context["runAsUser"], Value::Null);
    }
}

/// What the container runtime puts into each container. A static binary has no `getrandom` to look up by its name, so crates read
/// these. Files with enough bytes, because not every user may make devices.
fn give_random_bytes(root: &Path) {
    fs::create_dir(root.join("dev")).unwrap();
    for name in ["dev/random", "dev/urandom"] {
        let mut bytes = vec![0; 1 << 20];
        getrandom::fill(&mut bytes).unwrap();
        fs::write(root.join(name), bytes).unwrap();
    }
}

/// Adds an authority to those of the image.
fn trust(root: &Path, authority: &Authority) {
    let bundle = root.join("etc/ssl/certs/ca-certificates.crt");
    let mut bundle = File::options().append(true).open(bundle).unwrap();
    bundle.write_all(authority.certificate().as_bytes()).unwrap();
}

/// Applies what kustomize makes of `deploy/overlay`, and returns the Deployment.
async fn install(cp: &ControlPlane) -> Value {
    let objects = objects(&cp.kubectl(&["kustomize", "deploy/overlay"]));
    let client = cp.client().await;
    let namespace = only(&objects, "Namespace").clone();
    let name = namespace["metadata"]["name"].as_str().unwrap().to_owned();
    crds::apply(&client, namespace).await;
    for object in objects.iter().filter(|object| object["kind"] != "Namespace") {
        crds::apply(&client, object.clone()).await;
    }
    // A controller that does not run here publishes it.
    let mut authority = ConfigMap::default();
    authority.metadata.name = Some("kube-root-ca.crt".to_owned());
    let content = ("ca.crt".to_owned(), cp.ca_certificate().to_owned());
    authority.data = Some([content].into());
    let api: Api<ConfigMap> = Api::namespaced(client, &name);
    api.create(&PostParams::default(), &authority).await.unwrap();
    only(&objects, "Deployment").clone()
}

/// Sets a variable of the operator's container.
fn set(deployment: &mut Value, name: &str, value: &str) {
    let env = &mut deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let env = env.as_array_mut().unwrap();
    env.retain(|variable| variable["name"] != name);
    env.push(json!({ "name": name, "value": value }));
}

/// Declares a client of the Hydra at `url`.
async fn create_at(tenant: &Tenant, name: &str, url: &str) {
    let resource: OAuth2Client = serde_json::from_value(json!({
        "apiVersion": "hydra.ory.sh/v1alpha1",
        "kind": "OAuth2Client",
        "metadata": { "name": name },
        "spec": {
            "grantTypes": ["client_credentials"],
            "scopeArray": ["orders.read"],
            "secretName": name,
            "hydraAdmin": { "url": url, "endpoint": "/admin/clients" },
        },
    }))
    .unwrap();
    let created = tenant.resources.create(&PostParams::default(), &resource).await.unwrap();
    assert_eq!(created.name_any(), name);
}
