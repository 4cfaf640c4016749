//! Resources that ask for another Hydra than the operator's own.

use hydra_operator::api::RELEASE_ANNOTATION;
use serde_json::{Value, json};

use crate::{
    faults::{MAESTERS, left_by_maester_in},
    on_each_generation,
    proxy::{Proxy, TlsProxy},
    support::{
        Generation, Hydra, Operator, OperatorOptions, eventually, folder::Folder, pki::Authority,
    },
    world::{World, client_id, message, shown, status_code},
};

on_each_generation!(
    an_allowed_hydra_gets_its_clients_and_no_other_does,
    what_is_not_allowed_is_asked_nothing,
    a_change_of_address_moves_the_client,
    a_former_hydra_that_is_away_is_waited_for,
    what_may_not_be_touched_any_more_is_left_behind,
    deletion_where_the_address_is_not_allowed_any_more_names_the_way_out,
    a_client_of_hydra_maester_in_a_hydra_that_is_not_allowed_is_not_forgotten,
    values_of_the_discovery_document_are_not_those_of_another_hydra,
    the_settings_of_the_operator_hold_for_allowed_addresses,
);

/// The address of the clients behind `url`.
fn clients(url: &str, generation: Generation) -> String {
    match generation {
        Generation::V1 => format!("{url}/clients"),
        Generation::V2 => format!("{url}/admin/clients"),
    }
}

/// The argument that allows the Hydras at `urls`.
pub fn allowing(urls: &[&str], generation: Generation) -> String {
    let addresses: Vec<_> = urls.iter().map(|url| clients(url, generation)).collect();
    format!("--allow-resource-hydra-admin={}", addresses.join(","))
}

/// The spec that asks for the Hydra at `url`.
pub fn at(url: &str) -> Value {
    json!({ "hydraAdmin": { "url": url } })
}

async fn an_allowed_hydra_gets_its_clients_and_no_other_does(generation: Generation) {
    let (own, other) = (Hydra::start(generation).await, Hydra::start(generation).await);
    let allow = allowing(&[other.admin_url()], generation);
    let world = World::with_args("other", own, &[&allow, "--resync-interval=2s"]).await;
    world.create("here", &json!({})).await;
    world.create("there", &at(other.admin_url())).await;
    let port: u16 = other.admin_url().rsplit(':').next().unwrap().parse().unwrap();
    let parts = json!({
        "url": "http://127.0.0.1/", "port": port, "endpoint": clients("", generation),
    });
    world.create("in-parts", &json!({ "hydraAdmin": parts })).await;
    for (name, holder, stranger) in [
        ("here", &*world.hydra, &other),
        ("there", &other, &world.hydra),
        ("in-parts", &other, &world.hydra),
    ] {
        world.ready(name).await;
        let credentials = world.credentials(&format!("{name}-credentials")).await;
        assert!(holder.token(&credentials.id, credentials.secret()).await.is_ok(), "{name}");
        assert_eq!(stranger.get_client(&credentials.id).await, None, "{name}");
        world.assert_no_secret_leaked(&[credentials.secret()]).await;
    }
    let there = world.ready("there").await;
    let recorded = there.status.as_ref().unwrap().hydra_admin.as_ref().unwrap();
    assert_eq!(recorded.url, other.admin_url());
    assert!(world.ready("here").await.status.unwrap().hydra_admin.is_none());

    // Its own sweep finds what changes there, and finds nothing else to do.
    let id = client_id(&there);
    let mut changed = other.get_client(&id).await.unwrap();
    changed["scope"] = json!("admin");
    assert_eq!(other.put_client(&id, &changed).await.status, 200);
    eventually("the drift is corrected", async || {
        other.get_client(&id).await.unwrap()["scope"] == "read write"
    })
    .await;
    let label = clients(other.admin_url(), generation);
    let label = label.strip_prefix("http://").unwrap();
    eventually("the correction is counted", async || {
        let name = "hydra_operator_drift_corrections_total";
        let corrections = world.operator.metric(name, &[("hydra", label)]).await;
        (corrections - 1.0).abs() < f64::EPSILON
    })
    .await;
    world.ready("there").await;
    let passes = world.passes().await;
    for instance in ["default", label] {
        let sweeps = async || {
            let labels = [("hydra", instance), ("result", "success")];
            world.operator.metric("hydra_operator_sweeps_total", &labels).await
        };
        let enough = sweeps().await + 3.0;
        eventually("more sweeps", async || sweeps().await >= enough).await;
    }
    assert_eq!(world.passes().await, passes, "a sweep woke what it does not concern");

    for name in ["here", "there", "in-parts"] {
        world.delete(name).await;
        world.gone(name).await;
    }
    assert!(world.hydra.list_all_clients().await.is_empty());
    assert!(other.list_all_clients().await.is_empty());
}

