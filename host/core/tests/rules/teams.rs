//! Dividing the tickets of a match into teams.

use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use scenehost_core::ids::RoleName;
use scenehost_core::matching::teams::{ANY_ROLE, Balance, Division, Layout, Member, Team, Teams};

/// The members of each unit.
type Parties = Vec<Vec<Member>>;

fn any(rating: i32) -> Member {
    Member { rating, roles: ANY_ROLE }
}

/// Users without a party.
fn alone(ratings: &[i32]) -> Parties {
    ratings.iter().map(|rating| vec![any(*rating)]).collect()
}

/// A party of users with one rating.
fn party(size: usize, rating: i32) -> Vec<Member> {
    vec![any(rating); size]
}

fn layout<const N: usize>(sizes: [u32; N]) -> Layout {
    Layout { teams: sizes.map(Team::of).to_vec() }
}

fn with_min(count: u32, size: u32, size_min: u32) -> Layout {
    Layout { teams: vec![Team { count, size_min: Some(size_min), ..Team::of(size) }] }
}

fn with_roles(count: u32, roles: &[(&str, u32)]) -> Layout {
    let size = roles.iter().map(|(_, count)| count).sum();
    let roles = roles.iter().map(|(name, count)| (RoleName::from(*name), *count)).collect();
    Layout { teams: vec![Team { count, roles, ..Team::of(size) }] }
}

/// Adds all of them, which must fit.
fn filled(layout: &Layout, balance: Balance, parties: &[Vec<Member>]) -> Teams {
    let mut teams = Teams::new(layout).expect("the layout is right");
    teams.begin(balance);
    for party in parties {
        assert!(teams.add(party), "{party:?} of {parties:?} does not fit into {layout:?}");
    }
    teams
}

fn divide(layout: &Layout, balance: Balance, parties: &[Vec<Member>]) -> Option<Division> {
    filled(layout, balance, parties).divide(7).cloned()
}

/// Whether the units can be added one after the other, for each.
fn added(layout: &Layout, balance: Balance, parties: &[Vec<Member>]) -> Vec<bool> {
    let mut teams = Teams::new(layout).expect("the layout is right");
    teams.begin(balance);
    parties.iter().map(|party| teams.add(party)).collect()
}

/// The ratings in each team, in order.
fn ratings(division: &Division, parties: &[Vec<Member>]) -> Vec<Vec<i32>> {
    let mut teams = vec![Vec::new(); division.players.len()];
    for (member, place) in parties.iter().flatten().zip(&division.places) {
        teams[place.team as usize].push(member.rating);
    }
    teams.iter_mut().for_each(|team| team.sort());
    teams
}

#[test]
fn two_teams_of_two_have_the_least_difference() {
    let parties = alone(&[1000, 1100, 1400, 1600]);
    let division = divide(&layout([2, 2]), Balance::default(), &parties).expect("a division");
    let mut teams = ratings(&division, &parties);
    teams.sort();
    assert_eq!(teams, [[1000, 1600], [1100, 1400]]);
    assert_eq!((division.gap, division.exact), (50.0, true));
}

#[test]
fn parties_stay_together_and_count_their_bonus() {
    let parties = vec![party(3, 1200), party(2, 1000), vec![any(1300)]];
    let division = divide(&layout([3, 3]), Balance::default(), &parties).expect("a division");
    let team = |member: usize| division.places[member].team;
    assert_eq!((team(0), team(1), team(2)), (team(0), team(0), team(0)));
    assert_eq!((team(3), team(4), team(5)), (1 - team(0), 1 - team(0), 1 - team(0)));
    assert_eq!((division.gap, division.party_gap), (100.0, 1));
    // 2 further members against 1: 10 points of the mean more.
    let bonus = Balance { party_bonus: 30, ..Balance::default() };
    let division = divide(&layout([3, 3]), bonus, &parties).expect("a division");
    assert_eq!(division.gap, 110.0);
    assert_eq!(division.strengths[division.places[0].team as usize], 1220.0);
}

