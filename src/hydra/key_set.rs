//! A key set as Hydra shows it, and the keys in it.
//!
//! Hydra 1 stores an asymmetric key that it makes as two rows, `private:<kid>` and `public:<kid>`, and Hydra 2 keeps such
//! pairs when it takes over the database. Here they are one key of the plain `kid`, by what an answer holds, whichever
//! generation gave it.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;

use crate::jose::{Jwk, NotAJwk};

use super::generation::Generation;
use super::key_id::KeyId;

const PRIVATE: &str = "private:";
const PUBLIC: &str = "public:";

/// The members by which two public halves are told apart (RFC 7638, section 3.2, and RFC 8037, section 2).
const MATERIAL: [&str; 6] = ["kty", "crv", "x", "y", "n", "e"];

/// The keys of a set, the newest first: Hydra signs with the first that has its private half. On `MySQL` the order among
/// keys of the same second is by chance.
#[derive(Clone)]
pub struct KeySet {
    /// At least one.
    pub keys: Vec<StoredKey>,
}

/// A key of a set. It has no `Debug`, because it may hold a private half.
#[derive(Clone)]
pub struct StoredKey {
    /// Its `kid`, without the prefix under which Hydra 1 stores it.
    pub kid: String,
    /// The `kid` under which Hydra publishes its public half: `public:<kid>` if it is stored as a pair. A symmetric key is
    /// not published; nor, by Hydra 1, an asymmetric one without a row for its public half.
    pub published_kid: String,
    /// The key, whole if Hydra shows its private half. Its `kid` is the plain one. Keys that Hydra 1 makes for elliptic
    /// curves have no `alg`.
    pub jwk: Jwk,
    /// The `kid`s of the rows that it is stored as, the private one first.
    pub rows: Vec<String>,
    /// What each row says that the key is for: `alg` and `use`, as far as it says that.
    pub purposes: Vec<[Option<String>; 2]>,
    /// Where in the answer the row stands by which Hydra finds its private half, or else its only one: the smaller, the
    /// newer.
    pub position: usize,
}

/// The answer to a GET of a set and to the POST of a key.
#[derive(Deserialize)]
pub(super) struct Document {
    pub(super) keys: Vec<Value>,
}

/// What Hydra stores under one `kid`.
struct Row {
    kid: String,
    position: usize,
    jwk: Jwk,
}

impl StoredKey {
    /// Whether no row says that it is for something else. Hydra 1 leaves out the algorithm of keys for elliptic curves.
    #[must_use]
    pub fn is_for(&self, algorithm: &str, key_use: &str) -> bool {
        let is_as =
            |said: &Option<String>, expected| said.as_ref().is_none_or(|said| said == expected);
        self.purposes.iter().all(|[alg, of]| is_as(alg, algorithm) && is_as(of, key_use))
    }

    /// Whether it is what is left of a pair whose public row somebody has deleted: Hydra 1 does not publish it.
    #[must_use]
    pub fn lacks_its_public_row(&self) -> bool {
        let [only] = self.rows.as_slice() else { return false };
        only.starts_with(PRIVATE) && !self.jwk.is_symmetric()
    }
}

impl KeySet {
    /// The keys in an answer.
    pub(super) fn of(document: Document) -> Result<Self, NotAJwk> {
        let rows = document.keys.into_iter().enumerate();
        let rows = rows.map(|(position, value)| {
            let kid = value.get("kid").and_then(Value::as_str).unwrap_or_default().to_owned();
            Jwk::from_value(value).map(|jwk| Row { kid, position, jwk })
        });
        Ok(Self { keys: merged(rows.collect::<Result<_, _>>()?) })
    }

    /// The key of this `kid`.
    #[must_use]
    pub fn get(&self, kid: &str) -> Option<&StoredKey> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    /// The key that Hydra signs with, if it signs with this set.
    #[must_use]
    pub fn signing(&self) -> Option<&StoredKey> {
        self.keys.iter().find(|key| key.jwk.is_private())
    }
}

