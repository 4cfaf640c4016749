//! How a resource gets a pass for a reason that neither it nor its Secret shows.

use std::sync::{Mutex, PoisonError};

use super::ResourceKey;

type Wake = Box<dyn Fn(&ResourceKey) + Send + Sync>;

/// The controllers by what they watch: all namespaces, or one.
#[derive(Default)]
pub struct Wakers {
    scopes: Mutex<Vec<(Option<String>, Wake)>>,
}

impl Wakers {
    /// `wake` gives a pass to a resource of `namespace`; without one, to any resource.
    pub fn register(
        &self,
        namespace: Option<String>,
        wake: impl Fn(&ResourceKey) + Send + Sync + 'static,
    ) {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        scopes.push((namespace, Box::new(wake)));
    }

    /// Gives each of `resources` a pass.
    pub fn wake<'a>(&self, resources: impl IntoIterator<Item = &'a ResourceKey>) {
        let scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        for resource in resources {
            let watches = |namespace: &Option<String>| {
                namespace.as_ref().is_none_or(|namespace| *namespace == resource.0)
            };
            scopes.iter().filter(|(namespace, _)| watches(namespace)).for_each(|(_, wake)| {
                wake(resource);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn each_resource_is_woken_where_it_is_watched() {
        let wakers = Wakers::default();
        let woken: Arc<Mutex<Vec<String>>> = Arc::default();
        for scope in [None, Some("a"), Some("b")] {
            let woken = woken.clone();
            wakers.register(scope.map(ToOwned::to_owned), move |(_, name)| {
                woken.lock().unwrap().push(format!("{} {name}", scope.unwrap_or("all")));
            });
        }
        wakers.wake(&[("a".to_owned(), "x".to_owned()), ("c".to_owned(), "y".to_owned())]);
        assert_eq!(*woken.lock().unwrap(), ["all x", "a x", "all y"]);
    }
}
