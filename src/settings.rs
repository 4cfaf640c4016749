//! The settings of a run: what the command line says, checked and typed.
//!
//! Built without any IO. Whether a named file can be read is found out by whoever reads it, with the name of the
//! argument in its message (see the `*_FILE` constants).

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use tracing_subscriber::filter::{LevelFilter, Targets};
use url::Url;

mod election;
mod error;
mod names;

pub use self::{error::SettingsError, names::*};
use crate::{
    cli::{HydraArgs, KubernetesArgs, LogArgs, LogFormat, RunArgs},
    hydra::{ClientsAddress, KeySetName, address::explicit_port},
    jsonwebkeyset::desired::{Permissions, begins_with},
    kubernetes::{KeyPair, secret_content},
    leader,
};

/// Shorter, and a slow network would look like a Hydra that is away; longer, and one request holds a place among the
/// concurrent reconciles for too long.
const REQUEST_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_mins(5);

/// A sweep lists all clients of a Hydra, so more than one a second would be load without use (tests come close to it);
/// above a day, a client deleted in Hydra would stay away for longer than anyone expects.
const RESYNC: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);

const CONCURRENT: RangeInclusive<u16> = 1..=1000;

/// All settings of `hydra-operator run`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where Hydra is and how to speak to it.
    pub hydra: HydraSettings,
    /// The kubeconfig file; `None`: what kube finds (`$KUBECONFIG`, `~/.kube/config`, the service account of the pod).
    pub kubeconfig: Option<PathBuf>,
    /// The namespaces to watch, distinct and in the order given; empty: all.
    pub namespaces: Vec<String>,
    /// The namespaces whose Secrets and ConfigMaps may be used, distinct and in the order given; empty: all that are
    /// watched.
    pub secret_namespaces: Vec<String>,
    /// How to find out which of several replicas works; `None`: this one does.
    pub leader_election: Option<leader::Settings>,
    /// The address of probes and metrics.
    pub admin_listen: SocketAddr,
    /// Whether the metrics tell what each resource says of itself, by its name.
    pub resource_metrics: bool,
    /// Time between two sweeps over a Hydra.
    pub resync_interval: Duration,
    /// Keys of the credentials in Secrets, where a resource names no others.
    pub secret_keys: KeyPair,
    /// Whether clients that carry the owner mark of a resource beside its own are deleted.
    pub removes_duplicates: bool,
    /// Which key sets resources may have.
    pub key_sets: Permissions,
    /// How many resources are reconciled at the same time.
    pub concurrency: u16,
    /// Whether to write nothing and tell what would be written.
    pub observe: bool,
    /// What is logged, and how.
    pub log: LogSettings,
}

/// How to reach the admin API of Hydra.
#[derive(Clone, Debug, PartialEq)]
pub struct HydraSettings {
    /// The base URL: http or https, without user, password, query and fragment; a path is kept.
    pub admin_url: Url,
    /// The base URL of the public API, like the admin URL.
    pub public_url: Option<Url>,
    /// The port of that URL, where it names one: also the one that its scheme has anyway.
    pub admin_port: Option<u16>,
    /// The addresses that resources may name in `spec.hydraAdmin`.
    pub allowed: Vec<ClientsAddress>,
    /// PEM certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM certificate chain that the operator presents, its own certificate first; given together with the key.
    pub client_cert_file: Option<PathBuf>,
    /// PEM private key of that certificate.
    pub client_key_file: Option<PathBuf>,
    /// Headers to add to each request, one `Name: value` a line.
    pub headers_file: Option<PathBuf>,
    /// The value of `X-Forwarded-Proto`: `http` or `https`.
    pub forwarded_proto: Option<String>,
    /// Bound on one request, from connecting to the last byte of the answer.
    pub request_timeout: Duration,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSettings {
    /// Text or JSON.
    pub format: LogFormat,
    /// The least level by target.
    pub filter: Targets,
    /// A file whose content takes the place of the filter.
    pub filter_file: Option<PathBuf>,
    /// The base URL of a collector of traces.
    pub otlp_endpoint: Option<Url>,
}

impl TryFrom<RunArgs> for Settings {
    type Error = SettingsError;

