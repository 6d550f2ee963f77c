//! When waiting tickets look again: a timing wheel (G. Varghese and T. Lauck, "Hashed and Hierarchical Timing
//! Wheels", 1987), on which setting an alarm costs the same however many there are.
//!
//! Invariant: an alarm is given out at or after its time, in the first turn that reaches its step; times are rounded
//! up to whole steps. Alarms are not taken back: who sets one knows whether it is still meant when it comes.

use crate::ids::Time;

/// The length of a step.
pub(super) const STEP_MS: u64 = 50;
const STEPS: usize = 256;

/// Alarms, each with something to know it by.
#[derive(Debug, Clone)]
pub(super) struct Wheel<T> {
    steps: Vec<Vec<T>>,
    /// A bit for each step that has alarms.
    used: [u64; STEPS / 64],
    /// The next step that was not reached yet, counted from the beginning of time.
    cursor: u64,
}

impl<T> Default for Wheel<T> {
    fn default() -> Self {
        Self { steps: std::iter::repeat_with(Vec::new).take(STEPS).collect(), used: [0; STEPS / 64], cursor: 0 }
    }
}

impl<T> Wheel<T> {
    /// Sets an alarm; one that is farther ahead than the wheel reaches, 12 s, comes when that is over.
    pub fn set(&mut self, now: Time, at: Time, key: T) {
        if self.used == [0; STEPS / 64] {
            // Nothing waits, so no step is passed over.
            self.cursor = now.0 / STEP_MS;
        }
        let step = at.0.div_ceil(STEP_MS).clamp(self.cursor, self.cursor + STEPS as u64 - 1);
        let place = (step % STEPS as u64) as usize;
        self.steps[place].push(key);
        self.used[place / 64] |= 1 << (place % 64);
    }

    /// Gives out the alarms whose time has come, `most` of them at most; whether those were all.
    pub fn turn(&mut self, now: Time, mut most: usize, mut due: impl FnMut(T)) -> bool {
        while let Some(step) = self.next_step().filter(|step| step * STEP_MS <= now.0) {
            let place = (step % STEPS as u64) as usize;
            let alarms = &mut self.steps[place];
            if alarms.len() > most {
                alarms.drain(alarms.len() - most..).for_each(due);
                return false;
            }
            most -= alarms.len();
            self.used[place / 64] &= !(1 << (place % 64));
            // What a step has taken is given back: steps that had many alarms once may have few from then on.
            std::mem::take(alarms).into_iter().for_each(&mut due);
            self.cursor = step + 1;
        }
        true
    }

    /// When the next alarm comes.
    pub fn next(&self) -> Option<Time> {
        self.next_step().map(|step| Time(step * STEP_MS))
    }

    /// How many bytes it takes, by what is allocated.
    pub fn bytes(&self) -> usize {
        self.steps.iter().map(|step| step.capacity() * size_of::<T>()).sum()
    }

    /// The first step from the cursor on that has alarms.
    fn next_step(&self) -> Option<u64> {
        let first = (self.cursor % STEPS as u64) as usize;
        // The word of the cursor is looked at twice: its bits from the cursor on first, the others last.
        for turn in 0..=self.used.len() {
            let word = (first / 64 + turn) % self.used.len();
            let bits = match turn {
                0 => self.used[word] & (u64::MAX << (first % 64)),
                _ => self.used[word],
            };
            if bits != 0 {
                let place = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (place + STEPS - first) % STEPS;
                return Some(self.cursor + ahead as u64);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AHEAD_MS_MAX: u64 = STEP_MS * (STEPS as u64 - 1);

    proptest! {
        /// Against the plainest reference: a list that is looked through.
        #[test]
        fn alarms_come_at_their_step_and_once(
            steps in prop::collection::vec((0..2_000u64, prop::option::of(0..15_000u64)), 1..80),
            start in 0..1_000_000u64,
            most in 1..4usize,
        ) {
            let mut wheel = Wheel::default();
            let (mut now, mut set) = (start, Vec::new());
            for (key, (passes, ahead)) in steps.into_iter().enumerate() {
                now += passes;
                if let Some(ahead) = ahead {
                    wheel.set(Time(now), Time(now + ahead), key);
                    // No farther than the wheel reaches, from the last step that was reached.
                    set.push((now + ahead.min(AHEAD_MS_MAX), key));
                } else {
                    let mut due = Vec::new();
                    // In parts they are the same.
                    while !wheel.turn(Time(now), most, |key| due.push(key)) {}
                    due.sort();
                    for key in &due {
                        let (at, _) = set.iter().find(|(_, it)| it == key).unwrap();
                        prop_assert!(*at <= now + AHEAD_MS_MAX);
                    }
                    // What is due by a whole step has come.
                    set.retain(|(_, key)| !due.contains(key));
                    prop_assert!(set.iter().all(|(at, _)| at.div_ceil(STEP_MS) * STEP_MS > now));
                }
            }
            let next = wheel.next();
            prop_assert_eq!(next.is_none(), set.is_empty());
            if let Some(next) = next {
                prop_assert!(set.iter().all(|(at, _)| next.0 <= at.div_ceil(STEP_MS) * STEP_MS));
            }
        }
    }

    #[test]
    fn an_alarm_does_not_come_early() {
        let mut wheel = Wheel::default();
        wheel.set(Time(1_000), Time(1_020), 1);
        let mut due = Vec::new();
        assert!(wheel.turn(Time(1_049), 1, |key| due.push(key)));
        assert!(due.is_empty());
        assert!(wheel.turn(Time(1_050), 1, |key| due.push(key)));
        assert_eq!(due, [1]);
    }
}
