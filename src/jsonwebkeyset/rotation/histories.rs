//! Random histories of a set: whatever happens, the promises about its keys hold.

mod world;

use proptest::prelude::*;

use self::world::{Event, World};
use super::*;

fn event() -> impl Strategy<Value = Event> {
    // Keys that are provided have a few ids, and come back.
    let provided = prop::sample::subsequence(vec!["a", "b", "c", "d"], 0..=4).prop_shuffle();
    prop_oneof![
        6 => (0_i64..200).prop_map(Event::Wait),
        1 => (10_000_i64..60_000).prop_map(Event::Wait),
        1 => (0_i64..5_000).prop_map(Event::SetBack),
        6 => Just(Event::Arrive),
        1 => Just(Event::Newcomer),
        2 => Just(Event::Crash),
        1 => Just(Event::Interrupt),
        2 => any::<bool>().prop_map(Event::Refuse),
        1 => Just(Event::Lose),
        1 => Just(Event::Rotate),
        1 => any::<bool>().prop_map(Event::Revoke),
        1 => any::<bool>().prop_map(Event::Algorithm),
        1 => proptest::option::of(6_u64..48).prop_map(Event::Interval),
        1 => (0_u64..300).prop_map(Event::PublishBefore),
        1 => (0_u64..3_000).prop_map(Event::Retain),
        2 => proptest::option::weighted(0.8, provided).prop_map(Event::Provide),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_promises_hold_in_every_history(
        events in prop::collection::vec(event(), 1..60),
        signs_at_once in any::<bool>(),
    ) {
        let mut world = World::new(signs_at_once);
        for event in &events {
            world.happen(event);
            world.pass()?;
        }
    }

    /// Whatever has happened, time brings a set to rest with one key that fits and signs, and those that are provided beside it.
    #[test]
    fn every_history_ends_well(events in prop::collection::vec(event(), 0..40)) {
        let mut world = World::new(false);
        for event in &events {
            world.happen(event);
            world.pass()?;
        }
        world.rest()?;
    }
}

#[test]
fn after_weeks_of_sleep_there_is_one_new_key() {
    let mut world = World::new(false);
    for event in [Event::Wait(0), Event::Arrive, Event::Wait(100_000), Event::Wait(0)] {
        world.happen(&event);
        world.pass().unwrap();
    }
    let states: Vec<KeyState> = world.keys.iter().map(|key| key.state).collect();
    assert_eq!(states, [KeyState::Active, KeyState::Pending]);
}

#[test]
fn a_rotation_is_dated_when_it_was_written() {
    let mut world = World::new(false);
    for wait in [0, 100_000, 100_000] {
        for event in [Event::Wait(wait), Event::Arrive] {
            world.happen(&event);
            world.pass().unwrap();
        }
    }
    let since = |keys: &[Key]| keys.iter().map(|key| (key.state, key.since)).collect::<Vec<_>>();
    let keys = world.keys.clone();
    let decided = active(&keys).unwrap().since;
    let (written, next) = (decided + Duration::from_secs(3), decided + Duration::from_mins(1));
    let mut turn = Turn { keys, gone: Vec::new(), due: None, next_rotation: Some(next) };
    // What was recorded before is left as it is.
    date(&mut turn, &world.keys, written);
    assert_eq!((since(&turn.keys), turn.next_rotation), (since(&world.keys), Some(next)));

    date(&mut turn, &[], written);
    let dated = |&(state, since)| match state {
        KeyState::Active | KeyState::Retained => (state, written),
        KeyState::Pending | KeyState::Published => (state, since),
    };
    let expected: Vec<_> = since(&world.keys).iter().map(dated).collect();
    assert!(expected.iter().any(|(state, _)| *state == KeyState::Retained), "{expected:?}");
    assert_eq!(since(&turn.keys), expected);
    assert_eq!(turn.next_rotation, Some(next + Duration::from_secs(3)));
}