    fn try_from(args: RunArgs) -> Result<Self, SettingsError> {
        let RunArgs { hydra, kubernetes, reconcile, leader_election, admin, log } = args;
        Ok(Self {
            hydra: hydra.try_into()?,
            secret_namespaces: secret_namespaces(&kubernetes)?,
            kubeconfig: non_empty(kubernetes.kubeconfig),
            namespaces: namespaces(NAMESPACES, &kubernetes.namespaces)?,
            leader_election: election::settings(leader_election)?,
            admin_listen: admin.admin_listen,
            resource_metrics: admin.resource_metrics,
            resync_interval: within(RESYNC_INTERVAL, RESYNC, reconcile.resync_interval)?,
            removes_duplicates: reconcile.remove_duplicate_clients,
            secret_keys: secret_keys(reconcile.client_id_key, reconcile.client_secret_key)?,
            key_sets: Permissions {
                names: key_set_names(&reconcile.allow_key_set_names)?,
                system_from: namespaces(SYSTEM_KEY_SETS_FROM, &reconcile.system_key_sets_from)?
                    .into_iter()
                    .collect(),
                adopts: reconcile.adopt_key_sets,
            },
            concurrency: concurrency(reconcile.concurrency)?,
            observe: reconcile.observe,
            log: log.try_into()?,
        })
    }
}

impl TryFrom<HydraArgs> for HydraSettings {
    type Error = SettingsError;

    fn try_from(args: HydraArgs) -> Result<Self, SettingsError> {
        let settings = Self {
            admin_url: admin_url(&args.hydra_admin_url)?,
            public_url: public_url(args.hydra_public_url.as_deref())?,
            admin_port: explicit_port(&args.hydra_admin_url),
            allowed: allowed(&args.allow_resource_hydra_admin)?,
            ca_file: non_empty(args.hydra_ca_file),
            client_cert_file: non_empty(args.hydra_client_cert_file),
            client_key_file: non_empty(args.hydra_client_key_file),
            headers_file: non_empty(args.hydra_headers_file),
            forwarded_proto: forwarded_proto(args.hydra_forwarded_proto)?,
            request_timeout: within(
                HYDRA_REQUEST_TIMEOUT,
                REQUEST_TIMEOUT,
                args.hydra_request_timeout,
            )?,
        };
        check_tls(&settings)?;
        Ok(settings)
    }
}

impl TryFrom<LogArgs> for LogSettings {
    type Error = SettingsError;

    fn try_from(args: LogArgs) -> Result<Self, SettingsError> {
        Ok(Self {
            format: args.log_format,
            filter: log_filter(&args.log_level)?,
            filter_file: non_empty(args.log_level_file),
            otlp_endpoint: otlp_endpoint(args.otlp_endpoint.as_deref())?,
        })
    }
}

fn admin_url(text: &str) -> Result<Url, SettingsError> {
    let url = Url::parse(text.trim()).map_err(SettingsError::AdminUrlSyntax)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SettingsError::AdminUrlScheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SettingsError::AdminUrlCredentials);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(SettingsError::AdminUrlQuery);
    }
    Ok(url)
}

fn public_url(text: Option<&str>) -> Result<Option<Url>, SettingsError> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    text.map(|text| admin_url(text).map_err(|_| SettingsError::PublicUrl)).transpose()
}

fn otlp_endpoint(text: Option<&str>) -> Result<Option<Url>, SettingsError> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    text.map(|text| admin_url(text).map_err(|_| SettingsError::OtlpEndpoint)).transpose()
}

