use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

type Index = Claims<&'static str, char>;

fn claimant(age: i64, named: &[(char, bool)]) -> Claimant<char> {
    let claim = |held| if held { Claim::Holds } else { Claim::Wants };
    claiming(age, named.iter().map(|(thing, held)| (*thing, claim(*held))).collect())
}

fn claiming(age: i64, named: BTreeMap<char, Claim>) -> Claimant<char> {
    let created = Timestamp::from_second(age).unwrap();
    Claimant { uid: None, created, active: true, stuck: false, named }
}

fn winner_of(index: &Index, thing: char) -> Option<&'static str> {
    index.lock().contenders(&thing).first().map(|rank| *rank.resource)
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

/// `p` is older and holds nothing, `r` holds `x` and comes to want `y` as well.
#[test]
fn whoever_loses_to_a_holder_keeps_nobody_from_the_rest() {
    let index = Index::default();
    let _ = index.set(&"p", claimant(1, &[('x', false), ('y', false)]));
    let _ = index.set(&"q", claimant(3, &[('y', false)]));
    assert_eq!(winner_of(&index, 'y'), Some("p"));
    let woken = index.set(&"r", claimant(2, &[('x', true)]));
    assert_eq!(woken, ["p", "q"], "one loses, and the other wins because of that");
    assert_eq!(winner_of(&index, 'y'), Some("q"));
    let _ = index.set(&"r", claimant(2, &[('x', true), ('y', false)]));
    assert_eq!(index.lost(&"r"), None);
    assert_eq!(index.lost(&"p").map(|lost| lost.winner), Some("r"));
    assert_eq!(index.remove(&"r"), ["p", "q"]);
    assert_eq!(winner_of(&index, 'y'), Some("p"), "it could use it again");
}

#[test]
fn a_pass_under_way_is_no_reason_to_give_up_the_rest() {
    let index = Index::default();
    let _ = index.set(&"old", claimant(1, &[('x', false)]));
    let _ = index.set(&"young", claimant(2, &[('x', false), ('y', false)]));
    let _ = index.set(&"youngest", claimant(3, &[('y', false)]));
    assert_eq!(index.begin(&"old"), None);
    assert_eq!(winner_of(&index, 'y'), Some("young"));
    assert_eq!(index.prove(&"old"), ["young", "youngest"]);
    assert_eq!(winner_of(&index, 'y'), Some("youngest"));
}

#[test]
fn whoever_is_stuck_keeps_what_it_holds_and_comes_last_otherwise() {
    let index = Index::default();
    let stuck = |named| Claimant { stuck: true, ..claimant(1, named) };
    let _ = index.set(&"stuck", stuck(&[('x', true), ('y', false), ('z', false)]));
    let _ = index.set(&"other", claimant(2, &[('x', false)]));
    let _ = index.set(&"another", claimant(2, &[('y', false)]));
    assert_eq!(
        ['x', 'y', 'z'].map(|thing| winner_of(&index, thing)),
        [Some("stuck"), Some("another"), Some("stuck")]
    );
}

#[test]
fn whoever_is_refused_by_a_stranger_keeps_nobody_from_the_rest() {
    let index = Index::default();
    let both = || claimant(1, &[('x', false), ('y', false)]);
    let _ = index.set(&"old", both());
    let _ = index.set(&"young", claimant(2, &[('y', false)]));
    assert!(index.refuse(&"young").is_empty(), "it has lost to another");
    assert_eq!(index.refuse(&"old"), ["old", "young"]);
    assert!(index.set(&"old", both()).is_empty(), "it says the same");
    assert_eq!(winner_of(&index, 'y'), Some("young"));
    let _ = index.set(&"old", claimant(1, &[('y', false), ('z', false)]));
    assert_eq!(winner_of(&index, 'y'), Some("old"));
    assert_eq!(index.refuse(&"old"), ["old", "young"]);
    let _ = index.remove(&"young");
    assert_eq!(index.begin(&"old"), None);
    let _ = index.prove(&"old");
    let _ = index.end(&"old");
    assert_eq!(index.set(&"young", claimant(2, &[('y', false)])), [""; 0]);
    assert_eq!(winner_of(&index, 'y'), Some("old"));
}