#[test]
fn a_party_is_refused_that_no_team_has_room_for() {
    let threes = [party(3, 0), party(3, 0), party(3, 0)];
    assert_eq!(added(&layout([5, 5]), Balance::default(), &threes), [true, true, false]);
    assert_eq!(added(&layout([5, 4]), Balance::default(), &[party(6, 0), party(5, 0)]), [false, true]);
    assert_eq!(added(&layout([2]), Balance::default(), &[vec![], party(2, 0), party(1, 0)]), [false, true, false]);
    // The others are arranged anew: the singles first go where they leave the least room.
    let mixed = [party(1, 0), party(2, 0), party(2, 0), party(4, 0), party(1, 0), party(1, 0)];
    assert_eq!(added(&layout([5, 5]), Balance::default(), &mixed), [true, true, true, true, true, false]);
}

#[test]
fn parties_meet_parties_of_about_their_size() {
    let balance = Balance { party_gap_max: Some(1), ..Balance::default() };
    let mut parties = vec![party(4, 1500), party(1, 1500), party(1, 1500), party(1, 1500)];
    // The first single plays with the party and the next two against it; with a third one there would be no room for
    // the other party of 3 or more.
    assert_eq!(added(&layout([5, 5]), balance, &parties), [true; 4]);
    parties.push(party(1, 1500));
    assert_eq!(added(&layout([5, 5]), balance, &parties), [true, true, true, true, false]);
    parties[4] = party(3, 1500);
    let division = divide(&layout([5, 5]), balance, &parties).expect("a division");
    assert_eq!(division.party_gap, 1);
    // Where strengths are equal, parties are against each other.
    let parties = [party(1, 0), party(1, 0), party(1, 0), party(1, 0), party(2, 0), party(2, 0)];
    assert_eq!(divide(&layout([4, 4]), Balance::default(), &parties).map(|division| division.party_gap), Some(0));
    // Room was kept for it, but it did not come.
    assert_eq!(divide(&with_min(2, 5, 3), balance, &[party(4, 0), party(1, 0), party(1, 0), party(1, 0)]), None);
    // A team of 1 has no room for a party.
    let alone = Balance { party_gap_max: Some(0), ..Balance::default() };
    assert!(divide(&layout([1, 4]), alone, &[party(4, 0), party(1, 0)]).is_some());
}

#[test]
fn each_player_has_a_role_that_it_would_play() {
    let layout = with_roles(2, &[("tank", 1), ("healer", 1), ("damage", 1)]);
    let teams = Teams::new(&layout).expect("the layout is right");
    assert_eq!(teams.roles(), ["damage", "healer", "tank"].map(RoleName::from));
    let mask = |names: &[&str]| teams.role_mask(&names.iter().map(|name| RoleName::from(*name)).collect::<Vec<_>>());
    assert_eq!(mask(&["jester"]), None);
    let [tank, healer, flexible] = [mask(&["tank"]), mask(&["healer"]), mask(&["tank", "damage"])].map(Option::unwrap);
    let as_one = |roles: u64| vec![Member { rating: 1500, roles }];
    let users = [flexible, flexible, flexible, healer, tank, tank, healer].map(as_one);
    // Of four who would be tanks two play something else, and a fifth cannot.
    assert_eq!(added(&layout, Balance::default(), &users), [true, true, true, true, true, false, true]);
    let parties = [flexible, flexible, tank, healer, tank, healer].map(as_one);
    let division = divide(&layout, Balance::default(), &parties).expect("a division");
    let mut seats: Vec<(u32, Option<u8>)> = division.places.iter().map(|place| (place.team, place.role)).collect();
    let role_of = |member: usize| division.places[member].role.map(|role| teams.roles()[usize::from(role)].as_str());
    assert_eq!([0, 2, 3].map(role_of), [Some("damage"), Some("tank"), Some("healer")]);
    seats.sort();
    seats.dedup();
    assert_eq!(seats.len(), 6, "every role of both teams is given once");
    // Two tanks who stay together are too many for a team of one tank.
    let together = vec![as_one(tank)[0]; 2];
    assert_eq!(added(&layout, Balance::default(), &[together]), [false]);
}

