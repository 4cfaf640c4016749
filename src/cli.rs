//! The command line: what can be set, under which names, and its help text.
//!
//! Each subsystem has its own group of arguments. clap checks the syntax of a value; what a value means, and whether it
//! fits the others, is decided in [`crate::settings`]. An empty value means that an optional argument is not set, so that
//! a chart can always pass the variable.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{FalseyValueParser, OsStringValueParser, TypedValueParser},
};

/// Makes the OAuth 2.0 clients of Ory Hydra declarative in Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "hydra-operator", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the operator until it is told to stop.
    ///
    /// The first SIGTERM or SIGINT lets the work in progress finish, a second one ends the process at once.
    Run(Box<RunArgs>),
    /// Prints the custom resource definitions as YAML.
    Crds,
    /// Prints the metrics, with type and labels, as Markdown.
    Metrics,
    /// Prints the reasons of conditions and events, with cause and remedy, as Markdown.
    Reasons,
    /// Prints a page of the reference, as Markdown.
    Reference {
        /// Which one.
        #[arg(value_enum)]
        page: ReferencePage,
    },
}

/// The pages of `docs/reference/`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ReferencePage {
    /// The fields of an `OAuth2Client`.
    #[value(name = "oauth2client")]
    OAuth2Client,
    /// The fields of a `JsonWebKeySet`.
    #[value(name = "jsonwebkeyset")]
    JsonWebKeySet,
    /// The commands, and the settings of `run`.
    Cli,
}

/// All that `hydra-operator run` can be told.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Where Hydra is and how to speak to it.
    #[command(flatten)]
    pub hydra: HydraArgs,
    /// Where Kubernetes is and what to watch there.
    #[command(flatten)]
    pub kubernetes: KubernetesArgs,
    /// How much is done at once, and how often.
    #[command(flatten)]
    pub reconcile: ReconcileArgs,
    /// Which of several replicas works.
    #[command(flatten)]
    pub leader_election: LeaderElectionArgs,
    /// Probes and metrics.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// What is logged, and how.
    #[command(flatten)]
    pub log: LogArgs,
}

/// The admin API of Hydra.
#[derive(Debug, Args)]
#[command(next_help_heading = "Hydra")]
pub struct HydraArgs {
    /// Base URL of the admin API of Hydra, with http or https, usually at its port 4445
    // Text, not `Url`: clap would repeat a malformed URL in its error, with the password that it may hold.
    #[arg(long, env = "HYDRA_ADMIN_URL", value_name = "URL", hide_env_values = true)]
    pub hydra_admin_url: String,

    /// Base URL of the public API of Hydra, for Secrets that hold values of its discovery document
    #[arg(long, env = "HYDRA_PUBLIC_URL", value_name = "URL", hide_env_values = true)]
    pub hydra_public_url: Option<String>,

    /// PEM file of the certificate authorities to trust for Hydra instead of the system's
    #[arg(long, env = "HYDRA_CA_FILE", value_name = "FILE", hide_env_values = true)]
    #[arg(value_parser = path())]
    pub hydra_ca_file: Option<PathBuf>,

    /// PEM file of the certificate chain to present to Hydra (mutual TLS)
    #[arg(long, env = "HYDRA_CLIENT_CERT_FILE", value_name = "FILE", hide_env_values = true)]
    #[arg(value_parser = path())]
    pub hydra_client_cert_file: Option<PathBuf>,

    /// PEM file of the private key of that certificate
    #[arg(long, env = "HYDRA_CLIENT_KEY_FILE", value_name = "FILE", hide_env_values = true)]
    #[arg(value_parser = path())]
    pub hydra_client_key_file: Option<PathBuf>,

    /// File of headers to add to each request, one "Name: value" a line, read again when it changes
    #[arg(long, env = "HYDRA_HEADERS_FILE", value_name = "FILE", hide_env_values = true)]
    #[arg(value_parser = path())]
    pub hydra_headers_file: Option<PathBuf>,