async fn what_is_not_allowed_is_asked_nothing(generation: Generation) {
    let (own, other) = (Hydra::start(generation).await, Hydra::start(generation).await);
    let (proxy, allowed) = (Proxy::start(&other).await, Proxy::start(&other).await);
    let world = World::with_args("refused", own, &[&allowing(&[allowed.url()], generation)]).await;
    let tricks = [
        at(proxy.url()),
        json!({ "hydraAdmin": { "url": format!("{}/x/..", proxy.url()), "endpoint": "/clients" } }),
        json!({ "hydraAdmin": { "url": allowed.url(), "endpoint": "/admin/keys" } }),
        json!({ "hydraAdmin": { "url": allowed.url(), "endpoint": "/clients/.." } }),
        at(&allowed.url().replace("http://", "http://user:hunter2@")),
    ];
    for (n, spec) in tricks.iter().enumerate() {
        let name = format!("app-{n}");
        world.create(&name, spec).await;
        let stalled = world.shows(&name, "Stalled=True HydraAdminNotAllowed").await;
        assert_eq!(status_code(&stalled), Some("INVALID_HYDRA_ADDRESS"));
        assert!(message(&stalled).contains("http://127.0.0.1:"), "{}", message(&stalled));
        assert!(!message(&stalled).contains("hunter2"), "{}", message(&stalled));
        assert!(world.secrets.get_opt(&format!("{name}-credentials")).await.unwrap().is_none());
    }
    world.create("bad-port", &json!({ "hydraAdmin": { "url": allowed.url(), "port": -1 } })).await;
    world.shows("bad-port", "Stalled=True InvalidSpec").await;
    assert!(proxy.seen().is_empty() && allowed.seen().is_empty());
    assert_eq!(world.hydra.counters().await.writes(), 0);

    // Fields without a url have no effect, and the resource says so.
    world.create("portless", &json!({ "hydraAdmin": { "port": 4445 } })).await;
    let ready = world.ready("portless").await;
    assert!(message(&ready).contains("its port is ignored"), "{}", message(&ready));

    // None of them is kept from being deleted, and the refusal is over when it is corrected.
    world.edit("app-0", &json!({ "hydraAdmin": null })).await;
    world.ready("app-0").await;
    for name in ["app-0", "app-1", "app-2", "app-3", "app-4", "bad-port"] {
        world.delete(name).await;
        world.gone(name).await;
    }
    assert!(proxy.seen().is_empty() && allowed.seen().is_empty());
}

