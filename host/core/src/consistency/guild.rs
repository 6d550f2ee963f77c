//! Whether guilds and the users in them say the same of each other.

use super::{Check, id_of};
use crate::guild::{self, Guild, NameRecord, Place, Role};
use crate::ids::{GuildId, UserId};

impl<E, G: Fn(&str) -> Result<Option<Vec<u8>>, E>> Check<G> {
    pub(super) fn guild(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(guild) = self.readable::<Guild>(key, value) else { return Ok(()) };
        let Some(id) = id_of::<GuildId>(key, "guild/") else {
            self.problem(key, "is no guild's: delete it");
            return Ok(());
        };
        if guild.members.values().filter(|member| member.role == Role::Leader).count() != 1 {
            self.problem(key, "does not have one leader: restore a backup");
        }
        if guild.members.len() > guild.limit {
            self.problem(key, "has more members than its limit: restore a backup");
        }
        let name_key = guild::name(&guild.name).map(|(_, compared)| guild::name_key(&compared));
        let named: Option<NameRecord> = match &name_key {
            Ok(name_key) => self.other(name_key)?,
            Err(_) => None,
        };
        if named.is_none_or(|named| named.guild != id) {
            self.problem(key, "is not found by its name: restore a backup");
        }
        let lists = [
            (guild.members.keys().collect::<Vec<_>>(), "member"),
            (guild.requests.keys().collect(), "one who has asked"),
            (guild.invites.keys().collect(), "one who is invited"),
        ];
        for (users, what) in lists {
            for user in users {
                let place_key = guild::place_key(*user);
                let place: Place = self.other(&place_key)?.unwrap_or_default();
                let agrees = match what {
                    "member" => place.guild == Some(id),
                    "one who has asked" => place.requests.contains(&id),
                    _ => place.invites.contains(&id) || place.unheard.contains_key(&id),
                };
                if !agrees {
                    self.problem(key, &format!("lists {user} as {what}, and {place_key} does not: restore a backup"));
                }
            }
        }
        Ok(())
    }

    pub(super) fn guild_of(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(place) = self.readable::<Place>(key, value) else { return Ok(()) };
        let Some(user) = id_of::<UserId>(key, "guild-of/") else {
            self.problem(key, "is no user's: delete it");
            return Ok(());
        };
        let all = place.guild.iter().chain(&place.requests).chain(&place.invites).chain(place.unheard.keys());
        for id in all {
            let guild_key = guild::key(*id);
            let guild: Option<Guild> = self.other(&guild_key)?;
            let agrees = guild.is_some_and(|guild| {
                (place.guild != Some(*id) || guild.members.contains_key(&user))
                    && (!place.requests.contains(id) || guild.requests.contains_key(&user))
                    && (!place.invites.contains(id) && !place.unheard.contains_key(id)
                        || guild.invites.contains_key(&user))
            });
            if !agrees {
                self.problem(key, &format!("names {guild_key}, which does not list the user so: restore a backup"));
            }
        }
        Ok(())
    }

    pub(super) fn guild_name(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(NameRecord { guild: id }) = self.readable(key, value) else { return Ok(()) };
        let guild: Option<Guild> = self.other(&guild::key(id))?;
        let named = guild.and_then(|guild| guild::name(&guild.name).ok());
        if named.is_none_or(|(_, compared)| guild::name_key(&compared) != key) {
            self.problem(key, "names a guild that has another name or is gone: delete it");
        }
        Ok(())
    }

    pub(super) fn guild_data(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        self.readable::<guild::Data>(key, value);
        let id = id_of::<GuildId>(key, "guild-data/");
        let guild: Option<Guild> = match id {
            Some(id) => self.other(&guild::key(id))?,
            None => None,
        };
        if guild.is_none() {
            self.problem(key, "is no guild's: delete it");
        }
        Ok(())
    }
}
