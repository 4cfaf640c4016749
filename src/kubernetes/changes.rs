//! Of what a watch tells, the changes that a reconcile can be about: all but those of the status.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    runtime::{reflector::Store, watcher::Event},
};

/// What was told last of each resource.
///
/// Of each there are two hashes and no text: there is one for each resource of the cluster.
#[derive(Default)]
pub struct Changes {
    told: HashMap<u64, Told>,
    hasher: RandomState,
    /// The finalizer that the pass itself adds.
    own_finalizer: Option<&'static str>,
}

/// What was told of one resource.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Told {
    content: u64,
    /// Whether it has the finalizer that the pass itself adds.
    has_own: bool,
}

impl Told {
    /// Whether a resource that is so by now, and was `before`, is worth a pass: one that has got its finalizer has had it.
    fn is_news(self, before: Option<Self>) -> bool {
        before.is_none_or(|before| {
            before.content != self.content || (before.has_own && !self.has_own)
        })
    }
}

/// The resources that an event is to give a pass.
pub enum Changed<K> {
    /// At most one.
    One(Option<K>),
    /// Those of a list.
    Listed(std::vec::IntoIter<Arc<K>>),
}

impl<K: Clone> Iterator for Changed<K> {
    type Item = K;

    fn next(&mut self) -> Option<K> {
        match self {
            Self::One(object) => object.take(),
            Self::Listed(objects) => objects.next().map(Arc::unwrap_or_clone),
        }
    }
}

impl Changes {
    /// Changes but for the addition of `own_finalizer`, by the pass over the resource itself.
    #[must_use]
    pub fn but_for(own_finalizer: Option<&'static str>) -> Self {
        Self { own_finalizer, ..Self::default() }
    }

