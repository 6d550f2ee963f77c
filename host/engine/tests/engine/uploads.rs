//! What is refused when it is uploaded, and what the designer is told.

use scenehost_engine::{Engine, Options, Rejected};

use crate::support::{ENGINE, GUEST, PLUGIN, component};

fn check(bytes: &[u8], kind: &str, hint: &str) {
    let rejected = ENGINE.compile(bytes).unwrap_err();
    assert_eq!(rejected.kind(), kind, "{rejected}");
    let text = rejected.to_string();
    assert!(text.contains(hint), "`{text}` does not say `{hint}`");
}

fn check_text(component: &str, kind: &str, hint: &str) {
    check(&wat::parse_str(component).unwrap(), kind, hint);
}

#[test]
fn a_component_of_the_contract_is_compiled() {
    assert_eq!(PLUGIN.imports(), ["scenehost:scene/diagnostics@0.3.0"]);
    let bytes = component(GUEST);
    assert_eq!(PLUGIN.size_bytes(), bytes.len());
    let again = ENGINE.compile(&bytes).unwrap();
    assert_eq!(again.digest(), PLUGIN.digest());
    assert_eq!(again.digest().to_string().len(), 64);
}

#[test]
fn what_is_not_webassembly_is_refused() {
    check(b"", "not_webassembly", "scenectl build");
    check(b"\0asm", "not_webassembly", "scenectl build");
    check(b"(component)", "not_webassembly", "scenectl build");
    check(b"PK\x03\x04 an archive", "not_webassembly", "scenectl build");
    let noise: Vec<u8> = (0..4_096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    check(&noise, "not_webassembly", "scenectl build");
}

#[test]
fn native_code_is_refused() {
    check(b"\x7fELF\x02\x01\x01 and so on", "precompiled", "native code");
}

#[test]
fn a_core_module_is_refused_with_a_hint() {
    check(&wat::parse_str(GUEST).unwrap(), "core_module", "scenectl build");
}

#[test]
fn a_truncated_component_is_refused_at_any_length() {
    let bytes = component(GUEST);
    for len in (8..bytes.len()).step_by(101) {
        let rejected = ENGINE.compile(&bytes[..len]).unwrap_err();
        // A cut between sections leaves a valid component of which parts are missing.
        let kinds = ["invalid", "no_logic"];
        assert!(kinds.contains(&rejected.kind()), "{len}: {rejected}");
    }
}

#[test]
fn a_damaged_component_is_compiled_or_refused() {
    let bytes = component(GUEST);
    for at in (8..bytes.len()).step_by(61) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let _ = ENGINE.compile(&damaged);
    }
}

#[test]
fn an_undeclared_import_is_refused_by_name() {
    check_text(
        r#"(component (import "wasi:clocks/monotonic-clock@0.2.0" (instance)))"#,
        "undeclared_import",
        "`wasi:clocks/monotonic-clock@0.2.0`",
    );
    check_text(
        r#"(component (import "scenehost:scene/logic@0.3.0" (instance)))"#,
        "undeclared_import",
        "`scenehost:scene/logic@0.3.0`",
    );
}

#[test]
fn the_exports_are_checked_against_the_contract() {
    check_text("(component)", "no_logic", "export_scene!");
    check_text(
        r#"(component (instance $i) (export "scenehost:scene/logic@0.4.0" (instance $i)))"#,
        "wrong_version",
        "this host serves 0.3.0",
    );
    check_text(
        r#"(component (instance $i) (export "scenehost:scene/logic@0.3.0" (instance $i)))"#,
        "missing_function",
        "`start`",
    );
    check_text(
        r#"(component
             (core module $m (func (export "f") (param i32)))
             (core instance $c (instantiate $m))
             (func $f (param "init" u32) (canon lift (core func $c "f")))
             (instance $i (export "start" (func $f)))
             (export "scenehost:scene/logic@0.3.0" (instance $i)))"#,
        "wrong_type",
        "`start`",
    );
}

#[test]
fn what_can_never_fit_the_pool_is_refused() {
    let memory = GUEST.replace(r#"(memory (export "memory") 4)"#, r#"(memory (export "memory") 2000)"#);
    check(&component(&memory), "resources", "memory");
    let table = GUEST.replace("(global $heap", "(table 100000 funcref) (global $heap");
    check(&component(&table), "resources", "table");
    let tables = GUEST.replace("(global $heap", &("(table 1 funcref) ".repeat(9) + "(global $heap"));
    check(&component(&tables), "resources", "tables");
    let globals = "(global (mut i64) (i64.const 1)) ".repeat(20_000);
    let globals = GUEST.replace("(global $heap", &(globals + "(global $heap"));
    check(&component(&globals), "resources", "bytes");
}

#[test]
fn shared_memory_and_relaxed_simd_are_refused() {
    let threads = GUEST.replace(r#"(memory (export "memory") 4)"#, r#"(memory (export "memory") 4 8 shared)"#);
    check(&component(&threads), "invalid", "not valid");
    let simd = GUEST.replace(
        "(func $forever",
        "(func (param v128) (result v128)
           (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))
         (func $forever",
    );
    check(&component(&simd), "invalid", "relaxed");
}

#[test]
fn an_upload_has_a_largest_size() {
    let engine = Engine::new(Options { scenes_max: 16, component_bytes_max: 1_000, ..Options::default() }).unwrap();
    let bytes = component(GUEST);
    assert_eq!(
        engine.compile(&bytes).unwrap_err(),
        Rejected::TooLarge { size_bytes: bytes.len(), size_bytes_max: 1_000 }
    );
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let refused = |options| Engine::new(options).err().unwrap().to_string();
    let none = refused(Options { scenes_max: 0, ..Options::default() });
    assert!(none.contains("scenes_max"), "{none}");
    let tiny = refused(Options { memory_bytes_max: 1, ..Options::default() });
    assert!(tiny.contains("memory_bytes_max"), "{tiny}");
}
