//! Everything in which the generations of Hydra differ, and how to tell them apart.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, LINK};
use url::Url;

use super::id::ClientId;
use super::key_id::KeySetName;

/// Releases of Hydra whose admin APIs behave alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generation {
    /// 1.x: paths without `/admin`; pages by `limit` and `offset`.
    V1,
    /// 2.0 to 2.3: paths under `/admin`; pages by `page_size` and `page_token`, which hides an
    /// offset.
    V2,
    /// 25.x and later: as 2.x, with tokens that hide a key and expire after an hour.
    V25,
}

/// The most clients to ask for per page: the most that 1.x and 25.x grant, and less than 2.x does.
pub(super) const LARGEST_PAGE: usize = 500;

/// What stays as it is in a path segment: the unreserved characters of RFC 3986, section 2.3.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where in a listing a page starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cursor {
    Start,
    Offset(usize),
    Token(String),
}

impl Generation {
    /// In whose manner to ask for a listing, in this order, to find out the generation.
    pub(super) const PROBES: [Self; 2] = [Self::V2, Self::V1];

    /// Whether a client of this id can be read, replaced and deleted. Where it cannot, it could
    /// still be created, and would then be out of reach (ory/hydra issue 1845).
    ///
    /// 1.x to 2.3 match routes against the decoded path, where `/` separates segments. `%` is
    /// refused with it, because proxies that decode a path and encode it anew do not preserve it.
    /// 25.x matches the encoded path, but drops a slash at its end.
    #[must_use]
    pub fn addresses(self, id: &ClientId) -> bool {
        self.reaches(id.as_str())
    }

    /// Whether a row of a key set can be reached: as clients are, and its `kid` must not be one that makes of the path of
    /// the key that of the set, which a DELETE would empty.
    pub(super) fn addresses_key(self, row: &str) -> bool {
        !matches!(row, "" | "." | "..") && !row.chars().any(char::is_control) && self.reaches(row)
    }

    fn reaches(self, segment: &str) -> bool {
        match self {
            Self::V1 | Self::V2 => !segment.contains(['/', '%']),
            Self::V25 => !segment.ends_with('/'),
        }
    }

    /// Whether a POST makes keys that are good for this algorithm (RFC 7518, section 3.1, RFC 8037). Before 1.11.0, 1.x makes
    /// none for `ES256`, and before 1.10.7 none for `EdDSA`; Hydra in front of a hardware module makes `RS256`, `ES256` and
    /// `ES512` only. Those of 1.x for `HS256` and `HS512` are shorter than RFC 7518, section 3.2, demands. See [`HydraError::refuses_algorithm`](super::HydraError::refuses_algorithm).
    #[must_use]
    pub fn can_make(self, algorithm: &str) -> bool {
        match self {
            Self::V1 => matches!(algorithm, "RS256" | "ES256" | "ES512" | "EdDSA"),
            Self::V2 | Self::V25 => is_asymmetric(algorithm),
        }
    }

    /// Whether symmetric keys belong into a set: 2.0 gave them up.
    #[must_use]
    pub fn has_symmetric_keys(self) -> bool {
        self == Self::V1
    }

    /// Whether Hydra signs tokens with keys for this algorithm in its own sets, `hydra.openid.id-token` and
    /// `hydra.jwt.access-token`. 1.x takes every key for one of `RS256`: with another it issues no more tokens, and does not
    /// start again (ory/hydra issues 921 and 1638).
    #[must_use]
    pub fn can_sign_with(self, algorithm: &str) -> bool {
        match self {
            Self::V1 => algorithm == "RS256",
            Self::V2 | Self::V25 => is_asymmetric(algorithm),
        }
    }

    /// Whether an asymmetric key is two rows, one for each half.
    pub(super) fn stores_pairs(self) -> bool {
        self == Self::V1
    }

    /// 1.3 to 1.10 answer the GET of a client that does not exist with 401 (ory/hydra issue 1744).
    pub(super) fn may_answer_401_for_absent(self) -> bool {
        self == Self::V1
    }

    /// The path of the collection of clients, below the base path.
    pub(super) fn clients(self) -> String {
        match self {
            Self::V1 => "/clients".to_owned(),
            Self::V2 | Self::V25 => "/admin/clients".to_owned(),
        }
    }

