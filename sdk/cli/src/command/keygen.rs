//! `scenectl keygen`: a publisher's key.

use std::path::PathBuf;

use crate::failure::Done;
use crate::say::Say;
use crate::signing::Key;

#[derive(clap::Args)]
pub struct Arguments {
    /// Where to write the private key; keep the file secret.
    file: PathBuf,
}

pub fn run(arguments: &Arguments, say: Say) -> Done {
    let key = Key::generate(&arguments.file)?;
    let public = key.public();
    say.report(&serde_json::json!({ "file": arguments.file, "public_key": public }), || {
        anstream::println!(
            "{}: the private key; keep it secret, and sign with `publish --sign`",
            arguments.file.display()
        );
        anstream::println!("{public}: the public key, for the host's list of publishers");
    });
    Ok(())
}