#[test]
fn what_a_resource_leaves_is_its_own_until_then_and_does_not_stop_it() {
    let index = Index::default();
    let leaving = BTreeMap::from([('x', Claim::Leaves), ('y', Claim::Wants)]);
    let _ = index.set(&"leaving", claiming(2, leaving));
    let _ = index.set(&"next", claimant(1, &[('x', false)]));
    assert_eq!(winner_of(&index, 'x'), Some("leaving"));
    let _ = index.set(&"rival", claimant(1, &[('x', true)]));
    assert_eq!(winner_of(&index, 'x'), Some("rival"));
    assert_eq!(index.lost(&"leaving"), None);
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Step {
    Set(usize, Claimant<char>),
    Remove(usize),
    List(BTreeSet<usize>),
    Begin(usize),
    End(usize),
    Find(usize, Option<char>),
    Prove(usize),
    Refuse(usize),
    Concede(char, usize),
}

fn thing() -> impl Strategy<Value = char> {
    prop::sample::select(vec!['x', 'y'])
}

fn any_claimant() -> impl Strategy<Value = Claimant<char>> {
    let claim = prop::sample::select(vec![Claim::Wants, Claim::Wants, Claim::Holds, Claim::Leaves]);
    let named = prop::collection::btree_map(thing(), claim, 0..3);
    (0..3_i64, prop::bool::weighted(0.8), prop::bool::weighted(0.2), named)
        .prop_map(|(age, active, stuck, named)| Claimant { active, stuck, ..claiming(age, named) })
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len();
    prop_oneof![
        5 => (name(), any_claimant()).prop_map(|(name, claimant)| Step::Set(name, claimant)),
        1 => name().prop_map(Step::Remove),
        1 => prop::collection::btree_set(name(), 0..4).prop_map(Step::List),
        2 => name().prop_map(Step::Begin),
        2 => name().prop_map(Step::End),
        1 => (name(), prop::option::of(thing())).prop_map(|(n, t)| Step::Find(n, t)),
        1 => name().prop_map(Step::Prove),
        1 => name().prop_map(Step::Refuse),
        1 => (thing(), name()).prop_map(|(t, n)| Step::Concede(t, n)),
    ]
}

fn take(index: &Index, step: &Step) -> Vec<&'static str> {
    match step {
        Step::Set(name, claimant) => index.set(&NAMES[*name], claimant.clone()),
        Step::Remove(name) => index.remove(&NAMES[*name]),
        Step::List(seen) => index.retain(|_| true, &seen.iter().map(|n| NAMES[*n]).collect()),
        Step::Begin(name) => {
            let _ = index.begin(&NAMES[*name]);
            Vec::new()
        }
        Step::End(name) => index.end(&NAMES[*name]),
        Step::Find(name, thing) => index.find(&NAMES[*name], *thing).0,
        Step::Prove(name) => index.prove(&NAMES[*name]),
        Step::Refuse(name) => index.refuse(&NAMES[*name]),
        Step::Concede(thing, name) => index.concede(thing, |other, _| *other == NAMES[*name]),
    }
}

/// Who claims `thing`, in the order in which they would get it, from the entries alone.
fn order(index: &Index, thing: char) -> Vec<&'static str> {
    let inner = index.lock();
    let mut order: Vec<_> =
        NAMES.iter().filter_map(|name| inner.ranks(name).remove(&thing)).collect();
    order.sort();
    order.into_iter().map(|rank| *rank.resource).collect()
}

fn is_bereft(index: &Index, name: &'static str) -> bool {
    index.lock().entry(&name).is_some_and(Entry::is_bereft)
}

/// From the entries alone.
fn loses_to_a_holder(index: &Index, name: &'static str) -> bool {
    let inner = index.lock();
    let Some(entry) = inner.entry(&name) else { return false };
    let holds = |name: &&'static str, thing| inner.entry(name).is_some_and(|e| e.holds(thing));
    entry.needs().any(|thing| {
        let mut holders: Vec<_> = NAMES.into_iter().filter(|name| holds(name, thing)).collect();
        holders.sort_by_key(|name| (inner.entry(name).map(Entry::created), *name));
        holders.first().is_some_and(|first| *first != name)
    })
}

/// A pass over each resource that could make use of it, which succeeds where it may begin. Returns
/// whether there was one.
fn round(index: &Index) -> bool {
    let mut begun = false;
    for name in NAMES {
        let able = index.lock().entry(&name).is_some_and(|entry| !entry.is_stuck());
        if able && index.begin(&name).is_none() {
            begun = true;
            let _ = index.prove(&name);
            let _ = index.end(&name);
        }
    }
    begun
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
            for name in NAMES {
                prop_assert_eq!(is_bereft(&index, name), loses_to_a_holder(&index, name), "{}", name);
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

    /// Nobody waits for another that waits itself: there is always one that loses nothing, unless
    /// each is stuck or claims what another has; and once all have had their turn, whoever has
    /// lost has lost to a holder.
    #[test]
    fn nobody_waits_for_those_that_wait(claimants in prop::collection::vec(any_claimant(), 4)) {
        let index = Index::default();
        for (name, claimant) in NAMES.iter().zip(claimants) {
            let _ = index.set(name, claimant);
        }
        let hopeless = |name: &'static str| {
            index.lock().entry(&name).is_some_and(Entry::is_stuck) || loses_to_a_holder(&index, name)
        };
        prop_assert!(round(&index) || NAMES.into_iter().all(hopeless));
        for _ in NAMES {
            round(&index);
        }
        for name in NAMES {
            prop_assert!(index.lost(&name).is_none() || hopeless(name), "{}", name);
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
