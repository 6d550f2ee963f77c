//! From `scenectl new` to a game in the browser that changes while it is played.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use scenehost_client::{Credential, Lobby, Options, Scene, SceneEvent};
use serde_json::Value;

use crate::host::{PATIENCE, built, within};

/// How long a build may take that has to compile everything.
const BUILD: Duration = Duration::from_secs(600);

/// The tool, with a target folder for all projects of tests, so that what they have in common is built once.
fn scenectl(folder: &Path) -> Command {
    let mut command = Command::new(built("debug/scenectl"));
    command.current_dir(folder).stdin(Stdio::null());
    command.env("CARGO_TARGET_DIR", folder_of_tests().join("target"));
    for variable in ["SCENEHOST_HOST", "SCENEHOST_OPS_TOKEN", "SCENEHOST_SDK", "SCENEHOST_BINARY"] {
        command.env_remove(variable);
    }
    command
}

fn folder_of_tests() -> PathBuf {
    let folder = built("debug").with_file_name("scenectl");
    std::fs::create_dir_all(&folder).expect("it is writable");
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Value {
    let output = scenectl(folder).args(arguments).arg("--json").output().expect("the tool can be run");
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("it writes text"));
    assert!(output.status.success(), "{arguments:?}: {}\n{out}\n{err}", output.status);
    serde_json::from_str(&out).expect("a report is one value")
}

/// `scenectl dev`, killed when it is dropped.
struct Dev {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Dev {
    fn start(project: &Path) -> Self {
        // As `publish` builds it, so that not all has to be compiled once more.
        let mut child = scenectl(project).args(["dev", "--release"]).stderr(Stdio::piped()).spawn().expect("it runs");
        let stderr = child.stderr.take().expect("it is piped");
        let (sender, lines) = sync_channel(10_000);
        std::thread::spawn(move || {
            let lines = BufReader::new(stderr).lines().map_while(Result::ok);
            lines.for_each(|line| drop(sender.send(line))); // Nobody reads any more when the test is over.
        });
        Self { child, lines, said: Vec::new() }
    }

    /// Waits for a line that has this.
    fn says(&mut self, text: &str, limit: Duration) -> String {
        loop {
            match self.lines.recv_timeout(limit) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => self.said.push(line),
                Err(error) => panic!("{error}: no `{text}` in:\n{}", self.said.join("\n")),
            }
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It may have ended.
        let _ = self.child.wait();
    }
}

/// A player of the project's game. Reads until a message has this text; a connection that is lost is an error.
struct Player {
    scene: Scene,
    _lobby: Lobby,
}

impl Player {
    async fn enter(url: &str, name: &str) -> Self {
        let guest = Credential::Guest { device_id: format!("device of {name}, a secret"), name: name.to_owned() };
        let lobby = Lobby::connect(url, guest, Options::default()).await.expect("guests may sign in");
        let seat = within("a match", lobby.find_match("sample")).await.expect("there is one");
        let scene = Scene::join(&seat, &Options::default()).await.expect("the seat is free");
        Self { scene, _lobby: lobby }
    }

    async fn hears(&mut self, text: &str) -> String {
        within(text, async {
            loop {
                match self.scene.next().await.expect("the game goes on") {
                    SceneEvent::Message(body) if String::from_utf8_lossy(&body).contains(text) => {
                        return String::from_utf8_lossy(&body).into_owned();
                    }
                    SceneEvent::Message(_) | SceneEvent::Pong { .. } => {}
                    other => panic!("{other:?} while waiting for {text}"),
                }
            }
        })
        .await
    }

    async fn places(&self, cell: u8) {
        self.scene.send(format!(r#"{{"type":"place","cell":{cell}}}"#)).await.expect("it is open");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_project_is_played_and_changes_while_it_is_played() {
    let folder = folder_of_tests();
    let project = folder.join("sample");
    let _ = std::fs::remove_dir_all(&project); // It may not be there.
    run(&folder, &["new", "sample", "--template", "turn-based"]);
    let mut dev = Dev::start(&project);
    let open = dev.says("in two windows", BUILD);
    let address = open.split_whitespace().find(|word| word.starts_with("http")).expect("an address").to_owned();

    // People play it by its page.
    in_browser("template-turn-based.mjs", &address);

    let url = address.trim_end_matches('/').replace("http://", "ws://");
    let (mut one, mut other) = tokio::join!(Player::enter(&url, "One"), Player::enter(&url, "Other"));
    let board = one.hears(r#""turn":"#).await;
    let board = if board.contains(r#""turn":null"#) { one.hears(r#""turn":"#).await } else { board };
    let seat = one.scene.info().seat;
    let (first, second) =
        if board.contains(&format!(r#""turn":{seat}"#)) { (&mut one, &mut other) } else { (&mut other, &mut one) };
    first.places(4).await;
    let mark = format!("null,null,null,null,{}", first.scene.info().seat);
    first.hears(&mark).await;
    first.places(5).await;
    first.hears("it is not your turn").await;

    // One line changes, and the game that is played has it, with its state and its connections.
    let game = project.join("src/lib.rs");
    let text = std::fs::read_to_string(&game).expect("it is there");
    std::fs::write(&game, text.replace("it is not your turn", "wait for the other")).expect("it is writable");
    dev.says("version 2", BUILD);
    within("the change", async {
        loop {
            first.places(5).await;
            if first.hears("\"why\"").await.contains("wait for the other") {
                break;
            }
        }
    })
    .await;
    second.places(4).await;
    second.hears("this cell is taken").await;

    let versions = run(&project, &["versions"]);
    assert_eq!((&versions["active"], versions["versions"].as_array().map(Vec::len)), (&2.into(), Some(2)));

    // What does not compile changes nothing.
    std::fs::write(&game, "this is no Rust").expect("it is writable");
    dev.says("the games go on as they are", BUILD);
    first.places(5).await;
    first.hears("wait for the other").await;

    kill_process(Pid::from_child(&dev.child), Signal::TERM).expect("it runs");
    dev.says("stopping", PATIENCE);
    let status = dev.child.wait().expect("its own child");
    assert!(status.success(), "{status}");
    assert!(!project.join("target/scenehost/dev/running.json").exists());
}

/// Runs a script of `tests/browser`; pictures go to the target folder.
fn in_browser(script: &str, address: &str) {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    let mut node = Command::new("node");
    node.arg(scripts.join(script)).args([address, pictures.to_str().expect("it is UTF-8")]).stdin(Stdio::null());
    let output = node.output().expect("node is installed");
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {}; pictures are in {}", output.status, pictures.display());
}
