//! The templates of `scenectl new`, embedded into the tool.
//!
//! Invariant: a template is a list of files with `{{name}}`, `{{crate}}` (the name as Rust writes it) and `{{sdk}}` (the
//! folder `sdk` of Scenehost's sources) for what differs between projects; no other text in braces is touched.

use std::path::Path;

use crate::project::{Kind, Language};

/// What a project can begin as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Template {
    /// A game of turns for two, with a clock: three in a row.
    TurnBased,
    /// A game that ticks, for two to four: a race for coins.
    RealTime,
    /// A condition of a game on its matches.
    MatchRule,
}

/// A file of a template: where it goes in the project, and what is in it.
pub type File = (&'static str, &'static str);

macro_rules! files {
    ($folder:literal: $($to:literal = $from:literal),+ $(,)?) => {
        &[$(($to, include_str!(concat!("../templates/", $folder, "/", $from)))),+]
    };
}

const TURN_BASED: &[File] = files!("turn-based":
    ".gitignore" = "gitignore",
    "bots.toml" = "bots.toml",
    "Cargo.toml" = "Cargo.toml.in",
    "README.md" = "README.md",
    "scenehost.toml" = "scenehost.toml",
    "src/lib.rs" = "src/lib.rs",
    "tests/rules.rs" = "tests/rules.rs",
    "page/index.html" = "page/index.html",
    "scripts/game.toml" = "scripts/game.toml",
    "scripts/game.recorded.json" = "scripts/game.recorded.json",
);

const REAL_TIME: &[File] = files!("real-time":
    ".gitignore" = "gitignore",
    "bots.toml" = "bots.toml",
    "Cargo.toml" = "Cargo.toml.in",
    "README.md" = "README.md",
    "scenehost.toml" = "scenehost.toml",
    "src/lib.rs" = "src/lib.rs",
    "tests/rules.rs" = "tests/rules.rs",
    "page/index.html" = "page/index.html",
    "scripts/round.toml" = "scripts/round.toml",
    "scripts/round.recorded.json" = "scripts/round.recorded.json",
);

const MATCH_RULE: &[File] = files!("match-rule":
    ".gitignore" = "gitignore",
    "Cargo.toml" = "Cargo.toml.in",
    "README.md" = "README.md",
    "scenehost.toml" = "scenehost.toml",
    "src/lib.rs" = "src/lib.rs",
    "tests/rules.rs" = "tests/rules.rs",
    "scripts/rule.toml" = "scripts/rule.toml",
    "scripts/rule.recorded.json" = "scripts/rule.recorded.json",
);

/// The game is the template of the SDK for TypeScript, which tests it; what is for this tool is here.
const TYPESCRIPT: &[File] = &[
    (".gitignore", include_str!("../templates/typescript/gitignore")),
    ("README.md", include_str!("../templates/typescript/README.md")),
    ("bots.toml", include_str!("../templates/typescript/bots.toml")),
    ("scenehost.toml", include_str!("../templates/typescript/scenehost.toml")),
    ("scripts/game.toml", include_str!("../templates/typescript/scripts/game.toml")),
    ("scripts/game.recorded.json", include_str!("../templates/typescript/scripts/game.recorded.json")),
    ("package.json", include_str!("../../plugin-ts/template/package.json")),
    ("page/index.html", include_str!("../../plugin-ts/template/page/index.html")),
    ("page/main.ts", include_str!("../../plugin-ts/template/page/main.ts")),
    ("page/style.css", include_str!("../../plugin-ts/template/page/style.css")),
    ("page/tsconfig.json", include_str!("../../plugin-ts/template/page/tsconfig.json")),
    ("src/scene.ts", include_str!("../../plugin-ts/template/src/scene.ts")),
    ("test/scene.test.ts", include_str!("../../plugin-ts/template/test/scene.test.ts")),
    ("tsconfig.json", include_str!("../../plugin-ts/template/tsconfig.json")),
    ("tsconfig.test.json", include_str!("../../plugin-ts/template/tsconfig.test.json")),
];

impl Template {
    pub fn kind(self) -> Kind {
        match self {
            Template::TurnBased | Template::RealTime => Kind::Scene,
            Template::MatchRule => Kind::MatchRule,
        }
    }

    /// Its files in a language; `None` where there is no such template.
    pub fn files(self, language: Language) -> Option<&'static [File]> {
        match (self, language) {
            (Template::TurnBased, Language::Rust) => Some(TURN_BASED),
            (Template::RealTime, Language::Rust) => Some(REAL_TIME),
            (Template::MatchRule, Language::Rust) => Some(MATCH_RULE),
            (Template::TurnBased, Language::TypeScript) => Some(TYPESCRIPT),
            (Template::RealTime | Template::MatchRule, Language::TypeScript) => None,
        }
    }
}

/// A file's text for a project of this name.
pub fn fill(text: &str, name: &str, sdk: &Path) -> String {
    text.replace("{{name}}", name)
        .replace("{{crate}}", &name.replace('-', "_"))
        .replace("{{sdk}}", &sdk.join("sdk").display().to_string())
}
