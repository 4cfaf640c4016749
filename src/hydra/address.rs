//! The address of the clients of one Hydra, as settings and resources name it.

use std::fmt;

use url::{Host, Url};

/// The address of the clients of one Hydra, such as `http://hydra:4445/admin/clients`, normalised:
/// two of them are equal where scheme, host, port and every segment of the path are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientsAddress(Url);

/// Why a text is no [`ClientsAddress`]. It does not repeat the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// It is no absolute URL.
    #[error("is not a URL ({0})")]
    Syntax(#[from] url::ParseError),
    /// It is neither http nor https.
    #[error("is neither an http nor an https URL")]
    Scheme,
    /// It carries a user or a password.
    #[error("holds credentials")]
    Credentials,
    /// It has a query or a fragment.
    #[error("has a query or a fragment")]
    Query,
    /// Its path does not end in the segment `clients`.
    #[error("does not end in /clients")]
    Ending,
}

/// Where one Hydra is: its address without the paths of its API. That it is the same for two
/// addresses means that they lead to the same Hydra.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Base(Url);

impl ClientsAddress {
    /// Reads an address. A slash at its end is no segment.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let mut url = plain(text)?;
        let path = url.path();
        let path = path.strip_suffix('/').unwrap_or(path).to_owned();
        if !path.ends_with("/clients") {
            return Err(InvalidAddress::Ending);
        }
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The address as a URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The Hydra behind it.
    #[must_use]
    pub fn base(&self) -> Base {
        Base::of(&self.0)
    }

    /// Host, port and path: a short name for it.
    #[must_use]
    pub fn label(&self) -> String {
        let host = self.0.host().map(|host: Host<&str>| host.to_string()).unwrap_or_default();
        let port = self.0.port_or_known_default().unwrap_or_default();
        format!("{host}:{port}{}", self.0.path())
    }
}

impl fmt::Display for ClientsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Base {
    /// The Hydra behind the address `url` of its admin API, which may end in `/admin/clients`,
    /// `/clients` or `/admin`, as the settings of hydra-maester do.
    #[must_use]
    pub fn of(url: &Url) -> Self {
        let path = url.path().trim_end_matches('/');
        let path = ["/admin/clients", "/clients", "/admin"]
            .iter()
            .find_map(|ending| path.strip_suffix(ending))
            .unwrap_or(path);
        let mut base = url.clone();
        base.set_path(path.trim_end_matches('/'));
        Self(base)
    }

    /// Reads what its `Display` writes.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        Ok(Self(plain(text)?))
    }

    /// Whether `other` differs in nothing but the port.
    #[must_use]
    pub fn differs_only_in_port(&self, other: &Self) -> bool {
        let (a, b) = (&self.0, &other.0);
        let same = a.scheme() == b.scheme() && a.host() == b.host() && a.path() == b.path();
        same && a.port() != b.port()
    }

    pub(super) fn into_url(self) -> Url {
        self.0
    }
}

/// Without the slash at its end, which says nothing.
impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// The port that the text of a URL names, also where it is the one that its scheme has anyway,
/// which [`Url`] drops.
#[must_use]
pub fn explicit_port(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '\\', '?', '#']).next()?;
    let host_and_port = authority.rsplit('@').next()?;
    // The colons of an IPv6 address are within brackets.
    let after_host = host_and_port.rsplit(']').next()?;
    after_host.rsplit_once(':')?.1.trim().parse().ok()
}

fn plain(text: &str) -> Result<Url, InvalidAddress> {
    let url = Url::parse(text.trim())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(InvalidAddress::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidAddress::Credentials);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(InvalidAddress::Query);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_normalised() {
        let label = |text: &str| ClientsAddress::parse(text).map(|address| address.label());
        for (text, expected) in [
            ("http://hydra:4445/admin/clients", "hydra:4445/admin/clients"),
            ("http://HYDRA:4445/admin/clients/", "hydra:4445/admin/clients"),
            ("http://hydra/clients", "hydra:80/clients"),
            ("https://hydra:443/x/../base/clients", "hydra:443/base/clients"),
            (" http://[::1]:4445/clients ", "[::1]:4445/clients"),
        ] {
            assert_eq!(label(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("hydra", "is not a URL"),
            ("hydra:4445/clients", "neither an http nor an https"),
            ("http://u:hunter2@hydra/clients", "credentials"),
            ("http://hydra/clients?a", "query"),
            ("http://hydra/clients#a", "fragment"),
            ("http://hydra/clients/..", "/clients"),
            ("http://hydra/myclients", "/clients"),
            ("http://hydra/clients//", "/clients"),
            ("http://hydra", "/clients"),
        ] {
            let error = label(text).expect_err(text).to_string();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn a_base_survives_its_text() {
        for (text, expected) in [
            ("http://hydra:4445/admin/clients", "http://hydra:4445"),
            ("http://hydra:4445/clients", "http://hydra:4445"),
            ("https://proxy/hydra/admin/clients", "https://proxy/hydra"),
        ] {
            let base = ClientsAddress::parse(text).unwrap().base();
            assert_eq!(base.to_string(), expected);
            assert_eq!(Base::parse(expected), Ok(base));
        }
    }

    #[test]
    fn ports_that_a_url_names() {
        for (text, expected) in [
            ("http://h", None),
            ("http://h:80", Some(80)),
            ("http://h:80/a:1", Some(80)),
            ("http://h/a:1", None),
            ("http://h:/", None),
            ("http://u:1@h", None),
            ("http://u:1@h:2?c:3", Some(2)),
            ("http://[::1]", None),
            ("http://[::1]:5/", Some(5)),
        ] {
            assert_eq!(explicit_port(text), expected, "{text}");
        }
    }
}