fn secret_keys(id: String, secret: String) -> Result<KeyPair, SettingsError> {
    if !secret_content::is_key(&id) {
        return Err(SettingsError::SecretKey(CLIENT_ID_KEY));
    }
    if !secret_content::is_key(&secret) || secret == id {
        return Err(SettingsError::SecretKey(CLIENT_SECRET_KEY));
    }
    Ok(KeyPair { id, secret })
}

fn allowed(given: &[String]) -> Result<Vec<ClientsAddress>, SettingsError> {
    if is_empty(given) {
        return Ok(Vec::new());
    }
    let address = |(index, text): (usize, &String)| {
        let position = index + 1;
        ClientsAddress::parse(text)
            .map_err(|problem| SettingsError::AllowedAddress { position, problem })
    };
    given.iter().enumerate().map(address).collect()
}

/// Refuses a certificate without its key, and TLS files that plain HTTP would silently ignore.
fn check_tls(hydra: &HydraSettings) -> Result<(), SettingsError> {
    let half = |given, missing| SettingsError::HalfIdentity { given, missing };
    match (&hydra.client_cert_file, &hydra.client_key_file) {
        (Some(_), None) => return Err(half(HYDRA_CLIENT_CERT_FILE, HYDRA_CLIENT_KEY_FILE)),
        (None, Some(_)) => return Err(half(HYDRA_CLIENT_KEY_FILE, HYDRA_CLIENT_CERT_FILE)),
        (Some(_), Some(_)) | (None, None) => {}
    }
    let own = [&hydra.admin_url].into_iter().chain(&hydra.public_url);
    let mut addresses = hydra.allowed.iter().map(ClientsAddress::url).chain(own);
    if addresses.any(|url| url.scheme() == "https") {
        return Ok(());
    }
    let files =
        [(HYDRA_CA_FILE, &hydra.ca_file), (HYDRA_CLIENT_CERT_FILE, &hydra.client_cert_file)];
    match files.into_iter().find(|(_, file)| file.is_some()) {
        Some((setting, _)) => Err(SettingsError::TlsWithoutHttps(setting)),
        None => Ok(()),
    }
}

/// `off` is hydra-maester's word for "do not send it".
fn forwarded_proto(given: Option<String>) -> Result<Option<String>, SettingsError> {
    match given.as_deref() {
        None | Some("" | "off") => Ok(None),
        Some("http" | "https") => Ok(given),
        Some(other) => Err(SettingsError::ForwardedProto(other.to_owned())),
    }
}

fn namespaces(setting: Setting, given: &[String]) -> Result<Vec<String>, SettingsError> {
    if is_empty(given) {
        return Ok(Vec::new());
    }
    let mut seen = BTreeSet::new();
    for name in given.iter().map(|name| name.trim()) {
        if !is_dns_label(name) {
            return Err(SettingsError::Namespace(setting, name.to_owned()));
        }
        if !seen.insert(name) {
            return Err(SettingsError::DuplicateNamespace(setting, name.to_owned()));
        }
    }
    Ok(given.iter().map(|name| name.trim().to_owned()).collect())
}

/// Of an operator that watches all namespaces.
fn secret_namespaces(kubernetes: &KubernetesArgs) -> Result<Vec<String>, SettingsError> {
    let given = namespaces(SECRET_NAMESPACES, &kubernetes.secret_namespaces)?;
    if given.is_empty() || is_empty(&kubernetes.namespaces) || kubernetes.namespaces.is_empty() {
        Ok(given)
    } else {
        Err(SettingsError::SecretNamespaces)
    }
}

/// Whether a list holds nothing but the text of a variable that is empty.
fn is_empty(list: &[String]) -> bool {
    matches!(list, [only] if only.trim().is_empty())
}