/// The rows that a key is to be stored as, in the order in which they are to be written.
///
/// On Hydra 1 an asymmetric key becomes what a key is that Hydra 1 made: only a public row is published there, and only of a
/// pair can it sign. The public row is first, so that one that is left alone by a crash does not pass for the whole key.
pub(super) fn rows_to_store(
    generation: Generation,
    kid: &KeyId,
    key: &Jwk,
) -> Vec<(String, Value)> {
    let row = |prefix: &str, key: &Jwk| {
        let kid = format!("{prefix}{kid}");
        let value = key.clone().with_kid(&kid).expose_value();
        (kid, value)
    };
    if !generation.stores_pairs() || key.is_symmetric() {
        return vec![row("", key)];
    }
    let mut rows = vec![row(PUBLIC, &key.clone().into_public())];
    if key.is_private() {
        rows.push(row(PRIVATE, key));
    }
    rows
}

/// The rows of one key.
struct Group {
    kid: String,
    rows: Vec<Row>,
}

/// Makes of rows of the same key one key. Rows of the same plain `kid` that hold different keys stay apart: the one without
/// a prefix has that `kid`, the others keep their prefixes.
fn merged(rows: Vec<Row>) -> Vec<StoredKey> {
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let kid = plain(&row.kid);
        let belongs = |group: &&mut Group| {
            group.kid == kid && group.rows.iter().any(|other| same_material(&other.jwk, &row.jwk))
        };
        match groups.iter_mut().find(belongs) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { kid: kid.to_owned(), rows: vec![row] }),
        }
    }
    let mut seen = HashSet::new();
    let twice = groups.iter().filter(|group| !seen.insert(group.kid.clone()));
    let contested: HashSet<String> = twice.map(|group| group.kid.clone()).collect();
    let stored = groups.into_iter().filter_map(|group| {
        let is_contested = contested.contains(&group.kid);
        stored(group, is_contested)
    });
    let mut keys: Vec<StoredKey> = stored.collect();
    keys.sort_by_key(|key| key.position);
    keys
}

fn stored(group: Group, is_contested: bool) -> Option<StoredKey> {
    let Group { kid, mut rows } = group;
    // A stable sort: among equals the newer one stays first.
    rows.sort_by_key(|row| !row.jwk.is_private());
    let has_plain = rows.iter().any(|row| row.kid == kid);
    let public = rows.iter().find(|row| row.kid != kid && row.kid.starts_with(PUBLIC));
    let first = rows.first()?;
    let published = public.map(|row| row.kid.clone());
    let published = published.unwrap_or_else(|| if has_plain { &kid } else { &first.kid }.clone());
    let position = first.position;
    let kid = if is_contested && !has_plain { first.kid.clone() } else { kid };
    let (mut names, mut purposes) = (Vec::new(), Vec::new());
    let mut whole = None;
    for row in rows {
        let said = |member| row.jwk.text(member).filter(|text| !text.is_empty());
        purposes.push(["alg", "use"].map(|member| said(member).map(ToOwned::to_owned)));
        names.push(row.kid);
        whole = whole.or(Some(row.jwk));
    }
    let jwk = whole?.with_kid(&kid);
    Some(StoredKey { kid, published_kid: published, jwk, rows: names, purposes, position })
}

/// The `kid` without the prefix of Hydra 1. What remains of it has to be a `kid` of its own.
fn plain(kid: &str) -> &str {
    let prefixed = |kid: &str| kid.starts_with(PRIVATE) || kid.starts_with(PUBLIC);
    let rest = kid.strip_prefix(PRIVATE).or_else(|| kid.strip_prefix(PUBLIC));
    rest.filter(|rest| !rest.is_empty() && !prefixed(rest)).unwrap_or(kid)
}

