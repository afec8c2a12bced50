//! Laws of the decisions, by example and over random lives.

use proptest::prelude::{Just, any, prop, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;

use super::*;
use crate::policy::{Restart, Strategy, restart_every};

const SECOND: Duration = Duration::from_secs(1);
const NOW: Duration = Duration::ZERO;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A plan whose children run.
fn running(strategy: Strategy, policies: &[Policy]) -> (Plan, Vec<Key>) {
    let mut plan = Plan::new(strategy, Intensity::default(), Backoff::default());
    let keys: Vec<_> = policies.iter().map(|policy| plan.add(NOW, *policy)).collect();
    assert_eq!(start_all(&mut plan, NOW), keys);
    (plan, keys)
}

/// Starts all that is due; in which order.
fn start_all(plan: &mut Plan, now: Duration) -> Vec<Key> {
    let mut started = Vec::new();
    while let Ok(key) = plan.due(now) {
        plan.started(now, key);
        started.push(key);
    }
    started
}

/// Obeys, and says who was stopped and who was started.
fn obey(plan: &mut Plan, now: Duration, decision: Decision) -> (Vec<Key>, Vec<Key>) {
    let Decision::Restart { stop, pause } = decision else { panic!("{decision:?}") };
    stop.iter().for_each(|key| plan.stopped(*key));
    (stop, start_all(plan, now + pause))
}

fn policies(restarts: [Restart; 4]) -> [Policy; 4] {
    restarts.map(Policy::from)
}

use Restart::{Permanent, Temporary, Transient};

#[test]
fn one_for_one_starts_the_one_again() {
    let (mut plan, keys) = running(Strategy::OneForOne, &policies([Permanent; 4]));
    let decision = plan.ended(SECOND, keys[1], false);
    assert_eq!(obey(&mut plan, SECOND, decision), (vec![], vec![keys[1]]));
}

#[test]
fn one_for_all_stops_in_reverse_and_starts_in_order() {
    let (mut plan, keys) = running(Strategy::OneForAll, &policies([Permanent, Transient, Permanent, Permanent]));
    let decision = plan.ended(SECOND, keys[1], false);
    assert_eq!(obey(&mut plan, SECOND, decision), (vec![keys[3], keys[2], keys[0]], keys));
}

#[test]
fn rest_for_one_leaves_those_before_it_alone() {
    let (mut plan, keys) = running(Strategy::RestForOne, &policies([Permanent; 4]));
    let decision = plan.ended(SECOND, keys[1], false);
    assert_eq!(obey(&mut plan, SECOND, decision), (vec![keys[3], keys[2]], keys[1..].to_vec()));
}

#[test]
fn who_is_being_started_holds_up_none_that_is_for_itself() {
    let (mut plan, keys) = running(Strategy::OneForOne, &policies([Permanent; 4]));
    plan.ended(SECOND, keys[1], false);
    plan.starting(keys[1]);
    let decision = plan.ended(SECOND, keys[2], false);
    assert_eq!(obey(&mut plan, SECOND, decision), (vec![], vec![keys[2]]));
    assert!(plan.is_active());
    assert_eq!(plan.running(), [keys[3], keys[2], keys[0]]);
}

#[test]
fn those_after_one_that_is_being_started_wait_for_it() {
    for strategy in [Strategy::RestForOne, Strategy::OneForAll] {
        let (mut plan, keys) = running(strategy, &policies([Permanent; 4]));
        let decision = plan.ended(SECOND, keys[0], false);
        let Decision::Restart { stop, .. } = decision else { panic!("{decision:?}") };
        stop.iter().for_each(|key| plan.stopped(*key));
        assert_eq!(plan.due(SECOND), Ok(keys[0]));
        plan.starting(keys[0]);
        assert_eq!(plan.due(SECOND), Err(None));
        // One before it that has to be started again takes it along, wherever it was.
        plan.started(SECOND, keys[0]);
        plan.starting(keys[1]);
        let decision = plan.ended(SECOND, keys[0], false);
        assert_eq!(obey(&mut plan, SECOND, decision), (vec![], keys));
    }
}

#[test]
fn a_transient_child_that_ended_well_is_started_with_others_only() {
    let (mut plan, keys) = running(Strategy::OneForAll, &policies([Permanent, Transient, Transient, Permanent]));
    assert_eq!(plan.ended(SECOND, keys[2], true), Decision::Leave);
    assert_eq!(start_all(&mut plan, seconds(9)), []);
    let decision = plan.ended(seconds(9), keys[1], false);
    assert_eq!(obey(&mut plan, seconds(9), decision), (vec![keys[3], keys[0]], keys));
}

#[test]
fn a_temporary_child_goes_with_others_and_stays_away() {
    let (mut plan, keys) = running(Strategy::OneForAll, &policies([Temporary, Permanent, Temporary, Permanent]));
    assert_eq!(plan.ended(SECOND, keys[0], false), Decision::Leave);
    let decision = plan.ended(SECOND, keys[3], false);
    assert_eq!(obey(&mut plan, SECOND, decision), (vec![keys[2], keys[1]], vec![keys[1], keys[3]]));
    assert_eq!((plan.state(keys[0]), plan.state(keys[2])), (None, None));
}

#[test]
fn more_restarts_than_the_intensity_give_up_and_old_ones_do_not_count() {
    let (mut plan, keys) = running(Strategy::OneForOne, &policies([Permanent; 4]));
    for time in [0, 1, 2] {
        let decision = plan.ended(seconds(time), keys[0], false);
        obey(&mut plan, seconds(time), decision);
    }
    // The one at 0 is older than five seconds.
    let decision = plan.ended(seconds(6), keys[3], false);
    obey(&mut plan, seconds(6), decision);
    assert_eq!(plan.ended(seconds(6), keys[1], true), Decision::GiveUp);
}

#[test]
fn back_off_doubles_up_to_the_most_and_begins_anew_after_a_long_life() {
    let intensity = Intensity { restarts: 100, period: SECOND };
    let mut plan = Plan::new(Strategy::OneForOne, intensity, Backoff { first: SECOND, most: seconds(5) });
    let key = plan.add(NOW, Policy::default());
    start_all(&mut plan, NOW);
    let (mut now, mut pauses) = (NOW, Vec::new());
    for lived in [0, 0, 0, 0, 4, 5, 0] {
        now += seconds(lived);
        let Decision::Restart { pause, .. } = plan.ended(now, key, false) else { panic!("it is restarted") };
        assert_eq!(plan.due(now + pause - Duration::from_nanos(1)), Err(Some(now + pause)));
        now += pause;
        assert_eq!(start_all(&mut plan, now), [key]);
        pauses.push(pause.as_secs());
    }
    assert_eq!(pauses, [1, 2, 4, 5, 5, 1, 2]);
}

#[test]
fn retry_three_is_one_start_and_three_restarts() {
    let mut plan = Plan::new(Strategy::OneForOne, Intensity::default(), Backoff::default());
    let key = plan.add(NOW, restart_every(seconds(5)).retry(3).into());
    let mut starts = Vec::new();
    let mut now = NOW;
    loop {
        start_all(&mut plan, now);
        starts.push(now.as_secs());
        match plan.ended(now + SECOND, key, true) {
            Decision::Restart { pause, .. } => now += SECOND + pause,
            decision => break assert_eq!(decision, Decision::GiveUpChild),
        }
    }
    assert_eq!(starts, [0, 5, 10, 15]);
    assert!(!plan.is_active());
}

#[test]
fn a_long_life_begins_the_count_anew() {
    let mut plan = Plan::new(Strategy::OneForOne, Intensity::default(), Backoff::default());
    let key = plan.add(NOW, restart_every(SECOND).retry(1).into());
    let mut now = NOW;
    for lived in [1, 2, 5] {
        start_all(&mut plan, now);
        now += seconds(lived);
        assert!(matches!(plan.ended(now, key, false), Decision::Restart { pause: Duration::ZERO, .. }), "after {lived} s");
    }
    start_all(&mut plan, now);
    assert_eq!(plan.ended(now, key, false), Decision::GiveUpChild);
}

#[test]
fn a_child_with_its_own_measure_does_not_count_for_the_supervisor() {
    let (mut plan, keys) = running(Strategy::OneForOne, &[restart_every(NOW).into(), Permanent.into()]);
    for _ in 0..100 {
        let decision = plan.ended(SECOND, keys[0], false);
        obey(&mut plan, SECOND, decision);
    }
    let decision = plan.ended(SECOND, keys[1], false);
    assert_eq!(obey(&mut plan, SECOND, decision).1, [keys[1]]);
}

/// What happens in a life.
#[derive(Clone, Debug)]
enum Step {
    Add(Restart),
    /// One of those that run ends, after so many milliseconds.
    End(usize, bool, u64),
    Remove(usize),
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    let restart = prop_oneof![Just(Permanent), Just(Transient), Just(Temporary)];
    prop_oneof![
        1 => restart.prop_map(Step::Add),
        5 => (any::<usize>(), any::<bool>(), 0..2000_u64).prop_map(|(child, well, time)| Step::End(child, well, time)),
        1 => any::<usize>().prop_map(Step::Remove),
    ]
}

proptest! {
    #[test]
    fn whoever_obeys_has_the_right_children(
        strategy in prop_oneof![Just(Strategy::OneForOne), Just(Strategy::OneForAll), Just(Strategy::RestForOne)],
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let intensity = Intensity { restarts: 5, period: seconds(3) };
        let mut plan = Plan::new(strategy, intensity, Backoff::default());
        // What the plan must know: every child with whether it runs; and when restarts were.
        let mut model: Vec<(Key, Restart, bool)> = Vec::new();
        let (mut now, mut restarts) = (NOW, Vec::new());
        for step in steps {
            match step {
                Step::Add(restart) => model.push((plan.add(now, restart.into()), restart, true)),
                Step::Remove(index) if !model.is_empty() => {
                    let (key, ..) = model.remove(index % model.len());
                    plan.remove(key);
                }
                Step::Remove(_) => {}
                Step::End(index, well, time) => {
                    now += Duration::from_millis(time);
                    let alive: Vec<_> = (0..model.len()).filter(|&at| model[at].2).collect();
                    let Some(&index) = alive.get(index % alive.len().max(1)) else { continue };
                    let (key, restart, _) = model[index];
                    let decision = plan.ended(now, key, well);
                    if restart == Temporary || (restart == Transient && well) {
                        prop_assert_eq!(decision, Decision::Leave);
                        model[index].2 = false;
                        if restart == Temporary { model.remove(index); }
                        continue;
                    }
                    restarts.push(now);
                    if restarts.iter().filter(|at| now - **at <= intensity.period).count() > intensity.restarts as usize {
                        prop_assert_eq!(decision, Decision::GiveUp);
                        return Ok(());
                    }
                    let touched: Vec<_> = match strategy {
                        Strategy::OneForOne => vec![index],
                        Strategy::OneForAll => (0..model.len()).collect(),
                        Strategy::RestForOne => (index..model.len()).collect(),
                    };
                    let stop: Vec<_> = touched.iter().rev().filter(|&&at| at != index && model[at].2).map(|&at| model[at].0).collect();
                    let start: Vec<_> = touched.iter().filter(|&&at| model[at].1 != Temporary).map(|&at| model[at].0).collect();
                    prop_assert_eq!(obey(&mut plan, now, decision), (stop, start));
                    for at in touched.into_iter().rev() {
                        model[at].2 = true;
                        if model[at].1 == Temporary { model.remove(at); }
                    }
                }
            }
            start_all(&mut plan, now);
            let running: Vec<_> = model.iter().rev().filter(|child| child.2).map(|child| child.0).collect();
            prop_assert_eq!(plan.running(), running);
        }
    }
}
