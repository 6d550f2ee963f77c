//! The templates of `scenectl new`, embedded into the tool.
//!
//! Invariant: a template is a list of files with `{{name}}`, `{{crate}}` (the name as Rust writes it) and `{{sdk}}` (the
//! folder `sdk` of Scenehost's sources) for what differs between projects; no other text in braces is touched.

use std::path::Path;

use crate::project::{Kind, Language};

/// What a project can begin as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Template {
    /// A game of turns for two, with a clock: three in a row, or sticks in TypeScript.
    TurnBased,
    /// A game that ticks, for two to four: a race for coins.
    RealTime,
    /// A condition of a game on its matches.
    MatchRule,
}

/// A file of a template: where it goes in the project, and what is in it.
pub type File = (&'static str, &'static str);

/// Files of a folder; one that has another name there, since tools would take it for their own, is `to = from`.
macro_rules! files {
    ($folder:expr; $($to:literal = $from:literal,)* $(; $($path:literal),+ $(,)?)?) => {
        &[
            $(($to, include_str!(concat!($folder, $from))),)*
            $($(($path, include_str!(concat!($folder, $path)))),+)?
        ]
    };
}

macro_rules! rust_game {
    ($template:literal) => {
        files!(concat!("../templates/rust/", $template, "/");;
            "README.md", "bots.toml", "scenehost.toml", "scripts/game.toml", "scripts/game.recorded.json",
            "src/lib.rs", "tests/rules.rs", "page/index.html",
        )
    };
}

/// What is for this tool.
macro_rules! typescript_game {
    ($template:literal) => {
        files!(concat!("../templates/typescript/", $template, "/");;
            "README.md", "bots.toml", "scenehost.toml", "scripts/game.toml", "scripts/game.recorded.json",
        )
    };
}

/// The game itself, which is the SDK's for TypeScript and tested by it.
macro_rules! typescript_sources {
    ($template:literal) => {
        files!(concat!("../../plugin-ts/templates/", $template, "/");;
            "src/scene.ts", "test/scene.test.ts", "page/index.html", "page/main.ts", "page/style.css",
        )
    };
}

const RUST: &[File] = files!("../templates/rust/shared/"; ".gitignore" = "gitignore", "Cargo.toml" = "Cargo.toml.in",);
const RUST_TURN_BASED: &[File] = rust_game!("turn-based");
const RUST_REAL_TIME: &[File] = rust_game!("real-time");
const RUST_MATCH_RULE: &[File] = files!("../templates/rust/match-rule/";;
    "README.md", "scenehost.toml", "scripts/rule.toml", "scripts/rule.recorded.json", "src/lib.rs", "tests/rules.rs",
);

const TYPESCRIPT: &[File] = files!("../templates/typescript/shared/"; ".gitignore" = "gitignore",);
const TYPESCRIPT_SHARED: &[File] = files!("../../plugin-ts/templates/shared/";; "tsconfig.json", "tsconfig.test.json");
const TYPESCRIPT_WITH_PAGE: &[File] =
    files!("../../plugin-ts/templates/shared/";; "package.json", "page/tsconfig.json");
const TYPESCRIPT_WITHOUT_PAGE: &[File] =
    files!("../../plugin-ts/templates/shared/"; "package.json" = "package-without-page.json",);
const TYPESCRIPT_TURN_BASED: [&[File]; 2] = [typescript_game!("turn-based"), typescript_sources!("turn-based")];
const TYPESCRIPT_REAL_TIME: [&[File]; 2] = [typescript_game!("real-time"), typescript_sources!("real-time")];
const TYPESCRIPT_MATCH_RULE: [&[File]; 2] = [
    files!("../templates/typescript/match-rule/";;
        "README.md", "scenehost.toml", "scripts/rule.toml", "scripts/rule.recorded.json",
    ),
    files!("../../plugin-ts/templates/match-rule/";; "src/rule.ts", "test/rule.test.ts"),
];

impl Template {
    pub fn kind(self) -> Kind {
        match self {
            Template::TurnBased | Template::RealTime => Kind::Scene,
            Template::MatchRule => Kind::MatchRule,
        }
    }

    /// Its files in a language; a game may go without its page, and a rule has none.
    pub fn files(self, language: Language, has_page: bool) -> Vec<File> {
        let parts = match language {
            Language::Rust => vec![RUST, self.in_rust()],
            Language::TypeScript => {
                let package = if has_page { TYPESCRIPT_WITH_PAGE } else { TYPESCRIPT_WITHOUT_PAGE };
                let [tool, sources] = self.in_typescript();
                vec![TYPESCRIPT, tool, TYPESCRIPT_SHARED, package, sources]
            }
        };
        let files = parts.into_iter().flatten().copied();
        files.filter(|(path, _)| has_page || !path.starts_with("page/")).collect()
    }

    fn in_rust(self) -> &'static [File] {
        match self {
            Template::TurnBased => RUST_TURN_BASED,
            Template::RealTime => RUST_REAL_TIME,
            Template::MatchRule => RUST_MATCH_RULE,
        }
    }

    fn in_typescript(self) -> [&'static [File]; 2] {
        match self {
            Template::TurnBased => TYPESCRIPT_TURN_BASED,
            Template::RealTime => TYPESCRIPT_REAL_TIME,
            Template::MatchRule => TYPESCRIPT_MATCH_RULE,
        }
    }
}

/// A file's text for a project of this name.
pub fn fill(text: &str, name: &str, sdk: &Path) -> String {
    text.replace("{{name}}", name)
        .replace("{{crate}}", &name.replace('-', "_"))
        .replace("{{sdk}}", &sdk.join("sdk").display().to_string())
}