async fn a_change_of_address_moves_the_client(generation: Generation) {
    let (own, other) = (Hydra::start(generation).await, Hydra::start(generation).await);
    let world =
        World::with_args("moves", own, &[&allowing(&[other.admin_url()], generation)]).await;
    world.create("shop", &json!({})).await;
    let id = client_id(&world.ready("shop").await);
    let credentials = world.credentials("shop-credentials").await;
    let (a, b) = (&*world.hydra, &other);
    for (spec, from, to) in [
        (at(b.admin_url()), a, b),
        (json!({ "hydraAdmin": null }), b, a),
        (at(b.admin_url()), a, b),
    ] {
        world.edit("shop", &spec).await;
        let moved = world.ready("shop").await;
        assert_eq!(client_id(&moved), id);
        assert!(to.token(&id, credentials.secret()).await.is_ok());
        assert_eq!(from.get_client(&id).await, None, "it is revoked where it was");
    }
    assert_eq!(world.credentials("shop-credentials").await.secret, credentials.secret);
    assert_eq!(world.events("shop").await.get("Warning ClientLeftBehind"), None);
    world.assert_no_secret_leaked(&[credentials.secret()]).await;

    // The former client now belongs to somebody else: it is not ours to revoke.
    let mut taken = b.get_client(&id).await.unwrap();
    taken["owner"] = json!("somebody-else");
    assert_eq!(b.put_client(&id, &taken).await.status, 200);
    world.edit("shop", &json!({ "hydraAdmin": null })).await;
    world.ready("shop").await;
    assert!(b.get_client(&id).await.is_some());
    world.delete("shop").await;
    world.gone("shop").await;
    assert_eq!(a.get_client(&id).await, None);
    assert!(b.get_client(&id).await.is_some());
}

async fn a_former_hydra_that_is_away_is_waited_for(generation: Generation) {
    let (own, other) = (Hydra::start(generation).await, Hydra::start(generation).await);
    let allow = allowing(&[other.admin_url()], generation);
    let mut world = World::with_args("away", own, &[&allow]).await;
    world.create("shop", &json!({})).await;
    world.create("deleted", &json!({})).await;
    let id = client_id(&world.ready("shop").await);
    let deleted = client_id(&world.ready("deleted").await);
    let credentials = world.credentials("shop-credentials").await;

    world.hydra.own().stop().await;
    for name in ["shop", "deleted"] {
        world.edit(name, &at(other.admin_url())).await;
        let waits = world.shows(name, "Reconciling=True HydraUnreachable").await;
        assert!(message(&waits).contains("former"), "{}", message(&waits));
    }
    assert!(other.token(&id, credentials.secret()).await.is_ok(), "the new Hydra has it already");
    world.delete("deleted").await;
    world.hydra.own().start_again().await;
    world.ready("shop").await;
    world.gone("deleted").await;
    assert_eq!(world.hydra.get_client(&id).await, None);
    assert!(other.token(&id, credentials.secret()).await.is_ok());
    for hydra in [&*world.hydra, &other] {
        assert_eq!(hydra.get_client(&deleted).await, None, "it was on its way");
    }
}

/// Also by another name of the same Hydra: revoking there would revoke what has just been set up.
async fn what_may_not_be_touched_any_more_is_left_behind(generation: Generation) {
    let (own, other) = (Hydra::start(generation).await, Hydra::start(generation).await);
    let proxy = Proxy::start(&own).await;
    let (direct, alias) = (own.admin_url().to_owned(), proxy.url());
    let allow = allowing(&[other.admin_url(), &direct, alias], generation);
    let mut world = World::with_args("behind", own, &[&allow]).await;
    world.create("alias", &at(alias)).await;
    let id = client_id(&world.ready("alias").await);
    let credentials = world.credentials("alias-credentials").await;
    world.edit("alias", &at(&direct)).await;
    world.ready("alias").await;
    told_once(&world, "alias", "Warning ClientLeftBehind").await;
    assert!(world.hydra.token(&id, credentials.secret()).await.is_ok());

    // By its name as the operator's own it is the same without a doubt.
    world.edit("alias", &json!({ "hydraAdmin": null })).await;
    world.ready("alias").await;
    assert!(world.hydra.token(&id, credentials.secret()).await.is_ok());

    world.create("shop", &at(other.admin_url())).await;
    let id = client_id(&world.ready("shop").await);
    world.operator.process().terminate().await;
    restart_allowing_nothing(&mut world).await;
    world.shows("shop", "Stalled=True HydraAdminNotAllowed").await;
    world.edit("shop", &json!({ "hydraAdmin": null })).await;
    world.ready("shop").await;
    told_once(&world, "shop", "Warning ClientLeftBehind").await;
    assert_eq!(world.events("alias").await["Warning ClientLeftBehind"], 1);
    assert!(other.get_client(&id).await.is_some());
    assert!(world.hydra.get_client(&id).await.is_some());
}