    /// X-Forwarded-Proto to send: http or https (off: none), for a Hydra that expects a proxy to end TLS
    #[arg(long, env = "HYDRA_FORWARDED_PROTO", value_name = "PROTO", hide_env_values = true)]
    pub hydra_forwarded_proto: Option<String>,

    /// Comma-separated addresses that resources may name in spec.hydraAdmin, up to /clients, none if empty
    // Text for the same reason as the admin URL.
    #[arg(long, env = "ALLOW_RESOURCE_HYDRA_ADMIN", value_name = "URLS", hide_env_values = true)]
    #[arg(value_delimiter = ',')]
    pub allow_resource_hydra_admin: Vec<String>,

    /// Longest time that one request to Hydra may take, from 100ms to 5m
    #[arg(long, env = "HYDRA_REQUEST_TIMEOUT", value_name = "DURATION", hide_env_values = true)]
    #[arg(default_value = "10s", value_parser = humantime::parse_duration)]
    pub hydra_request_timeout: Duration,
}

/// The cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct KubernetesArgs {
    /// Kubeconfig to use instead of $KUBECONFIG, ~/.kube/config or, in a pod, its service account
    // Not bound to the variable: there it is a list of files, which kube merges by itself.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub kubeconfig: Option<PathBuf>,

    /// Comma-separated namespaces to watch, all if empty; with a list, Roles in these are enough
    #[arg(long, env = "WATCH_NAMESPACE", value_name = "NAMES", hide_env_values = true)]
    #[arg(value_delimiter = ',')]
    pub namespaces: Vec<String>,

    /// Comma-separated namespaces whose Secrets and ConfigMaps may be used, all if empty; others need no right to them
    #[arg(long, env = "SECRET_NAMESPACES", value_name = "NAMES", hide_env_values = true)]
    #[arg(value_delimiter = ',')]
    pub secret_namespaces: Vec<String>,
}

/// The reconcile loop.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reconciliation")]
pub struct ReconcileArgs {
    /// How often Hydra is compared with the resources to find changes made behind the operator's back, from 1s to 24h
    #[arg(long, env = "RESYNC_INTERVAL", value_name = "DURATION", hide_env_values = true)]
    #[arg(default_value = "5m", value_parser = humantime::parse_duration)]
    pub resync_interval: Duration,

    /// Delete other clients that carry the owner mark of a resource, as hydra-maester may have left
    #[arg(long, env = "REMOVE_DUPLICATE_CLIENTS", hide_env_values = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub remove_duplicate_clients: bool,

    /// Key of the client id in Secrets, where a resource names no other
    #[arg(long, env = "CLIENT_ID_KEY", value_name = "KEY", hide_env_values = true)]
    #[arg(default_value = "CLIENT_ID")]
    pub client_id_key: String,

    /// Key of the client secret in Secrets, where a resource names no other
    #[arg(long, env = "CLIENT_SECRET_KEY", value_name = "KEY", hide_env_values = true)]
    #[arg(default_value = "CLIENT_SECRET")]
    pub client_secret_key: String,

    /// Comma-separated names of key sets that resources may have, as namespace/name; name* allows all that begin so
    #[arg(long, env = "ALLOW_KEY_SET_NAMES", value_name = "NAMES", hide_env_values = true)]
    #[arg(value_delimiter = ',')]
    pub allow_key_set_names: Vec<String>,

    /// Comma-separated namespaces whose resources may have the key sets of Hydra itself, named hydra.*
    #[arg(long, env = "SYSTEM_KEY_SETS_FROM", value_name = "NAMESPACES", hide_env_values = true)]
    #[arg(value_delimiter = ',')]
    pub system_key_sets_from: Vec<String>,

    /// Take over key sets that hold keys already for the resources that name them
    #[arg(long, env = "ADOPT_KEY_SETS", hide_env_values = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub adopt_key_sets: bool,

