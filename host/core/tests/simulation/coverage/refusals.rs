//! The refusals of SceneMaster, SceneService and scenes, as their sources have them, so that none is forgotten.

use std::path::Path;
use std::sync::LazyLock;

use scenehost_core::Refusal;

/// The services and the sources that are theirs.
const SOURCES: [(&str, &[&str]); 3] = [
    ("scene-master", &["scene_master.rs", "scene_master"]),
    ("scene-service", &["scene_service.rs", "scene_service"]),
    ("scene", &["scene.rs", "scene"]),
];

/// A refusal by its name, and what it says first, as far as its source tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Known {
    pub service: &'static str,
    name: String,
    text: String,
}

static ALL: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let mut all: Vec<Known> = Vec::new();
    for (service, paths) in SOURCES {
        for path in paths {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path);
            all.extend(files(&path).iter().flat_map(|source| in_source(service, source)));
        }
    }
    all.sort();
    all.dedup();
    all
});

pub fn all() -> &'static [Known] {
    &ALL
}

/// Which of them a refusal is, by their numbers; those that tell less are meant as well.
pub fn of(service: &str, refusal: &Refusal) -> Vec<usize> {
    let said = format!("{refusal:?}");
    let (name, text) = said.split_once('(').unwrap_or((&said, ""));
    let text = text.trim_start_matches('"');
    let is_it = |known: &Known| known.service == service && known.name == name && text.starts_with(&known.text);
    all().iter().enumerate().filter(|(_, known)| is_it(known)).map(|(number, _)| number).collect()
}

/// The texts of a file, or of those in a folder.
fn files(path: &Path) -> Vec<String> {
    if path.is_file() {
        return vec![std::fs::read_to_string(path).expect("the sources are at hand")];
    }
    let inside = std::fs::read_dir(path).into_iter().flatten().flatten();
    inside.flat_map(|entry| files(&entry.path())).collect()
}

fn in_source(service: &'static str, source: &str) -> Vec<Known> {
    // Without the breaks, for a long text stands on a line of its own.
    let lines = source.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    let code: String = lines.collect();
    let made = code.split("Refusal::").skip(1);
    made.map(|rest| {
        let name: String = rest.chars().take_while(|sign| sign.is_alphanumeric()).collect();
        let rest = rest[name.len()..].trim_start_matches('(').trim_start_matches("format!(");
        let text = match (rest.strip_prefix('"'), rest.strip_prefix("ServiceName::")) {
            (Some(text), _) => text.chars().take_while(|sign| !['"', '{'].contains(sign)).collect(),
            (None, Some(service)) => service.chars().take_while(|sign| sign.is_alphanumeric()).collect(),
            (None, None) => String::new(),
        };
        Known { service, name, text }
    })
    .collect()
}

impl std::fmt::Display for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.text.as_str() {
            "" => write!(f, "{}", self.name),
            text => write!(f, "{}: {text:?}", self.name),
        }
    }
}
