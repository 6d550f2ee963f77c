//! Whether parties, the users in them, and their codes say the same of each other.

use super::{Check, id_of};
use crate::ids::{PartyId, UserId};
use crate::party::{self, Party, PartyRef};

impl<E, G: Fn(&str) -> Result<Option<Vec<u8>>, E>> Check<G> {
    pub(super) fn party(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(party) = self.readable::<Party>(key, value) else { return Ok(()) };
        let Some(id) = id_of::<PartyId>(key, party::PREFIX) else {
            self.problem(key, "is no party's: delete it");
            return Ok(());
        };
        if !party.has(party.leader) {
            self.problem(key, "is led by somebody who is not in it: delete it");
        }
        let leads_here = |named: Option<PartyRef>| named.is_some_and(|named| named.party == id);
        if !leads_here(self.other(&party::code_key(&party.code))?) {
            self.problem(key, "is not found by its code: delete it");
        }
        for member in &party.members {
            let of_key = party::of_key(member.user);
            if !leads_here(self.other(&of_key)?) {
                self.problem(key, &format!("lists {}, and {of_key} does not name it: delete it", member.user));
            }
        }
        Ok(())
    }

    pub(super) fn party_of(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(PartyRef { party: id }) = self.readable(key, value) else { return Ok(()) };
        let party: Option<Party> = self.other(&party::key(id))?;
        let user = id_of::<UserId>(key, "party-of/");
        if !user.is_some_and(|user| party.is_some_and(|party| party.has(user))) {
            self.problem(key, "names a party that does not list the user: delete it");
        }
        Ok(())
    }

    pub(super) fn party_code(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(PartyRef { party: id }) = self.readable(key, value) else { return Ok(()) };
        let party: Option<Party> = self.other(&party::key(id))?;
        if party.is_none_or(|party| party::code_key(&party.code) != key) {
            self.problem(key, "names a party that has another code or is gone: delete it");
        }
        Ok(())
    }
}