    /// The resources of `event` that differ from what was told of them before. `store` has taken it in already.
    ///
    /// Those of a list are told at its end: before it, the store does not show them as they are now. Then, too, what is
    /// kept of them for their passes does not lie between what the store keeps, where it would leave gaps.
    pub fn of<K>(&mut self, event: Event<K>, store: &Store<K>) -> Changed<K>
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        match event {
            Event::Apply(object) => {
                let (name, now) = self.of_metadata(object.meta());
                let is_new = now.is_news(self.told.insert(name, now));
                Changed::One(is_new.then_some(object))
            }
            Event::Delete(object) => {
                self.told.remove(&self.of_metadata(object.meta()).0);
                Changed::One(None)
            }
            Event::Init | Event::InitApply(_) => Changed::One(None),
            Event::InitDone => Changed::Listed(self.renew(store.state()).into_iter()),
        }
    }

    /// Those of `listed`, which are all there are, that differ from what was told of them.
    fn renew<K: Resource>(&mut self, mut listed: Vec<Arc<K>>) -> Vec<Arc<K>> {
        let mut told = HashMap::with_capacity(listed.len());
        listed.retain(|object| {
            let (name, now) = self.of_metadata(object.meta());
            told.insert(name, now);
            now.is_news(self.told.get(&name).copied())
        });
        self.told = told;
        listed
    }

    /// Of what names a resource, and of what a reconcile can be about. The mark of deletion is a property of its own: that
    /// it moves the generation too is a detail of the API server.
    fn of_metadata(&self, metadata: &ObjectMeta) -> (u64, Told) {
        let name = (&metadata.namespace, &metadata.name);
        let is_own = |finalizer: &&String| Some(finalizer.as_str()) == self.own_finalizer;
        let finalizers = metadata.finalizers.iter().flatten();
        let others: Vec<&String> =
            finalizers.clone().filter(|finalizer| !is_own(finalizer)).collect();
        let content = (
            // So that a namesake, or a resource whose name has the same hash, counts as another.
            (name, &metadata.uid),
            metadata.generation,
            &metadata.labels,
            &metadata.annotations,
            others,
            metadata.deletion_timestamp.is_some(),
        );
        let has_own = finalizers.into_iter().any(|finalizer| is_own(&finalizer));
        (self.hasher.hash_one(name), Told { content: self.hasher.hash_one(content), has_own })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::Time};
    use kube::{ResourceExt, runtime::reflector};

    use super::*;

    type Told = Vec<(String, Option<i64>)>;
    type Change = fn(&mut ObjectMeta, Option<BTreeMap<String, String>>);

    struct Watch {
        writer: reflector::store::Writer<ConfigMap>,
        changes: Changes,
    }

    impl Watch {
        fn new() -> Self {
            Self { writer: reflector::store().1, changes: Changes::but_for(Some("own")) }
        }

        /// What it leads to, by name and generation.
        fn tell(&mut self, event: Event<ConfigMap>) -> Told {
            self.writer.apply_watcher_event(&event);
            let changed = self.changes.of(event, &self.writer.as_reader());
            let mut told: Told =
                changed.map(|object| (object.name_any(), object.metadata.generation)).collect();
            told.sort();
            told
        }

        fn list(&mut self, objects: &[ConfigMap]) -> Told {
            assert!(self.tell(Event::Init).is_empty());
            for object in objects {
                assert!(self.tell(Event::InitApply(object.clone())).is_empty());
            }
            self.tell(Event::InitDone)
        }
    }

    fn object(name: &str, generation: i64) -> ConfigMap {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("team".to_owned()),
            generation: Some(generation),
            uid: Some(format!("uid of {name}")),
            ..ObjectMeta::default()
        };
        ConfigMap { metadata, ..ConfigMap::default() }
    }

    fn told(name: &str, generation: i64) -> (String, Option<i64>) {
        (name.to_owned(), Some(generation))
    }

    #[test]
    fn what_a_list_shows_is_told_when_the_store_shows_it_too() {
        let mut watch = Watch::new();
        assert_eq!(watch.list(&[object("a", 1), object("b", 1)]), [told("a", 1), told("b", 1)]);
        let again = [object("a", 1), object("b", 2), object("c", 1)];
        assert_eq!(watch.list(&again), [told("b", 2), told("c", 1)]);
        assert_eq!(watch.list(&again), []);
    }

    #[test]
    fn a_list_that_breaks_off_tells_nothing_and_hides_nothing() {
        let mut watch = Watch::new();
        assert_eq!(watch.list(&[object("a", 1)]), [told("a", 1)]);
        assert!(watch.tell(Event::Init).is_empty());
        assert!(watch.tell(Event::InitApply(object("a", 2))).is_empty());
        assert_eq!(watch.list(&[object("a", 2)]), [told("a", 2)]);
    }

    #[test]
    fn all_but_the_status_counts() {
        let some = || Some(BTreeMap::from([("key".to_owned(), "value".to_owned())]));
        let cases: [(&str, Change); 6] = [
            ("generation", |metadata, _| metadata.generation = Some(2)),
            ("labels", |metadata, some| metadata.labels = some),
            ("annotations", |metadata, some| metadata.annotations = some),
            ("finalizers", |metadata, _| metadata.finalizers = Some(vec!["ours".to_owned()])),
            ("uid", |metadata, _| metadata.uid = Some("another".to_owned())),
            ("deletion", |metadata, _| {
                metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
            }),
        ];
        for (what, change) in cases {
            let mut watch = Watch::new();
            let mut object = object("a", 1);
            assert_eq!(watch.tell(Event::Apply(object.clone())).len(), 1, "{what}");
            object.metadata.resource_version = Some("2".to_owned());
            assert_eq!(watch.tell(Event::Apply(object.clone())), [], "status");
            change(&mut object.metadata, some());
            assert_eq!(watch.tell(Event::Apply(object.clone())).len(), 1, "{what}");
            assert_eq!(watch.tell(Event::Apply(object)), [], "{what}");
        }
    }

    #[test]
    fn the_own_finalizer_is_news_when_it_goes() {
        let mut watch = Watch::new();
        let with = |finalizers: &[&str]| {
            let mut object = object("a", 1);
            let finalizers = finalizers.iter().map(ToString::to_string).collect();
            object.metadata.finalizers = Some(finalizers);
            Event::Apply(object)
        };
        assert_eq!(watch.tell(with(&[])).len(), 1);
        assert_eq!(watch.tell(with(&["own"])), []);
        assert_eq!(watch.tell(with(&["own", "other"])).len(), 1);
        assert_eq!(watch.tell(with(&["other"])).len(), 1);
        assert_eq!(watch.tell(with(&["other", "own"])), []);
    }

    #[test]
    fn what_is_gone_leaves_nothing_behind() {
        let mut watch = Watch::new();
        let _ = watch.list(&[object("a", 1), object("b", 1)]);
        assert_eq!(watch.tell(Event::Delete(object("a", 1))), []);
        assert_eq!(watch.changes.told.len(), 1);
        assert_eq!(watch.tell(Event::Apply(object("a", 1))), [told("a", 1)]);
        assert_eq!(watch.list(&[object("b", 1)]), []);
        assert_eq!(watch.changes.told.len(), 1);
    }
}