async fn deletion_where_the_address_is_not_allowed_any_more_names_the_way_out(
    generation: Generation,
) {
    let (own, other) = (Hydra::start(generation).await, Hydra::start(generation).await);
    let allow = allowing(&[other.admin_url()], generation);
    let mut world = World::with_args("locked", own, &[&allow]).await;
    world.create("shop", &at(other.admin_url())).await;
    let id = client_id(&world.ready("shop").await);
    world.operator.process().terminate().await;
    restart_allowing_nothing(&mut world).await;
    world.delete("shop").await;
    let stalled = eventually("the resource says why it stays", async || {
        let resource = world.resources.get("shop").await.unwrap();
        let stalled = shown(&resource).contains(&"Stalled=True HydraAdminNotAllowed".to_owned());
        (stalled && message(&resource).contains("orphan")).then_some(resource)
    })
    .await;
    assert!(message(&stalled).contains(other.admin_url()), "{}", message(&stalled));
    world.edit("shop", &json!({ "deletionPolicy": "orphan" })).await;
    world.gone("shop").await;
    assert!(other.get_client(&id).await.is_some());
}

/// It has no record of its own of what hydra-maester did, and its Hydra must not be asked.
async fn a_client_of_hydra_maester_in_a_hydra_that_is_not_allowed_is_not_forgotten(
    generation: Generation,
) {
    let (own, other) = (Hydra::start(generation).await, Hydra::start(generation).await);
    let proxy = Proxy::start(&other).await;
    let mut world = World::with_args("unknown", own, &[]).await;
    world.operator.process().terminate().await;
    let names = ["released", "orphaned", "allowed"];
    let mut ids = Vec::new();
    for name in names {
        ids.push(left_by_maester_in(&other, &world, name, &at(proxy.url())).await);
    }
    // One is deleted before the operator has seen it, the others are Stalled before.
    world.delete("released").await;
    world.operator.start_again().await;
    for name in ["orphaned", "allowed"] {
        world.shows(name, "Stalled=True HydraAdminNotAllowed").await;
        world.delete(name).await;
    }
    for name in names {
        let stalled = eventually("the resource says why it stays", async || {
            let resource = world.resources.get(name).await.unwrap();
            let told = message(&resource).contains("orphan");
            told.then_some(resource).ok_or("nothing")
        })
        .await;
        assert!(shown(&stalled).contains(&"Stalled=True HydraAdminNotAllowed".to_owned()));
        let way_out = [proxy.url(), RELEASE_ANNOTATION, "--allow-resource-hydra-admin"];
        for part in way_out {
            assert!(message(&stalled).contains(part), "{part}: {}", message(&stalled));
        }
    }
    assert!(proxy.seen().is_empty());
    world.annotate("released", RELEASE_ANNOTATION, "true").await;
    world.gone("released").await;
    world.edit("orphaned", &json!({ "deletionPolicy": "orphan" })).await;
    world.gone("orphaned").await;
    world.operator.process().terminate().await;
    let options = OperatorOptions::new(world.hydra.admin_url())
        .namespaces([&world.namespace])
        .args([allowing(&[proxy.url()], generation)]);
    world.operator = Operator::start(&world.cp, options).await;
    world.gone("allowed").await;
    assert_eq!(other.get_client(&ids[2]).await, None, "it is revoked where it is");
    assert!(other.get_client(&ids[0]).await.is_some() && other.get_client(&ids[1]).await.is_some());
    world.assert_no_secret_leaked(&[MAESTERS]).await;
}

