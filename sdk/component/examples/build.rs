//! Builds plugins of this workspace into components, and says where they are:
//! `cargo run -p scenehost-component --example build -- gomoku arena`.
//! `--debian` takes Debian's way even where the target is installed.

use std::env;
use std::error::Error;
use std::path::Path;

use scenehost_component::{Request, Toolchain, Way, build};

fn main() -> Result<(), Box<dyn Error>> {
    let (flags, packages): (Vec<_>, Vec<_>) = env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let only = flags.iter().any(|flag| flag == "--debian").then_some(Way::Debian);
    let workspace_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let target_dir = match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => dir.into(),
        None => workspace_dir.join("target"),
    };
    let toolchain = Toolchain::find(&workspace_dir, only)?;
    println!("building with {}", toolchain.way);
    let request = Request { out_dir: target_dir.join("plugins"), workspace_dir, packages, target_dir, quick: false };
    for component in build(&toolchain, &request)? {
        let news = if component.changed { "new" } else { "unchanged" };
        let path = component.path.display();
        println!("{path}: {} bytes, {news}", component.len_bytes);
    }
    Ok(())
}