/// Whether both have the same public half. Symmetric keys have none.
fn same_material(one: &Jwk, other: &Jwk) -> bool {
    !one.is_symmetric() && MATERIAL.iter().all(|member| one.text(member) == other.text(member))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// A row: its `kid`, which key it holds, and whether with the private half.
    fn row(kid: &str, material: u8, private: bool) -> Value {
        let mut row = json!({ "kty": "EC", "crv": "P-256", "x": material.to_string(), "y": "y" });
        row["kid"] = kid.into();
        if private {
            row["d"] = "private".into();
        }
        row
    }

    fn read(rows: Vec<Value>) -> KeySet {
        KeySet::of(Document { keys: rows }).unwrap_or_else(|error| panic!("{error}"))
    }

    fn whole(kid: &str) -> Jwk {
        Jwk::from_value(row(kid, 1, true)).unwrap()
    }

    /// `kid`, published as, rows, position and whether private, of each key.
    fn shown(set: &KeySet) -> Vec<(&str, &str, Vec<&str>, usize, bool)> {
        set.keys
            .iter()
            .map(|key| {
                assert_eq!(key.jwk.kid(), Some(key.kid.as_str()));
                let rows = key.rows.iter().map(String::as_str).collect();
                let (kid, published) = (key.kid.as_str(), key.published_kid.as_str());
                (kid, published, rows, key.position, key.jwk.is_private())
            })
            .collect()
    }

    #[test]
    fn pairs_are_one_key() {
        let set = read(vec![
            row("public:b", 2, false),
            row("private:b", 2, true),
            row("private:a", 1, true),
            row("public:a", 1, false),
            row("c", 3, true),
            row("d", 4, false),
        ]);
        let expected = [
            ("b", "public:b", vec!["private:b", "public:b"], 1, true),
            ("a", "public:a", vec!["private:a", "public:a"], 2, true),
            ("c", "c", vec!["c"], 4, true),
            ("d", "d", vec!["d"], 5, false),
        ];
        assert_eq!(shown(&set), expected);
        assert_eq!(set.signing().map(|key| key.kid.as_str()), Some("b"));
        assert_eq!(set.get("c").map(|key| key.position), Some(4));
        assert!(set.get("private:b").is_none());
    }

    #[test]
    fn the_private_row_decides_on_the_order() {
        let set = read(vec![
            row("public:a", 1, false),
            row("private:b", 2, true),
            row("public:b", 2, false),
            row("private:a", 1, true),
        ]);
        let order: Vec<_> = set.keys.iter().map(|key| key.kid.as_str()).collect();
        assert_eq!(order, ["b", "a"]);
    }

    #[test]
    fn a_half_of_a_pair_is_that_key() {
        let set = read(vec![row("public:a", 1, false), row("private:b", 2, true)]);
        let expected = [
            ("a", "public:a", vec!["public:a"], 0, false),
            ("b", "private:b", vec!["private:b"], 1, true),
        ];
        assert_eq!(shown(&set), expected);
    }

    #[test]
    fn forms_of_the_same_key_are_one_key() {
        let set = read(vec![
            row("a", 1, true),
            row("public:a", 1, false),
            row("private:a", 1, true),
            row("b", 2, false),
            row("private:b", 2, true),
        ]);
        let expected = [
            ("a", "public:a", vec!["a", "private:a", "public:a"], 0, true),
            ("b", "b", vec!["private:b", "b"], 4, true),
        ];
        assert_eq!(shown(&set), expected);
    }

    #[test]
    fn different_keys_stay_apart() {
        let set = read(vec![
            row("private:a", 1, true),
            row("public:a", 1, false),
            row("a", 2, true),
            row("private:b", 3, true),
            row("public:b", 4, false),
            json!({ "kty": "oct", "kid": "c", "k": "private" }),
            json!({ "kty": "oct", "kid": "public:c", "k": "private" }),
        ]);
        let expected = [
            ("private:a", "public:a", vec!["private:a", "public:a"], 0, true),
            ("a", "a", vec!["a"], 2, true),
            ("private:b", "private:b", vec!["private:b"], 3, true),
            ("public:b", "public:b", vec!["public:b"], 4, false),
            ("c", "c", vec!["c"], 5, true),
            ("public:c", "public:c", vec!["public:c"], 6, true),
        ];
        assert_eq!(shown(&set), expected);
    }

    #[test]
    fn each_row_says_what_the_key_is_for() {
        let said = |kid: &str, private, alg: Value, of: Value| {
            let mut row = row(kid, 1, private);
            (row["alg"], row["use"]) = (alg, of);
            row
        };
        let pair = |alg: Value, of: Value| {
            let private = said("private:a", true, json!("ES256"), json!("sig"));
            read(vec![private, said("public:a", false, alg, of)]).keys.remove(0)
        };
        assert!(pair(json!("ES256"), json!("sig")).is_for("ES256", "sig"));
        assert!(pair(Value::Null, json!("")).is_for("ES256", "sig"), "nothing is said");
        assert!(!pair(json!("ES384"), json!("sig")).is_for("ES256", "sig"));
        assert!(!pair(json!("ES256"), json!("enc")).is_for("ES256", "sig"));
        assert!(!pair(json!("ES256"), json!("sig")).is_for("ES256", "enc"));
    }

    #[test]
    fn kids_of_others_may_be_anything() {
        for (kid, plain) in [
            ("", ""),
            ("private:", "private:"),
            ("public:private:a", "public:private:a"),
            ("private:x/y", "x/y"),
            ("publica", "publica"),
        ] {
            let set = read(vec![row(kid, 1, true)]);
            assert_eq!(shown(&set), [(plain, kid, vec![kid], 0, true)]);
        }
        let without = json!({ "kty": "RSA", "n": "n", "e": "AQAB" });
        assert_eq!(shown(&read(vec![without])), [("", "", vec![""], 0, false)]);
    }

    #[test]
    fn a_key_is_stored_as_the_generation_makes_it() {
        let kid = KeyId::parse("a").unwrap();
        let symmetric = Jwk::from_value(json!({ "kty": "oct", "kid": "z", "k": "private" }));
        let (key, symmetric) = (whole("z"), symmetric.unwrap());
        let stored = |generation, key: &Jwk| -> Vec<(String, bool)> {
            let rows = rows_to_store(generation, &kid, key).into_iter();
            rows.map(|(row, value)| {
                assert_eq!(value["kid"], row.as_str());
                (row, value.get("d").or(value.get("k")).is_some())
            })
            .collect()
        };
        let rows = |list: &[(&str, bool)]| -> Vec<(String, bool)> {
            list.iter().map(|(row, private)| ((*row).to_owned(), *private)).collect()
        };
        let (v1, v2) = (Generation::V1, Generation::V2);
        assert_eq!(stored(v1, &key), rows(&[("public:a", false), ("private:a", true)]));
        assert_eq!(stored(v1, &key.clone().into_public()), rows(&[("public:a", false)]));
        assert_eq!(stored(v1, &symmetric), rows(&[("a", true)]));
        assert_eq!(stored(v2, &key), rows(&[("a", true)]));
        assert_eq!(stored(v2, &key.clone().into_public()), rows(&[("a", false)]));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for value in [json!("text"), json!({}), json!({ "kty": "RSA", "d": 1 })] {
            assert!(KeySet::of(Document { keys: vec![value] }).is_err());
        }
    }

    proptest! {
        /// Every row belongs to exactly one key, no two keys have one `kid`, and what is stored is read as that key.
        #[test]
        fn no_row_is_lost(
            rows in proptest::collection::btree_map(
                "(private:|public:){0,2}[ab/]?", (0..3_u8, any::<bool>()), 0..8,
            ).prop_map(|rows| rows.into_iter().collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let values = rows.iter().map(|(kid, (material, private))| row(kid, *material, *private));
            let set = read(values.collect());
            let mut found: Vec<_> = set.keys.iter().flat_map(|key| key.rows.clone()).collect();
            let mut expected: Vec<_> = rows.iter().map(|(kid, _)| kid.clone()).collect();
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected);
            let kids: HashSet<_> = set.keys.iter().map(|key| &key.kid).collect();
            prop_assert_eq!(kids.len(), set.keys.len());
            prop_assert!(set.keys.is_sorted_by_key(|key| key.position));
            for key in &set.keys {
                prop_assert_eq!(key.jwk.kid(), Some(key.kid.as_str()));
                let (stored, (material, _)) = &rows[key.position];
                prop_assert!(key.rows.contains(stored));
                let material = material.to_string();
                prop_assert_eq!(key.jwk.text("x"), Some(material.as_str()));
                let is_private = |kid: &String| rows.iter().any(|(row, (_, private))| row == kid && *private);
                prop_assert_eq!(key.jwk.is_private(), key.rows.iter().any(is_private));
            }
        }

        #[test]
        fn what_is_stored_is_read_as_one_key(public in any::<bool>(), kid in "[a-z0-9._~-]{1,20}") {
            let Ok(kid) = KeyId::parse(&kid) else { return Ok(()) };
            let key = if public { whole("z").into_public() } else { whole("z") };
            for generation in [Generation::V1, Generation::V2, Generation::V25] {
                let rows = rows_to_store(generation, &kid, &key).into_iter().rev();
                let set = read(rows.map(|(_, value)| value).collect());
                prop_assert_eq!(set.keys.len(), 1);
                prop_assert_eq!(&set.keys[0].kid, kid.as_str());
                prop_assert_eq!(set.keys[0].jwk.is_private(), !public);
            }
        }
    }
}