    /// The path of one client, below the base path.
    pub(super) fn client(self, id: &ClientId) -> String {
        format!("{}/{}", self.clients(), utf8_percent_encode(id.as_str(), ENCODED))
    }

    /// The path of a key set, below the base path.
    pub(super) fn key_set(self, set: &KeySetName) -> String {
        match self {
            Self::V1 => format!("/keys/{set}"),
            Self::V2 | Self::V25 => format!("/admin/keys/{set}"),
        }
    }

    /// The path of one row of a key set, below the base path.
    pub(super) fn key(self, set: &KeySetName, row: &str) -> String {
        format!("{}/{}", self.key_set(set), utf8_percent_encode(row, ENCODED))
    }

    /// The query of the page of `size` clients at `cursor`. The size has to be the same throughout a
    /// listing, because 1.x and 2.x round offsets to multiples of it. Releases before 1.10.5 ignore
    /// `owner`.
    pub(super) fn page(
        self,
        cursor: &Cursor,
        size: usize,
        owner: Option<&str>,
    ) -> Vec<(&'static str, String)> {
        let mut query = vec![(self.size_parameter(), size.to_string())];
        match cursor {
            Cursor::Start => {}
            Cursor::Offset(offset) => query.push(("offset", offset.to_string())),
            Cursor::Token(token) => query.push(("page_token", token.clone())),
        }
        query.extend(owner.map(|owner| ("owner", owner.to_owned())));
        query
    }

    /// Where the page after one of `length` clients, of `size` asked for, starts; `None` after the
    /// last page.
    ///
    /// 2.x always names a next page while there are no clients (ory/hydra issue 3674), and counts
    /// without the filter: there a short page is the last. 25.x may have a smaller limit than the
    /// one asked for, so a short page says nothing; an empty one does.
    pub(super) fn next(
        self,
        cursor: &Cursor,
        size: usize,
        length: usize,
        headers: &HeaderMap,
    ) -> Option<Cursor> {
        let least = match self {
            Self::V1 | Self::V2 => size,
            Self::V25 => 1,
        };
        if length < least {
            return None;
        }
        match self {
            Self::V1 => {
                let offset = if let Cursor::Offset(offset) = cursor { *offset } else { 0 };
                Some(Cursor::Offset(offset + size))
            }
            Self::V2 | Self::V25 => next_token(headers).map(Cursor::Token),
        }
    }

    /// Whether an error with this status in the middle of a listing means that the token is too
    /// old, so that the listing has to start again.
    pub(super) fn token_expired(self, cursor: &Cursor, status: Option<u16>) -> bool {
        self == Self::V25 && matches!(cursor, Cursor::Token(_)) && status == Some(400)
    }

    /// The query of a probe: the shortest listing.
    pub(super) fn probe(self) -> Vec<(&'static str, String)> {
        vec![(self.size_parameter(), "1".to_owned())]
    }

    fn size_parameter(self) -> &'static str {
        match self {
            Self::V1 => "limit",
            Self::V2 | Self::V25 => "page_size",
        }
    }

    /// The generation after an answer to a listing in the manner of `self`. Of those under
    /// `/admin`, only 2.x counts the clients or names the last page.
    pub(super) fn refined(self, headers: &HeaderMap) -> Self {
        match self {
            Self::V1 => Self::V1,
            Self::V2 | Self::V25 => {
                let counts = headers.contains_key("x-total-count");
                if counts || links(headers).any(|(_, relation)| relation == "last") {
                    Self::V2
                } else {
                    Self::V25
                }
            }
        }
    }
}

fn is_asymmetric(algorithm: &str) -> bool {
    matches!(
        algorithm,
        "RS256"
            | "RS384"
            | "RS512"
            | "PS256"
            | "PS384"
            | "PS512"
            | "ES256"
            | "ES384"
            | "ES512"
            | "EdDSA"
    )
}

