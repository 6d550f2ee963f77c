//! Lines for the scene's designer. They go to the scene's log in the host, up to the fleet's limit,
//! and in the test kit to `SceneTest::log`. Nothing comes back, so a line changes nothing.

use crate::Level;

/// Writes one line.
pub fn log(level: Level, text: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::scenehost::scene::diagnostics::log(level, text);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::note(level, text);
}

/// Writes a line of level debug.
pub fn debug(text: &str) {
    log(Level::Debug, text);
}

/// Writes a line of level info.
pub fn info(text: &str) {
    log(Level::Info, text);
}

/// Writes a line of level warn.
pub fn warn(text: &str) {
    log(Level::Warn, text);
}

/// Writes a line of level error.
pub fn error(text: &str) {
    log(Level::Error, text);
}
