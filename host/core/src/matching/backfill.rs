//! What a running scene and Match agree on when the scene's empty seats are to be filled.
//!
//! Invariant: a scene has one lease at most. One with a higher generation takes the place of the one before, and what
//! comes for an earlier generation is passed over or refused.

use serde::{Deserialize, Serialize};

use crate::ids::AllocationId;

/// How often SceneMaster says again that a scene still wants players.
pub const HEARTBEAT_MS: u64 = 2_000;
/// How long Match remembers a lease that is not said again.
pub const LEASE_MS: u64 = 5_000;
/// How long Match waits for SceneMaster to fill seats; then its tickets wait again, with their age.
pub const FILL_MS_MAX: u64 = 1_000;
/// The most openings of one search.
pub const OPENINGS_MAX: usize = 16;
/// The longest name of a role, in bytes.
pub const ROLE_BYTES_MAX: usize = 64;

/// The right of a scene to get players from Match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// Whose: one session of a scene.
    pub allocation: AllocationId,
    /// Which of the allocation's searches, from 1.
    pub generation: u32,
}

/// Places of one kind that a scene wants filled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// How many, at least 1.
    pub count: u32,
    /// The team that they are in; `None`: any.
    pub team: Option<u32>,
    /// The role that they have; `None`: any.
    pub role: Option<String>,
}

/// Whether a user of this team and role can take a place.
fn fits(opening: &Opening, (team, role): (u32, Option<&str>)) -> bool {
    opening.team.is_none_or(|it| it == team) && opening.role.as_deref().is_none_or(|it| Some(it) == role)
}

/// Which opening each of these users takes, by their teams and roles; `None` if the places do not suffice for all. Who
/// fits into several gives way to who fits into one only, by augmenting paths in the graph of users and openings (H. W.
/// Kuhn, The Hungarian Method for the Assignment Problem, 1955), whose steps are at most users times openings.
pub fn assign(openings: &[Opening], users: &[(u32, Option<&str>)]) -> Option<Vec<usize>> {
    let mut places = Places { openings, users, taken: vec![Vec::new(); openings.len()] };
    let all_have = (0..users.len()).all(|user| places.seat(user, &mut vec![false; openings.len()]));
    let mut chosen = vec![0; users.len()];
    for (opening, taken) in places.taken.iter().enumerate() {
        taken.iter().for_each(|user| chosen[*user] = opening);
    }
    all_have.then_some(chosen)
}

struct Places<'a> {
    openings: &'a [Opening],
    users: &'a [(u32, Option<&'a str>)],
    /// Who has a place of each opening.
    taken: Vec<Vec<usize>>,
}

impl Places<'_> {
    /// Gives a user a place, for which others may have to change theirs; as deep as there are openings.
    fn seat(&mut self, user: usize, tried: &mut [bool]) -> bool {
        for opening in 0..self.openings.len() {
            if tried[opening] || !fits(&self.openings[opening], self.users[user]) {
                continue;
            }
            tried[opening] = true;
            if self.taken[opening].len() < self.openings[opening].count as usize {
                self.taken[opening].push(user);
                return true;
            }
            for place in 0..self.taken[opening].len() {
                let other = self.taken[opening][place];
                if self.seat(other, tried) {
                    self.taken[opening][place] = user;
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(count: u32, team: Option<u32>, role: Option<&str>) -> Opening {
        Opening { count, team, role: role.map(str::to_owned) }
    }

    #[test]
    fn who_fits_into_one_opening_only_gets_it() {
        let openings = [opening(1, Some(1), None), opening(1, None, Some("tank"))];
        let users = [(1, Some("tank")), (1, Some("healer"))];
        assert_eq!(assign(&openings, &users), Some(vec![1, 0]));
        assert_eq!(assign(&openings, &[users[1], users[1]]), None);
        assert_eq!(assign(&openings, &[(0, None)]), None);
        assert_eq!(assign(&openings, &[]), Some(vec![]));
    }

    #[test]
    fn an_opening_takes_as_many_as_it_says() {
        let openings = [opening(2, None, None), opening(0, Some(3), None)];
        assert_eq!(assign(&openings, &[(3, None), (3, None)]), Some(vec![0, 0]));
        assert_eq!(assign(&openings, &[(3, None), (3, None), (3, None)]), None);
    }
}
