//! Which Hydra a resource asks for in `spec.hydraAdmin`, and whether it may: pure.
//!
//! Nothing that a resource says becomes part of a request: where its address is allowed, the
//! administrator's own text of it is what the operator calls.

use url::Url;

use super::error::{Failure, Reason};
use crate::{
    api::{OAuth2ClientSpec, oauth2client::HydraAdmin},
    hydra::{Base, ClientsAddress, InvalidAddress, address::explicit_port},
    instances::{ForwardedProto, Target},
    settings::ALLOW_RESOURCE_HYDRA_ADMIN,
};

/// What the administrator of the operator has set.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The operator's own Hydra.
    pub own: Base,
    /// The port of its address, where the address names one.
    pub own_port: Option<u16>,
    /// The addresses that resources may name.
    pub allowed: Vec<ClientsAddress>,
}

/// The Hydra that a resource asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which one.
    pub target: Target,
    /// Whether its port is the one of the operator's own Hydra: a change of that setting then moves
    /// the place, not the resource.
    pub port_is_operators: bool,
}

/// The Hydra that `spec` asks for, or why it may not have it.
pub fn place(spec: &OAuth2ClientSpec, rules: &Rules) -> Result<Place, Failure> {
    let Some((admin, url)) = named(spec) else {
        return Ok(Place { target: Target::Own, port_is_operators: false });
    };
    let forwarded_proto = forwarded_proto(admin)?;
    let (candidates, port_is_operators) = candidates(admin, url, rules)?;
    let allowed = candidates.iter().find_map(|candidate| {
        let found = candidate.address.as_ref().ok()?;
        rules.allowed.iter().find(|allowed| *allowed == found)
    });
    let Some(allowed) = allowed else { return Err(not_allowed(&candidates)) };
    let address = allowed.clone();
    Ok(Place { target: Target::Other { address, forwarded_proto }, port_is_operators })
}

/// The fields of `spec.hydraAdmin` that have no effect because it has no `url`, in words.
#[must_use]
pub fn note(spec: &OAuth2ClientSpec) -> Option<String> {
    let admin = spec.hydra_admin.as_ref()?;
    if named(spec).is_some() {
        return None;
    }
    let is_set = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    let ignored: Vec<&str> = [
        ("port", admin.port.is_some_and(|port| port != 0)),
        ("endpoint", is_set(&admin.endpoint)),
        ("forwardedProto", is_set(&admin.forwarded_proto)),
    ]
    .into_iter()
    .filter_map(|(name, is_set)| is_set.then_some(name))
    .collect();
    let (last, others) = ignored.split_last()?;
    let (names, are) = if others.is_empty() {
        ((*last).to_owned(), "is")
    } else {
        (format!("{} and {last}", others.join(", ")), "are")
    };
    Some(format!("spec.hydraAdmin has no url, so its {names} {are} ignored"))
}

fn named(spec: &OAuth2ClientSpec) -> Option<(&HydraAdmin, &str)> {
    let admin = spec.hydra_admin.as_ref()?;
    let url = admin.url.as_deref().filter(|url| !url.is_empty())?;
    Some((admin, url))
}

fn forwarded_proto(admin: &HydraAdmin) -> Result<ForwardedProto, Failure> {
    match admin.forwarded_proto.as_deref() {
        None | Some("") => Ok(ForwardedProto::AsSet),
        Some(text) => ForwardedProto::parse(text).ok_or_else(|| {
            invalid("spec.hydraAdmin.forwardedProto cannot be used; write http, https or off")
        }),
    }
}

/// An address that a resource may mean.
struct Candidate {
    /// As it is shown, without user, query and fragment.
    shown: String,
    address: Result<ClientsAddress, InvalidAddress>,
}

