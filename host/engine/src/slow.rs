//! Which scenes are slow, so that no other one waits for them.
//!
//! A scene whose call was much work is slow until it has made [`GOOD_STEPS`] in a row that did not; what scenes of its group
//! have done is held against those that begin later. Whoever has shown nothing yet is not trusted with a start, which may
//! take a second.

use std::time::Duration;

/// A call that is more work is a slow one: about what others may be late by without anybody noticing.
const SLOW: Duration = Duration::from_millis(2);
/// So many steps that are not slow make a scene an ordinary one again.
const GOOD_STEPS: u16 = 64;

/// Whether a call that was so much work is a slow one.
pub fn is_slow(work: Duration) -> bool {
    work > SLOW
}

/// What is held against one scene.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Steps that it has to make in time before it is trusted.
    owes: u16,
}

/// What is held against the scenes of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    scenes_are_slow: bool,
    starts_are_slow: bool,
}

impl Default for GroupRecord {
    fn default() -> Self {
        Self { scenes_are_slow: false, starts_are_slow: true }
    }
}

impl Record {
    /// Of a scene that joins such a group.
    pub fn in_group(group: &GroupRecord) -> Self {
        Self { owes: if group.scenes_are_slow { GOOD_STEPS } else { 0 } }
    }

    pub fn is_slow(self) -> bool {
        self.owes > 0
    }

    /// A call other than a step was so much work.
    pub fn called(&mut self, work: Duration, group: &mut GroupRecord) {
        if is_slow(work) {
            self.owes = GOOD_STEPS;
            group.scenes_are_slow = true;
        }
    }

    pub fn stepped(&mut self, work: Duration, group: &mut GroupRecord) {
        self.called(work, group);
        if !is_slow(work) && self.owes > 0 {
            self.owes -= 1;
            // What this one has shown counts for the others, too.
            group.scenes_are_slow &= self.owes > 0;
        }
    }
}

impl GroupRecord {
    pub fn starts_are_slow(self) -> bool {
        self.starts_are_slow
    }

    /// A scene has started, or failed to, with so much work.
    pub fn started(&mut self, work: Duration) {
        self.starts_are_slow = is_slow(work);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_millis(3);

    #[test]
    fn a_slow_step_is_held_against_a_scene_until_it_has_made_good_ones() {
        let (mut scene, mut group) = (Record::default(), GroupRecord::default());
        scene.stepped(SHORT, &mut group);
        assert!(!scene.is_slow());
        scene.stepped(LONG, &mut group);
        for _ in 0..GOOD_STEPS {
            assert!(scene.is_slow());
            assert!(Record::in_group(&group).is_slow(), "the next of its group is looked at alike");
            scene.stepped(SHORT, &mut group);
        }
        assert!(!scene.is_slow());
        assert!(!Record::in_group(&group).is_slow());
    }

    #[test]
    fn the_first_start_of_a_group_is_not_trusted() {
        let mut group = GroupRecord::default();
        assert!(group.starts_are_slow());
        group.started(SHORT);
        assert!(!group.starts_are_slow());
        group.started(LONG);
        assert!(group.starts_are_slow());
    }
}
