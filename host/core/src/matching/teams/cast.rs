//! Who of one team plays which role: a matching in a bipartite graph of members and roles, kept while members are
//! added, by augmenting paths (H. W. Kuhn, "The Hungarian Method for the Assignment Problem", 1955; as Ford and
//! Fulkerson for roles that several may have).
//!
//! Invariant: each member has a role of its mask, and no role is given more often than it is there. A member is
//! refused only if no change of the others' roles would make room for it.

/// A way to a role is through nobody: the new member wants it.
const NOBODY: u8 = u8::MAX;

/// The roles of one team and of its members. A team without roles takes everybody and remembers nobody.
#[derive(Debug, Clone, Default)]
pub(super) struct Cast {
    /// How often each role is there, by its bit.
    counts: Vec<u32>,
    /// How often each is left.
    left: Vec<u32>,
    /// The roles that are there at all, and those that are left.
    all: u64,
    open: u64,
    /// For each member, in the order of their coming: the roles that it would play, and the one that it has.
    members: Vec<(u64, u8)>,
    /// The bit from which on the first open role is looked for.
    turn: u32,
}

impl Cast {
    /// Nobody yet, for a team with so many of each role; at most 64 roles and 200 members.
    pub fn new(counts: Vec<u32>) -> Self {
        let all = (0..).zip(&counts).filter(|(_, count)| **count > 0).fold(0, |all, (bit, _): (u32, _)| all | 1 << bit);
        let members = Vec::with_capacity(counts.iter().sum::<u32>() as usize);
        Self { left: counts.clone(), counts, all, open: all, members, turn: 0 }
    }

    /// All of these teams as one; without roles if one of them has none, for it takes everybody.
    pub fn pool(casts: &[Self]) -> Self {
        if casts.iter().any(|cast| !cast.has_roles()) {
            return Self::default();
        }
        let roles = casts.iter().map(|cast| cast.counts.len()).max().unwrap_or(0);
        Self::new((0..roles).map(|role| casts.iter().map(|cast| cast.counts[role]).sum()).collect())
    }

    /// Whether the team has roles.
    pub fn has_roles(&self) -> bool {
        self.all != 0
    }

    /// Nobody is in it any more. From now on members get the first open role that they would play, counted from one of
    /// the team's roles on: that of this number, round and round.
    pub fn clear(&mut self, turn: u32) {
        self.left.copy_from_slice(&self.counts);
        self.open = self.all;
        self.members.clear();
        let mut from = self.all;
        for _ in 0..turn.checked_rem(self.all.count_ones()).unwrap_or(0) {
            from &= from - 1;
        }
        self.turn = from.trailing_zeros() % 64;
    }

    /// Adds a member who would play these roles. False, and nothing changes, if there is no room for it.
    pub fn push(&mut self, roles: u64) -> bool {
        if !self.has_roles() {
            return true;
        }
        let roles = roles & self.all;
        let open = roles & self.open;
        let role = if open != 0 { self.first(open) } else { self.make_room(roles) };
        let Some(role) = role else { return false };
        self.members.push((roles, role));
        true
    }

    /// Takes out the member who was added last.
    pub fn pop(&mut self) {
        if let Some((_, role)) = self.members.pop() {
            self.left[usize::from(role)] += 1;
            self.open |= 1 << role;
        }
    }

    /// Adds all of them or, and then false, none.
    pub fn push_all(&mut self, roles: impl Iterator<Item = u64>) -> bool {
        for (before, roles) in roles.enumerate() {
            if !self.push(roles) {
                self.pop_many(before);
                return false;
            }
        }
        true
    }

    /// Takes out so many, the last first.
    pub fn pop_many(&mut self, count: usize) {
        (0..count).for_each(|_| self.pop());
    }

    /// The role of the member with this place in the order of their coming.
    pub fn role(&self, member: usize) -> Option<u8> {
        self.members.get(member).map(|(_, role)| *role)
    }

    /// Takes the first of these roles, all of which are left.
    fn first(&mut self, open: u64) -> Option<u8> {
        let bit = (open.rotate_right(self.turn).trailing_zeros() + self.turn) % 64;
        self.take(bit as u8)
    }

    fn take(&mut self, role: u8) -> Option<u8> {
        let left = self.left.get_mut(usize::from(role))?;
        *left -= 1;
        if *left == 0 {
            self.open &= !(1 << role);
        }
        Some(role)
    }

    /// Gives members other roles so that one of these is left, and takes it. Breadth first: each role is looked at
    /// once, with all who have it.
    fn make_room(&mut self, roles: u64) -> Option<u8> {
        // Through which member each role is reached: that member would change to it.
        let mut through = [NOBODY; 64];
        let (mut reached, mut to_visit) = (roles, roles);
        while to_visit != 0 {
            let role = to_visit.trailing_zeros() as u8;
            to_visit &= to_visit - 1;
            for (place, (others, _)) in (0..NOBODY).zip(&self.members).filter(|(_, (_, has))| *has == role) {
                let mut fresh = others & !reached;
                reached |= fresh;
                to_visit |= fresh;
                let end = fresh & self.open;
                while fresh != 0 {
                    through[fresh.trailing_zeros() as usize] = place;
                    fresh &= fresh - 1;
                }
                if end != 0 {
                    let end = self.first(end)?;
                    return Some(self.shift(&through, end));
                }
            }
        }
        None
    }

    /// Each member on the way changes to the role after its own. The role at the way's beginning.
    fn shift(&mut self, through: &[u8; 64], end: u8) -> u8 {
        let mut free = end;
        // A way has each role once at most.
        for _ in 0..64 {
            let member = through[usize::from(free)];
            if member == NOBODY {
                break;
            }
            let (_, role) = &mut self.members[usize::from(member)];
            free = std::mem::replace(role, free);
        }
        free
    }
}