/// Whether `name` is a label by RFC 1123, section 2.1, in lower case, as Kubernetes asks of a namespace.
fn is_dns_label(name: &str) -> bool {
    let of_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(of_label)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// `namespace/name`, where the name may end in `*`.
fn key_set_names(given: &[String]) -> Result<BTreeSet<(String, String)>, SettingsError> {
    if is_empty(given) {
        return Ok(BTreeSet::new());
    }
    let parse = |text: &str| {
        let (namespace, name) = text.split_once('/')?;
        let fixed = name.strip_suffix('*').unwrap_or(name);
        let is_name = KeySetName::parse(fixed).is_ok() || (fixed.is_empty() && name == "*");
        // Hydra's own sets have a setting of their own; what a namespace owns is nobody else's.
        let is_free = !begins_with(fixed, "hydra.") && !begins_with(fixed, "k8s.");
        (is_dns_label(namespace) && is_name && is_free)
            .then(|| (namespace.to_owned(), name.to_owned()))
    };
    let parse = |text: &String| {
        parse(text.trim()).ok_or_else(|| SettingsError::KeySetName(text.trim().to_owned()))
    };
    given.iter().map(parse).collect()
}

fn concurrency(value: u16) -> Result<u16, SettingsError> {
    if CONCURRENT.contains(&value) { Ok(value) } else { Err(SettingsError::Concurrency(value)) }
}

fn within(
    setting: Setting,
    range: RangeInclusive<Duration>,
    value: Duration,
) -> Result<Duration, SettingsError> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(SettingsError::Duration { setting, value, range })
    }
}

/// The syntax of `RUST_LOG` without its bare target names: there a mistyped level is the name of a target, and the
/// log would fall silent.
pub fn log_filter(text: &str) -> Result<Targets, SettingsError> {
    let mut filter = Targets::new();
    for directive in text.split(',').map(str::trim) {
        let (target, level) = match directive.split_once('=') {
            Some((target, level)) => (target.trim(), level.trim()),
            None => ("", directive),
        };
        let refused = || SettingsError::LogLevel(directive.to_owned());
        if level.is_empty() || (target.is_empty() && directive.contains('=')) {
            return Err(refused());
        }
        let level: LevelFilter = level.parse().map_err(|_| refused())?;
        filter = if target.is_empty() {
            filter.with_default(level)
        } else {
            filter.with_target(target, level)
        };
    }
    Ok(filter)
}

