//! `spec.jwks`: public keys, written into the resource; `spec.jwksFrom`: those of another resource.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schema::OBJECT_NAME;

const SIGNING: &str = "self.exists(key, has(key.use) && key.use == 'sig')";
const TOLD_APART: &str = "size(self) == 1 || self.all(key, has(key.kid))";
const PUBLIC: &str = "!has(self.d) && !has(self.p) && !has(self.q) && !has(self.dp) && !has(self.dq) && \
     !has(self.qi) && !has(self.oth) && !has(self.k)";
const RSA_WHOLE: &str = "self.kty != 'RSA' || (has(self.n) && has(self.e))";
const EC_WHOLE: &str = "self.kty != 'EC' || (has(self.crv) && has(self.x) && has(self.y))";
const OKP_WHOLE: &str = "self.kty != 'OKP' || (has(self.crv) && has(self.x))";

/// A JSON Web Key set (RFC 7517 section 5).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
pub struct JsonWebKeySetDocument {
    /// The keys. Hydra checks signatures only with RSA and EC keys that say `use: sig`; it finds the key by the `kid` of the
    /// signature, so each of several needs one.
    #[serde(default)]
    #[schemars(!default, with = "Vec<PublicKey>", length(min = 1, max = 20))]
    #[x_kube(
        validation = Rule::new(SIGNING)
            .message("write use: sig into the keys that check signatures: Hydra ignores all others"),
        validation = Rule::new(TOLD_APART)
            .message("write a kid into each key: several keys are told apart by it")
    )]
    pub keys: Vec<JsonWebKey>,
}

/// A JsonWebKeySet in the namespace of this resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct KeySetReference {
    /// Its name.
    #[serde(default)]
    #[schemars(!default, length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
}

/// A JSON Web Key (RFC 7517 section 4) with all its members, known or not.
pub type JsonWebKey = Map<String, Value>;

// The schema of `JsonWebKey`, whose values stay as they are written.
/// A public key of the client (RFC 7517 section 4). Members that are not listed here are allowed. In YAML write `"n"` and
/// `"y"` with quotes: without them many parsers, that of kubectl among them, read false and true.
#[derive(Serialize, KubeSchema)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
#[x_kube(
    validation = Rule::new(PUBLIC)
        .message("write the public key only, without the private members d, p, q, dp, dq, qi, oth and k"),
    validation = Rule::new(RSA_WHOLE)
        .message("write n and e into a key of kty RSA; in YAML quote \"n\", which is read as false without quotes"),
    validation = Rule::new(EC_WHOLE)
        .message("write crv, x and y into a key of kty EC; in YAML quote \"y\", which is read as true without quotes"),
    validation = Rule::new(OKP_WHOLE).message("write crv and x into a key of kty OKP")
)]
struct PublicKey {
    /// The family of the key: `RSA`, `EC` or `OKP`. Hydra checks signatures with RSA and EC keys.
    #[schemars(extend("enum" = ["RSA", "EC", "OKP"]))]
    kty: String,
    /// What the key is for: `sig` for keys that check signatures, the only ones that Hydra uses.
    #[schemars(length(max = 32))]
    r#use: Option<String>,
    /// The id of the key, which the header of a signature names. Required where there are several keys.
    #[schemars(length(min = 1, max = 255))]
    kid: Option<String>,
    /// The algorithm that the key is for, such as `RS256` or `ES256`.
    alg: Option<String>,
    /// RSA, required: the modulus, base64url. In YAML quote the name: `"n"`.
    #[schemars(length(min = 1))]
    n: Option<String>,
    /// RSA, required: the exponent, base64url, usually `AQAB`.
    #[schemars(length(min = 1))]
    e: Option<String>,
    /// EC and OKP, required: the curve, such as `P-256`.
    #[schemars(length(min = 1))]
    crv: Option<String>,
    /// EC and OKP, required: the x coordinate, base64url.
    #[schemars(length(min = 1))]
    x: Option<String>,
    /// EC, required: the y coordinate, base64url. In YAML quote the name: `"y"`.
    #[schemars(length(min = 1))]
    y: Option<String>,
    /// Private, not allowed here.
    d: Option<String>,
    /// Private, not allowed here.
    p: Option<String>,
    /// Private, not allowed here.
    q: Option<String>,
    /// Private, not allowed here.
    dp: Option<String>,
    /// Private, not allowed here.
    dq: Option<String>,
    /// Private, not allowed here.
    qi: Option<String>,
    /// Private, not allowed here.
    oth: Option<Vec<OtherPrime>>,
    /// The secret of a symmetric key, not allowed here.
    k: Option<String>,
}

/// A further prime of an RSA key.
#[derive(Serialize, KubeSchema)]
struct OtherPrime {
    /// The prime.
    r: Option<String>,
    /// Its exponent.
    d: Option<String>,
    /// Its coefficient.
    t: Option<String>,
}