#[test]
fn teams_may_be_incomplete_but_not_uneven() {
    let five_to_three = with_min(2, 5, 3);
    let parties = alone(&[1000; 8]);
    let division = divide(&five_to_three, Balance::default(), &parties).expect("a division");
    assert_eq!((division.players.as_slice(), division.size_gap), (&[4, 4][..], 0));
    assert_eq!(divide(&five_to_three, Balance::default(), &parties[..5]), None, "too few");
    let uneven = [party(5, 1000), party(2, 1000), party(1, 1000)];
    let division = divide(&five_to_three, Balance::default(), &uneven).expect("a division");
    assert_eq!(division.size_gap, 2);
    let even = Balance { size_gap_max: Some(1), ..Balance::default() };
    assert_eq!(divide(&five_to_three, even, &uneven), None);
    // At first one waits for full teams.
    let full = Balance { free_max: Some(0), ..Balance::default() };
    assert_eq!(divide(&five_to_three, full, &parties), None);
    let parties = alone(&[1000; 10]);
    assert!(divide(&five_to_three, full, &parties).is_some_and(|division| division.players == [5, 5]));
    // A user may play alone where the layout says so.
    let division = divide(&with_min(2, 5, 0), Balance::default(), &[party(1, 1000)]).expect("a division");
    assert_eq!((division.players.iter().sum::<u32>(), division.win_probability()), (1, None));
}

#[test]
fn many_are_evened_out_by_exchanges() {
    // Dealt out by turns, or each where it leaves the least room, they would be 19 and 17.
    let parties: Parties = [2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 2, 2].map(|size| party(size, 0)).to_vec();
    let even = Balance { size_gap_max: Some(0), ..Balance::default() };
    assert!(divide(&with_min(2, 19, 17), even, &parties).is_some_and(|division| division.players == [18, 18]));
    // The fewest players of a team come before even numbers.
    let teams = [10, 4].map(|size_min| Team { size_min: Some(size_min), ..Team::of(10) });
    let division = divide(&Layout { teams: teams.to_vec() }, Balance::default(), &alone(&[1000; 16]));
    assert_eq!(division.map(|division| division.players), Some(vec![10, 6]));
}

#[test]
fn one_side_may_be_larger() {
    let layout = layout([1, 4]);
    let parties = alone(&[1000, 1100, 1200, 1300, 1120]);
    let division = divide(&layout, Balance::default(), &parties).expect("a division");
    assert_eq!(ratings(&division, &parties), [vec![1120], vec![1000, 1100, 1200, 1300]]);
    assert_eq!(division.strengths, [1120.0, 1150.0]);
}

#[test]
fn the_odds_are_those_of_elo() {
    let division = divide(&layout([1, 1]), Balance::default(), &alone(&[1900, 1500])).expect("a division");
    let strong = if division.strengths[0] > division.strengths[1] { 10.0 / 11.0 } else { 1.0 / 11.0 };
    assert!((division.win_probability().expect("two teams") - strong).abs() < 1e-12, "{division:?}");
    let division = divide(&layout([1, 1, 1]), Balance::default(), &alone(&[1, 2, 3])).expect("a division");
    assert_eq!(division.win_probability(), None);
}

#[test]
fn the_number_of_a_team_and_the_role_of_a_user_are_random() {
    let roles = with_roles(3, &[("one", 1), ("other", 1)]);
    let mut teams = filled(&roles, Balance::default(), &[vec![any(2000), any(1900)], party(2, 1000), party(2, 0)]);
    let mut counts = [[0; 2]; 3];
    for seed in 0..3_000 {
        let division = teams.divide(seed).expect("a division");
        let place = division.places[0];
        counts[place.team as usize][usize::from(place.role.expect("a role"))] += 1;
        assert_eq!(teams.divide(seed).map(|division| division.places[0]), Some(place));
    }
    // Each of 6 places 500 times, with a deviation of 20.
    assert!(counts.iter().flatten().all(|count| (400..600).contains(count)), "{counts:?}");
}

