//! A designer's project: a folder with `scenehost.toml`, which says what is built and how `dev` runs it.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use scenehost_engine::rule;
use serde::{Deserialize, Serialize};

use crate::failure::{Done, Failure};

/// The file in a project's folder.
pub const FILE: &str = "scenehost.toml";
/// The longest name of a project, as crates.io has it.
const NAME_LEN_MAX: usize = 64;
/// Names that a crate cannot have: words of the language, and crates that every program has already.
const NAMES_TAKEN: [&str; 60] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "scenehost-sdk",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// What a host lets a domain give its rule for one call.
const FUEL: RangeInclusive<u64> = 10_000..=100_000_000;
const MEMORY_KIB: RangeInclusive<usize> = 256..=16_384;

/// What a project is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    Rust,
    #[value(name = "typescript")]
    #[serde(rename = "typescript")]
    TypeScript,
}

/// What a project's component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A game.
    Scene,
    /// A condition of a game on its matches.
    MatchRule,
}

impl Kind {
    /// Its name, as in the file.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Scene => "scene",
            Kind::MatchRule => "match-rule",
        }
    }
}

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The component's name, and that of its fleet and its domain in `dev`.
    pub name: String,
    pub language: Language,
    pub kind: Kind,
    /// For TypeScript: the file that exports the game or the rule, seen from the project's folder; src/scene.ts or
    /// src/rule.ts if it is left out.
    #[serde(default)]
    pub entry: Option<PathBuf>,
    /// The folder of the page that plays it, seen from the project's folder; `page` if it is left out.
    #[serde(default)]
    pub page: Option<PathBuf>,
    #[serde(default)]
    pub dev: Dev,
}

/// How `dev` runs it; all of it is as in a host's configuration, `[fleets.NAME]` and `[domains.NAME]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dev {
    /// Without `plugin`, which is this project.
    #[serde(default)]
    pub fleet: toml::Table,
    /// Without `fleet`, which is this project's.
    #[serde(default)]
    pub domain: toml::Table,
    /// Of a rule of matching: what one call may use, as in `[domains.NAME.rule]`.
    #[serde(default)]
    pub rule: RuleLimits,
}

/// What one call of a rule may use; what is left out is as on a host.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleLimits {
    pub fuel: Option<u64>,
    pub memory_kib: Option<usize>,
}

impl RuleLimits {
    /// As a host does.
    fn check(self, path: &Path) -> Done {
        let refuse = |what: String| {
            let text = format!("{} is not right: [dev.rule] {what}", path.display());
            Err(Failure::usage(text).hint("a host takes no other"))
        };
        match self {
            RuleLimits { fuel: Some(fuel), .. } if !FUEL.contains(&fuel) => {
                refuse(format!("fuel = {fuel}: it is {} to {}", FUEL.start(), FUEL.end()))
            }
            RuleLimits { memory_kib: Some(kib), .. } if !MEMORY_KIB.contains(&kib) => {
                refuse(format!("memory_kib = {kib}: it is {} to {}", MEMORY_KIB.start(), MEMORY_KIB.end()))
            }
            _ => Ok(()),
        }
    }
}

/// A project that was found.
#[derive(Debug)]
pub struct Project {
    /// Its folder, without links.
    pub root: PathBuf,
    pub settings: Settings,
}

impl Project {
    /// The project that a folder is in.
    ///
    /// # Errors
    /// When neither it nor a folder above has `scenehost.toml`, or the file is not right.
    pub fn find(folder: &Path) -> Done<Project> {
        let folder = folder.canonicalize().map_err(|error| {
            Failure::usage(format_args!("{}: {error}", folder.display())).hint("name a folder that is there")
        })?;
        let Some(root) = folder.ancestors().find(|folder| folder.join(FILE).is_file()) else {
            let text = format!("there is no {FILE} in {} or above it", folder.display());
            return Err(
                Failure::usage(text).hint("begin with `scenectl new NAME`, or name the project's folder with -C")
            );
        };
        Project::read(root)
    }

