use proptest::prelude::*;

use super::*;

type Index = Claims<&'static str, char>;

fn claimant(age: i64, named: &[(char, bool)]) -> Claimant<char> {
    Claimant {
        uid: None,
        created: Timestamp::from_second(age).unwrap(),
        active: true,
        named: named.iter().copied().collect(),
    }
}

fn winner_of(index: &Index, thing: char) -> Option<&'static str> {
    let inner = index.lock();
    inner.contenders.get(&thing).and_then(|of| of.first()).map(|rank| rank.resource)
}

#[test]
fn the_holder_wins_then_the_oldest_then_the_first_by_name() {
    type Case = (&'static str, [(i64, bool); 3], &'static str);
    let cases: [Case; 6] = [
        ("oldest", [(2, false), (1, false), (3, false)], "b"),
        ("same age", [(1, false), (1, false), (1, false)], "a"),
        ("holder", [(1, false), (2, false), (3, true)], "c"),
        ("two holders", [(1, false), (3, true), (2, true)], "c"),
        ("two holders of the same age", [(1, false), (2, true), (2, true)], "b"),
        ("all hold", [(3, true), (2, true), (1, true)], "c"),
    ];
    for (what, claimants, expected) in cases {
        let index = Index::default();
        for (name, (age, held)) in ["a", "b", "c"].into_iter().zip(claimants) {
            let _ = index.set(&name, claimant(age, &[('x', held)]));
        }
        assert_eq!(winner_of(&index, 'x'), Some(expected), "{what}");
        let lost = index.lost(&if expected == "a" { "b" } else { "a" }).unwrap();
        assert_eq!((lost.thing, lost.winner), ('x', expected), "{what}");
        assert_eq!(index.lost(&expected), None, "{what}");
    }
}

#[test]
fn those_whom_it_concerns_are_woken() {
    let index = Index::default();
    assert!(index.set(&"young", claimant(2, &[('x', false)])).is_empty());
    assert_eq!(index.set(&"old", claimant(1, &[('x', false)])), ["young"]);
    assert!(index.set(&"other", claimant(1, &[('y', false)])).is_empty());
    assert!(index.set(&"youngest", claimant(3, &[('x', false)])).is_empty(), "it changes nothing");
    assert_eq!(index.set(&"young", claimant(2, &[('x', true)])), ["old", "young", "youngest"]);
    assert_eq!(index.set(&"young", claimant(2, &[('z', true)])), ["old", "youngest"]);
    assert_eq!(index.remove(&"old"), ["youngest"]);
    assert_eq!(index.retain(|_| true, &HashSet::from(["other"])), [""; 0]);
    assert_eq!(winner_of(&index, 'x'), None);
    assert_eq!(winner_of(&index, 'y'), Some("other"));
}

#[test]
fn a_pass_under_way_is_not_overtaken() {
    let index = Index::default();
    let _ = index.set(&"young", claimant(2, &[('x', false)]));
    assert_eq!(index.begin(&"young"), None);
    assert!(index.set(&"old", claimant(1, &[('x', false)])).is_empty());
    let lost = Lost { thing: 'x', winner: "young", held: true };
    assert_eq!(index.begin(&"old"), Some(lost));
    assert_eq!(index.end(&"young"), ["old", "young"], "it came to nothing");
    assert_eq!(winner_of(&index, 'x'), Some("old"));

    assert_eq!(index.begin(&"old"), None);
    assert!(index.prove(&"old").is_empty());
    assert!(index.end(&"old").is_empty());
    assert!(index.set(&"older", claimant(0, &[('x', false)])).is_empty(), "it is held");
    assert_eq!(index.set(&"old", claimant(1, &[('y', false)])), ["older", "young"]);
}

#[test]
fn what_a_pass_finds_counts_until_the_next() {
    let index = Index::default();
    for (name, age) in [("old", 1), ("young", 2)] {
        let _ = index.set(&name, claimant(age, &[]));
    }
    assert_eq!(index.find(&"young", Some('x')), (vec![], None));
    let _ = index.end(&"young");
    assert_eq!(index.find(&"old", Some('x')), (vec!["young"], None));
    let _ = index.end(&"old");
    let _ = index.set(&"old", claimant(1, &[]));
    let lost = Lost { thing: 'x', winner: "old", held: false };
    assert_eq!(index.lost(&"young"), Some(lost));
    assert_eq!(index.find(&"old", None), (vec!["young"], None));
}

#[test]
fn what_is_seen_decides_between_those_that_claim_it() {
    let index = Index::default();
    let with_uid =
        |uid: &str, age| Claimant { uid: Some(uid.into()), ..claimant(age, &[('x', false)]) };
    let _ = index.set(&"old", with_uid("1", 1));
    let _ = index.set(&"young", with_uid("2", 2));
    assert!(index.concede(&'x', |name, _| *name == "stranger").is_empty());
    assert_eq!(index.concede(&'x', |_, uid| uid == Some("2")), ["old", "young"]);
    assert_eq!(winner_of(&index, 'x'), Some("young"));
    assert_eq!(index.set(&"young", with_uid("3", 2)), ["old", "young"], "a namesake holds nothing");
}