/// The `page_token` of the link to the next page (RFC 8288). Nothing else of the link is used: a
/// server cannot send the operator to another address.
fn next_token(headers: &HeaderMap) -> Option<String> {
    let (target, _) = links(headers).find(|(_, relation)| relation == "next")?;
    let base = Url::parse("http://hydra.invalid/").ok()?;
    let target = base.join(&target).ok()?;
    let token = target.query_pairs().find(|(name, _)| name == "page_token")?.1;
    (!token.is_empty()).then(|| token.into_owned())
}

/// Target and relation of every link of the answer.
fn links(headers: &HeaderMap) -> impl Iterator<Item = (String, String)> {
    headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| {
        // A comma within a target would be percent-encoded by Hydra.
        value.split(',').filter_map(|link| {
            let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
            let relation = parameters.split(';').find_map(|parameter| {
                parameter.trim().strip_prefix("rel=").map(|relation| relation.trim_matches('"'))
            })?;
            Some((target.to_owned(), relation.to_ascii_lowercase()))
        })
    })
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    const ALL: [Generation; 3] = [Generation::V1, Generation::V2, Generation::V25];

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn generations_are_told_apart() {
        let total = headers(&[("x-total-count", "0")]);
        let last = headers(&[("link", r#"</admin/clients?page_token=a>; rel="last""#)]);
        let first = headers(&[("link", r#"</admin/clients?page_token=a>; rel="first""#)]);
        let (v1, v2, v25) = (Generation::V1, Generation::V2, Generation::V25);
        for (asked_as, headers, expected) in [
            (v1, &total, v1),
            (v2, &total, v2),
            (v2, &last, v2),
            (v2, &first, v25),
            (v25, &total, v2),
        ] {
            assert_eq!(asked_as.refined(headers), expected, "{asked_as:?} {headers:?}");
        }
    }

    #[test]
    fn ids_out_of_reach() {
        for (id, expected) in [
            ("a-b_c.d~e", [true, true, true]),
            ("a b;c?d#e", [true, true, true]),
            ("a/b", [false, false, true]),
            ("a%2Fb", [false, false, true]),
            ("a/", [false, false, false]),
        ] {
            let id = ClientId::parse(id).unwrap();
            assert_eq!(ALL.map(|generation| generation.addresses(&id)), expected, "{id}");
        }
    }

    #[test]
    fn rows_out_of_reach() {
        for (row, expected) in [
            ("private:a", [true, true, true]),
            ("a b?c#d", [true, true, true]),
            ("a/b", [false, false, true]),
            ("a%b", [false, false, true]),
            ("a/", [false, false, false]),
            ("", [false, false, false]),
            (".", [false, false, false]),
            ("..", [false, false, false]),
            ("a\nb", [false, false, false]),
        ] {
            assert_eq!(ALL.map(|generation| generation.addresses_key(row)), expected, "{row:?}");
        }
    }

    #[test]
    fn algorithms_by_generation() {
        for (algorithm, made, signed) in [
            ("RS256", [true, true, true], [true, true, true]),
            ("RS384", [false, true, true], [false, true, true]),
            ("RS512", [false, true, true], [false, true, true]),
            ("PS256", [false, true, true], [false, true, true]),
            ("PS384", [false, true, true], [false, true, true]),
            ("PS512", [false, true, true], [false, true, true]),
            ("ES256", [true, true, true], [false, true, true]),
            ("ES384", [false, true, true], [false, true, true]),
            ("ES512", [true, true, true], [false, true, true]),
            ("EdDSA", [true, true, true], [false, true, true]),
            ("HS256", [false, false, false], [false, false, false]),
            ("HS512", [false, false, false], [false, false, false]),
            ("none", [false, false, false], [false, false, false]),
        ] {
            assert_eq!(ALL.map(|generation| generation.can_make(algorithm)), made, "{algorithm}");
            let signs = ALL.map(|generation| generation.can_sign_with(algorithm));
            assert_eq!(signs, signed, "{algorithm}");
        }
    }

    #[test]
    fn pages_follow_each_other() {
        let link = r#"</admin/clients?page_token=first>; rel="first",</admin/clients?page_size=500&page_token=n%3D1>; rel="next""#;
        let next = headers(&[("link", link)]);
        let (none, token) = (HeaderMap::new(), Cursor::Token("n=1".into()));
        for (generation, cursor, length, headers, expected) in [
            (Generation::V1, Cursor::Start, 500, &none, Some(Cursor::Offset(500))),
            (Generation::V1, Cursor::Offset(500), 500, &none, Some(Cursor::Offset(1000))),
            (Generation::V1, Cursor::Offset(500), 499, &next, None),
            (Generation::V2, Cursor::Start, 500, &next, Some(token.clone())),
            (Generation::V2, Cursor::Start, 0, &next, None),
            (Generation::V2, Cursor::Start, 499, &next, None),
            (Generation::V25, Cursor::Start, 100, &next, Some(token.clone())),
            (Generation::V25, Cursor::Start, 0, &next, None),
            (Generation::V25, Cursor::Start, 500, &none, None),
        ] {
            let found = generation.next(&cursor, LARGEST_PAGE, length, headers);
            assert_eq!(found, expected, "{generation:?}");
        }
        let next = |size, length| Generation::V1.next(&Cursor::Offset(30), size, length, &none);
        assert_eq!(next(15, 15), Some(Cursor::Offset(45)));
        assert_eq!(next(15, 14), None);
    }

    #[test]
    fn only_the_token_of_a_link_is_taken() {
        for (link, token) in [
            (r#"<https://evil.example/x?page_token=t&owner=other>; rel="next""#, Some("t")),
            (r"<?page_token=t>; rel=next", Some("t")),
            (r#"</a?page_token=>; rel="next""#, None),
            (r#"</a?page_token=t>; rel="prev""#, None),
            (r"</a?page_token=t", None),
            (r#"<http://[>; rel="next""#, None),
            ("", None),
        ] {
            assert_eq!(next_token(&headers(&[("link", link)])).as_deref(), token, "{link}");
        }
    }

    #[test]
    fn queries() {
        let page = |generation: Generation, cursor| generation.page(&cursor, 500, Some("n/ns"));
        let pairs = |list: &[(&'static str, &str)]| {
            list.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(
            page(Generation::V1, Cursor::Offset(500)),
            pairs(&[("limit", "500"), ("offset", "500"), ("owner", "n/ns")])
        );
        assert_eq!(
            page(Generation::V25, Cursor::Token("t".into())),
            pairs(&[("page_size", "500"), ("page_token", "t"), ("owner", "n/ns")])
        );
        assert_eq!(
            page(Generation::V2, Cursor::Start),
            pairs(&[("page_size", "500"), ("owner", "n/ns")])
        );
    }

    proptest! {
        /// No id reaches another path, whatever it holds.
        #[test]
        fn an_id_is_exactly_one_segment(text in any::<String>()) {
            if let Ok(id) = ClientId::parse(&text) {
                for generation in ALL {
                    let mut url = Url::parse("http://h/base").unwrap();
                    url.set_path(&format!("/base{}", generation.client(&id)));
                    let last = url.path_segments().unwrap().next_back().unwrap().to_owned();
                    let decoded = percent_decode_str(&last).decode_utf8().unwrap();
                    prop_assert_eq!(decoded.as_ref(), id.as_str());
                    let parent = format!("/base{}/{last}", generation.clients());
                    prop_assert_eq!(url.path(), parent.as_str());
                }
            }
        }

        /// No row of a set leads to the set, or elsewhere.
        #[test]
        fn a_row_is_exactly_one_segment(row in r"(\.|%2e|/|[ -~]|\PC){0,6}") {
            let set = KeySetName::parse("k8s.ns.set").unwrap();
            for generation in ALL.into_iter().filter(|generation| generation.addresses_key(&row)) {
                let mut url = Url::parse("http://h/base").unwrap();
                url.set_path(&format!("/base{}", generation.key(&set, &row)));
                let last = url.path_segments().unwrap().next_back().unwrap().to_owned();
                prop_assert_eq!(percent_decode_str(&last).decode_utf8().unwrap(), row.as_str());
                let expected = format!("/base{}/{last}", generation.key_set(&set));
                prop_assert_eq!(url.path(), expected.as_str());
            }
        }

        #[test]
        fn links_never_panic(text in "[ -~]*") {
            let _ = next_token(&headers(&[("link", &text)]));
        }
    }
}
