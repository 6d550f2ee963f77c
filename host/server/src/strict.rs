//! What humans write is read strictly: a name that is not known is a mistake, and is told.
//!
//! What nodes say to each other, and what is stored, is of another version at times, and passes over what it does not
//! know; so the types themselves do. Those that only humans write may refuse it on their own, which tells the line, too.

use serde::de::{Deserialize, Deserializer, Error as _};

/// A value in which every name was known.
#[derive(Debug, Clone)]
pub struct Strict<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut first = None;
        let value = serde_ignored::deserialize(from, |path| {
            first.get_or_insert_with(|| path.to_string());
        })?;
        let Some(path) = first else { return Ok(Self(value)) };
        // `?` stands where something may be left out.
        let names: Vec<&str> = path.split('.').filter(|name| *name != "?").collect();
        let name = names.last().copied().unwrap_or_default();
        let place = names.join(".");
        Err(D::Error::custom(format!("unknown field `{name}` in {place}: correct its name, or take it out")))
    }
}

#[cfg(test)]
mod tests {
    use scenehost_core::config::Domain;
    use scenehost_core::economy::catalogue::Catalogue;

    use super::*;
    use crate::config::{Config, FleetConfig};

    const FLEETS: &str = "[fleets.duel]\nplugin = \"duel\"\nconfiguration = { any = { thing = 1 } }\n";
    const DOMAINS: &str = "[domains.duel]\nfleet = \"duel\"\nplayers_min = 2\nplayers_max = 2\n";

    fn refused(wrong: &str, place: &str) {
        let text = format!("{FLEETS}{wrong}\n{DOMAINS}");
        let refused = toml::from_str::<Strict<Config>>(&text).expect_err(wrong).to_string();
        let told = format!("in {place}: correct its name, or take it out");
        assert!(refused.contains(&told), "{wrong}: {refused}");
    }

    #[test]
    fn a_name_that_is_not_known_is_told_wherever_it_is() {
        let right = format!("{FLEETS}{DOMAINS}");
        toml::from_str::<Strict<Config>>(&right).expect("a game's own configuration is the game's");
        refused("colour = 1", "fleets.duel.colour");
        refused("scene.sizee = 1", "fleets.duel.scene.sizee");
        refused("scene.journal.keeep = 1", "fleets.duel.scene.journal.keeep");
        refused("limits.step = 1", "fleets.duel.limits.step");
        refused("[lobby]\ngrace = 1", "lobby.grace");
        refused(
            "[domains.b]\nfleet = \"duel\"\nplayers_min = 1\nplayers_max = 1\nbots = { after_ms = 1, players_min = 1, few = 1 }",
            "domains.b.bots.few",
        );
        refused(
            "[domains.b]\nfleet = \"duel\"\nplayers_min = 1\nplayers_max = 1\nteams = [{ size = 1, sise = 1 }]",
            "domains.b.teams.0.sise",
        );
        refused(
            "[domains.b]\nfleet = \"duel\"\nplayers_min = 1\nplayers_max = 1\nrule = { plugin = \"a\", fuels = 1 }",
            "domains.b.rule.fuels",
        );
        let refused = serde_json::from_str::<Strict<FleetConfig>>(r#"{"plugin":"duel","scene":{"sizee":1}}"#);
        assert!(refused.expect_err("it is not known").to_string().contains("unknown field `sizee` in scene.sizee"));
        let catalogue = "[offers.hat]\ntitle = \"A hat\"\ngives = { hat = 1 }\ncolour = \"red\"\n";
        let refused = toml::from_str::<Strict<Catalogue>>(catalogue).expect_err("it is not known").to_string();
        assert!(refused.contains("unknown field `colour` in offers.hat.colour"), "{refused}");
    }

    #[test]
    fn what_is_stored_may_be_of_a_later_version() {
        let fleet = br#"{"plugin":"duel","of_later":1,"scene":{"of_later":1},"limits":{"of_later":1}}"#;
        scenehost_core::record::decode::<FleetConfig>("fleets/duel", fleet).expect("it is passed over");
        let domain = br#"{"fleet":"duel","players_min":2,"players_max":2,"of_later":{"a":1},"recent":{"of_later":1}}"#;
        scenehost_core::record::decode::<Domain>("domains/duel", domain).expect("it is passed over");
    }
}