    fn read(root: &Path) -> Done<Project> {
        let path = root.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(Failure::file(&path))?;
        let settings: Settings = toml::from_str(&text).map_err(|error| {
            Failure::usage(format_args!("{} is not right:\n{}", path.display(), error.to_string().trim_end()))
        })?;
        check_name(&settings.name)?;
        settings.dev.rule.check(&path)?;
        Ok(Project { root: root.to_owned(), settings })
    }

    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Where `build` puts its results.
    pub fn out_dir(&self) -> PathBuf {
        self.root.join("target/scenehost")
    }

    /// Where quick builds go, so that none of them is published by mistake.
    pub fn quick_dir(&self) -> PathBuf {
        self.out_dir().join("quick")
    }

    /// The component.
    pub fn component(&self) -> PathBuf {
        self.out_dir().join(format!("{}.wasm", self.name()))
    }

    /// The component of the last quick build.
    pub fn quick_component(&self) -> PathBuf {
        self.quick_dir().join(format!("{}.wasm", self.name()))
    }

    /// The folder of the page that plays it. There may be none.
    pub fn page_dir(&self) -> PathBuf {
        self.root.join(self.settings.page.as_deref().unwrap_or(Path::new("page")))
    }

    /// The folder of its scripts.
    pub fn scripts_dir(&self) -> PathBuf {
        self.root.join("scripts")
    }

    /// The game's own configuration in `dev`, JSON text.
    pub fn configuration(&self) -> serde_json::Value {
        let configured = self.settings.dev.fleet.get("configuration");
        configured.and_then(|value| serde_json::to_value(value).ok()).unwrap_or_else(|| serde_json::json!({}))
    }

    /// What one call of the rule may use in `dev` and `test`.
    pub fn rule_limits(&self) -> rule::Limits {
        let RuleLimits { fuel, memory_kib } = self.settings.dev.rule;
        let limits = rule::Limits::default();
        rule::Limits {
            fuel: fuel.unwrap_or(limits.fuel),
            memory_bytes_max: memory_kib.map_or(limits.memory_bytes_max, |kib| kib.saturating_mul(1_024)),
            ..limits
        }
    }

    /// The tick rate in `dev`; 0 is the host's default, too.
    pub fn tick_rate_hz(&self) -> u32 {
        let scene = self.settings.dev.fleet.get("scene").and_then(toml::Value::as_table);
        let rate = scene.and_then(|scene| scene.get("tick_rate_hz")).and_then(toml::Value::as_integer);
        rate.and_then(|rate| u32::try_from(rate).ok()).unwrap_or(0)
    }
}

/// A project's name is that of its crate, its plugin, its fleet and its domain.
///
/// # Errors
/// What a name is.
pub fn check_name(name: &str) -> Done {
    let refuse = |why: &str| {
        let text = format!("`{name}` cannot be a project's name: {why}");
        Err(Failure::usage(text).hint("take small letters, digits and -, such as `my-game`"))
    };
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return refuse("a name has 1 to 64 characters");
    }
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return refuse("it begins with a small letter");
    }
    if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_') {
        return refuse("it has small letters, digits, - and _ only");
    }
    if NAMES_TAKEN.contains(&name) {
        return refuse("cargo or the language needs this name itself");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_given_what_a_host_may_give_it() {
        let check = |fuel, memory_kib| RuleLimits { fuel, memory_kib }.check(Path::new(FILE));
        assert!(check(None, None).is_ok() && check(Some(20_000_000), Some(16_384)).is_ok());
        for wrong in [(Some(1), None), (Some(u64::MAX), None), (None, Some(255)), (None, Some(16_385))] {
            assert!(check(wrong.0, wrong.1).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_are_those_of_crates() {
        for good in ["a", "my-game", "chess_2", &"x".repeat(64)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "2d", "My-Game", "a b", "../up", "-x", "test", "match", "spiel-für-alle", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
