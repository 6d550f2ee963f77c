//! What a rule is asked about. These are views of the contract's values and cheap to copy.

use super::bindings::exports::scenehost::match_rule::rule as raw;

/// Who looks for a match together: one player, or a party.
#[derive(Clone, Copy)]
pub struct Ticket<'a> {
    pub(super) raw: &'a raw::Ticket,
    pub(super) words: &'a [String],
}

impl<'a> Ticket<'a> {
    /// The ticket's number.
    pub fn number(self) -> u64 {
        self.raw.number
    }

    /// How long it has waited.
    pub fn waited_ms(self) -> u64 {
        self.raw.waited_ms
    }

    /// Its players, one or more.
    pub fn players(self) -> impl ExactSizeIterator<Item = Player<'a>> {
        self.raw.players.iter().map(move |raw| Player { raw, words: self.words })
    }

    /// The mean of its players' ratings.
    pub fn mean_rating(self) -> i32 {
        let sum: i64 = self.players().map(|player| i64::from(player.rating())).sum();
        (sum / self.raw.players.len().max(1) as i64) as i32
    }

    /// The regions in which it can play, with the round trip to each in milliseconds, that of its slowest player.
    pub fn regions(self) -> impl ExactSizeIterator<Item = (&'a str, u32)> {
        self.raw.regions.iter().map(move |region| (word(self.words, region.name), region.rtt_ms))
    }

    /// The round trip to a region, if it can play there.
    pub fn rtt_ms(self, region: &str) -> Option<u32> {
        self.regions().find(|(name, _)| *name == region).map(|(_, rtt_ms)| rtt_ms)
    }
}

/// A player. What the rule's [`Description`](super::Description) does not name is left empty.
#[derive(Clone, Copy)]
pub struct Player<'a> {
    pub(super) raw: &'a raw::Player,
    pub(super) words: &'a [String],
}

impl<'a> Player<'a> {
    /// The user's number, the same in every match of this deployment.
    pub fn user(self) -> u64 {
        self.raw.user
    }

    /// The rating in this domain; 1500 for a newcomer.
    pub fn rating(self) -> i32 {
        self.raw.rating
    }

    /// How many games of this domain the player has played.
    pub fn games(self) -> u32 {
        self.raw.games
    }

    /// The roles that the player would play, the dearest first.
    pub fn roles(self) -> impl ExactSizeIterator<Item = &'a str> {
        self.raw.roles.iter().map(move |role| word(self.words, *role))
    }

    /// Whether the player would play a role.
    pub fn plays(self, role: &str) -> bool {
        self.roles().any(|other| other == role)
    }

    /// The values of a property.
    pub fn values(self, property: &str) -> impl Iterator<Item = &'a str> {
        let named = move |it: &&raw::Property| word(self.words, it.name) == property;
        self.raw.properties.iter().filter(named).map(move |it| word(self.words, it.value))
    }

    /// Whether a property has a value.
    pub fn has(self, property: &str, value: &str) -> bool {
        self.values(property).any(|other| other == value)
    }
}

/// A match that could be made.
#[derive(Clone, Copy)]
pub struct Proposal<'a> {
    pub(super) raw: &'a raw::Proposal,
    /// All tickets of the call.
    pub(super) tickets: &'a [raw::Ticket],
    pub(super) words: &'a [String],
}

impl<'a> Proposal<'a> {
    /// Its tickets.
    pub fn tickets(self) -> impl ExactSizeIterator<Item = Ticket<'a>> {
        let ticket = move |place: &u32| Ticket { raw: &self.tickets[*place as usize], words: self.words };
        self.raw.tickets.iter().map(ticket)
    }

    /// All of its players.
    pub fn players(self) -> impl Iterator<Item = Player<'a>> {
        self.tickets().flat_map(Ticket::players)
    }

    /// Its teams, in their order. In a game without teams there is one, of everybody.
    pub fn teams(self) -> impl ExactSizeIterator<Item = Team<'a>> {
        let count = self.raw.teams.iter().max().map_or(1, |last| last + 1);
        (0..count as usize).map(move |team| Team(Members::Of(self, team as u32)))
    }

    /// Where it would be played, if that matters.
    pub fn region(self) -> Option<&'a str> {
        self.raw.region.map(|region| word(self.words, region))
    }

    /// The longest round trip to that region, of those that are known.
    pub fn rtt_ms(self) -> Option<u32> {
        let region = self.region()?;
        self.tickets().filter_map(|ticket| ticket.rtt_ms(region)).max()
    }
}

/// A team, of a proposal or one that could be.
#[derive(Clone, Copy)]
pub struct Team<'a>(pub(super) Members<'a>);

#[derive(Clone, Copy)]
pub(super) enum Members<'a> {
    /// Of a proposal, by the team's number.
    Of(Proposal<'a>, u32),
    These(&'a [raw::Player], &'a [String]),
}

impl<'a> Team<'a> {
    /// Its players.
    pub fn players(self) -> impl Iterator<Item = Player<'a>> {
        let (of, these) = match self.0 {
            Members::Of(proposal, team) => (Some((proposal, team)), None),
            Members::These(players, words) => (None, Some((players, words))),
        };
        let of = of.into_iter().flat_map(|(proposal, team)| {
            let teams = proposal.raw.teams.iter().copied().chain(std::iter::repeat(0));
            proposal.players().zip(teams).filter(move |(_, its)| *its == team).map(|(player, _)| player)
        });
        let these = these.into_iter().flat_map(|(players, words)| players.iter().map(move |raw| Player { raw, words }));
        of.chain(these)
    }
}

fn word(words: &[String], word: raw::Word) -> &str {
    &words[word as usize]
}
