//! One key, with its private half apart from the rest.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::encoding::from_base64url;

/// A public key (RFC 7517 section 4): all members but the private ones.
pub type PublicJwk = Map<String, Value>;

/// The members that hold private material (RFC 7518 sections 6.2.2, 6.3.2 and 6.4, RFC 8037 section 2). `oth`, further primes
/// of an RSA key, is none of them: such keys are not supported.
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// A key (RFC 7517 section 4), which may have its private half.
///
/// It has neither `Debug` nor `Display` nor `Serialize`, so that it cannot reach a log, an event, a status or an error text by
/// accident.
#[derive(Clone, Default)]
pub struct Jwk {
    public: PublicJwk,
    private: BTreeMap<&'static str, SecretString>,
}

/// Why a value is no JSON Web Key. It quotes nothing of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAJwk {
    /// It is no JSON object.
    #[error("a JSON Web Key is an object")]
    NoObject,
    /// `kty` is missing or no text.
    #[error("a JSON Web Key names its type in kty")]
    NoType,
    /// A private member is no text.
    #[error("a member with private material is no text")]
    NoText,
    /// It has more than two primes.
    #[error("RSA keys of more than two primes (oth) are not supported")]
    ManyPrimes,
}

impl Jwk {
    /// Takes a key apart. The members are not checked for their meaning.
    pub fn from_value(value: Value) -> Result<Self, NotAJwk> {
        let Value::Object(mut public) = value else { return Err(NotAJwk::NoObject) };
        if !public.get("kty").is_some_and(Value::is_string) {
            return Err(NotAJwk::NoType);
        }
        let mut private = BTreeMap::new();
        for name in PRIVATE {
            match public.remove(name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => {
                    private.insert(name, SecretString::from(text));
                }
                Some(_) => return Err(NotAJwk::NoText),
            }
        }
        if public.remove("oth").is_some_and(|primes| !primes.is_null()) {
            return Err(NotAJwk::ManyPrimes);
        }
        Ok(Self { public, private })
    }

    /// A public key.
    #[must_use]
    pub const fn of_public(public: PublicJwk) -> Self {
        Self { public, private: BTreeMap::new() }
    }

    /// A key of these two halves. The second has no members but private ones.
    pub(super) fn of_halves(
        public: PublicJwk,
        private: impl IntoIterator<Item = (&'static str, SecretString)>,
    ) -> Self {
        Self { public, private: private.into_iter().collect() }
    }

    /// A member of the public half that is a text.
    #[must_use]
    pub fn text(&self, member: &str) -> Option<&str> {
        self.public.get(member).and_then(Value::as_str)
    }

    /// Its id (RFC 7517 section 4.5).
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.text("kid")
    }

    /// Its algorithm (RFC 7517 section 4.4).
    #[must_use]
    pub fn alg(&self) -> Option<&str> {
        self.text("alg")
    }

    /// Whether it is a secret without a public half.
    #[must_use]
    pub fn is_symmetric(&self) -> bool {
        self.text("kty") == Some("oct")
    }

    /// Whether it has what is needed to sign.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.private.contains_key("d") || self.private.contains_key("k")
    }

    /// Its public half; none for a symmetric key.
    #[must_use]
    pub fn public(&self) -> Option<&PublicJwk> {
        (!self.is_symmetric()).then_some(&self.public)
    }

    /// The key without its private half.
    #[must_use]
    pub fn into_public(self) -> Self {
        Self { private: BTreeMap::new(), ..self }
    }

    /// A private member, base64url. Call it only where the value leaves for Hydra or a Kubernetes Secret, or becomes another
    /// form of the key.
    #[must_use]
    pub fn expose(&self, member: &str) -> Option<&str> {
        self.private.get(member).map(ExposeSecret::expose_secret)
    }

    /// Whether both are the same symmetric key, whatever they are called.
    #[must_use]
    pub fn same_secret(&self, other: &Self) -> bool {
        let secret = |key: &Self| key.expose("k").and_then(from_base64url);
        self.is_symmetric() && other.is_symmetric() && secret(self) == secret(other)
    }

    /// The key with these names: `kid`, `alg` and `use` are set, other members stay.
    #[must_use]
    pub fn named(mut self, kid: &str, alg: &str, key_use: &str) -> Self {
        for (member, value) in [("kid", kid), ("alg", alg), ("use", key_use)] {
            self.public.insert(member.to_owned(), value.into());
        }
        self
    }

    /// The key under another id (RFC 7517 section 4.5).
    #[must_use]
    pub fn with_kid(mut self, kid: &str) -> Self {
        self.public.insert("kid".to_owned(), kid.into());
        self
    }

    /// The key with `kid`, `alg` and `use` of another, as far as that has them; none if one of them is no text.
    #[must_use]
    pub(super) fn with_names_of(mut self, other: &Self) -> Option<Self> {
        for member in ["kid", "alg", "use"] {
            match other.public.get(member) {
                None | Some(Value::Null) => {}
                Some(Value::String(name)) => {
                    self.public.insert(member.to_owned(), name.as_str().into());
                }
                Some(_) => return None,
            }
        }
        Some(self)
    }

    /// The whole key as JSON. Call it only where it leaves for Hydra or a Kubernetes Secret.
    #[must_use]
    pub fn expose_value(&self) -> Value {
        let private = self.private.iter();
        let private =
            private.map(|(name, value)| ((*name).to_owned(), value.expose_secret().into()));
        Value::Object(self.public.clone().into_iter().chain(private).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_private_half_is_apart() {
        let whole =
            json!({ "kty": "EC", "crv": "P-256", "x": "x", "y": "y", "d": "secret", "kid": "a" });
        let key = Jwk::from_value(whole.clone()).unwrap();
        assert_eq!(
            json!(key.public().unwrap()),
            json!({ "kty": "EC", "crv": "P-256", "x": "x", "y": "y", "kid": "a" })
        );
        assert_eq!(
            (key.is_private(), key.expose("d"), key.kid()),
            (true, Some("secret"), Some("a"))
        );
        assert_eq!(key.expose_value(), whole);
        assert!(!key.into_public().is_private());
    }

    #[test]
    fn a_symmetric_key_has_no_public_half() {
        let key = Jwk::from_value(json!({ "kty": "oct", "k": "secret", "kid": "a" })).unwrap();
        assert!(key.public().is_none() && key.is_private());
    }

    #[test]
    fn the_same_secret_has_any_names() {
        let key = |k: &str, kid: &str| {
            Jwk::from_value(json!({ "kty": "oct", "k": k, "kid": kid })).unwrap()
        };
        assert!(key("c2VjcmV0", "a").same_secret(&key("c2VjcmV0", "b")));
        assert!(!key("c2VjcmV0", "a").same_secret(&key("b3RoZXI", "a")));
        let other = json!({ "kty": "EC", "k": "c2VjcmV0" });
        assert!(!key("c2VjcmV0", "a").same_secret(&Jwk::from_value(other).unwrap()));
    }

    #[test]
    fn what_is_no_key_is_told_without_its_words() {
        for (value, expected) in [
            (json!("text"), NotAJwk::NoObject),
            (json!({ "kid": "a" }), NotAJwk::NoType),
            (json!({ "kty": "RSA", "d": 1 }), NotAJwk::NoText),
            (json!({ "kty": "RSA", "d": "x", "oth": [{}] }), NotAJwk::ManyPrimes),
        ] {
            assert_eq!(Jwk::from_value(value).err(), Some(expected));
        }
    }
}