#[test]
fn whoever_is_idle_keeps_what_it_holds_and_is_after_nothing() {
    let index = Index::default();
    let idle = |named| Claimant { active: false, ..claimant(1, named) };
    let _ = index.set(&"idle", idle(&[('x', true), ('y', false)]));
    let _ = index.set(&"active", claimant(2, &[('x', false), ('y', false)]));
    assert_eq!((winner_of(&index, 'x'), winner_of(&index, 'y')), (Some("idle"), Some("active")));
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Step {
    Set(usize, i64, bool, BTreeMap<char, bool>),
    Remove(usize),
    List(BTreeSet<usize>),
    Begin(usize),
    End(usize),
    Find(usize, Option<char>),
    Prove(usize),
    Concede(char, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len();
    let thing = || prop::sample::select(vec!['x', 'y']);
    let named = prop::collection::btree_map(thing(), any::<bool>(), 0..3);
    prop_oneof![
        5 => (name(), 0..3_i64, any::<bool>(), named).prop_map(|(n, a, b, c)| Step::Set(n, a, b, c)),
        1 => name().prop_map(Step::Remove),
        1 => prop::collection::btree_set(name(), 0..4).prop_map(Step::List),
        2 => name().prop_map(Step::Begin),
        2 => name().prop_map(Step::End),
        1 => (name(), prop::option::of(thing())).prop_map(|(n, t)| Step::Find(n, t)),
        1 => name().prop_map(Step::Prove),
        1 => (thing(), name()).prop_map(|(t, n)| Step::Concede(t, n)),
    ]
}

fn take(index: &Index, step: &Step) -> Vec<&'static str> {
    match step {
        Step::Set(name, age, active, named) => {
            let claimant = Claimant {
                uid: None,
                created: Timestamp::from_second(*age).unwrap(),
                active: *active,
                named: named.clone(),
            };
            index.set(&NAMES[*name], claimant)
        }
        Step::Remove(name) => index.remove(&NAMES[*name]),
        Step::List(seen) => index.retain(|_| true, &seen.iter().map(|n| NAMES[*n]).collect()),
        Step::Begin(name) => {
            let _ = index.begin(&NAMES[*name]);
            Vec::new()
        }
        Step::End(name) => index.end(&NAMES[*name]),
        Step::Find(name, thing) => index.find(&NAMES[*name], *thing).0,
        Step::Prove(name) => index.prove(&NAMES[*name]),
        Step::Concede(thing, name) => index.concede(thing, |other, _| *other == NAMES[*name]),
    }
}

/// Who claims `thing`, in the order in which they would get it, from the entries alone.
fn order(index: &Index, thing: char) -> Vec<&'static str> {
    let inner = index.lock();
    let mut order: Vec<Rank<&str>> =
        NAMES.iter().filter_map(|name| inner.ranks(name).remove(&thing)).collect();
    order.sort();
    order.into_iter().map(|rank| rank.resource).collect()
}

fn verdicts(index: &Index) -> Vec<(char, &'static str, bool)> {
    let of = |thing| {
        let order = order(index, thing);
        let first = order.first().copied();
        order.into_iter().map(move |name| (thing, name, Some(name) == first))
    };
    ['x', 'y'].into_iter().flat_map(of).collect()
}

fn subject(step: &Step) -> Option<&'static str> {
    match step {
        Step::Set(name, ..) | Step::Begin(name) | Step::Find(name, _) => Some(NAMES[*name]),
        _ => None,
    }
}

proptest! {
    /// After any history each thing that is claimed has exactly one winner, the first in the
    /// order; and whoever begins to win or to lose is woken, but for the one that the step is about.
    #[test]
    fn there_is_one_winner_and_whoever_it_concerns_is_woken(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        let index = Index::default();
        for step in steps {
            let before = verdicts(&index);
            let woken = take(&index, &step);
            let after = verdicts(&index);
            for thing in ['x', 'y'] {
                prop_assert_eq!(winner_of(&index, thing), order(&index, thing).first().copied());
            }
            for (thing, name, wins) in &after {
                let former = before.iter().find(|(t, n, _)| t == thing && n == name);
                let concerned = former.is_none_or(|(_, _, won)| won != wins);
                if concerned && subject(&step) != Some(*name) {
                    prop_assert!(woken.contains(name), "{step:?} {name} {thing}");
                }
            }
        }
    }

    /// What the watch told, in whatever order, leads to the same winners.
    #[test]
    fn the_order_of_events_does_not_matter(
        claimants in prop::collection::vec((0..3_i64, any::<bool>(), any::<bool>()), 4),
        order in Just(vec![0_usize, 1, 2, 3]).prop_shuffle(),
    ) {
        let fed = |order: &[usize]| {
            let index = Index::default();
            for n in order {
                let (age, x, y) = claimants[*n];
                let _ = index.set(&NAMES[*n], claimant(age, &[('x', x), ('y', y)]));
            }
            (winner_of(&index, 'x'), winner_of(&index, 'y'))
        };
        prop_assert_eq!(fed(&order), fed(&[0, 1, 2, 3]));
    }

    /// One after the other goes, and each time the next in the order is woken.
    #[test]
    fn the_end_of_the_winner_wakes_the_next(ages in prop::collection::vec(0..3_i64, 4)) {
        let index = Index::default();
        for (name, age) in NAMES.iter().zip(ages) {
            let _ = index.set(name, claimant(age, &[('x', false)]));
        }
        let order = order(&index, 'x');
        for pair in order.windows(2) {
            prop_assert_eq!(winner_of(&index, 'x'), Some(pair[0]));
            prop_assert!(index.remove(&pair[0]).contains(&pair[1]));
        }
    }
}