/// What the resource may mean: more than one address where it leaves the endpoint open. Also tells
/// whether the port is that of the operator's own Hydra.
fn candidates(
    admin: &HydraAdmin,
    url: &str,
    rules: &Rules,
) -> Result<(Vec<Candidate>, bool), Failure> {
    let field = port(admin)?;
    let parsed = Url::parse(url).map_err(|error| {
        invalid(format!(
            "spec.hydraAdmin.url is not a URL ({error}); write one like http://hydra-admin:4445"
        ))
    })?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(invalid("spec.hydraAdmin.url is neither an http nor an https URL"));
    }
    let named = field.or_else(|| explicit_port(url));
    let origin = Origin {
        scheme: parsed.scheme(),
        host: parsed.host_str().unwrap_or_default(),
        port: named.or(rules.own_port),
    };
    let has_user = !parsed.username().is_empty() || parsed.password().is_some();
    let odd = if has_user {
        Some(InvalidAddress::Credentials)
    } else if parsed.query().is_some() || parsed.fragment().is_some() {
        Some(InvalidAddress::Query)
    } else {
        None
    };
    let candidates = paths(url, admin.endpoint.as_deref().unwrap_or_default())
        .into_iter()
        .map(|path| origin.candidate(&path, odd))
        .collect();
    Ok((candidates, named.is_none() && rules.own_port.is_some()))
}

fn port(admin: &HydraAdmin) -> Result<Option<u16>, Failure> {
    match admin.port {
        None | Some(0) => Ok(None),
        Some(port) => u16::try_from(port)
            .map(Some)
            .map_err(|_| invalid("spec.hydraAdmin.port cannot be used; write one from 1 to 65535")),
    }
}

struct Origin<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl Origin<'_> {
    fn candidate(&self, path: &str, odd: Option<InvalidAddress>) -> Candidate {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let shown = format!("{}://{}{port}{path}", self.scheme, self.host);
        let address = match odd {
            Some(odd) => Err(odd),
            None => ClientsAddress::parse(&shown).and_then(|address| {
                // A path that means another one than it spells is meant to deceive.
                let is_literal = address.url().path() == path;
                if is_literal { Ok(address) } else { Err(InvalidAddress::Ending) }
            }),
        };
        Candidate { shown, address }
    }
}

/// The path of the URL, and below it the endpoint: a path that ends in `/clients` needs none.
fn paths(url: &str, endpoint: &str) -> Vec<String> {
    let without_slash = |path: &str| path.strip_suffix('/').unwrap_or(path).to_owned();
    let base = without_slash(raw_path(url));
    let endpoint = without_slash(endpoint);
    let is_endpoint = base.ends_with("/clients");
    if is_endpoint && (endpoint.is_empty() || base.ends_with(&endpoint)) {
        return vec![base];
    }
    if endpoint.is_empty() {
        return ["/admin/clients", "/clients"].map(|own| format!("{base}{own}")).into();
    }
    vec![format!("{base}{endpoint}")]
}

/// The path as it is written: `Url` would have resolved what looks like another path.
fn raw_path(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.find(['/', '\\', '?', '#']).map_or("", |at| &rest[at..]);
    path.find(['?', '#']).map_or(path, |end| &path[..end])
}

