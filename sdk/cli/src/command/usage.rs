//! `scenectl usage`: what the scenes of a plugin use, by fleet and version; or one scene.

use anstream::println;

use crate::command::versions;
use crate::failure::Done;
use crate::host::{SceneUse, Used, VersionUse, Way};
use crate::project::Project;
use crate::say::{self, Say};

#[derive(clap::Args)]
pub struct Arguments {
    /// A scene's id: what this one uses.
    scene: Option<String>,
    #[command(flatten)]
    way: Way,
    /// The plugin's name; by default the project's.
    #[arg(long, value_name = "NAME", conflicts_with = "scene")]
    plugin: Option<String>,
}

pub async fn run(arguments: &Arguments, project: Done<Project>, say: Say) -> Done {
    let host = arguments.way.host(project.as_ref().ok())?;
    if let Some(scene) = &arguments.scene {
        let scene = host.scene(scene).await?;
        say.report(&scene, || show_scene(&scene));
        return Ok(());
    }
    let name = versions::name(arguments.plugin.as_deref(), &project)?;
    let plugin = host.usage(&name).await?;
    say.report(&plugin, || show(&plugin.usage));
    Ok(())
}

fn show(versions: &[VersionUse]) {
    let header = ["fleet", "version", "scenes", "steps", "p50", "p99", "longest", "memory", "in", "out", "log"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for of in versions {
        rows.push(vec![
            of.fleet.clone(),
            version(of.version),
            of.scenes.to_string(),
            of.used.steps.to_string(),
            us(of.step_us_p50),
            us(of.step_us_p99),
            us(of.used.step_us_max),
            say::bytes(of.used.memory_bytes),
            say::bytes(of.used.bytes_in),
            say::bytes(of.used.bytes_out),
            say::bytes(of.used.log_bytes),
        ]);
    }
    say::table(&rows);
}

fn show_scene(scene: &SceneUse) {
    let Used { steps, step_ms, step_us_mean, step_us_max, .. } = &scene.used;
    let used = &scene.used;
    println!("scene {} of the fleet {}, {} version {}", scene.scene, scene.fleet, scene.plugin, version(scene.version));
    println!("steps:     {steps} in {step_ms:.1} ms, {} each, the longest {}", us(*step_us_mean), us(*step_us_max));
    println!("memory:    {}, at most {}", say::bytes(used.memory_bytes), say::bytes(used.memory_bytes_max));
    println!("in:        {} messages, {}", used.messages_in, say::bytes(used.bytes_in));
    println!("out:       {} messages, {}", used.messages_out, say::bytes(used.bytes_out));
    println!("log:       {}", say::bytes(used.log_bytes));
    let (sum, most) = (say::bytes(used.snapshot_bytes), say::bytes(used.snapshot_bytes_max));
    println!("snapshots: {}, {sum}, at most {most}", used.snapshots);
}

fn version(version: Option<u64>) -> String {
    version.map_or_else(|| "file".to_owned(), |version| version.to_string())
}

fn us(us: f64) -> String {
    if us < 1e3 { format!("{us:.1} us") } else { format!("{:.1} ms", us / 1e3) }
}
