//! In which of the watched namespaces the operator may use Secrets and ConfigMaps.

/// The namespaces whose Secrets and ConfigMaps the operator may use: some, or all that it watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectAccess {
    /// Empty: all.
    namespaces: Vec<String>,
}

impl ObjectAccess {
    /// In `namespaces` alone; in all that are watched, where there are none.
    #[must_use]
    pub fn to(namespaces: Vec<String>) -> Self {
        Self { namespaces }
    }

    /// Whether those of `namespace`, which is watched, may be used.
    #[must_use]
    pub fn allows(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|allowed| allowed == namespace)
    }

    /// What has to be watched in the place of `scope`, which is one namespace or all.
    #[must_use]
    pub fn within(&self, scope: Option<&str>) -> Vec<Option<String>> {
        if scope.is_some() || self.namespaces.is_empty() {
            return vec![scope.map(ToOwned::to_owned)];
        }
        self.namespaces.iter().cloned().map(Some).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_namespaces_or_all_that_are_watched() {
        let some = |name: &str| Some(name.to_owned());
        let all = ObjectAccess::default();
        assert!(all.allows("a"));
        assert_eq!((all.within(None), all.within(Some("a"))), (vec![None], vec![some("a")]));
        let two = ObjectAccess::to(vec!["a".to_owned(), "b".to_owned()]);
        assert!(two.allows("a") && two.allows("b") && !two.allows("c"));
        assert_eq!(two.within(None), [some("a"), some("b")]);
    }
}