fn not_allowed(candidates: &[Candidate]) -> Failure {
    let shown: Vec<&str> = candidates.iter().map(|candidate| candidate.shown.as_str()).collect();
    let shown = shown.join(" or ");
    let problem = candidates.iter().find_map(|candidate| candidate.address.as_ref().err());
    let message = match problem {
        Some(InvalidAddress::Credentials) => format!(
            "spec.hydraAdmin.url holds a user or a password, which is never sent to {shown}; \
             remove it"
        ),
        Some(InvalidAddress::Query) => {
            format!("spec.hydraAdmin.url has a query or a fragment behind {shown}; remove it")
        }
        Some(_) => format!(
            "spec.hydraAdmin asks for the Hydra at {shown}, which is no address of clients: its \
             path must end in /clients, without . and .. ; correct url and endpoint, or remove \
             spec.hydraAdmin"
        ),
        None => format!(
            "spec.hydraAdmin asks for the Hydra at {shown}, which the administrator of the \
             operator does not allow; ask them to add it to {}, or remove spec.hydraAdmin",
            ALLOW_RESOURCE_HYDRA_ADMIN.flag
        ),
    };
    Failure::terminal(Reason::HydraAdminNotAllowed, message)
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::terminal(Reason::InvalidSpec, message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(hydra_admin: &Value) -> OAuth2ClientSpec {
        serde_json::from_value(json!({
            "grantTypes": ["client_credentials"], "secretName": "s", "hydraAdmin": hydra_admin,
        }))
        .unwrap()
    }

    fn rules(own: &str, allowed: &[&str]) -> Rules {
        Rules {
            own: Base::of(&Url::parse(own).unwrap()),
            own_port: explicit_port(own),
            allowed: allowed.iter().map(|text| ClientsAddress::parse(text).unwrap()).collect(),
        }
    }

    /// The address, or the reason why there is none.
    fn found(hydra_admin: &Value, own: &str, allowed: &[&str]) -> String {
        match place(&spec(hydra_admin), &rules(own, allowed)) {
            Ok(Place { target: Target::Own, .. }) => "own".to_owned(),
            Ok(Place { target: Target::Other { address, .. }, .. }) => address.to_string(),
            Err(failure) => failure.reason.as_str().to_owned(),
        }
    }

    const OWN: &str = "http://hydra:4445";
    const B: &str = "http://b:4445/admin/clients";

    #[test]
    fn addresses_are_composed_as_the_fields_promise() {
        let below = "http://b:4445/base/clients";
        let cases: [(Value, &str, &[&str], &str); 23] = [
            (json!({}), OWN, &[], "own"),
            (json!({ "url": "", "port": 4445, "endpoint": "/clients" }), OWN, &[], "own"),
            (
                json!({ "url": "http://b", "port": 4445, "endpoint": "/admin/clients" }),
                OWN,
                &[B],
                B,
            ),
            (json!({ "url": "http://b", "port": 4445 }), OWN, &[B], B),
            // Without a port: the one of the operator's own Hydra, which may name none.
            (json!({ "url": "http://b" }), OWN, &[B], B),
            (json!({ "url": "http://b", "port": 0 }), OWN, &[B], B),
            (
                json!({ "url": "http://b" }),
                "http://hydra",
                &["http://b/clients"],
                "http://b/clients",
            ),
            (
                json!({ "url": "https://b" }),
                "http://hydra:80",
                &["https://b:80/clients"],
                "https://b:80/clients",
            ),
            (
                json!({ "url": "https://b" }),
                "http://hydra",
                &["https://b/clients"],
                "https://b/clients",
            ),
            // The port of the URL, also where it is that of the scheme; the field wins.
            (json!({ "url": "http://b:4445" }), "http://hydra:1", &[B], B),
            (json!({ "url": "http://b:80" }), OWN, &["http://b/clients"], "http://b/clients"),
            (json!({ "url": "http://b:80", "port": 4445 }), OWN, &[B], B),
            // A slash at the end is no segment.
            (json!({ "url": "http://b/", "port": 4445 }), OWN, &[B], B),
            (json!({ "url": "http://b:4445/", "endpoint": "/admin/clients/" }), OWN, &[B], B),
            // A base path is kept.
            (json!({ "url": "http://b:4445/base", "endpoint": "/clients" }), OWN, &[below], below),
            (json!({ "url": "http://b:4445/base/" }), OWN, &[below], below),
            (json!({ "url": "http://b:4445/admin" }), OWN, &[B], B),
            // The endpoint itself, once or twice.
            (json!({ "url": "http://b:4445/base/clients/" }), OWN, &[below], below),
            (json!({ "url": "http://b:4445/admin/clients", "endpoint": "/clients" }), OWN, &[B], B),
            (
                json!({ "url": "http://b:4445/admin/clients", "endpoint": "/admin/clients" }),
                OWN,
                &[B],
                B,
            ),
            // Host names are without case; the own Hydra has to be allowed like any other.
            (json!({ "url": "http://B:4445" }), OWN, &[B], B),
            (
                json!({ "url": "http://[::1]:4445" }),
                OWN,
                &["http://[::1]:4445/clients"],
                "http://[::1]:4445/clients",
            ),
            (json!({ "url": OWN }), OWN, &[B], "HydraAdminNotAllowed"),
        ];
        for (hydra_admin, own, allowed, expected) in cases {
            assert_eq!(found(&hydra_admin, own, allowed), expected, "{hydra_admin} {own}");
        }
    }

    #[test]
    fn near_misses_are_not_allowed() {
        let url = |url: &str| json!({ "url": url });
        let endpoint = |endpoint: &str| json!({ "url": "http://b:4445", "endpoint": endpoint });
        let cases = [
            url("http://c:4445"),
            url("http://b.:4445"),
            url("http://b.evil.example:4445"),
            url("http://b:4446"),
            url("https://b:4445"),
            url("http://b:4445/other"),
            url("http://b:4445/adm"),
            url("http://u@b:4445"),
            url("http://u:hunter2@b:4445"),
            url("http://b:4445@evil.example"),
            url("http://b:4445?a=b"),
            url("http://b:4445#a"),
            url("http://b:4445/admin/clients/.."),
            url("http://b:4445/x/../admin/clients"),
            url("http://b:4445/x/%2e%2E/admin/clients"),
            url("http://b:4445/admin//clients"),
            url("http://b:4445//"),
            url("http://b:4445\\admin\\clients"),
            endpoint("/admin/client"),
            endpoint("/admin/clients/x"),
            endpoint("/admin/clients/.."),
            endpoint("/./admin/clients"),
            endpoint("/admin/%63lients"),
            endpoint("/admin%2Fclients"),
            endpoint("/admin/clients?a"),
            endpoint("/admin/clients#"),
            endpoint("/admin/cli\tents"),
            endpoint("/admin/Clients"),
            endpoint("/admin"),
            endpoint("/admin/keys"),
            endpoint("@evil.example/admin/clients"),
        ];
        for hydra_admin in cases {
            assert_eq!(found(&hydra_admin, OWN, &[B]), "HydraAdminNotAllowed", "{hydra_admin}");
        }
        assert_eq!(found(&url("http://b:4445"), OWN, &[]), "HydraAdminNotAllowed");
    }

    #[test]
    fn what_cannot_be_used_is_named_without_a_password() {
        let cases = [
            (json!({ "url": "http://b", "port": -1 }), "InvalidSpec", "port"),
            (json!({ "url": "http://b", "port": 65536 }), "InvalidSpec", "port"),
            (json!({ "url": "http://b:99999" }), "InvalidSpec", "url"),
            (json!({ "url": "http://" }), "InvalidSpec", "url"),
            (json!({ "url": "ftp://b" }), "InvalidSpec", "https"),
            (json!({ "url": "http://b", "forwardedProto": "xhttpsx" }), "InvalidSpec", "off"),
            (json!({ "url": "http://u:hunter2@c:1/" }), "HydraAdminNotAllowed", "http://c:1/"),
            (json!({ "url": "http://c" }), "HydraAdminNotAllowed", "http://c:4445/admin/clients"),
            (json!({ "url": "http://c" }), "HydraAdminNotAllowed", "--allow-resource-hydra-admin"),
        ];
        for (hydra_admin, reason, word) in cases {
            let failure = place(&spec(&hydra_admin), &rules(OWN, &[B])).unwrap_err();
            assert_eq!(failure.reason.as_str(), reason, "{hydra_admin}");
            assert!(failure.message.contains(word), "{hydra_admin}: {}", failure.message);
            assert!(!failure.message.contains("hunter2"), "{}", failure.message);
        }
    }

    #[test]
    fn a_port_of_the_operators_is_known_as_such() {
        for (hydra_admin, own, expected) in [
            (json!({ "url": "http://b" }), OWN, true),
            (json!({ "url": "http://b", "port": 4445 }), OWN, false),
            (json!({ "url": "http://b:4445" }), OWN, false),
        ] {
            let place = place(&spec(&hydra_admin), &rules(own, &[B])).unwrap();
            assert_eq!(place.port_is_operators, expected, "{hydra_admin}");
        }
    }

    #[test]
    fn fields_without_effect_are_named() {
        for (hydra_admin, expected) in [
            (Value::Null, None),
            (json!({}), None),
            (json!({ "url": "", "port": 0, "endpoint": "", "forwardedProto": "" }), None),
            (json!({ "url": "http://b", "port": 1 }), None),
            (json!({ "port": 4445 }), Some("its port is ignored")),
            (json!({ "port": 1, "endpoint": "/a" }), Some("its port and endpoint are ignored")),
            (
                json!({ "port": 1, "endpoint": "/a", "forwardedProto": "off" }),
                Some("its port, endpoint and forwardedProto are ignored"),
            ),
        ] {
            let note = note(&spec(&hydra_admin));
            assert_eq!(note.is_some(), expected.is_some(), "{hydra_admin}");
            assert!(note.unwrap_or_default().ends_with(expected.unwrap_or_default()));
        }
    }
}