    /// How many resources are reconciled at the same time, from 1 to 1000
    #[arg(long, env = "CONCURRENCY", value_name = "N", hide_env_values = true)]
    #[arg(default_value_t = 8)]
    pub concurrency: u16,

    /// Write nothing anywhere, and log what would be done with each resource
    #[arg(long, env = "OBSERVE", hide_env_values = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub observe: bool,
}

/// The election among several replicas.
#[derive(Debug, Args)]
#[command(next_help_heading = "Leader election")]
pub struct LeaderElectionArgs {
    /// Work only while this process holds a Lease, so that several replicas can stand by
    #[arg(long, env = "LEADER_ELECT", hide_env_values = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub leader_elect: bool,

    /// Namespace of the Lease, that of the ServiceAccount or kubeconfig if empty
    // The variable by which pods are commonly told theirs.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME", hide_env_values = true)]
    pub leader_election_namespace: Option<String>,

    /// Name of the Lease, which all replicas of one operator share and no other operator has
    #[arg(long, env = "LEADER_ELECTION_ID", value_name = "NAME", hide_env_values = true)]
    #[arg(default_value = "hydra-operator")]
    pub leader_election_id: String,

    /// How long the others wait for a leader that is silent, in whole seconds, from 1s to 10m
    #[arg(long, env = "LEADER_ELECTION_LEASE_DURATION", value_name = "DURATION")]
    #[arg(default_value = "15s", value_parser = humantime::parse_duration, hide_env_values = true)]
    pub leader_election_lease_duration: Duration,

    /// How long a leader goes on without renewing its Lease, shorter than the lease duration
    #[arg(long, env = "LEADER_ELECTION_RENEW_DEADLINE", value_name = "DURATION")]
    #[arg(default_value = "10s", value_parser = humantime::parse_duration, hide_env_values = true)]
    pub leader_election_renew_deadline: Duration,

    /// Time between two attempts to renew or to claim the Lease, from 100ms to 5m, shorter than the renew deadline
    #[arg(long, env = "LEADER_ELECTION_RETRY_PERIOD", value_name = "DURATION")]
    #[arg(default_value = "2s", value_parser = humantime::parse_duration, hide_env_values = true)]
    pub leader_election_retry_period: Duration,
}

/// The admin port of the operator itself.
#[derive(Debug, Args)]
#[command(next_help_heading = "Probes and metrics")]
pub struct AdminArgs {
    /// Address that serves /healthz, /readyz and /metrics
    #[arg(long, env = "ADMIN_LISTEN", value_name = "ADDRESS:PORT", hide_env_values = true)]
    #[arg(default_value = "0.0.0.0:8080")]
    pub admin_listen: SocketAddr,

    /// Expose the conditions and the rotations of each resource as metrics, labelled by namespace and name
    #[arg(long, env = "RESOURCE_METRICS", hide_env_values = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub resource_metrics: bool,
}

/// The log, which goes to standard error, and traces.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log and traces")]
pub struct LogArgs {
    /// Format of the log, which is written to standard error
    #[arg(long, env = "LOG_FORMAT", value_name = "FORMAT", hide_env_values = true)]
    #[arg(value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Least level to log (error, warn, info, debug, trace, off), also by target: info,kube=debug
    #[arg(long, env = "LOG_LEVEL", value_name = "FILTER", hide_env_values = true)]
    #[arg(default_value = "info")]
    pub log_level: String,

    /// File whose content takes the place of --log-level while there is one, read again when it changes
    #[arg(long, env = "LOG_LEVEL_FILE", value_name = "FILE", hide_env_values = true)]
    #[arg(value_parser = path())]
    pub log_level_file: Option<PathBuf>,

    /// Base URL of a collector to send traces to by OTLP (HTTP, protobuf), usually at port 4318, none if empty
    // Text for the same reason as the admin URL.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub otlp_endpoint: Option<String>,
}

/// How a log event is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line, for log collectors.
    Json,
}

/// Any path, also the empty one, which clap's own parser of paths refuses.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