#[test]
fn a_layout_says_what_is_wrong_with_it() {
    let check = |text: &str| serde_json::from_str::<Layout>(text).expect("a layout").check();
    let wrong = |text: &str, part: &str| {
        let error = check(text).expect_err(text);
        assert!(error.contains(part), "{text}: {error}");
    };
    wrong("[]", "no team");
    wrong(r#"[{"size": 0}]"#, "at least 1");
    wrong(r#"[{"size": 2, "count": 0}]"#, "at least 1");
    wrong(r#"[{"size": 2, "size_min": 3}]"#, "at most its size (2)");
    wrong(r#"[{"size": 101, "count": 2}]"#, "202 players");
    wrong(r#"[{"size": 4294967295, "count": 4294967295}]"#, "teams");
    wrong(r#"[{"size": 1, "count": 60}, {"size": 1, "count": 41}]"#, "101 teams");
    wrong(r#"[{"size": 3, "roles": {"tank": 1, "healer": 1}}]"#, "2 together and its size is 3");
    wrong(r#"[{"size": 1, "roles": {"tank": 1, "healer": 0}}]"#, "the role healer is there 0 times");
    let many: Vec<String> = (0..65).map(|role| format!(r#""{role}": 1"#)).collect();
    wrong(&format!(r#"[{{"size": 65, "roles": {{{}}}}}]"#, many.join(", ")), "65 roles");
    assert!(Teams::new(&Layout::default()).is_err());

    let text = r#"[{"size": 1, "roles": {"hunter": 1}}, {"count": 2, "size": 5, "size_min": 3}]"#;
    let layout: Layout = serde_json::from_str(text).expect("a layout");
    assert_eq!((layout.check(), layout.players_min(), layout.players_max()), (Ok(()), 7, 11));
    assert_eq!((layout.largest_party(), layout.roles()), (5, vec![RoleName::from("hunter")]));
}

/// The gap if the strongest come first and the teams choose one after the other, forwards and then backwards.
fn snake_gap(ratings: &[i32], teams: usize) -> f64 {
    let mut sorted = ratings.to_vec();
    sorted.sort_by_key(|rating| std::cmp::Reverse(*rating));
    let mut sums = vec![0; teams];
    for (round, chosen) in sorted.chunks(teams).enumerate() {
        for (at, rating) in chosen.iter().enumerate() {
            sums[if round % 2 == 0 { at } else { teams - 1 - at }] += rating;
        }
    }
    let gap = sums.iter().max().zip(sums.iter().min()).map_or(0, |(most, least)| most - least);
    f64::from(gap) / (ratings.len() / teams) as f64
}

#[test]
fn many_players_are_divided_more_evenly_than_by_turns() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for (count, size) in [(2, 10), (2, 32), (4, 5), (10, 4), (2, 100)] {
        let (mut gaps, mut snake_gaps) = (0.0, 0.0);
        for seed in 0..20 {
            let ratings: Vec<i32> = (0..count * size).map(|_| rng.random_range(1_000..2_000)).collect();
            let layout = Layout { teams: vec![Team { count, ..Team::of(size) }] };
            let mut teams = filled(&layout, Balance::default(), &alone(&ratings));
            let gap = teams.divide(seed).expect("a division").gap;
            let snake_gap = snake_gap(&ratings, count as usize);
            // Less than 2 points of the mean are no difference.
            assert!(gap <= snake_gap.max(2.0), "{count} teams of {size}: {gap} against {snake_gap}");
            (gaps, snake_gaps) = (gaps + gap, snake_gaps + snake_gap);
        }
        assert!(gaps * 2.0 < snake_gaps, "{count} teams of {size}: {gaps} against {snake_gaps}");
    }
}

/// Whether parties of these sizes fit into two teams, by the sums that parties of the first can have.
fn fit_two(sizes: &[usize], one: usize, other: usize) -> bool {
    let mut sums = vec![false; one + 1];
    sums[0] = true;
    for size in sizes {
        for sum in (*size..=one).rev() {
            sums[sum] |= sums[sum - size];
        }
    }
    let players: usize = sizes.iter().sum();
    (0..=one).any(|sum| sums[sum] && players - sum <= other)
}

#[test]
fn many_parties_fit_as_their_sums_say() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..300 {
        let [one, other] = [(); 2].map(|()| rng.random_range(5..100));
        let mut teams = Teams::new(&layout([one, other])).expect("the layout is right");
        teams.begin(Balance::default());
        let mut sizes = Vec::new();
        for _ in 0..120 {
            sizes.push(rng.random_range(2..9));
            let fits = fit_two(&sizes, one as usize, other as usize);
            assert_eq!(teams.add(&party(sizes[sizes.len() - 1], 0)), fits, "{sizes:?} in {one} and {other}");
            if !fits {
                sizes.pop();
            }
        }
    }
}

/// The rules, looked up for one assignment of units to teams as plainly as possible.
struct Plain<'a> {
    teams: Vec<Team>,
    balance: Balance,
    parties: &'a [Vec<Member>],
    /// The roles by their bits.
    roles: Vec<RoleName>,
}

/// Free places, strengths and parties: by how much teams differ. Strengths in 1/27720, which is exact up to 12.
type Gaps = (u32, i64, u32);

impl<'a> Plain<'a> {
    fn new(layout: &Layout, balance: Balance, parties: &'a [Vec<Member>]) -> Self {
        let teams = layout.teams.iter().flat_map(|team| vec![team.clone(); team.count as usize]).collect();
        Self { teams, balance, parties, roles: layout.roles() }
    }

    fn of<'b>(&'b self, team: usize, team_of: &'b [usize]) -> impl Iterator<Item = &'b Vec<Member>> {
        self.parties.iter().zip(team_of).filter(move |(_, it)| **it == team).map(|(party, _)| party)
    }

    fn has_roles(&self, team: usize, team_of: &[usize]) -> bool {
        let members: Vec<u64> = self.of(team, team_of).flatten().map(|member| member.roles).collect();
        let mut left: Vec<u32> =
            self.roles.iter().map(|role| self.teams[team].roles.get(role).copied().unwrap_or(0)).collect();
        self.teams[team].roles.is_empty() || can_cast(&members, &mut left)
    }

    fn players(&self, team: usize, team_of: &[usize]) -> u32 {
        self.of(team, team_of).map(|party| party.len() as u32).sum()
    }

    fn largest(&self, team: usize, team_of: &[usize]) -> u32 {
        self.of(team, team_of).map(|party| party.len() as u32).max().unwrap_or(0)
    }

    /// Whether more units could make it a division by the rules, if just the right ones came.
    fn may_go_on(&self, team_of: &[usize]) -> bool {
        let largest = self.parties.iter().map(|party| party.len() as u32).max().unwrap_or(0);
        (0..self.teams.len()).all(|team| {
            let size = self.teams[team].size;
            let needed = self.balance.party_gap_max.map_or(0, |max| largest.min(size).saturating_sub(max));
            let players = self.players(team, team_of);
            let has_party =
                self.largest(team, team_of) >= needed || (needed > 1 && size.saturating_sub(players) >= needed);
            players <= size && (has_party || needed <= 1) && self.has_roles(team, team_of)
        })
    }

    /// How uneven it is; nothing if it breaks a rule.
    fn gaps(&self, team_of: &[usize]) -> Option<Gaps> {
        let largest = self.parties.iter().map(|party| party.len() as u32).max().unwrap_or(0);
        let (mut free, mut strengths, mut party_gap) = (Vec::new(), Vec::new(), 0);
        for (team, Team { size, .. }) in self.teams.iter().enumerate() {
            let players = self.players(team, team_of);
            let free_max = self.balance.free_max.unwrap_or(u32::MAX);
            if players > *size || players < self.teams[team].fewest() || size - players > free_max {
                return None;
            }
            free.push(size - players);
            if players > 0 {
                let bonus = |party: &Vec<Member>| (party.len() as i64 - 1) * i64::from(self.balance.party_bonus);
                let ratings = |party: &Vec<Member>| party.iter().map(|it| i64::from(it.rating)).sum::<i64>();
                let sum: i64 = self.of(team, team_of).map(|party| ratings(party) + bonus(party)).sum();
                strengths.push((sum * 27_720).div_euclid(i64::from(players)));
                party_gap = party_gap.max(largest.min(*size) - self.largest(team, team_of));
            }
            if !self.has_roles(team, team_of) {
                return None;
            }
        }
        let size_gap = free.iter().max()? - free.iter().min()?;
        let gap = strengths.iter().max()? - strengths.iter().min()?;
        let is_even = |gap: u32, max: Option<u32>| max.is_none_or(|max| gap <= max);
        let kept = is_even(size_gap, self.balance.size_gap_max) && is_even(party_gap, self.balance.party_gap_max);
        kept.then_some((size_gap, gap, party_gap))
    }

    /// All ways to give each unit a team.
    fn all(&self) -> impl Iterator<Item = Vec<usize>> {
        let (teams, units) = (self.teams.len(), self.parties.len());
        (0..teams.pow(units as u32)).map(move |number| {
            let digits = std::iter::successors(Some(number), |rest| Some(rest / teams));
            digits.take(units).map(|rest| rest % teams).collect()
        })
    }

    /// What a division says, held against the rules: its gaps.
    fn check(&self, division: &Division) -> Gaps {
        let mut members = division.places.iter();
        let mut team_of = Vec::new();
        let mut given: Vec<Vec<u8>> = vec![Vec::new(); self.teams.len()];
        for party in self.parties {
            let places: Vec<_> = members.by_ref().take(party.len()).collect();
            let team = places[0].team as usize;
            assert!(places.iter().all(|place| place.team as usize == team), "a party stays together");
            for (place, member) in places.iter().zip(party) {
                assert_eq!(place.role.is_some(), !self.teams[team].roles.is_empty());
                if let Some(role) = place.role {
                    assert!(member.roles >> role & 1 == 1, "a role that the user would play");
                    given[team].push(role);
                }
            }
            team_of.push(team);
        }
        assert_eq!(members.next(), None);
        for (team, given) in self.teams.iter().zip(&given) {
            for (bit, role) in self.roles.iter().enumerate() {
                let count = given.iter().filter(|it| usize::from(**it) == bit).count();
                assert!(count as u32 <= team.roles.get(role).copied().unwrap_or(0), "{role} is given too often");
            }
        }
        let gaps = self.gaps(&team_of).expect("the rules are kept");
        assert_eq!((division.size_gap, division.party_gap), (gaps.0, gaps.2));
        assert!((division.gap - gaps.1 as f64 / 27_720.0).abs() < 1e-6, "{} is not {}", division.gap, gaps.1);
        gaps
    }
}

/// Whether each member gets one of its roles: the first one, one after the other, and then the rest.
fn can_cast(members: &[u64], left: &mut [u32]) -> bool {
    let Some((first, rest)) = members.split_first() else { return true };
    (0..left.len()).any(|role| {
        if first >> role & 1 == 0 || left[role] == 0 {
            return false;
        }
        left[role] -= 1;
        let is_cast = can_cast(rest, left);
        left[role] += 1;
        is_cast
    })
}

fn some_member(spread: i32) -> impl Strategy<Value = Member> {
    let rating = prop_oneof![20 => 0..spread, 1 => Just(i32::MIN), 1 => Just(i32::MAX)];
    let roles = prop_oneof![4 => Just(ANY_ROLE), 12 => 1..8u64, 1 => Just(0)];
    (rating, roles).prop_map(|(rating, roles)| Member { rating, roles })
}

fn some_parties(units: usize, size: usize) -> impl Strategy<Value = Parties> {
    // Often the ratings are equal, so that parties decide.
    prop_oneof![Just(1), Just(2), 1..1_000i32].prop_flat_map(move |spread| {
        let sizes = prop_oneof![3 => Just(1), 2 => 1..=size];
        let party = sizes.prop_flat_map(move |size| prop::collection::vec(some_member(spread), size));
        prop::collection::vec(party, 0..=units)
    })
}

fn some_team(size: u32) -> impl Strategy<Value = Team> {
    let team = (1..=size, 0..=size, prop::bool::ANY, prop::collection::vec(0..3usize, size as usize));
    team.prop_map(|(size, fewest, with_roles, roles)| {
        let mut team = Team { size_min: (fewest <= size).then_some(fewest), ..Team::of(size) };
        if with_roles {
            let names = ["a", "b", "c"].map(RoleName::from);
            roles.iter().take(size as usize).for_each(|it| *team.roles.entry(names[*it].clone()).or_default() += 1);
        }
        team
    })
}

/// Teams of one kind, or of several.
fn some_layout(teams: usize, size: u32) -> impl Strategy<Value = Layout> {
    let kinds = prop::collection::vec(some_team(size), 1..=teams);
    (kinds, prop::bool::ANY, 1..=teams as u32).prop_map(|(mut teams, is_one_kind, count)| {
        if is_one_kind {
            teams.truncate(1);
            teams[0].count = count;
        }
        Layout { teams }
    })
}

fn some_balance() -> impl Strategy<Value = Balance> {
    let none_or = |max: u32| prop::option::of(0..max);
    let bonus = prop_oneof![Just(0), -50..50i32, Just(i32::MIN), Just(i32::MAX)];
    (bonus, none_or(3), none_or(3), none_or(4)).prop_map(|(party_bonus, party_gap_max, size_gap_max, free_max)| {
        Balance { party_bonus, party_gap_max, size_gap_max, free_max }
    })
}

/// Adds what fits, holds each answer against all ways, and then the division against the best of all ways.
fn check_against_all(layout: &Layout, balance: Balance, parties: &[Vec<Member>], seed: u64) {
    let mut teams = Teams::new(layout).expect("the layout is right");
    // Of a match before this one nothing is left.
    parties.iter().rev().for_each(|party| {
        teams.add(party);
    });
    teams.begin(balance);
    let mut chosen: Parties = Vec::new();
    for party in parties {
        chosen.push(party.clone());
        let plain = Plain::new(layout, balance, &chosen);
        let fits = plain.all().any(|team_of| plain.may_go_on(&team_of));
        assert_eq!(teams.add(party), fits, "{party:?}");
        if !fits {
            chosen.pop();
        }
    }
    let plain = Plain::new(layout, balance, &chosen);
    assert_eq!(teams.players() as usize, chosen.iter().flatten().count());
    let best = plain.all().filter(|_| !chosen.is_empty()).filter_map(|team_of| plain.gaps(&team_of)).min();
    let division = teams.divide(seed);
    assert!(division.is_none_or(|division| division.exact));
    assert_eq!(division.map(|division| plain.check(division)), best);
}

#[test]
fn three_teams_of_three_are_divided_as_by_looking_at_all_ways() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let layout = Layout { teams: vec![Team { count: 3, ..Team::of(3) }] };
    for seed in 0..20 {
        let ratings: Vec<i32> = (0..9).map(|_| rng.random_range(1_000..2_000)).collect();
        let parties = alone(&ratings);
        let plain = Plain::new(&layout, Balance::default(), &parties);
        let is_full = |team_of: &Vec<usize>| (0..3).all(|team| team_of.iter().filter(|it| **it == team).count() == 3);
        let best = plain.all().filter(is_full).filter_map(|team_of| plain.gaps(&team_of)).min();
        let mut teams = filled(&layout, Balance::default(), &parties);
        let division = teams.divide(seed).expect("a division");
        assert!(division.exact);
        assert_eq!(Some(plain.check(division)), best, "{ratings:?}");
    }
}

/// Parties that fill a team of `size`, one of them of `largest`, all of whom play one of `roles` at least.
fn planted(size: usize, largest: usize, roles: &[u64], rng: &mut ChaCha8Rng) -> Parties {
    let mut members: Vec<Member> = (0..size)
        .map(|at| {
            let another = if rng.random_bool(0.3) { roles[rng.random_range(0..roles.len())] } else { 0 };
            Member {
                rating: rng.random_range(1_000..2_000),
                roles: roles[(at / (size / 3)).min(roles.len() - 1)] | another,
            }
        })
        .collect();
    members.shuffle(rng);
    let mut parties = vec![members.split_off(size - largest)];
    while !members.is_empty() {
        let party = if rng.random_bool(0.7) { 1 } else { rng.random_range(1..=largest) };
        parties.push(members.split_off(members.len().saturating_sub(party)));
    }
    parties
}

#[test]
fn a_division_of_many_is_found_if_there_is_one() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for seed in 0..200 {
        let is_with_roles = seed % 2 == 0;
        let sizes = if is_with_roles { [(2, 8), (3, 5), (5, 3)] } else { [(2, 12), (3, 8), (8, 6)] };
        let (count, size) = sizes[seed as usize % 3];
        let third = size / 3;
        let roles = [("a", third), ("b", third), ("c", size - 2 * third)];
        let mut layout = with_roles(count, if is_with_roles { &roles } else { &[] });
        let has_spare_places = seed % 4 == 1;
        layout.teams[0].size = if has_spare_places { size + 2 } else { size };
        layout.teams[0].size_min = Some(size);
        let masks = if is_with_roles { &[1, 2, 4][..] } else { &[ANY_ROLE][..] };
        let mut parties: Parties = Vec::new();
        let largest = if is_with_roles { 1 } else { 3 };
        (0..count)
            .for_each(|team| parties.extend(planted(size as usize, largest + team as usize % 2, masks, &mut rng)));
        parties.shuffle(&mut rng);
        let balance = Balance { party_gap_max: Some(1), size_gap_max: Some(0), ..Balance::default() };
        let mut teams = filled(&layout, balance, &parties);
        let division = teams.divide(seed).unwrap_or_else(|| panic!("{parties:?} of {layout:?} can be divided"));
        Plain::new(&layout, balance, &parties).check(division);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn two_teams_are_divided_as_by_looking_at_all_ways(
        layout in some_layout(2, 5), balance in some_balance(), parties in some_parties(9, 4), seed: u64,
    ) {
        check_against_all(&layout, balance, &parties, seed);
    }

    #[test]
    fn more_teams_are_divided_as_by_looking_at_all_ways(
        layout in some_layout(4, 3), balance in some_balance(), parties in some_parties(6, 3), seed: u64,
    ) {
        check_against_all(&layout, balance, &parties, seed);
    }

    #[test]
    fn uneven_teams_are_divided_as_by_looking_at_all_ways(
        one in 1..7u32, other in 1..7u32, ratings in prop::collection::vec(0..500i32, 1..9), seed: u64,
    ) {
        let teams = [one, other].map(|size| Team { size_min: Some(1), ..Team::of(size) });
        check_against_all(&Layout { teams: teams.to_vec() }, Balance::default(), &alone(&ratings), seed);
    }

    #[test]
    fn many_are_divided_by_the_rules(
        layout in some_layout(9, 12), balance in some_balance(), parties in some_parties(120, 6), seed: u64,
    ) {
        let mut teams = Teams::new(&layout).expect("the layout is right");
        teams.begin(balance);
        let chosen: Parties = parties.into_iter().filter(|party| teams.add(party)).collect();
        if let Some(division) = teams.divide(seed) {
            Plain::new(&layout, balance, &chosen).check(division);
        }
    }
}
