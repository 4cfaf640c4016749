//! Manifests of hydra-maester mean the same: Hydra holds for each what it would hold if hydra-maester had sent it.

use std::sync::Arc;

use futures::{StreamExt, stream};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Map, Value, json};

use crate::{
    corpus::{Case, NO_DURATION, cases},
    kstatus::assert_agrees,
    maester::write_model,
    on_each_generation,
    scripted_server::{Reply, Scripted},
    support::{Generation, Hydra, crds, eventually, folder::Folder, pki::Authority},
    world::{World, client_id, shown},
};

on_each_generation!(a_manifest_means_what_it_meant);

/// Manifests at the same time.
const PARALLEL: usize = 8;

async fn a_manifest_means_what_it_meant(generation: Generation) {
    let sector = Sector::start();
    let settings = [
        ("OIDC_SUBJECT_IDENTIFIERS_SUPPORTED_TYPES", "public,pairwise"),
        ("OIDC_SUBJECT_IDENTIFIERS_PAIRWISE_SALT", "some-salt-of-tests"),
        ("SSL_CERT_FILE", &sector.authority),
    ];
    let hydra = Hydra::start_with(generation, &settings).await;
    let world = World::with_args("drop-in", hydra, &[]).await;
    let failures: Vec<_> =
        stream::iter(cases(sector.document.url.as_str()).into_iter().enumerate())
            .map(async |(number, case)| {
                let name = format!("case-{number}");
                let set = compare(&world, &name, &case).await;
                let unset =
                    Case { what: format!("{}, and unset again", case.what), spec: json!({}) };
                [set, compare(&world, &name, &unset).await]
            })
            .buffer_unordered(PARALLEL)
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .flatten()
            .filter_map(Result::err)
            .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Applies the manifest, and sends for another id what hydra-maester would send for it.
async fn compare(world: &World, name: &str, case: &Case) -> Result<(), String> {
    let mut spec = json!({ "grantTypes": ["client_credentials"], "secretName": name });
    spec.as_object_mut().unwrap().extend(case.spec.as_object().unwrap().clone());
    let manifest = json!({
        "apiVersion": "hydra.ory.sh/v1alpha1",
        "kind": "OAuth2Client",
        "metadata": { "name": name, "namespace": world.namespace },
        "spec": spec,
    });
    crds::apply(&world.client, manifest).await;

    let twin = format!("twin-of-{name}");
    let body = write_model("the-twins", &spec);
    let accepted = send(&world.hydra, &twin, &body).await;
    let expected = match accepted {
        Accepted::Yes if keeps(world.hydra.generation(), &body) => "Ready=True Synced",
        Accepted::Yes => "Stalled=True UnsupportedByHydra",
        Accepted::No => "Stalled=True RejectedByHydra",
        Accepted::NotDecoded => "Stalled=True InvalidSpec",
    };
    let what = &case.what;
    let resource = eventually(&format!("{name} settles: {what}"), async || {
        let resource = world.resources.get(name).await.unwrap();
        let is_settled =
            |shown: &String| shown.starts_with("Ready=True") || shown.starts_with("Stalled=True");
        let settled = shown(&resource).iter().any(is_settled);
        if settled { Ok(resource) } else { Err(format!("{:?}", resource.status)) }
    })
    .await;
    if !shown(&resource).iter().any(|condition| condition == expected) {
        return Err(format!("{what}: {:?} and not {expected}", resource.status));
    }
    assert_agrees(&resource, expected);
    if accepted != Accepted::Yes {
        return Ok(());
    }
    let ours = world.in_hydra(&client_id(&resource)).await.unwrap();
    assert_eq!(ours["owner"], world.owner(name), "{what}");
    let differing = differences(&ours, &world.in_hydra(&twin).await.unwrap());
    if differing.is_empty() { Ok(()) } else { Err(format!("{what}: {differing:?}")) }
}

/// What Hydra makes of a client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Accepted {
    Yes,
    No,
    /// Hydra 1 answers 500 to what is no value of its types, so it looks like trouble of its own: the
    /// operator does not send it.
    NotDecoded,
}

/// Writes the client as hydra-maester does.
async fn send(hydra: &Hydra, id: &str, body: &Value) -> Accepted {
    let mut client = body.clone();
    client["client_id"] = json!(id);
    let exists = hydra.get_client(id).await.is_some();
    eventually(&format!("Hydra answers about {id}"), async || {
        let answer = if exists {
            hydra.put_client(id, &client).await
        } else {
            hydra.post_client(&client).await
        };
        match answer.status {
            200 | 201 => Ok(Accepted::Yes),
            400 | 500 if body.to_string().contains(NO_DURATION) => Ok(Accepted::NotDecoded),
            400 => Ok(Accepted::No),
            // SQLite under several writers.
            _ => Err(answer),
        }
    })
    .await
}

/// Whether this generation has all members that are sent.
fn keeps(generation: Generation, body: &Value) -> bool {
    let since_2 = ["skip_consent", "skip_logout_consent", "access_token_strategy"];
    generation == Generation::V2 || !since_2.iter().any(|member| body.get(member).is_some())
}

/// The members that Hydra holds otherwise for one than for the other.
fn differences(ours: &Value, theirs: &Value) -> Vec<String> {
    let (ours, theirs) = (comparable(ours), comparable(theirs));
    let names = ours.keys().chain(theirs.keys()).collect::<std::collections::BTreeSet<_>>();
    let differing = names.into_iter().filter(|name| ours.get(*name) != theirs.get(*name));
    differing
        .map(|name| format!("{name}: {:?} and not {:?}", ours.get(name), theirs.get(name)))
        .collect()
}

/// Without what belongs to one client alone. Hydra has two spellings of "unset" for two members, and treats them alike.
fn comparable(client: &Value) -> Map<String, Value> {
    const OWN: [&str; 6] = [
        "client_id",
        "owner",
        "created_at",
        "updated_at",
        "registration_access_token",
        "registration_client_uri",
    ];
    let mut client = client.as_object().unwrap().clone();
    client.retain(|name, value| match &**name {
        "skip_logout_consent" => *value == true,
        "metadata" => !value.is_null() && *value != json!({}),
        name => !OWN.contains(&name),
    });
    client
}

/// The document that Hydra fetches for `sectorIdentifierUri`.
struct Sector {
    document: Scripted,
    /// The file by which Hydra trusts its server.
    authority: String,
    _folder: Folder,
}

impl Sector {
    fn start() -> Self {
        let authority = Authority::new();
        let identity = authority.server();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let callback = json!(["https://shop.example.com/callback"]);
        let document = Scripted::https(move |_| Reply::json(200, &callback), Arc::new(config));
        let folder = Folder::new("sector");
        let authority = folder.write("authority.pem", authority.certificate());
        Self { document, authority: authority.display().to_string(), _folder: folder }
    }
}