fn non_empty(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| path != Path::new(""))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use proptest::prelude::*;

    use super::*;
    use crate::cli::{Cli, Command};

    const URL: &str = "--hydra-admin-url=http://hydra:4445";

    fn settings(args: &[&str]) -> Result<Settings, SettingsError> {
        let line = ["hydra-operator", "run"].iter().chain(args);
        match Cli::try_parse_from(line).expect("clap accepts the line").command {
            Command::Run(args) => Settings::try_from(*args),
            _ => panic!("not a run"),
        }
    }

    fn with_url(args: &[&str]) -> Result<Settings, SettingsError> {
        settings(&[&[URL], args].concat())
    }

    #[test]
    fn defaults() {
        let settings = with_url(&[]).unwrap();
        assert_eq!(
            settings,
            Settings {
                hydra: HydraSettings {
                    admin_url: Url::parse("http://hydra:4445").unwrap(),
                    public_url: None,
                    admin_port: Some(4445),
                    allowed: vec![],
                    ca_file: None,
                    client_cert_file: None,
                    client_key_file: None,
                    headers_file: None,
                    forwarded_proto: None,
                    request_timeout: Duration::from_secs(10),
                },
                kubeconfig: None,
                namespaces: vec![],
                secret_namespaces: vec![],
                leader_election: None,
                admin_listen: ([0, 0, 0, 0], 8080).into(),
                resource_metrics: false,
                resync_interval: Duration::from_mins(5),
                secret_keys: KeyPair::new("CLIENT_ID", "CLIENT_SECRET"),
                removes_duplicates: false,
                key_sets: Permissions::default(),
                concurrency: 8,
                observe: false,
                log: LogSettings {
                    format: LogFormat::Text,
                    filter: Targets::new().with_default(LevelFilter::INFO),
                    filter_file: None,
                    otlp_endpoint: None,
                },
            }
        );
    }

    #[test]
    fn every_value_arrives_at_its_field() {
        let settings = settings(&[
            "--hydra-admin-url=https://hydra.example/base",
            "--hydra-ca-file=/ca",
            "--hydra-client-cert-file=/cert",
            "--hydra-client-key-file=/key",
            "--hydra-headers-file=/headers",
            "--hydra-forwarded-proto=https",
            "--hydra-request-timeout=2s",
            "--allow-resource-hydra-admin=http://b:4445/admin/clients,https://c/clients/",
            "--kubeconfig=/kubeconfig",
            "--namespaces=b,a",
            "--admin-listen=127.0.0.1:0",
            "--resync-interval=1m 30s",
            "--hydra-public-url=https://id.example",
            "--remove-duplicate-clients",
            "--client-id-key=id",
            "--client-secret-key=secret",
            "--allow-key-set-names=team-a/payments, team-b/shop.*",
            "--system-key-sets-from=platform",
            "--adopt-key-sets",
            "--concurrency=3",
            "--observe",
            "--log-format=json",
            "--log-level=warn,hydra_operator=debug",
        ])
        .unwrap();
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(settings.hydra.admin_url.as_str(), "https://hydra.example/base");
        assert_eq!(settings.hydra.admin_port, None);
        let allowed: Vec<String> = settings.hydra.allowed.iter().map(ToString::to_string).collect();
        assert_eq!(allowed, ["http://b:4445/admin/clients", "https://c/clients"]);
        assert_eq!(settings.hydra.ca_file, path("/ca"));
        assert_eq!(settings.hydra.client_cert_file, path("/cert"));
        assert_eq!(settings.hydra.client_key_file, path("/key"));
        assert_eq!(settings.hydra.headers_file, path("/headers"));
        assert_eq!(settings.hydra.forwarded_proto.as_deref(), Some("https"));
        assert_eq!(settings.hydra.request_timeout, Duration::from_secs(2));
        assert_eq!(settings.kubeconfig, path("/kubeconfig"));
        assert_eq!(settings.namespaces, ["b", "a"]);
        assert_eq!(settings.admin_listen, ([127, 0, 0, 1], 0).into());
        assert_eq!(settings.resync_interval, Duration::from_secs(90));
        let names = [("team-a", "payments"), ("team-b", "shop.*")];
        let names = names.map(|(namespace, name)| (namespace.to_owned(), name.to_owned()));
        let key_sets = Permissions {
            names: names.into(),
            system_from: ["platform".to_owned()].into(),
            adopts: true,
        };
        assert_eq!(settings.key_sets, key_sets);
        assert_eq!(settings.concurrency, 3);
        assert!(settings.removes_duplicates);
        assert!(settings.observe);
        assert_eq!(
            settings.hydra.public_url.map(String::from).as_deref(),
            Some("https://id.example/")
        );
        assert_eq!(settings.secret_keys, KeyPair::new("id", "secret"));
        assert_eq!(settings.log.format, LogFormat::Json);
        let filter = Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target("hydra_operator", LevelFilter::DEBUG);
        assert_eq!(settings.log.filter, filter);
    }

    #[test]
    fn an_empty_value_is_no_value() {
        let empty = [
            "--hydra-public-url=",
            "--hydra-ca-file=",
            "--hydra-client-cert-file=",
            "--hydra-client-key-file=",
            "--hydra-headers-file=",
            "--hydra-forwarded-proto=",
            "--kubeconfig=",
            "--namespaces=",
            "--secret-namespaces=",
            "--allow-resource-hydra-admin=",
        ];
        assert_eq!(with_url(&empty), with_url(&[]));
    }

    #[test]
    fn accepted() {
        let proto = |value: &str| with_url(&[value]).unwrap().hydra.forwarded_proto;
        assert_eq!(proto("--hydra-forwarded-proto=off"), None);
        assert_eq!(proto("--hydra-forwarded-proto=http").as_deref(), Some("http"));
        assert_eq!(with_url(&["--namespaces= a , b"]).unwrap().namespaces, ["a", "b"]);
        let some = with_url(&["--namespaces=", "--secret-namespaces=b,a"]).unwrap();
        assert_eq!(some.secret_namespaces, ["b", "a"]);
        assert!(with_url(&["--log-level=OFF"]).is_ok());
        let tls = ["--hydra-ca-file=/ca", "--allow-resource-hydra-admin=https://b/clients"];
        assert!(with_url(&tls).is_ok(), "it has an effect on that address");
        let tls = ["--hydra-ca-file=/ca", "--hydra-public-url=https://id.example"];
        assert!(with_url(&tls).is_ok(), "it has an effect on that URL");
    }

    /// Each wrong setting, and the words its message must hold.
    #[test]
    fn refused() {
        let cases: &[(&[&str], &[&str])] = &[
            (&["--hydra-admin-url=hydra"], &["--hydra-admin-url", "HYDRA_ADMIN_URL", "http://"]),
            (&["--hydra-admin-url="], &["--hydra-admin-url", "http://"]),
            (&["--hydra-admin-url=http://"], &["--hydra-admin-url", "http://"]),
            (&["--hydra-admin-url=hydra:4445"], &["--hydra-admin-url", "http://"]),
            (&["--hydra-admin-url=unix:///run/hydra"], &["--hydra-admin-url", "https"]),
            (&["--hydra-admin-url=http://u:pw@h"], &["--hydra-admin-url", "HYDRA_HEADERS_FILE"]),
            (&["--hydra-admin-url=http://u@h"], &["--hydra-admin-url", "credentials"]),
            (&["--hydra-admin-url=http://h/?a=b"], &["--hydra-admin-url", "query"]),
            (&["--hydra-admin-url=http://h/#a"], &["--hydra-admin-url", "fragment"]),
            (
                &["--hydra-admin-url=https://h", "--hydra-client-cert-file=/c"],
                &["HYDRA_CLIENT_CERT_FILE", "needs --hydra-client-key-file"],
            ),
            (
                &["--hydra-admin-url=https://h", "--hydra-client-key-file=/k"],
                &["HYDRA_CLIENT_KEY_FILE", "needs --hydra-client-cert-file"],
            ),
            (&[URL, "--hydra-public-url=id.example"], &["--hydra-public-url", "https"]),
            (&[URL, "--client-id-key=a/b"], &["--client-id-key", "CLIENT_ID_KEY"]),
            (&[URL, "--client-id-key="], &["--client-id-key"]),
            (
                &[URL, "--client-id-key=x", "--client-secret-key=x"],
                &["--client-secret-key", "twice"],
            ),
            (&[URL, "--hydra-ca-file=/ca"], &["--hydra-ca-file", "https", "--hydra-public-url"]),
            (
                &[URL, "--hydra-public-url=http://id.example", "--hydra-ca-file=/ca"],
                &["--hydra-ca-file", "https"],
            ),
            (
                &[URL, "--hydra-client-cert-file=/c", "--hydra-client-key-file=/k"],
                &["--hydra-client-cert-file", "https"],
            ),
            (&[URL, "--hydra-forwarded-proto=ftp"], &["HYDRA_FORWARDED_PROTO", "ftp", "off"]),
            (
                &[URL, "--allow-resource-hydra-admin=b"],
                &["ALLOW_RESOURCE_HYDRA_ADMIN", "address 1"],
            ),
            (
                &[URL, "--allow-resource-hydra-admin=http://b/clients,http://u:pw@c/clients"],
                &["--allow-resource-hydra-admin", "address 2", "credentials", "/admin/clients"],
            ),
            (&[URL, "--allow-resource-hydra-admin=http://b/clients,"], &["address 2"]),
            (&[URL, "--allow-resource-hydra-admin=http://b/clients?a=b"], &["query"]),
            (&[URL, "--allow-resource-hydra-admin=http://b/clients#a"], &["fragment"]),
            (&[URL, "--allow-resource-hydra-admin=ftp://b/clients"], &["https"]),
            (&[URL, "--allow-resource-hydra-admin=http://b/myclients"], &["end in /clients"]),
            (&[URL, "--hydra-request-timeout=0s"], &["HYDRA_REQUEST_TIMEOUT", "100ms", "5m"]),
            (&[URL, "--resync-interval=999ms"], &["--resync-interval", "999ms", "1s", "1day"]),
            (&[URL, "--resync-interval=25h"], &["--resync-interval", "1day 1h"]),
            (&[URL, "--system-key-sets-from=a,B"], &["SYSTEM_KEY_SETS_FROM", "\"B\""]),
            (&[URL, "--allow-key-set-names=payments"], &["ALLOW_KEY_SET_NAMES", "\"payments\""]),
            (&[URL, "--allow-key-set-names=a/b,a/hydra.x"], &["\"a/hydra.x\"", "hydra."]),
            (&[URL, "--allow-key-set-names=a/k8s.b.*"], &["\"a/k8s.b.*\""]),
            (&[URL, "--allow-key-set-names=a/b*c"], &["\"a/b*c\""]),
            (&[URL, "--concurrency=0"], &["--concurrency", "CONCURRENCY", "from 1 to 1000"]),
            (&[URL, "--concurrency=1001"], &["--concurrency", "1001"]),
            (&[URL, "--namespaces=a,,b"], &["--namespaces", "WATCH_NAMESPACE", "\"\""]),
            (&[URL, "--namespaces=a,B"], &["--namespaces", "\"B\""]),
            (&[URL, "--namespaces=a,a"], &["--namespaces", "\"a\" twice"]),
            (&[URL, "--secret-namespaces=a,a"], &["SECRET_NAMESPACES", "\"a\" twice"]),
            (
                &[URL, "--namespaces=a", "--secret-namespaces=a"],
                &["--namespaces", "SECRET_NAMESPACES", "exclude each other"],
            ),
            (&[URL, "--log-level=loud"], &["--log-level", "LOG_LEVEL", "\"loud\""]),
            (&[URL, "--log-level="], &["--log-level"]),
            (&[URL, "--log-level=info,=debug"], &["--log-level", "\"=debug\""]),
            (&[URL, "--log-level=info,kube="], &["--log-level", "\"kube=\""]),
        ];
        for (args, words) in cases {
            let message = settings(args).expect_err(&format!("{args:?} is refused")).to_string();
            for word in *words {
                assert!(message.contains(word), "{args:?}: {word:?} is not in {message:?}");
            }
        }
    }

    #[test]
    fn no_message_repeats_credentials() {
        for url in ["http://tok:hunter2@h", "http://tok:hunter2@h:port", "tok:hunter2@h", "tok@h"] {
            let error = settings(&[&format!("--hydra-admin-url={url}")]).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("tok"), "{shown}");
            let allow = format!("--allow-resource-hydra-admin={url}/clients");
            let error = with_url(&[&allow]).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("tok"), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn dns_labels_are_those_of_kubernetes(name in "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?") {
            prop_assert!(is_dns_label(&name));
            prop_assert!(!is_dns_label(&format!("-{name}")), "leading dash");
            prop_assert!(!is_dns_label(&format!("{name}-")), "trailing dash");
            prop_assert!(!is_dns_label(&format!("{name}.{name}")), "dot");
            prop_assert!(!is_dns_label(&format!("{name}{}", "x".repeat(63))), "too long");
        }
    }
}
