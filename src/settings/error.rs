//! What can be wrong with a setting.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    ALLOW_KEY_SET_NAMES, ALLOW_RESOURCE_HYDRA_ADMIN, CONCURRENCY, CONCURRENT, HYDRA_ADMIN_URL,
    HYDRA_FORWARDED_PROTO, HYDRA_HEADERS_FILE, HYDRA_PUBLIC_URL, LEADER_ELECTION_ID,
    LEADER_ELECTION_LEASE_DURATION, LOG_LEVEL, NAMESPACES, OTLP_ENDPOINT, SECRET_NAMESPACES,
    Setting,
};
use crate::hydra::InvalidAddress;

/// A setting that cannot be used. The message names it and says what to write; it never repeats a value that may hold
/// a password.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// The admin URL is not an absolute URL.
    #[error("{HYDRA_ADMIN_URL} is not a URL ({0}): write it like http://hydra-admin:4445")]
    AdminUrlSyntax(url::ParseError),
    /// The admin URL is neither http nor https.
    #[error(
        "{HYDRA_ADMIN_URL} is neither an http nor an https URL: write it like http://hydra-admin:4445"
    )]
    AdminUrlScheme,
    /// The admin URL carries a user or a password, which would end up in logs.
    #[error(
        "{HYDRA_ADMIN_URL} holds credentials: put an Authorization header into the file of {HYDRA_HEADERS_FILE}"
    )]
    AdminUrlCredentials,
    /// The admin URL has a query or a fragment, which no request would carry.
    #[error("{HYDRA_ADMIN_URL} has a query or a fragment: write the base URL alone")]
    AdminUrlQuery,
    /// The public URL cannot be used.
    #[error(
        "{HYDRA_PUBLIC_URL} must be an http or https URL without user, query and fragment, such as https://id.example.com"
    )]
    PublicUrl,
    /// A key that a Secret cannot have, or the same one twice.
    #[error(
        "{0} is no name that a key of a Secret can have, or is used twice: write letters, digits, -, _ and ."
    )]
    SecretKey(Setting),
    /// One of the addresses that resources may name is none.
    #[error(
        "{ALLOW_RESOURCE_HYDRA_ADMIN}: address {position} {problem}: \
         write addresses like http://hydra-b:4445/admin/clients, separated by commas"
    )]
    AllowedAddress {
        /// Which one, counted from 1: its text may hold a password.
        position: usize,
        /// What is wrong with it.
        problem: InvalidAddress,
    },
    /// A name of a key set that cannot be one.
    #[error(
        "{ALLOW_KEY_SET_NAMES}: {0:?} is no name of a key set with its namespace: write them like team-a/payments or \
         team-a/payments.*, separated by commas; names that begin with hydra. or k8s. cannot be allowed so"
    )]
    KeySetName(String),
    /// Two lists of namespaces, of which one would be enough.
    #[error(
        "{NAMESPACES} and {SECRET_NAMESPACES} exclude each other: list only those namespaces in {NAMESPACES} whose Secrets \
         may be used"
    )]
    SecretNamespaces,
    /// One of certificate and key is missing.
    #[error("{given} needs {missing} too: give both files or none")]
    HalfIdentity {
        /// The setting that is there.
        given: Setting,
        /// The one that is not.
        missing: Setting,
    },
    /// A TLS setting that would have no effect.
    #[error(
        "{0} has no effect on http URLs: write https in {HYDRA_ADMIN_URL}, {HYDRA_PUBLIC_URL} or \
         {ALLOW_RESOURCE_HYDRA_ADMIN}, or leave it out"
    )]
    TlsWithoutHttps(Setting),
    /// An unknown value of `X-Forwarded-Proto`.
    #[error("{HYDRA_FORWARDED_PROTO} is {0:?}: write http, https or off")]
    ForwardedProto(String),
    /// A duration outside its bounds.
    #[error(
        "{setting} is {}: write a duration from {} to {}",
        humantime::format_duration(*value),
        humantime::format_duration(*range.start()),
        humantime::format_duration(*range.end())
    )]
    Duration {
        /// Which one.
        setting: Setting,
        /// What it is.
        value: Duration,
        /// What it may be.
        range: RangeInclusive<Duration>,
    },
    /// A lease that is no whole number of seconds, which is what a Lease can hold.
    #[error("{LEADER_ELECTION_LEASE_DURATION} is {}: write whole seconds", humantime::format_duration(*.0))]
    LeaseDuration(Duration),
    /// A duration of the election that is not shorter than another.
    #[error(
        "{shorter} must be shorter than {longer}, or a leader could be replaced while it works"
    )]
    ElectionOrder {
        /// The one that is too long.
        shorter: Setting,
        /// The one that it has to fit into.
        longer: Setting,
    },
    /// Not a name that a Lease can have.
    #[error(
        "{LEADER_ELECTION_ID} is {0:?}, which cannot be the name of a Lease: \
         write lower-case letters, digits, dashes and dots"
    )]
    LeaseName(String),
    /// A concurrency outside its bounds.
    #[error(
        "{CONCURRENCY} is {0}: write a number from {least} to {most}",
        least = CONCURRENT.start(),
        most = CONCURRENT.end()
    )]
    Concurrency(u16),
    /// Not a name that a namespace can have.
    #[error(
        "{0} holds {1:?}, which cannot be the name of a namespace: \
         write names such as team-a,team-b (lower-case letters, digits and dashes, at most 63)"
    )]
    Namespace(Setting, String),
    /// The same namespace twice.
    #[error("{0} holds {1:?} twice: write each namespace once")]
    DuplicateNamespace(Setting, String),
    /// A log filter that cannot be understood.
    #[error(
        "{LOG_LEVEL} holds {0:?}: write error, warn, info, debug, trace or off, or target=level"
    )]
    LogLevel(String),
    /// No usable address of a collector.
    #[error(
        "{OTLP_ENDPOINT} must be a URL with http or https, without user, password, query and fragment"
    )]
    OtlpEndpoint,
}
