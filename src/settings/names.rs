//! What the settings are called: messages name a setting by its flag and by its variable.

use std::fmt;

/// An argument of the command line and the environment variable that sets it, as messages name them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Setting {
    /// The flag, with its dashes.
    pub flag: &'static str,
    /// The environment variable.
    pub env: &'static str,
}

impl Setting {
    const fn new(flag: &'static str, env: &'static str) -> Self {
        Self { flag, env }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.flag, self.env)
    }
}

/// The base URL of the admin API.
pub const HYDRA_ADMIN_URL: Setting = Setting::new("--hydra-admin-url", "HYDRA_ADMIN_URL");
/// The base URL of the public API.
pub const HYDRA_PUBLIC_URL: Setting = Setting::new("--hydra-public-url", "HYDRA_PUBLIC_URL");
/// The certificate authorities of Hydra.
pub const HYDRA_CA_FILE: Setting = Setting::new("--hydra-ca-file", "HYDRA_CA_FILE");
/// The client certificate.
pub const HYDRA_CLIENT_CERT_FILE: Setting =
    Setting::new("--hydra-client-cert-file", "HYDRA_CLIENT_CERT_FILE");
/// The key of the client certificate.
pub const HYDRA_CLIENT_KEY_FILE: Setting =
    Setting::new("--hydra-client-key-file", "HYDRA_CLIENT_KEY_FILE");
/// The file of extra headers.
pub const HYDRA_HEADERS_FILE: Setting = Setting::new("--hydra-headers-file", "HYDRA_HEADERS_FILE");
/// The value of `X-Forwarded-Proto`.
pub const HYDRA_FORWARDED_PROTO: Setting =
    Setting::new("--hydra-forwarded-proto", "HYDRA_FORWARDED_PROTO");
/// The addresses that resources may name in `spec.hydraAdmin`.
pub const ALLOW_RESOURCE_HYDRA_ADMIN: Setting =
    Setting::new("--allow-resource-hydra-admin", "ALLOW_RESOURCE_HYDRA_ADMIN");
/// The time-out of a request to Hydra.
pub const HYDRA_REQUEST_TIMEOUT: Setting =
    Setting::new("--hydra-request-timeout", "HYDRA_REQUEST_TIMEOUT");
/// The kubeconfig file; kube itself reads the variable where the flag is missing.
pub const KUBECONFIG: Setting = Setting::new("--kubeconfig", "KUBECONFIG");
/// The namespaces to watch. The variable is the one that operators commonly read.
pub const NAMESPACES: Setting = Setting::new("--namespaces", "WATCH_NAMESPACE");
/// The namespaces whose Secrets and ConfigMaps may be used.
pub const SECRET_NAMESPACES: Setting = Setting::new("--secret-namespaces", "SECRET_NAMESPACES");
/// The interval of the sweep.
pub const RESYNC_INTERVAL: Setting = Setting::new("--resync-interval", "RESYNC_INTERVAL");
/// The key of the client id in Secrets; hydra-maester has the same variable.
pub const CLIENT_ID_KEY: Setting = Setting::new("--client-id-key", "CLIENT_ID_KEY");
/// The key of the client secret in Secrets; hydra-maester has the same variable.
pub const CLIENT_SECRET_KEY: Setting = Setting::new("--client-secret-key", "CLIENT_SECRET_KEY");
/// Names of key sets beside those of a namespace's own.
pub const ALLOW_KEY_SET_NAMES: Setting =
    Setting::new("--allow-key-set-names", "ALLOW_KEY_SET_NAMES");
/// The namespaces that may have the key sets of Hydra itself.
pub const SYSTEM_KEY_SETS_FROM: Setting =
    Setting::new("--system-key-sets-from", "SYSTEM_KEY_SETS_FROM");
/// The bound of reconciles in progress.
pub const CONCURRENCY: Setting = Setting::new("--concurrency", "CONCURRENCY");
/// The namespace of the Lease. The variable is the one by which pods are commonly told theirs.
pub const LEADER_ELECTION_NAMESPACE: Setting =
    Setting::new("--leader-election-namespace", "POD_NAMESPACE");
/// The name of the Lease.
pub const LEADER_ELECTION_ID: Setting = Setting::new("--leader-election-id", "LEADER_ELECTION_ID");
/// How long the Lease is valid.
pub const LEADER_ELECTION_LEASE_DURATION: Setting =
    Setting::new("--leader-election-lease-duration", "LEADER_ELECTION_LEASE_DURATION");
/// How long a leader goes on without a renewal.
pub const LEADER_ELECTION_RENEW_DEADLINE: Setting =
    Setting::new("--leader-election-renew-deadline", "LEADER_ELECTION_RENEW_DEADLINE");
/// The time between two attempts at the Lease.
pub const LEADER_ELECTION_RETRY_PERIOD: Setting =
    Setting::new("--leader-election-retry-period", "LEADER_ELECTION_RETRY_PERIOD");
/// The address of probes and metrics.
pub const ADMIN_LISTEN: Setting = Setting::new("--admin-listen", "ADMIN_LISTEN");
/// The filter of the log.
pub const LOG_LEVEL: Setting = Setting::new("--log-level", "LOG_LEVEL");
/// The collector of traces; the variable is that of the specification of OpenTelemetry.
pub const OTLP_ENDPOINT: Setting = Setting::new("--otlp-endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT");