async fn values_of_the_discovery_document_are_not_those_of_another_hydra(generation: Generation) {
    let (own, other) = (Hydra::shared(generation).await, Hydra::start(generation).await);
    let public = format!("--hydra-public-url={}", own.public_url());
    let args = [&*allowing(&[other.admin_url(), own.admin_url()], generation), &public];
    let world = World::with_args("discovery", own, &args).await;
    let asking = |url: &str| {
        let template = json!({ "data": { "issuer": { "wellKnown": "issuer" } } });
        json!({ "secretTemplate": template, "hydraAdmin": { "url": url, "forwardedProto": "http" } })
    };
    world.create("there", &asking(other.admin_url())).await;
    let stalled = world.shows("there", "Stalled=True InvalidSpec").await;
    assert!(message(&stalled).contains("spec.hydraAdmin"), "{}", message(&stalled));
    assert!(world.secrets.get_opt("there-credentials").await.unwrap().is_none());
    // The same Hydra by another manner of speaking to it.
    world.create("here", &asking(own.admin_url())).await;
    world.ready("here").await;
}

/// Events are published beside the passes.
async fn told_once(world: &World, name: &str, event: &str) {
    let count =
        eventually("it is told", async || world.events(name).await.get(event).copied()).await;
    assert_eq!(count, 1, "{event}");
}

async fn restart_allowing_nothing(world: &mut World) {
    let options = OperatorOptions::new(world.hydra.admin_url()).namespaces([&world.namespace]);
    world.operator = Operator::start(&world.cp, options).await;
}

/// The authorities and the client certificate where the address is https, the extra headers, and
/// `X-Forwarded-Proto` unless the resource asks for another.
async fn the_settings_of_the_operator_hold_for_allowed_addresses(generation: Generation) {
    let (own, other) = (Hydra::start(generation).await, Hydra::start(generation).await);
    let (authority, folder) = (Authority::new(), Folder::new("tls"));
    let tls = TlsProxy::start(&other, &authority).await;
    let plain = Proxy::start(&other).await;
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let identity = authority.client("operator", None);
    let args = [
        allowing(&[tls.url(), plain.url()], generation),
        format!("--hydra-ca-file={}", file("ca.pem", &authority.certificate())),
        format!("--hydra-client-cert-file={}", file("tls.crt", &identity.certificate)),
        format!("--hydra-client-key-file={}", file("tls.key", &identity.key)),
        format!("--hydra-headers-file={}", file("headers", "X-Tenant: team-a\n")),
        "--hydra-forwarded-proto=https".to_owned(),
    ];
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let world = World::with_args("settings", own, &args).await;
    world.create("encrypted", &at(tls.url())).await;
    let id = client_id(&world.ready("encrypted").await);
    assert!(other.get_client(&id).await.is_some());

    for (name, asked, sent) in [
        ("as-set", json!(null), Some("https")),
        ("http", json!("http"), Some("http")),
        ("off", json!("off"), None),
    ] {
        let before = plain.seen().len();
        let spec = json!({ "hydraAdmin": { "url": plain.url(), "forwardedProto": asked } });
        world.create(name, &spec).await;
        world.ready(name).await;
        let seen = plain.seen().split_off(before);
        assert!(!seen.is_empty());
        for request in seen.iter().filter(|request| request.method != "GET") {
            let header = |name| request.headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!(header("x-forwarded-proto"), sent, "{name}");
            assert_eq!(header("x-tenant"), Some("team-a"));
        }
    }
    for name in ["encrypted", "as-set", "http", "off"] {
        world.delete(name).await;
        world.gone(name).await;
    }
    assert!(other.list_all_clients().await.is_empty());
}
